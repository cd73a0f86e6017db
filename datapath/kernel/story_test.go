//go:build linux

package kernel_test

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"postern/lab"
	"postern/model"
	"postern/plan"
	"postern/wire"
)

// TestStory follows real packets, segmentation offload and all, from a VM to the service, to other VMs, and back.
func TestStory(t *testing.T) {
	c := newCloud(t, 1600)
	t.Run("SE-2 the service sees the subnet and the private address", func(t *testing.T) {
		client, server := connect(t, c.app.Namespace, c.gateway.Namespace, serviceAddress)
		checkParts(t, server.RemoteAddr(), wire.Parts{Locator: c.hosts[0].Node.Locator, Function: model.FunctionNIC, Identity: appSubnet, IPv4: c.app.nic.IPv4})
		checkParts(t, server.LocalAddr(), wire.Parts{Locator: serviceLocator, Function: model.FunctionService, Identity: storage, IPv4: serviceAddress})
		echo(t, client, server)
	})
	t.Run("a VM reaches another of its VNet", func(t *testing.T) {
		for _, peer := range []machine{c.near, c.far} {
			client, server := connect(t, c.app.Namespace, peer.Namespace, peer.nic.IPv4)
			if from := addressOf(server.RemoteAddr()); from != c.app.nic.IPv4 {
				t.Errorf("%s sees %s, want %s", peer.Name, from, c.app.nic.IPv4)
			}
			echo(t, client, server)
		}
	})
	t.Run("SE-14 the service cannot open a connection", func(t *testing.T) {
		before := c.packets(t, 0, c.app.nic.Number, model.ReasonUnsolicited)
		from := wire.Parts{Locator: serviceLocator, Function: model.FunctionService, Identity: storage, IPv4: serviceAddress}
		to := wire.Parts{Locator: c.hosts[0].Node.Locator, Function: model.FunctionNIC, Identity: appSubnet, IPv4: c.app.nic.IPv4}
		if err := listenUDP(t, c.gateway.Namespace, 0).send([]byte("hello"), from.Address(), netip.AddrPortFrom(to.Address(), 4000)); err != nil {
			t.Fatal(err)
		}
		await(t, "the packet is counted as unsolicited", func() bool {
			return c.packets(t, 0, c.app.nic.Number, model.ReasonUnsolicited) == before+1
		})
	})
	t.Run("a datagram to the platform and its answer", func(t *testing.T) {
		server := listenUDP(t, c.gateway.Namespace, 53)
		client := dialUDP(t, c.app, netip.AddrPortFrom(model.PlatformDNS, 53))
		for _, size := range []int{1, 40, 1400} {
			exchange(t, client, server, size, wire.Parts{Locator: c.hosts[0].Node.Locator, Identity: appSubnet, IPv4: c.app.nic.IPv4})
		}
	})
	t.Run("ping", func(t *testing.T) {
		for name, target := range map[string]netip.Addr{"near": c.near.nic.IPv4, "far": c.far.nic.IPv4, "platform": model.PlatformDNS} {
			if err := ping(t, c.app.Namespace, target); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("fragments", func(t *testing.T) {
		server := listenUDP(t, c.gateway.Namespace, 54)
		exchange(t, dialUDP(t, c.app, netip.AddrPortFrom(model.PlatformDNS, 54)), server, 20_000,
			wire.Parts{Locator: c.hosts[0].Node.Locator, Identity: appSubnet, IPv4: c.app.nic.IPv4})
	})
}

// TestBulk moves so much data that segmentation and receive offload are all that it is made of.
func TestBulk(t *testing.T) {
	c := newCloud(t, 1600)
	for _, target := range []struct {
		name    string
		where   *lab.Namespace
		address netip.Addr
	}{
		{"service", c.gateway.Namespace, serviceAddress},
		{"far", c.far.Namespace, c.far.nic.IPv4},
		{"near", c.near.Namespace, c.near.nic.IPv4},
	} {
		t.Run(target.name, func(t *testing.T) {
			client, server := connect(t, c.app.Namespace, target.where, target.address)
			move(t, client, server)
			move(t, server, client)
		})
	}
	t.Run("cut into segments by the kernel", func(t *testing.T) {
		// A link whose largest GSO packet is this small makes the kernel cut ours, as a NIC without offload does.
		if err := c.hosts[0].Do(func() error {
			fabric, err := netlink.LinkByName(lab.FabricLink)
			if err != nil {
				return err
			}
			return netlink.LinkSetGSOMaxSize(fabric, 3000)
		}); err != nil {
			t.Fatal(err)
		}
		for _, peer := range []struct {
			where   *lab.Namespace
			address netip.Addr
		}{{c.gateway.Namespace, serviceAddress}, {c.far.Namespace, c.far.nic.IPv4}} {
			client, server := connect(t, c.app.Namespace, peer.where, peer.address)
			move(t, client, server)
		}
	})
	t.Run("nothing was dropped", func(t *testing.T) {
		for host := range c.hosts {
			counters, err := c.drivers[host].Counters()
			if err != nil {
				t.Fatal(err)
			}
			for _, counter := range counters {
				if counter.Reason >= model.ReasonFirstDenial || counter.Reason == model.ReasonTooBig {
					t.Errorf("host %d, NIC %d: %d packets met %s", host, counter.NIC, counter.Packets, counter.Reason)
				}
			}
		}
	})
}

func checkParts(t *testing.T, address net.Addr, want wire.Parts) {
	t.Helper()
	if got := wire.Parse(addressOf(address)); got != want {
		t.Errorf("%s is %+v, want %+v", address, got, want)
	}
}

func addressOf(address net.Addr) netip.Addr {
	switch a := address.(type) {
	case *net.TCPAddr:
		return a.AddrPort().Addr().Unmap()
	case *net.UDPAddr:
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// echo sends something both ways.
func echo(t *testing.T, client, server net.Conn) {
	t.Helper()
	for i, pair := range [][2]net.Conn{{client, server}, {server, client}} {
		text := fmt.Sprintf("message %d of this connection", i)
		if _, err := io.WriteString(pair[0], text); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(text))
		if _, err := io.ReadFull(pair[1], got); err != nil || string(got) != text {
			t.Fatalf("got %q, %v, want %q", got, err, text)
		}
	}
}

// bulkBytes is what a bulk transfer with offload carries.
const bulkBytes = 200 << 20

// move sends bulkBytes one way and compares what arrives.
func move(t *testing.T, from, to net.Conn) {
	t.Helper()
	moveBytes(t, from, to, bulkBytes)
}

func moveBytes(t *testing.T, from, to net.Conn, size int) {
	t.Helper()
	table := crc32.MakeTable(crc32.Castagnoli)
	sent := make(chan uint32, 1)
	failed := make(chan error, 1)
	go func() {
		block := make([]byte, 256<<10)
		random := rand.New(rand.NewPCG(1, 2))
		for i := range block {
			block[i] = byte(random.Uint32())
		}
		sum := uint32(0)
		for left := size; left > 0; left -= len(block) {
			block[left/len(block)%len(block)]++ // no two blocks are alike
			sum = crc32.Update(sum, table, block)
			if _, err := from.Write(block); err != nil {
				failed <- err
				return
			}
		}
		sent <- sum
	}()
	hash := crc32.New(table)
	started := time.Now()
	if _, err := io.CopyN(hash, struct{ io.Reader }{to}, int64(size)); err != nil {
		t.Fatalf("receive: %v", err)
	}
	t.Logf("%.1f Gbit/s", float64(size)*8/time.Since(started).Seconds()/1e9)
	select {
	case sum := <-sent:
		if sum != hash.Sum32() {
			t.Errorf("what arrived is not what was sent: sums %08x and %08x", hash.Sum32(), sum)
		}
	case err := <-failed:
		t.Fatalf("send: %v", err)
	}
}

func dialUDP(t *testing.T, from machine, to netip.AddrPort) *net.UDPConn {
	t.Helper()
	conn, err := from.DialContext(bounded(t), "udp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn.(*net.UDPConn)
}

// exchange sends a datagram to a platform server, who sees it come from the given parts, and the same one back.
func exchange(t *testing.T, client *net.UDPConn, server datagrams, size int, from wire.Parts) {
	t.Helper()
	want := bytes.Repeat([]byte{7}, size)
	if _, err := client.Write(want); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 65536)
	n, peer, err := server.ReadFromUDPAddrPort(got)
	if err != nil || !bytes.Equal(got[:n], want) {
		t.Fatalf("server got %d bytes, %v, want %d", n, err, size)
	}
	if parts := wire.Parse(peer.Addr()); parts != from {
		t.Errorf("%s is %+v, want %+v", peer, parts, from)
	}
	if err := server.send(want, platformAddress(addressOf(client.RemoteAddr())), peer); err != nil {
		t.Fatal(err)
	}
	if n, err = client.Read(got); err != nil || !bytes.Equal(got[:n], want) {
		t.Fatalf("client got %d bytes, %v, want %d", n, err, size)
	}
}

func platformAddress(asked netip.Addr) netip.Addr {
	return wire.Parts{Locator: platformLocator, Function: model.FunctionPlatform, Identity: model.IdentityPlatform, IPv4: asked}.Address()
}

// datagrams is a wildcard socket that sends from any address of its machine's locators.
type datagrams struct{ *net.UDPConn }

func listenUDP(t *testing.T, where *lab.Namespace, port uint16) datagrams {
	t.Helper()
	conn, err := where.ListenPacket(bounded(t), "udp", netip.AddrPortFrom(netip.IPv6Unspecified(), port).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	raw, err := conn.(*net.UDPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := raw.Control(func(socket uintptr) {
		failed = unix.SetsockoptInt(int(socket), unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, 1)
	}); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	return datagrams{conn.(*net.UDPConn)}
}

func (d datagrams) send(payload []byte, from netip.Addr, to netip.AddrPort) error {
	_, _, err := d.WriteMsgUDPAddrPort(payload, unix.PktInfo6(&unix.Inet6Pktinfo{Addr: from.As16()}), to)
	return err
}

// ping sends an ICMP echo request and waits for the reply.
func ping(t *testing.T, from *lab.Namespace, to netip.Addr) error {
	t.Helper()
	return from.Do(func() error {
		socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
		if err != nil {
			return err
		}
		defer unix.Close(socket)
		timeout := unix.NsecToTimeval(patience.Nanoseconds())
		if err := unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
			return err
		}
		request := append([]byte{8, 0, 0, 0, 0, 0, 0, 1}, "is there anybody"...) // checksum and identifier are the kernel's
		if err := unix.Sendto(socket, request, 0, &unix.SockaddrInet4{Addr: to.As4()}); err != nil {
			return err
		}
		reply := make([]byte, 100)
		n, peer, err := unix.Recvfrom(socket, reply, 0)
		if err != nil {
			return err
		}
		if source := netip.AddrFrom4(peer.(*unix.SockaddrInet4).Addr); source != to || reply[0] != 0 || !bytes.Equal(reply[8:n], request[8:]) {
			return fmt.Errorf("%s answered %x", source, reply[:n])
		}
		return nil
	})
}

// await waits until something holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("after %s it is still not so that %s", patience, what)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestAppliance sends one way through a VM that forwards: its packets leave one capsule and enter the next.
func TestAppliance(t *testing.T) {
	c := newCloud(t, 1600)
	if err := c.far.Do(func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0) }); err != nil {
		t.Fatal(err)
	}
	c.far.nic.Forwarding = true
	for host := range c.hosts {
		node := c.plan(host)
		for i := range node.Host.NICs {
			if node.Host.NICs[i].Number == c.app.nic.Number {
				node.Host.NICs[i].Routes = "0000000000000009"
			}
		}
		node.Host.Routes["0000000000000009"] = append([]plan.Route{{Prefix: netip.PrefixFrom(c.near.nic.IPv4, 32),
			Hop: plan.Hop{Type: model.NextHopVirtualAppliance, Source: model.SourceUser, Address: c.far.nic.IPv4, VNet: 1}}},
			node.Host.Routes["0000000000000001"]...)
		c.apply(t, host, node)
	}
	client, server := connect(t, c.app.Namespace, c.near.Namespace, c.near.nic.IPv4)
	echo(t, client, server)
	move(t, client, server)
	if passed := c.packets(t, 1, c.far.nic.Number, model.ReasonVirtualNetwork); passed < 100 {
		t.Errorf("%d packets went through the appliance, want all", passed)
	}
}

// TestTunnelOfVMs has two VMs with a VXLAN of their own: their packets are capsules before ours is put around them. The
// tunnel has no segmentation offload: see the package's documentation.
func TestTunnelOfVMs(t *testing.T) {
	c := newCloud(t, 1600)
	inner := []netip.Addr{netip.MustParseAddr("192.168.5.1"), netip.MustParseAddr("192.168.5.2")}
	ends := []machine{c.app, c.far}
	for i, machine := range ends {
		if err := machine.Do(func() error {
			attrs := netlink.NewLinkAttrs()
			attrs.Name, attrs.MTU = "vxlan0", 1450
			tunnel := &netlink.Vxlan{LinkAttrs: attrs, VxlanId: 5, Port: 4789, Learning: true,
				Group: ends[1-i].nic.IPv4.AsSlice(), SrcAddr: machine.nic.IPv4.AsSlice()}
			if err := netlink.LinkAdd(tunnel); err != nil {
				return err
			}
			address, err := netlink.ParseAddr(netip.PrefixFrom(inner[i], 24).String())
			if err != nil {
				return err
			}
			if err := netlink.AddrAdd(tunnel, address); err != nil {
				return err
			}
			if err := netlink.LinkSetGSOMaxSize(tunnel, 2000); err != nil {
				return err
			}
			return netlink.LinkSetUp(tunnel)
		}); err != nil {
			t.Fatal(err)
		}
	}
	client, server := connect(t, c.app.Namespace, c.far.Namespace, inner[1])
	moveBytes(t, client, server, bulkBytes/20)
	moveBytes(t, server, client, bulkBytes/20)
}
