package pipeline

import (
	"postern/model"
	"postern/packet"
	"postern/wire"
)

// Room that a TCP segment leaves in the fabric's MTU: IPv6 and TCP headers, and IPv4's inside if it is encapsulated.
const (
	encapsulatedHeaders = packet.IPv6Len + packet.IPv4Len + packet.TCPLen
	translatedHeaders   = packet.IPv6Len + packet.TCPLen
)

const encapsulatedHopLimit = 64

// address is the fabric address that a way leads to.
func (w *way) address() (address [wire.AddressLen]byte) {
	wire.Put(&address, w.locator, w.function, w.identity, w.ipv4)
	return address
}

// encapsulate puts an IPv6 header before the packet as it is (RFC 2473, without any extension header).
func (j *judge) encapsulate(taken *way, ip packet.IPv4, d *datagram) Result {
	data := j.out[:packet.IPv6Len+len(ip)]
	packet.PutIPv6(data, packet.IPv6Fields{
		TrafficClass: ip.TOS(), PayloadLen: uint16(len(ip)), NextHeader: model.ProtocolIPv4,
		HopLimit: encapsulatedHopLimit, Source: j.nic.fabricAddress, Destination: taken.address(),
	})
	copy(data[packet.IPv6Len:], ip)
	if d.flags&packet.TCPSyn != 0 {
		packet.ClampMSS(data[len(data)-len(d.layer4):], uint16(j.snapshot.fabricMTU-encapsulatedHeaders))
	}
	return j.result(model.ToFabric, taken.reason, data)
}

// emitTranslated sends what translateOut wrote.
func (j *judge) emitTranslated(taken *way, data []byte, d *datagram) Result {
	if d.flags&packet.TCPSyn != 0 {
		packet.ClampMSS(data[len(data)-len(d.layer4):], uint16(j.snapshot.fabricMTU-translatedHeaders))
	}
	return j.result(model.ToFabric, taken.reason, data)
}

// deliver puts the Ethernet header before the IPv4 packet that stands behind it in frame.
func (j *judge) deliver(frame []byte) Result {
	packet.PutEthernet(frame, j.nic.mac, model.RouterMAC, packet.EtherTypeIPv4)
	return j.result(model.Deliver, model.ReasonDelivered, frame)
}

// resetVM answers a TCP packet of the VM with a reset, or drops it if it is one itself. What is no TCP never comes here.
func (j *judge) resetVM(step string, ip packet.IPv4, d *datagram, reason model.Reason) Result {
	if d.flags&packet.TCPRst != 0 {
		return j.drop(step, reason)
	}
	if j.trace != nil {
		j.trace.denied(step, reason)
	}
	return j.result(model.Reply, reason, packet.ResetFrame(j.out, ip, j.nic.mac))
}

// tooBig tells the VM what size its packets must keep, unless the packet is one that no ICMP error may be about
// (RFC 1122, section 3.2.2).
func (j *judge) tooBig(ip packet.IPv4, d *datagram, mtu int) Result {
	if d.icmpError || d.piece == laterFragment {
		return j.drop(stepSize, model.ReasonTooBig)
	}
	if j.trace != nil {
		j.trace.denied(stepSize, model.ReasonTooBig)
	}
	frame := packet.FragmentationNeededFrame(j.out, ip, uint16(mtu), j.nic.mac)
	return j.result(model.Reply, model.ReasonTooBig, frame)
}
