// Package packet knows headers and checksums: Ethernet, IPv4, IPv6, TCP, UDP and ICMP as bytes, read and written in
// place. A header is a byte slice with methods; nothing is copied and nothing allocates. Methods of a header type
// expect the fixed part of that header to be there: whoever makes one from foreign bytes checks first, for IPv4 and
// IPv6 with CheckIPv4 and CheckIPv6. All numbers on the wire are in network byte order, those of the API in the host's.
package packet

import (
	"encoding/binary"

	"postern/model"
)

// EthernetLen is the length of an Ethernet header without tags, in bytes.
const EthernetLen = 14

// EtherTypes that docs/packet.md names.
const (
	EtherTypeIPv4 = 0x0800
	EtherTypeARP  = 0x0806
	EtherTypeVLAN = 0x8100
	EtherTypeIPv6 = 0x86dd
	EtherTypeQinQ = 0x88a8
)

// Ethernet is a frame of at least EthernetLen bytes.
type Ethernet []byte

// Destination is the address of the NIC that shall take the frame.
func (e Ethernet) Destination() model.MAC { return model.MAC(e[0:6]) }

// Source is the address of the NIC that sent the frame.
func (e Ethernet) Source() model.MAC { return model.MAC(e[6:12]) }

// Type is the EtherType.
func (e Ethernet) Type() uint16 { return binary.BigEndian.Uint16(e[12:]) }

// Payload is what follows the header, padding included.
func (e Ethernet) Payload() []byte { return e[EthernetLen:] }

// PutEthernet writes a header into the first EthernetLen bytes of frame.
func PutEthernet(frame []byte, destination, source model.MAC, etherType uint16) {
	_ = frame[EthernetLen-1]
	copy(frame[0:6], destination[:])
	copy(frame[6:12], source[:])
	binary.BigEndian.PutUint16(frame[12:], etherType)
}
