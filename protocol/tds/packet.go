// Package tds reads and writes what Microsoft's Tabular Data Stream begins with: packets, PRELOGIN, TLS inside of packets,
// and the answer that refuses a login ([MS-TDS] sections 2.2.3, 2.2.6.4, 2.2.6.5 and 2.2.7).
package tds

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// PacketType is what a message is.
type PacketType uint8

// The types that a connection begins with.
const (
	Batch    PacketType = 0x01 // of SQL, after the login
	Reply    PacketType = 0x04
	Login    PacketType = 0x10
	PreLogin PacketType = 0x12
)

// Limits.
const (
	headerLength = 8
	statusEnd    = 1         // the packet is the message's last
	maxPacket    = 32767     // [MS-TDS] section 2.2.6.4, PacketSize
	maxMessage   = 128 << 10 // what a login may have: [MS-TDS] allows 128 KB with its features
)

// ErrNotTDS says that the first byte begins no message of a client that has not logged in.
var ErrNotTDS = errors.New("the client does not begin with TDS")

// Message is one message, out of one packet or several.
type Message struct {
	Type    PacketType
	Content []byte
	Raw     []byte // with the packets' headers, as it was sent
}

// Read reads one message of a client, and no byte more. The type must be want.
func Read(r io.Reader, want PacketType) (*Message, error) {
	m := &Message{Type: want}
	for {
		content, end, raw, err := readPacket(r, want)
		if err != nil {
			return nil, err
		}
		m.Content, m.Raw = append(m.Content, content...), append(m.Raw, raw...)
		switch {
		case len(m.Raw) > maxMessage:
			return nil, fmt.Errorf("read TDS message: it is longer than %d bytes", maxMessage)
		case end:
			return m, nil
		}
	}
}

func readPacket(r io.Reader, want PacketType) (content []byte, end bool, raw []byte, err error) {
	var header [headerLength]byte
	if _, err := io.ReadFull(r, header[:1]); err != nil {
		return nil, false, nil, fmt.Errorf("read TDS packet: %w", err)
	}
	if PacketType(header[0]) != want {
		return nil, false, nil, ErrNotTDS
	}
	if _, err := io.ReadFull(r, header[1:]); err != nil {
		return nil, false, nil, fmt.Errorf("read TDS packet: %w", err)
	}
	length := int(binary.BigEndian.Uint16(header[2:]))
	if length <= headerLength || length > maxPacket {
		return nil, false, nil, fmt.Errorf("read TDS packet: %d bytes long: want %d to %d", length, headerLength+1, maxPacket)
	}
	raw = make([]byte, length)
	copy(raw, header[:])
	if _, err := io.ReadFull(r, raw[headerLength:]); err != nil {
		return nil, false, nil, fmt.Errorf("read TDS packet: %w", err)
	}
	return raw[headerLength:], header[1]&statusEnd != 0, raw, nil
}

// Packet is a message of one packet. The content must be short enough for one: 4,088 bytes fit every client.
func Packet(typ PacketType, content []byte) []byte {
	out := make([]byte, headerLength, headerLength+len(content))
	out[0], out[1], out[6] = byte(typ), statusEnd, 1
	binary.BigEndian.PutUint16(out[2:], uint16(headerLength+len(content)))
	return append(out, content...)
}
