package userspace

import (
	"encoding/binary"

	"postern/model"
)

const (
	ipv6HeaderLength = 40
	ipv4HeaderLength = 20
)

// Fabric is the IPv6 network between the nodes, in memory. It delivers by locator, the first 56 bits of the
// destination. A locator that several nodes announce is anycast.
type Fabric struct {
	segment *segment[model.Locator]
	mtu     int
}

// NewFabric makes a fabric whose largest packet has mtu bytes (its IPv6 header included), without any node.
func NewFabric(mtu int) *Fabric { return &Fabric{segment: newSegment[model.Locator](), mtu: mtu} }

// Send delivers one IPv6 packet to whom its destination's locator belongs, or drops and counts it. The packet is copied.
func (f *Fabric) Send(packet []byte) {
	if len(packet) < ipv6HeaderLength || packet[0]>>4 != 6 {
		f.segment.malformed.Add(1)
		return
	}
	if len(packet) > f.mtu {
		f.segment.tooBig.Add(1)
		return
	}
	f.segment.deliver(model.Locator(packet[24:31]), packet[8:40], packet)
}

// Counters are those of all packets since NewFabric.
func (f *Fabric) Counters() SegmentCounters { return f.segment.counters() }

// ipv4Length is the total length that an IPv4 packet states, or 0 for what is no whole IPv4 packet.
func ipv4Length(packet []byte) int {
	if len(packet) < ipv4HeaderLength || packet[0]>>4 != 4 {
		return 0
	}
	length := int(binary.BigEndian.Uint16(packet[2:]))
	if length < ipv4HeaderLength || length > len(packet) {
		return 0
	}
	return length
}
