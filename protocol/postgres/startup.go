// Package postgres reads and writes the first messages of PostgreSQL's protocol, version 3: what a client sends before the
// server has said a word, and the error that refuses it (PostgreSQL documentation, chapter "Frontend/Backend Protocol",
// sections "Message Flow" and "Message Formats").
package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Kind is which first message a client sent.
type Kind uint32

// The kinds, by the number in the place of the protocol's version.
const (
	Startup    Kind = 3 << 16 // protocol 3.x, with parameters
	Cancel     Kind = 80877102
	SSLRequest Kind = 80877103
	GSSRequest Kind = 80877104
)

// The answers of one byte to SSLRequest and GSSRequest.
const (
	Accept = 'S'
	Reject = 'N'
)

// Limits: the server's own for start-up packets is 10,000 bytes.
const (
	minLength  = 8
	maxLength  = 10000
	maxVersion = 0xffff // minor versions; the server answers which it has
)

// Message is one first message.
type Message struct {
	Kind       Kind
	Minor      uint16      // minor version of a Startup
	Parameters []Parameter // of a Startup, in the client's order
	raw        []byte
}

// Parameter is one name and value of a start-up message.
type Parameter struct{ Name, Value string }

// Raw is the message as it was sent.
func (m *Message) Raw() []byte { return m.raw }

// Value is a parameter's value; "" for none. The last one counts, as in the server.
func (m *Message) Value(name string) (value string) {
	for _, p := range m.Parameters {
		if p.Name == name {
			value = p.Value
		}
	}
	return value
}

// Read reads one first message, and no byte more.
func Read(r io.Reader) (*Message, error) {
	var head [minLength]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("read start-up message: %w", err)
	}
	length := binary.BigEndian.Uint32(head[:])
	if length < minLength || length > maxLength {
		return nil, fmt.Errorf("read start-up message: %d bytes long: want %d to %d", length, minLength, maxLength)
	}
	raw := make([]byte, length)
	copy(raw, head[:])
	if _, err := io.ReadFull(r, raw[minLength:]); err != nil {
		return nil, fmt.Errorf("read start-up message: %w", err)
	}
	return Parse(raw)
}

// errForm says that parameters are not pairs of texts that end with zeros, and one zero at the end.
var errForm = errors.New("read start-up message: its parameters have no end")

// Parse reads one first message that is wholly there.
func Parse(raw []byte) (*Message, error) {
	if len(raw) < minLength || len(raw) > maxLength || binary.BigEndian.Uint32(raw) != uint32(len(raw)) {
		return nil, errors.New("read start-up message: its length is wrong")
	}
	m := &Message{Kind: Kind(binary.BigEndian.Uint32(raw[4:])), raw: raw}
	rest := raw[minLength:]
	switch {
	case m.Kind == SSLRequest || m.Kind == GSSRequest:
		if len(rest) != 0 {
			return nil, errors.New("read start-up message: a request for encryption has a body")
		}
		return m, nil
	case m.Kind == Cancel:
		return m, nil
	case m.Kind>>16 != 3:
		return nil, fmt.Errorf("read start-up message: protocol %d.%d: want 3", m.Kind>>16, m.Kind&maxVersion)
	}
	m.Kind, m.Minor = Startup, uint16(m.Kind)
	for {
		name, after, ok := bytes.Cut(rest, []byte{0})
		if !ok {
			return nil, errForm
		}
		if len(name) == 0 {
			if len(after) != 0 {
				return nil, errForm
			}
			return m, nil
		}
		value, after, ok := bytes.Cut(after, []byte{0})
		if !ok {
			return nil, errForm
		}
		m.Parameters = append(m.Parameters, Parameter{string(name), string(value)})
		rest = after
	}
}

// Marshal writes a Startup from its version and parameters.
func (m *Message) Marshal() []byte {
	out := binary.BigEndian.AppendUint32(make([]byte, 4), uint32(Startup)|uint32(m.Minor))
	for _, p := range m.Parameters {
		out = append(append(out, p.Name...), 0)
		out = append(append(out, p.Value...), 0)
	}
	out = append(out, 0)
	binary.BigEndian.PutUint32(out, uint32(len(out)))
	return out
}

// Request is a message without a body: SSLRequest or GSSRequest.
func Request(kind Kind) []byte {
	return binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, uint32(kind))
}

// ErrorResponse is the message that refuses a client: fatal, with a SQLSTATE of five letters and a text.
func ErrorResponse(state, text string) []byte {
	out := []byte{'E', 0, 0, 0, 0}
	for _, field := range []string{"SFATAL", "VFATAL", "C" + state, "M" + strings.ReplaceAll(text, "\x00", "")} {
		out = append(append(out, field...), 0)
	}
	out = append(out, 0)
	binary.BigEndian.PutUint32(out[1:], uint32(len(out)-1))
	return out
}
