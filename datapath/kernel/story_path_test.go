//go:build linux

package kernel_test

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"postern/lab"
	"postern/model"
)

// TestPathMTU has VMs of 1500 bytes on fabrics that carry less than that and our header.
func TestPathMTU(t *testing.T) {
	t.Run("the fabric is known to be small", func(t *testing.T) {
		c := newCloud(t, 1400)
		for name, target := range map[string]struct {
			address netip.Addr
			mtu     int
		}{"translated": {serviceAddress, 1380}, "encapsulated": {c.far.nic.IPv4, 1360}} {
			t.Run(name, func(t *testing.T) {
				client := dialUDP(t, c.app, netip.AddrPortFrom(target.address, 9))
				if got := learnMTU(t, client); got != target.mtu {
					t.Errorf("the VM learnt an MTU of %d, want %d", got, target.mtu)
				}
			})
		}
		before := c.packets(t, 0, c.app.nic.Number, model.ReasonTooBig)
		for name, peer := range map[string]struct {
			where   *lab.Namespace
			address netip.Addr
			most    int
		}{"service": {c.gateway.Namespace, serviceAddress, 1340}, "far": {c.far.Namespace, c.far.nic.IPv4, 1320}} {
			t.Run("TCP is told by its MSS: "+name, func(t *testing.T) {
				client, server := connect(t, c.app.Namespace, peer.where, peer.address)
				for _, conn := range []*net.TCPConn{client, server} {
					if segment := int(tcpInfo(t, conn).Snd_mss); segment > peer.most {
						t.Errorf("segments of %d bytes, want at most %d", segment, peer.most)
					}
				}
				move(t, client, server)
				move(t, server, client)
			})
		}
		if after := c.packets(t, 0, c.app.nic.Number, model.ReasonTooBig); after != before {
			t.Errorf("%d packets of TCP were too big", after-before)
		}
	})
	t.Run("a router of the fabric finds out", func(t *testing.T) {
		c := newCloud(t, 1600)
		narrow(t, c, 1300)
		for name, target := range map[string]struct {
			address netip.Addr
			mtu     int
		}{"translated": {serviceAddress, 1280}, "encapsulated": {c.far.nic.IPv4, 1260}} {
			t.Run(name, func(t *testing.T) {
				client := dialUDP(t, c.app, netip.AddrPortFrom(target.address, 9))
				if got := learnMTU(t, client); got != target.mtu {
					t.Errorf("the VM learnt an MTU of %d, want %d", got, target.mtu)
				}
			})
		}
		t.Run("TCP gets through", func(t *testing.T) {
			client, server := connect(t, c.app.Namespace, c.gateway.Namespace, serviceAddress)
			move(t, client, server)
			client, server = connect(t, c.app.Namespace, c.far.Namespace, c.far.nic.IPv4)
			move(t, client, server)
		})
	})
}

// narrow makes the fabric router's links small, except the one to the first host: what comes from there does not fit on.
func narrow(t *testing.T, c *cloud, mtu int) {
	t.Helper()
	if err := c.lab.Fabric.Do(func() error {
		routes, err := netlink.RouteList(nil, netlink.FAMILY_V6)
		if err != nil {
			return err
		}
		changed := 0
		for _, route := range routes {
			if route.Dst == nil {
				continue
			}
			prefix := route.Dst.String()
			if prefix != c.gateway.Node.Locator.String() && prefix != c.hosts[1].Node.Locator.String() {
				continue
			}
			link, err := netlink.LinkByIndex(route.LinkIndex)
			if err != nil {
				return err
			}
			if err := netlink.LinkSetMTU(link, mtu); err != nil {
				return err
			}
			changed++
		}
		if changed != 2 {
			return errors.New("the routes to gateway and second host were not found")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// learnMTU sends a datagram of 1500 bytes that must not be fragmented, waits for the ICMP error, and tells the path's MTU
// as the VM then knows it.
func learnMTU(t *testing.T, conn *net.UDPConn) (mtu int) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := raw.Control(func(socket uintptr) {
		failed = unix.SetsockoptInt(int(socket), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO)
	}); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	if _, err := conn.Write(make([]byte, 1472)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, unix.EMSGSIZE) {
		t.Fatalf("waiting for the ICMP error: %v", err)
	}
	if err := raw.Control(func(socket uintptr) {
		mtu, failed = unix.GetsockoptInt(int(socket), unix.IPPROTO_IP, unix.IP_MTU)
	}); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	return mtu
}

func tcpInfo(t *testing.T, conn *net.TCPConn) (info *unix.TCPInfo) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := raw.Control(func(socket uintptr) {
		info, failed = unix.GetsockoptTCPInfo(int(socket), unix.IPPROTO_TCP, unix.TCP_INFO)
	}); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	return info
}

// TestSegmentedDatagrams sends what a QUIC stack sends: one large buffer that leaves as many datagrams (UDP_SEGMENT).
func TestSegmentedDatagrams(t *testing.T) {
	c := newCloud(t, 1600)
	for name, target := range map[string]struct {
		where   *lab.Namespace
		address netip.Addr
	}{"service": {c.gateway.Namespace, serviceAddress}, "far": {c.far.Namespace, c.far.nic.IPv4}} {
		t.Run(name, func(t *testing.T) {
			server := listenUDP(t, target.where, 443)
			client := dialUDP(t, c.app, netip.AddrPortFrom(target.address, 443))
			raw, err := client.SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			var failed error
			if err := raw.Control(func(socket uintptr) {
				failed = unix.SetsockoptInt(int(socket), unix.IPPROTO_UDP, unix.UDP_SEGMENT, 1200)
			}); err != nil || failed != nil {
				t.Fatal(err, failed)
			}
			if _, err := client.Write(make([]byte, 10*1200)); err != nil {
				t.Fatal(err)
			}
			server.SetReadDeadline(time.Now().Add(2 * time.Second))
			for i := range 10 {
				if n, _, err := server.ReadFromUDPAddrPort(make([]byte, 4096)); err != nil || n != 1200 {
					t.Fatalf("datagram %d: %d bytes, %v", i, n, err)
				}
			}
		})
	}
}
