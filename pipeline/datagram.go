package pipeline

import (
	"postern/model"
	"postern/packet"
)

// datagram is what the steps need to know of an IPv4 packet, or of an IPv6 packet that will become one.
type datagram struct {
	source, destination [4]byte
	protocol            model.Protocol // IPv4's: ICMPv6 counts as ICMP
	identification      uint16
	piece               piece
	offset              int    // of a later fragment, in bytes
	layer4              []byte // what is there of the layer-4 packet

	// The rest is known after fragment judging (step 5).
	sourcePort, destinationPort uint16 // identifier of an ICMP echo, for both
	flags                       uint8  // of TCP; 0 in a later fragment
	icmpError                   bool
	icmpType                    uint8 // means something for ICMP that is no later fragment
}

// piece tells how much of a packet a datagram is.
type piece uint8

const (
	whole piece = iota
	firstFragment
	laterFragment
)

func describeIPv4(ip packet.IPv4) datagram {
	return datagram{
		source: ip.Source(), destination: ip.Destination(), protocol: ip.Protocol(),
		identification: ip.Identification(), piece: pieceOf(ip.FragmentOffset(), ip.MoreFragments()),
		offset: ip.FragmentOffset(), layer4: ip.Payload(),
	}
}

func pieceOf(offset int, more bool) piece {
	switch {
	case offset > 0:
		return laterFragment
	case more:
		return firstFragment
	}
	return whole
}

// readLayer4 checks the lengths of step 5 in a packet that is no later fragment, and reads ports and flags. V6 tells that
// an ICMP header is ICMPv6's.
func (d *datagram) readLayer4(v6 bool) model.Reason {
	if d.piece == firstFragment {
		need := packet.UDPLen
		if d.protocol == model.ProtocolTCP {
			need = packet.TCPLen
		}
		if len(d.layer4) < need {
			return model.ReasonFragmentTiny
		}
	}
	switch d.protocol {
	case model.ProtocolTCP:
		if !packet.CheckTCP(d.layer4) {
			return model.ReasonMalformed
		}
		d.flags = packet.TCP(d.layer4).Flags()
		d.sourcePort, d.destinationPort = packet.Ports(d.layer4)
	case model.ProtocolUDP:
		if len(d.layer4) < packet.UDPLen {
			return model.ReasonMalformed
		}
		d.sourcePort, d.destinationPort = packet.Ports(d.layer4)
	case model.ProtocolICMP:
		if len(d.layer4) < packet.ICMPLen {
			return model.ReasonMalformed
		}
		message := packet.ICMP(d.layer4)
		d.icmpType = message.Type()
		d.icmpError = !v6 && message.IsError() || v6 && message.IsErrorV6()
		if !v6 && message.IsEcho() || v6 && message.IsEchoV6() {
			d.sourcePort, d.destinationPort = message.Identifier(), message.Identifier()
		}
	}
	return model.ReasonNone
}

// outgoingKey is the flow of a packet that the VM sends.
func (d *datagram) outgoingKey(nic uint32) flowKey {
	return flowKey{nic: nic, protocol: d.protocol, local: d.source, remote: d.destination,
		localPort: d.sourcePort, remotePort: d.destinationPort}
}

// incomingKey is the flow of a packet that the VM is sent.
func (d *datagram) incomingKey(nic uint32) flowKey {
	return flowKey{nic: nic, protocol: d.protocol, local: d.destination, remote: d.source,
		localPort: d.destinationPort, remotePort: d.sourcePort}
}

// describeQuoted describes the packet that an ICMP error quotes, from a header of 20 bytes and the 8 bytes behind it.
// False means that they are not there.
func describeQuoted(quoted []byte) (datagram, bool) {
	if len(quoted) < packet.IPv4Len+packet.QuotedPayloadLen || quoted[0] != 0x45 {
		return datagram{}, false
	}
	ip := packet.IPv4(quoted)
	about := datagram{source: ip.Source(), destination: ip.Destination(), protocol: ip.Protocol()}
	about.readQuotedPorts(quoted[packet.IPv4Len:], false)
	return about, true
}

// readQuotedPorts reads the ports out of the first 8 bytes of layer 4, which is all that an error quotes for sure.
func (d *datagram) readQuotedPorts(layer4 []byte, v6 bool) {
	switch d.protocol {
	case model.ProtocolTCP, model.ProtocolUDP:
		d.sourcePort, d.destinationPort = packet.Ports(layer4)
	case model.ProtocolICMP:
		message := packet.ICMP(layer4)
		if !v6 && message.IsEcho() || v6 && message.IsEchoV6() {
			d.sourcePort, d.destinationPort = message.Identifier(), message.Identifier()
		}
	}
}

// unusable tells whether no packet may carry an address: 0/8, 127/8, 224/4 and 240/4.
func unusable(address [4]byte) bool {
	return address[0] == 0 || address[0] == 127 || address[0] >= 224
}
