package pipeline

import (
	"encoding/binary"
	"net/netip"

	"postern/model"
	"postern/packet"
	"postern/wire"
)

// Packets of the tests, built the slow way: checksums are summed word by word here, apart from package packet.

func slowChecksum(parts ...[]byte) uint16 {
	var all []byte
	for _, part := range parts {
		all = append(all, part...)
	}
	if len(all)%2 != 0 {
		all = append(all, 0)
	}
	sum := uint32(0)
	for i := 0; i < len(all); i += 2 {
		sum += uint32(all[i])<<8 | uint32(all[i+1])
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

func slowPseudoHeader(addresses []byte, protocol byte, length int) []byte {
	head := append([]byte{}, addresses...)
	return append(head, 0, 0, byte(length>>8), byte(length), 0, 0, 0, protocol)
}

func ip4(text string) [4]byte { return netip.MustParseAddr(text).As4() }

// datagram4 is an IPv4 packet to be built.
type datagram4 struct {
	source, destination string
	protocol            byte
	identification      uint16
	fragment            uint16 // flags and offset in units of 8 bytes
	options             []byte // a multiple of 4
	layer4              []byte // its checksum is filled in
	partial             bool   // layer4 is a fragment: leave its checksum alone
}

func (d datagram4) build() []byte {
	header := 20 + len(d.options)
	ip := make([]byte, header+len(d.layer4))
	ip[0] = 0x40 | byte(header/4)
	ip[1] = 0x28
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	binary.BigEndian.PutUint16(ip[4:], d.identification)
	binary.BigEndian.PutUint16(ip[6:], d.fragment)
	ip[8], ip[9] = 63, d.protocol
	source, destination := ip4(d.source), ip4(d.destination)
	copy(ip[12:], source[:])
	copy(ip[16:], destination[:])
	copy(ip[20:], d.options)
	binary.BigEndian.PutUint16(ip[10:], slowChecksum(ip[:header]))
	copy(ip[header:], d.layer4)
	if !d.partial {
		fillChecksum(ip[header:], d.protocol, ip[12:20])
	}
	return ip
}

// fillChecksum computes the checksum of TCP, UDP, ICMP or ICMPv6 between addresses of 8 or 32 bytes.
func fillChecksum(layer4 []byte, protocol byte, addresses []byte) {
	at := map[byte]int{1: 2, 6: 16, 17: 6, 58: 2}[protocol]
	if at == 0 || len(layer4) < at+2 {
		return
	}
	layer4[at], layer4[at+1] = 0, 0
	pseudo := slowPseudoHeader(addresses, protocol, len(layer4))
	if protocol == 1 {
		pseudo = nil
	}
	binary.BigEndian.PutUint16(layer4[at:], slowChecksum(pseudo, layer4))
}

// layer4Sound tells whether the checksum of a whole TCP, UDP, ICMP or ICMPv6 packet is right.
func layer4Sound(layer4 []byte, protocol byte, addresses []byte) bool {
	if protocol == 1 {
		return slowChecksum(layer4) == 0
	}
	return slowChecksum(slowPseudoHeader(addresses, protocol, len(layer4)), layer4) == 0
}

func tcpSegment(source, destination uint16, flags byte, options, data []byte) []byte {
	segment := make([]byte, 20, 20+len(options)+len(data))
	binary.BigEndian.PutUint16(segment, source)
	binary.BigEndian.PutUint16(segment[2:], destination)
	binary.BigEndian.PutUint32(segment[4:], 1000)
	binary.BigEndian.PutUint32(segment[8:], 5000)
	segment[12], segment[13] = byte((20+len(options))/4)<<4, flags
	segment[14] = 0xff
	return append(append(segment, options...), data...)
}

func udpSegment(source, destination uint16, data []byte) []byte {
	segment := make([]byte, 8, 8+len(data))
	binary.BigEndian.PutUint16(segment, source)
	binary.BigEndian.PutUint16(segment[2:], destination)
	binary.BigEndian.PutUint16(segment[4:], uint16(8+len(data)))
	return append(segment, data...)
}

// icmpMessage has rest as its second word: identifier and sequence number, or MTU, or pointer.
func icmpMessage(kind, code byte, rest uint32, data []byte) []byte {
	message := make([]byte, 8, 8+len(data))
	message[0], message[1] = kind, code
	binary.BigEndian.PutUint32(message[4:], rest)
	return append(message, data...)
}

const (
	syn = packet.TCPSyn
	ack = packet.TCPAck
	rst = packet.TCPRst
	fin = packet.TCPFin
)

func tcp(source, destination string, from, to uint16, flags byte) []byte {
	return datagram4{source: source, destination: destination, protocol: 6, fragment: 0x4000,
		layer4: tcpSegment(from, to, flags, nil, nil)}.build()
}

func tcpData(source, destination string, from, to uint16, size int) []byte {
	return datagram4{source: source, destination: destination, protocol: 6, fragment: 0x4000,
		layer4: tcpSegment(from, to, ack, nil, make([]byte, size))}.build()
}

func udp(source, destination string, from, to uint16) []byte {
	return datagram4{source: source, destination: destination, protocol: 17, layer4: udpSegment(from, to, []byte("data"))}.build()
}

func icmp(source, destination string, kind, code byte, rest uint32, data []byte) []byte {
	return datagram4{source: source, destination: destination, protocol: 1, layer4: icmpMessage(kind, code, rest, data)}.build()
}

func ping(source, destination string) []byte {
	return icmp(source, destination, 8, 0, 7<<16|1, []byte("abcdefgh"))
}

// other is a packet of a protocol that has no ports.
func other(source, destination string, protocol byte) []byte {
	return datagram4{source: source, destination: destination, protocol: protocol, layer4: make([]byte, 16)}.build()
}

// with is a copy of bytes with one of them replaced; the IPv4 header's checksum is not looked at by the pipeline.
func with(bytes []byte, at int, value byte) []byte {
	bytes = append([]byte{}, bytes...)
	bytes[at] = value
	return bytes
}

func frameFrom(mac model.MAC, etherType uint16, payload []byte) []byte {
	frame := append(append([]byte{}, model.RouterMAC[:]...), mac[:]...)
	return append(append(frame, byte(etherType>>8), byte(etherType)), payload...)
}

// fabric is a fabric address in its parts, for tests.
func fabric(locator model.Locator, function model.Function, identity model.Identity, address string) [16]byte {
	return wire.Parts{Locator: locator, Function: function, Identity: identity, IPv4: netip.MustParseAddr(address)}.Address().As16()
}

func ip6(source, destination [16]byte, next byte, payload []byte) []byte {
	ip := make([]byte, 40, 40+len(payload))
	ip[0] = 0x60
	binary.BigEndian.PutUint16(ip[4:], uint16(len(payload)))
	ip[6], ip[7] = next, 60
	copy(ip[8:], source[:])
	copy(ip[24:], destination[:])
	ip = append(ip, payload...)
	if next == 6 || next == 17 || next == 58 {
		fillChecksum(ip[40:], next, ip[8:40])
	}
	return ip
}

func fragment6(next byte, offset int, more bool, identification uint32, payload []byte) []byte {
	header := make([]byte, 8)
	packet.PutFragment(header, model.Protocol(next), offset, more, identification)
	return append(header, payload...)
}
