//go:build linux

package lab

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"
)

// echo is a UDP server of the Internet that sends back whom it saw.
func echo(t *testing.T, where *Namespace) (number uint16) {
	t.Helper()
	conn, err := where.ListenPacket(bounded(t), "udp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 2048)
		for {
			_, peer, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			conn.WriteTo([]byte(peer.String()), peer)
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return uint16(conn.LocalAddr().(*net.UDPAddr).Port)
}

// door plays the eBPF programs: it sends packets into the edge as they do, and takes what the edge routes to NICs.
type door struct {
	*RawSocket
	router net.HardwareAddr
}

func openDoor(t *testing.T, edge *Edge) *door {
	t.Helper()
	raw, err := edge.Raw(ShadowPeer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	return &door{raw, linkMAC(macShadow, 0)}
}

func (d *door) send(t *testing.T, from, to netip.AddrPort, payload string) {
	t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice()}
	udp := &layers.UDP{SrcPort: layers.UDPPort(from.Port()), DstPort: layers.UDPPort(to.Port())}
	udp.SetNetworkLayerForChecksum(ip)
	d.sendLayers(t, ip, udp, gopacket.Payload(payload))
}

// sendTCP sends a packet with the flags and numbers of header.
func (d *door) sendTCP(t *testing.T, from, to netip.AddrPort, header *layers.TCP) {
	t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice()}
	header.SrcPort, header.DstPort = layers.TCPPort(from.Port()), layers.TCPPort(to.Port())
	header.SetNetworkLayerForChecksum(ip)
	d.sendLayers(t, ip, header)
}

func (d *door) sendLayers(t *testing.T, inside ...gopacket.SerializableLayer) {
	t.Helper()
	buffer := gopacket.NewSerializeBuffer()
	frame := append([]gopacket.SerializableLayer{
		&layers.Ethernet{SrcMAC: d.HardwareAddr(), DstMAC: d.router, EthernetType: layers.EthernetTypeIPv4}}, inside...)
	if err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, frame...); err != nil {
		t.Fatal(err)
	}
	if err := d.Send(buffer.Bytes()); err != nil {
		t.Fatal(err)
	}
}

// receive waits for the next UDP packet that the edge routes to a NIC.
func (d *door) receive(t *testing.T) (from, to netip.AddrPort, payload string) {
	t.Helper()
	packet := d.receiveOf(t, layers.LayerTypeUDP)
	ip, udp := packet.NetworkLayer().(*layers.IPv4), packet.TransportLayer().(*layers.UDP)
	return endpoint(ip.SrcIP, udp.SrcPort), endpoint(ip.DstIP, udp.DstPort), string(udp.Payload)
}

// receiveTCP is receive for TCP.
func (d *door) receiveTCP(t *testing.T) *layers.TCP {
	t.Helper()
	return d.receiveOf(t, layers.LayerTypeTCP).TransportLayer().(*layers.TCP)
}

func (d *door) receiveOf(t *testing.T, transport gopacket.LayerType) gopacket.Packet {
	t.Helper()
	d.SetReadDeadline(time.Now().Add(patience))
	buffer := make([]byte, 2048)
	for range 100 {
		count, err := d.Receive(buffer)
		if err != nil {
			t.Fatal(err)
		}
		packet := gopacket.NewPacket(buffer[:count], layers.LayerTypeEthernet, gopacket.Default)
		if packet.Layer(layers.LayerTypeIPv4) != nil && packet.Layer(transport) != nil {
			return packet
		}
	}
	t.Fatalf("no %v among 100 packets", transport)
	panic("not reached")
}

func endpoint(ip net.IP, port layers.UDPPort) netip.AddrPort {
	address, _ := netip.AddrFromSlice(ip.To4())
	return netip.AddrPortFrom(address, uint16(port))
}

func TestEdgeOutbound(t *testing.T) {
	c := newCloud(t)
	server := netip.AddrPortFrom(outsiderAddress, echo(t, c.outsider))
	d := openDoor(t, c.edge)

	t.Run("OUT-1 default outbound leaves from the outbound address", func(t *testing.T) {
		own := netip.MustParseAddrPort("100.64.0.5:4000")
		d.send(t, own, server, "who am I")
		from, to, seen := d.receive(t)
		if from != server || to != own {
			t.Errorf("the reply is from %s to %s, want %s to %s", from, to, server, own)
		}
		if peer := netip.MustParseAddrPort(seen); peer.Addr() != outboundAddress {
			t.Errorf("the server saw %s, want %s", peer, outboundAddress)
		}
	})
	t.Run("OUT-1 two NICs with one port stay apart", func(t *testing.T) {
		one, other := netip.MustParseAddrPort("100.64.0.6:4001"), netip.MustParseAddrPort("100.64.0.7:4001")
		d.send(t, one, server, "one")
		_, toOne, seenOne := d.receive(t)
		d.send(t, other, server, "other")
		_, toOther, seenOther := d.receive(t)
		if toOne != one || toOther != other || seenOne == seenOther {
			t.Errorf("replies to %s (seen as %s) and %s (seen as %s), want %s and %s under two ports",
				toOne, seenOne, toOther, seenOther, one, other)
		}
	})
	t.Run("FW-5 the regional mark keeps the platform address", func(t *testing.T) {
		own := netip.MustParseAddr("100.64.9.9")
		if err := c.edge.addAddress("lo", single(own)); err != nil {
			t.Fatal(err)
		}
		for mark, want := range map[int]netip.Addr{RegionalMark: own, 0: outboundAddress} {
			if peer := seenFrom(t, c.edge, own, mark, server); peer.Addr() != want {
				t.Errorf("mark %d: the server saw %s, want %s", mark, peer, want)
			}
		}
	})
}

// The door cannot mark packets, as the programs do; sockets of the edge can.
func TestEdgeNATGateway(t *testing.T) {
	c := newCloud(t)
	server := netip.AddrPortFrom(outsiderAddress, echo(t, c.outsider))
	own := netip.MustParseAddr("100.64.9.9")
	if err := c.edge.addAddress("lo", single(own)); err != nil {
		t.Fatal(err)
	}
	gateway := netip.MustParseAddr("20.50.2.1")
	if err := c.edge.SetPublic(nil, []netip.Addr{gateway}); err != nil {
		t.Fatal(err)
	}
	t.Run("OUT-1 the mark is the NAT gateway's address", func(t *testing.T) {
		if peer := seenFrom(t, c.edge, own, markOf(gateway), server); peer.Addr() != gateway {
			t.Errorf("the server saw %s, want %s", peer, gateway)
		}
	})
	t.Run("OUT-1 nobody comes in by a NAT gateway's address", func(t *testing.T) {
		conn, err := c.outsider.DialContext(bounded(t), "tcp", netip.AddrPortFrom(gateway, 80).String())
		if !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("got %v, %v; want a refusal", conn, err)
		}
	})
	t.Run("an address changes from a NAT gateway to a NIC and back", func(t *testing.T) {
		d := openDoor(t, c.edge)
		from := netip.AddrPortFrom(gateway, 4000)
		if err := c.edge.SetPublic([]netip.Addr{gateway}, nil); err != nil {
			t.Fatal(err)
		}
		d.send(t, from, server, "who am I")
		if _, to, seen := d.receive(t); to != from || seen != from.String() {
			t.Errorf("the reply went to %s, the server saw %s; want %s unchanged", to, seen, from)
		}
		if err := c.edge.SetPublic(nil, []netip.Addr{gateway}); err != nil {
			t.Fatal(err)
		}
		if peer := seenFrom(t, c.edge, own, markOf(gateway), server); peer.Addr() != gateway {
			t.Errorf("back again the server saw %s, want %s", peer, gateway)
		}
	})
	t.Run("OUT-1 a TCP connection that the NAT does not know is reset", func(t *testing.T) {
		d := openDoor(t, c.edge)
		from := netip.MustParseAddrPort("100.64.0.5:4000")
		d.sendTCP(t, from, server, &layers.TCP{ACK: true, PSH: true, Seq: 1000, Ack: 7000, Window: 1000})
		reset := d.receiveTCP(t)
		if !reset.RST || reset.Seq != 7000 || reset.DstPort != 4000 {
			t.Errorf("got %+v, want a reset with sequence number 7000", reset)
		}
		// Of one that begins, the server's port answers: it is UDP's alone.
		d.sendTCP(t, from, server, &layers.TCP{SYN: true, Seq: 1000, Window: 1000})
		if answer := d.receiveTCP(t); !answer.RST || !answer.ACK || answer.Ack != 1001 {
			t.Errorf("got %+v, want the server's refusal", answer)
		}
	})
}

// markOf is the mark that lets a packet leave from an address.
func markOf(address netip.Addr) int {
	bytes := address.As4()
	return int(binary.NativeEndian.Uint32(bytes[:]))
}

// seenFrom asks an echo server who it sees, from a socket of the edge itself.
func seenFrom(t *testing.T, edge *Edge, own netip.Addr, mark int, server netip.AddrPort) netip.AddrPort {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.UDPAddr{IP: own.AsSlice()}, Control: withMark(mark)}
	var conn net.Conn
	if err := edge.Do(func() (err error) {
		conn, err = dialer.Dial("udp", server.String())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	buffer := make([]byte, 256)
	if _, err := conn.Write([]byte("who am I")); err != nil {
		t.Fatal(err)
	}
	count, err := conn.Read(buffer)
	if err != nil {
		t.Fatalf("mark %d: %v", mark, err)
	}
	return netip.MustParseAddrPort(string(buffer[:count]))
}

func TestEdgePublic(t *testing.T) {
	c := newCloud(t)
	server := netip.AddrPortFrom(outsiderAddress, echo(t, c.outsider))
	d := openDoor(t, c.edge)
	own := netip.AddrPortFrom(publicAddress, 4000)
	if err := c.edge.SetPublic([]netip.Addr{publicAddress}, nil); err != nil {
		t.Fatal(err)
	}
	d.send(t, own, server, "who am I")
	if from, to, seen := d.receive(t); from != server || to != own || seen != own.String() {
		t.Errorf("the reply is from %s to %s, seen as %s; want %s unchanged", from, to, seen, own)
	}
	if count := tracked(t, c.edge.Namespace); count != "0" {
		t.Errorf("%s flows of a public address are tracked, want none", count)
	}
	// A VM without a public address talks to one that has: through the door both ways.
	private := netip.MustParseAddrPort("100.64.0.5:4000")
	d.send(t, private, own, "hello")
	from, to, _ := d.receive(t)
	if from.Addr() != outboundAddress || to != own {
		t.Fatalf("a neighbour's packet came from %s to %s, want from %s", from, to, outboundAddress)
	}
	d.send(t, own, from, "hello back")
	if from, to, payload := d.receive(t); from != own || to != private || payload != "hello back" {
		t.Errorf("the neighbour's reply %q came from %s to %s, want %s to %s", payload, from, to, own, private)
	}
	if err := c.edge.SetPublic(nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.outsider.DialContext(bounded(t), "tcp", own.String()); !errors.Is(err, unix.ENETUNREACH) && !errors.Is(err, unix.EHOSTUNREACH) {
		t.Errorf("after the address was taken away: got %v, want unreachable", err)
	}
}

// tracked is how many flows the kernel keeps in mind.
func tracked(t *testing.T, namespace *Namespace) string {
	t.Helper()
	var count []byte
	if err := namespace.Do(func() (err error) {
		count, err = os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_count")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(count))
}
