package mysql

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Packet is one packet: its number in the exchange, and what it carries.
type Packet struct {
	Number  byte
	Content []byte
}

// maxPacket bounds a packet that is read, in bytes: far above what the connection phase has.
const maxPacket = 64 << 10

// First bytes of packets, and the one version of the greeting.
const (
	headOK          = 0x00
	headError       = 0xff
	protocolVersion = 10
)

// ReadPacket reads one packet, and no byte more.
func ReadPacket(r io.Reader) (Packet, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return Packet{}, fmt.Errorf("read MySQL packet: %w", err)
	}
	length := int(head[0]) | int(head[1])<<8 | int(head[2])<<16
	if length == 0 || length > maxPacket {
		return Packet{}, fmt.Errorf("read MySQL packet: %d bytes long: want 1 to %d", length, maxPacket)
	}
	content := make([]byte, length)
	if _, err := io.ReadFull(r, content); err != nil {
		return Packet{}, fmt.Errorf("read MySQL packet: %w", err)
	}
	return Packet{head[3], content}, nil
}

// Marshal writes the packet. Its content must be shorter than 16 MB.
func (p Packet) Marshal() []byte {
	length := len(p.Content)
	return append([]byte{byte(length), byte(length >> 8), byte(length >> 16), p.Number}, p.Content...)
}

// ServerError is an ERR packet.
type ServerError struct {
	Number uint16
	State  string // SQLSTATE
	Text   string
}

// Error is as the mysql client shows it.
func (e *ServerError) Error() string {
	return fmt.Sprintf("ERROR %d (%s): %s", e.Number, e.State, e.Text)
}

// generalState is the SQLSTATE of an error that brings none (CR_UNKNOWN_ERROR's).
const generalState = "HY000"

// serverError reads an ERR packet; nil for another one.
func (p Packet) serverError() *ServerError {
	if len(p.Content) < 3 || p.Content[0] != headError {
		return nil
	}
	e := &ServerError{Number: binary.LittleEndian.Uint16(p.Content[1:]), State: generalState, Text: string(p.Content[3:])}
	if len(e.Text) > 6 && e.Text[0] == '#' {
		e.State, e.Text = e.Text[1:6], e.Text[6:]
	}
	return e
}

// Version reads the greeting (Protocol::HandshakeV10), which is the first packet of a connection, and answers the version of
// the server. The error is a *ServerError where the server says no instead.
func (p Packet) Version() (string, error) {
	if refused := p.serverError(); refused != nil {
		return "", refused
	}
	version, _, ended := bytes.Cut(p.Content[1:], []byte{0})
	if p.Content[0] != protocolVersion || !ended {
		return "", errors.New("read MySQL greeting: it is none of version 10")
	}
	return string(version), nil
}

// Accepted reads the answer to a login. The error is a *ServerError where it is no.
func (p Packet) Accepted() error {
	if refused := p.serverError(); refused != nil {
		return refused
	}
	if p.Content[0] != headOK {
		return errors.New("read MySQL answer to a login: it is neither yes nor no")
	}
	return nil
}

// Capabilities of both sides (Capabilities Flags).
const (
	capabilityProtocol41       = 0x200
	capabilitySecureConnection = 0x8000
	capabilityPluginAuth       = 0x80000
	capabilities               = capabilityProtocol41 | capabilitySecureConnection | capabilityPluginAuth
)

// charset is utf8mb4_general_ci; plugin is how passwords are asked for; scramble stands for its random bytes, since nobody
// here has a password.
const (
	charset  = 45
	plugin   = "mysql_native_password"
	scramble = "postern-postern-demo"
)

// Greeting is the first packet of a server that asks nobody for a password (Protocol::HandshakeV10).
func Greeting(version string) []byte {
	out := append([]byte{protocolVersion}, version...)
	out = append(out, 0, 1, 0, 0, 0) // connection 1
	out = append(append(out, scramble[:8]...), 0)
	out = binary.LittleEndian.AppendUint16(out, capabilities&0xffff)
	out = append(out, charset, 2, 0) // autocommit
	out = binary.LittleEndian.AppendUint16(out, capabilities>>16)
	out = append(out, byte(len(scramble)+1))
	out = append(out, make([]byte, 10)...)
	out = append(append(out, scramble[8:]...), 0)
	return Packet{0, append(append(out, plugin...), 0)}.Marshal()
}

// Login is the packet by which a user without a password answers a greeting (Protocol::HandshakeResponse41).
func Login(user string) []byte {
	out := binary.LittleEndian.AppendUint32(nil, capabilities)
	out = binary.LittleEndian.AppendUint32(out, maxPacket)
	out = append(append(out, charset), make([]byte, 23)...)
	out = append(append(out, user...), 0, 0) // an answer to the scramble of no bytes
	return Packet{1, append(append(out, plugin...), 0)}.Marshal()
}

// OK is the packet that takes a login (OK_Packet): no rows, autocommit, no warnings.
func OK() []byte { return Packet{2, []byte{headOK, 0, 0, 2, 0, 0, 0}}.Marshal() }
