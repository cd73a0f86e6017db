package platform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"postern/model"
)

// anyIP holds the sockets of a network namespace in which every address of the fabric is local. The namespace has no name
// and ends with its last socket, so nothing is left over, however the test ends.
type anyIP struct {
	packets PacketConn
	stream  net.Listener // TCP port 53
	web     net.Listener // TCP port 80

	known, stranger net.Conn // UDP sockets, connected to 168.63.129.16: they take answers from there alone
	knownStream     net.Conn
	knownWeb        net.Conn
}

// openAnyIP makes the namespace on a thread of its own, which ends with it.
func openAnyIP(t *testing.T) *anyIP {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a network namespace needs root")
	}
	type result struct {
		opened *anyIP
		err    error
	}
	done := make(chan result, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread, and its namespace with it, ends with this goroutine
		opened, err := openSockets()
		done <- result{opened, err}
	}()
	got := <-done
	if errors.Is(got.err, syscall.EPERM) {
		t.Skipf("a network namespace is not permitted here: %v", got.err)
	}
	if got.err != nil {
		t.Fatal(got.err)
	}
	return got.opened
}

func openSockets() (*anyIP, error) {
	namespace, err := netns.New()
	if err != nil {
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	defer namespace.Close()
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return nil, err
	}
	if err := netlink.LinkSetUp(loopback); err != nil {
		return nil, err
	}
	_, everything, err := net.ParseCIDR("fd00::/16")
	if err != nil {
		return nil, err
	}
	if err := netlink.RouteAdd(&netlink.Route{LinkIndex: loopback.Attrs().Index, Dst: everything, Type: unix.RTN_LOCAL,
		Table: unix.RT_TABLE_LOCAL, Scope: unix.RT_SCOPE_HOST}); err != nil {
		return nil, fmt.Errorf("add the local route: %w", err)
	}
	ctx := context.Background()
	opened := &anyIP{}
	if opened.packets, err = ListenPacket(ctx, netip.MustParseAddrPort("[::]:53")); err != nil {
		return nil, err
	}
	if opened.stream, err = net.Listen("tcp6", "[::]:53"); err != nil {
		return nil, err
	}
	if opened.web, err = net.Listen("tcp6", "[::]:80"); err != nil {
		return nil, err
	}
	for _, socket := range []struct {
		into    *net.Conn
		network string
		source  netip.Addr
		target  netip.Addr
		port    uint16
	}{
		{&opened.known, "udp6", from(subnetApp, app), to(model.PlatformDNS), 53},
		{&opened.stranger, "udp6", from(9999, app), to(model.PlatformDNS), 53},
		{&opened.knownStream, "tcp6", from(subnetApp, app), to(model.PlatformDNS), 53},
		{&opened.knownWeb, "tcp6", from(subnetApp, app), to(model.PlatformMetadata), 80},
	} {
		dialer := net.Dialer{Timeout: 5 * time.Second, Control: func(_, _ string, raw syscall.RawConn) error {
			var failed error
			if err := raw.Control(func(fd uintptr) { failed = freebind(fd) }); err != nil {
				return err
			}
			return failed
		}}
		if strings.HasPrefix(socket.network, "udp") {
			dialer.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(socket.source, 0))
		} else {
			dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(socket.source, 0))
		}
		if *socket.into, err = dialer.Dial(socket.network, netip.AddrPortFrom(socket.target, socket.port).String()); err != nil {
			return nil, fmt.Errorf("connect from %s: %w", socket.source, err)
		}
		if err := (*socket.into).SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			return nil, err
		}
	}
	return opened, nil
}

// TestKernelSockets asks over the kernel's own sockets with real fabric addresses on both sides.
func TestKernelSockets(t *testing.T) {
	opened := openAnyIP(t)
	service := newService(t, nil)
	serve(t, func(ctx context.Context) error { return service.ServeDNS(ctx, opened.packets) })
	serve(t, func(ctx context.Context) error { return service.ServeDNSStream(ctx, opened.stream) })
	serve(t, func(ctx context.Context) error { return service.ServeMetadata(ctx, opened.web) })
	t.Cleanup(func() {
		for _, connection := range []net.Conn{opened.known, opened.stranger, opened.knownStream, opened.knownWeb} {
			_ = connection.Close()
		}
	})
	exchange := func(t *testing.T, connection net.Conn) *dns.Msg {
		t.Helper()
		asking := &dns.Conn{Conn: connection}
		if err := asking.WriteMsg(new(dns.Msg).SetQuestion(account+".table.core.windows.net.", dns.TypeA)); err != nil {
			t.Fatal(err)
		}
		got, err := asking.ReadMsg()
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	t.Run("DNS-1 over UDP the answer comes from the address asked", func(t *testing.T) {
		for range 20 {
			if got := address(t, exchange(t, opened.known)); got != accountAddress.String() {
				t.Error(got)
			}
		}
	})
	t.Run("DNS-1 over UDP a stranger is refused and counted", func(t *testing.T) {
		before := service.Counters().UnknownCaller
		if got := exchange(t, opened.stranger); got.Rcode != dns.RcodeRefused {
			t.Errorf("%v", got)
		}
		if counted := service.Counters().UnknownCaller - before; counted != 1 {
			t.Errorf("counted %d", counted)
		}
	})
	t.Run("a datagram that is no question", func(t *testing.T) {
		if _, err := opened.known.Write([]byte("hello")); err != nil { // silence
			t.Fatal(err)
		}
		if _, err := opened.known.Write([]byte{1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xff}); err != nil {
			t.Fatal(err)
		}
		got, err := (&dns.Conn{Conn: opened.known}).ReadMsg()
		if err != nil || got.Rcode != dns.RcodeFormatError || got.Id != 0x0102 {
			t.Errorf("%v, %v", got, err)
		}
	})
	t.Run("DNS-1 over TCP", func(t *testing.T) {
		if got := address(t, exchange(t, opened.knownStream)); got != accountAddress.String() {
			t.Error(got)
		}
	})
	t.Run("ID-1 over TCP", func(t *testing.T) {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
			DialContext: func(context.Context, string, string) (net.Conn, error) { return opened.knownWeb, nil }}}
		request, err := http.NewRequest("GET", "http://169.254.169.254"+tokenPath, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Metadata", "true")
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != 200 || !strings.Contains(string(body), "access_token") {
			t.Errorf("%d %s %v", response.StatusCode, body, err)
		}
	})
}
