package packet

import (
	"encoding/binary"

	"postern/model"
)

// Lengths of the replies to a VM, in bytes, and of the ICMP packet without its Ethernet header.
const (
	ResetFrameLen               = EthernetLen + IPv4Len + TCPLen
	FragmentationNeededLen      = IPv4Len + ICMPLen + IPv4Len + QuotedPayloadLen
	FragmentationNeededFrameLen = EthernetLen + FragmentationNeededLen
)

// replyTTL is the time to live of what a node says in another's name.
const replyTTL = 64

// ResetFrame writes into out the frame that resets the TCP connection of a VM's packet, and returns out[:54]. It goes from
// the packet's destination to its source, and from model.RouterMAC to the given NIC (docs/packet.md, "A reset";
// RFC 9293, section 3.10.7.1). The packet must be sound and hold its whole TCP header; out must have room and not overlap.
func ResetFrame(out []byte, packet IPv4, nic model.MAC) []byte {
	out = out[:ResetFrameLen]
	PutEthernet(out, nic, model.RouterMAC, EtherTypeIPv4)
	Reset(out[EthernetLen:], packet)
	return out
}

// FragmentationNeededFrame writes into out the frame that tells a VM that its packet is too big for the way, and returns
// out[:70]: FragmentationNeeded behind an Ethernet header from model.RouterMAC to the given NIC. It returns nil where
// FragmentationNeeded does.
func FragmentationNeededFrame(out []byte, packet []byte, mtu uint16, nic model.MAC) []byte {
	out = out[:FragmentationNeededFrameLen]
	if FragmentationNeeded(out[EthernetLen:], packet, mtu) == nil {
		return nil
	}
	PutEthernet(out, nic, model.RouterMAC, EtherTypeIPv4)
	return out
}

// FragmentationNeeded writes into out an ICMP message 3/4 (RFC 1191) about an IPv4 packet, and returns out[:56]. It goes
// from the packet's destination to its source and quotes the packet's header and the 8 bytes behind it. Options are
// left out of the quotation, whose header length then says 20: a receiver looks for the ports behind the header length,
// and would find the wrong bytes. Nothing else of the header is changed. The packet may be cut behind those 8 bytes, as a
// quoted one is; if they are not there it returns nil. Out must have room and not overlap.
func FragmentationNeeded(out []byte, packet []byte, mtu uint16) []byte {
	about, ok := CheckQuotedIPv4(packet)
	if !ok {
		return nil
	}
	out = out[:FragmentationNeededLen]
	PutIPv4(out, IPv4Fields{
		TotalLen: FragmentationNeededLen, Fragment: IPv4DontFragment, TTL: replyTTL, Protocol: model.ProtocolICMP,
		Source: about.Destination(), Destination: about.Source(),
	})
	message := out[IPv4Len:]
	message[0], message[1] = ICMPUnreachable, ICMPFragmentationCode
	binary.BigEndian.PutUint32(message[2:], 0) // checksum, and the unused half of the word
	binary.BigEndian.PutUint16(message[6:], mtu)
	quoted := message[ICMPLen:]
	copy(quoted, about[:IPv4Len])
	quoted[0] = 0x45
	copy(quoted[IPv4Len:], about.Payload()[:QuotedPayloadLen])
	binary.BigEndian.PutUint16(message[ICMPChecksumOffset:], Checksum(Add(0, message)))
	return out
}
