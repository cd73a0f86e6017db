package cloud

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"postern/firewall"
	"postern/gateway"
	"postern/lab"
)

// A backend on a machine that the gateway's host routes to: it sees the caller's fabric address, and answers through the
// host.
func TestDirectElsewhere(t *testing.T) {
	needKernel(t)
	s := start(t, Kernel, "", application...)
	app, far := s.machine("nic-app"), s.machine("nic-far")
	office := s.outsider("office", "198.51.100.7")
	world := s.world.(*kernelWorld)
	machine := s.outsider("store", "198.51.100.80").(kernelMachine)
	world.mu.Lock()
	host := world.nodes["gateway-we"].gateway.Namespace
	world.mu.Unlock()
	const gatewaySide, machineSide = "fd00:b::1", "fd00:b::2"
	if err := behind(host, machine.Namespace, gatewaySide, machineSide); err != nil {
		t.Fatal(err)
	}
	listener, err := machine.Listen(s.ctx, "tcp", "["+machineSide+"]:7000")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	server := &openConnections{Listener: listener}
	serveDirect(server)
	document := func(action, subnets string) string {
		return strings.Replace(fmt.Sprintf(ownDirect, 7000, action, subnets, ""), "[::1]", "["+machineSide+"]", 1)
	}
	s.apply(document("Allow", ""))
	s.apply(subnet("vnet/app", "10.13.76.0/24", withDirect), subnet("vnet/other", "10.13.77.0/24", withDirect))
	s.apply(document("Deny", directRule))

	t.Run("SE-2 FW-6 the server sees the private address", func(t *testing.T) {
		s := s.in(t)
		if peer, err := s.whoAmI(app, storeName); err != nil || !strings.Contains(peer, "a0d:4c24]") { // 10.13.76.36
			t.Errorf("the server sees %s, %v", peer, err)
		}
		if got, err := s.whoAmI(far, storeName); err == nil || isTimeout(err) {
			t.Errorf("another subnet: got %q, %v", got, err)
		}
	})
	t.Run("a large transfer arrives whole, both ways", func(t *testing.T) {
		conn := s.in(t).connect(app, storeName)
		defer conn.Close()
		if err := exchange(conn, 16<<20); err != nil {
			t.Error(err)
		}
	})
	t.Run("callers of the Internet have no way there", func(t *testing.T) {
		s := s.in(t)
		conn := s.connect(app, storeName)
		address := conn.RemoteAddr().String()
		conn.Close()
		s.apply(document("Allow", ""))
		if got, err := s.whoAmI(office, address); err == nil || isTimeout(err) {
			t.Errorf("got %q, %v", got, err)
		}
		s.apply(document("Deny", directRule))
	})
	t.Run("revoked: both ends are reset, also when idle", func(t *testing.T) {
		s := s.in(t)
		conn := s.connect(app, storeName)
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(conn, "W"); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		s.apply(document("Deny", ""))
		if _, err := conn.Read(make([]byte, 1)); err == nil || isTimeout(err) {
			t.Errorf("the connection is still open: %v", err)
		}
		s.eventually("the server's end is reset", server.idle)
	})
	t.Run("a machine that does not answer is a reset once that is known", func(t *testing.T) {
		s := s.in(t)
		s.apply(document("Deny", directRule))
		if err := server.Close(); err != nil {
			t.Fatal(err)
		}
		s.eventually("the gateway says that the backend is down", func() error {
			if got, err := s.whoAmI(app, storeName); err == nil || isTimeout(err) {
				t.Errorf("got %q, %v", got, err)
			}
			entries, err := s.AccessLog(s.ctx)
			if err == nil && !slices.ContainsFunc(entries, func(e gateway.Entry) bool { return e.StatusText == "BackendDown" && e.CallerKind == firewall.Endpoint }) {
				err = errors.New("no line says so")
			}
			return err
		})
	})
}

// behind joins a machine to a gateway by a link of their own, with IPv6: the gateway's host routes for it.
func behind(gateway, machine *lab.Namespace, gatewaySide, machineSide string) error {
	var inside int
	if err := machine.Do(func() (err error) {
		inside, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		return err
	}); err != nil {
		return err
	}
	defer unix.Close(inside)
	up := func(name, address string) error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		prefix := netip.PrefixFrom(netip.MustParseAddr(address), 64)
		entry := &netlink.Addr{IPNet: &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(64, 128)}, Flags: unix.IFA_F_NODAD}
		return errors.Join(netlink.AddrAdd(link, entry), netlink.LinkSetUp(link))
	}
	if err := gateway.Do(func() error {
		pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "back0"}, PeerName: "back1", PeerNamespace: netlink.NsFd(inside)}
		if err := netlink.LinkAdd(pair); err != nil {
			return err
		}
		return errors.Join(up("back0", gatewaySide), os.WriteFile("/proc/sys/net/ipv6/conf/all/forwarding", []byte("1"), 0o644))
	}); err != nil {
		return err
	}
	return machine.Do(func() error {
		if err := up("back1", machineSide); err != nil {
			return err
		}
		link, err := netlink.LinkByName("back1")
		if err != nil {
			return err
		}
		return netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: net.ParseIP(gatewaySide)})
	})
}
