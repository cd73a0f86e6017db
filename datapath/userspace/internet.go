package userspace

import (
	"fmt"
	"net/netip"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Internet is the IPv4 network outside, in memory. It delivers by whole addresses: those of outsiders, of gateways, and
// of the NICs that edges stand for. An address that several announce is anycast.
type Internet struct {
	segment *segment[netip.Addr]

	mu        sync.Mutex
	outsiders []*Outsider
}

// NewInternet makes an Internet without anybody.
func NewInternet() *Internet { return &Internet{segment: newSegment[netip.Addr]()} }

// Send delivers one IPv4 packet to whom its destination belongs, or drops and counts it. The packet is copied.
func (i *Internet) Send(packet []byte) {
	length := ipv4Length(packet)
	if length == 0 {
		i.segment.malformed.Add(1)
		return
	}
	if length > machineMTU {
		i.segment.tooBig.Add(1)
		return
	}
	i.segment.deliver(netip.AddrFrom4([4]byte(packet[16:20])), packet[12:20], packet[:length])
}

// Has tells whether somebody on the simulated Internet has the address.
func (i *Internet) Has(address netip.Addr) bool { return i.segment.has(address) }

// Counters are those of all packets since NewInternet.
func (i *Internet) Counters() SegmentCounters { return i.segment.counters() }

// Close ends every outsider.
func (i *Internet) Close() error {
	i.mu.Lock()
	outsiders := i.outsiders
	i.outsiders = nil
	i.mu.Unlock()
	for _, outsider := range outsiders {
		_ = outsider.Close()
	}
	return nil
}

// Outsider is a machine with one public address.
type Outsider struct {
	*Stack
	internet *Internet
	link     *link
	port     *port
	address  netip.Addr
}

// AddOutsider puts a machine onto the Internet. The address must be IPv4 and nobody else's.
func (i *Internet) AddOutsider(name string, address netip.Addr) (*Outsider, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.Has(address) {
		return nil, fmt.Errorf("add outsider %s: somebody has %s; choose another address", name, address)
	}
	outsider, err := i.newOutsider(name, address)
	if err != nil {
		return nil, fmt.Errorf("add outsider %s: %w", name, err)
	}
	i.outsiders = append(i.outsiders, outsider)
	return outsider, nil
}

func (i *Internet) newOutsider(name string, address netip.Addr) (*Outsider, error) {
	if !address.Is4() {
		return nil, fmt.Errorf("address %s is no IPv4 address", address)
	}
	o := &Outsider{
		Stack: newStack(name, family{ipv4: true, loopback: true}), internet: i,
		link: newLink(machineMTU, ""), address: address,
	}
	o.link.start(i.Send)
	o.port = newPort(func(packet []byte) { o.link.inject(header.IPv4ProtocolNumber, packet) })
	err := o.attach(1, o.link, o.link, false)
	if err == nil {
		err = o.Stack.address(1, netip.PrefixFrom(address, 32))
	}
	if err != nil {
		o.links = []*link{o.link}
		_ = o.Close()
		return nil, err
	}
	o.ip.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: 1}})
	i.segment.announce(o.port, []netip.Addr{address})
	return o, nil
}

// Address is the outsider's public address.
func (o *Outsider) Address() netip.Addr { return o.address }

// Close resets every connection and takes the machine off the Internet.
func (o *Outsider) Close() error {
	o.internet.segment.announce(o.port, nil)
	o.close()
	o.port.close()
	return nil
}
