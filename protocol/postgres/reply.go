package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The types of messages that a server sends until a client may ask.
const (
	TypeError           = 'E'
	TypeAuthentication  = 'R'
	TypeParameterStatus = 'S'
	TypeReadyForQuery   = 'Z'
)

// maxReply bounds a server's message, in bytes: far above what comes before the first query.
const maxReply = 64 << 10

// Reply is one message of a server.
type Reply struct {
	Type byte
	Body []byte
}

// ReadReply reads one message of a server, and no byte more.
func ReadReply(r io.Reader) (Reply, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return Reply{}, fmt.Errorf("read message of the server: %w", err)
	}
	length := binary.BigEndian.Uint32(head[1:])
	if length < 4 || length > maxReply {
		return Reply{}, fmt.Errorf("read message of the server: %d bytes long: want 4 to %d", length, maxReply)
	}
	body := make([]byte, length-4)
	if _, err := io.ReadFull(r, body); err != nil {
		return Reply{}, fmt.Errorf("read message of the server: %w", err)
	}
	return Reply{head[0], body}, nil
}

// Marshal writes the message.
func (m Reply) Marshal() []byte {
	return append(binary.BigEndian.AppendUint32([]byte{m.Type}, uint32(len(m.Body)+4)), m.Body...)
}

// ServerError is what a message of TypeError says (PostgreSQL documentation, section "Error and Notice Message Fields").
type ServerError struct {
	Severity string // "FATAL"
	State    string // SQLSTATE
	Text     string
}

// Error is as psql shows it.
func (e *ServerError) Error() string { return e.Severity + ":  " + e.Text }

// ServerError reads a message of TypeError.
func (m Reply) ServerError() (*ServerError, error) {
	if m.Type != TypeError {
		return nil, fmt.Errorf("read error of the server: message %q is none", m.Type)
	}
	e := &ServerError{}
	for rest := m.Body; ; {
		if len(rest) > 0 && rest[0] == 0 {
			return e, nil
		}
		field, after, ended := bytes.Cut(rest, []byte{0})
		if !ended || len(field) == 0 {
			return nil, errors.New("read error of the server: its fields have no end")
		}
		switch text := string(field[1:]); field[0] {
		case 'S':
			e.Severity = text
		case 'C':
			e.State = text
		case 'M':
			e.Text = text
		}
		rest = after
	}
}

// Parameter reads a message of TypeParameterStatus.
func (m Reply) Parameter() (Parameter, error) {
	name, rest, named := bytes.Cut(m.Body, []byte{0})
	value, _, ended := bytes.Cut(rest, []byte{0})
	if m.Type != TypeParameterStatus || !named || !ended {
		return Parameter{}, errors.New("read parameter of the server: it is no name and value")
	}
	return Parameter{string(name), string(value)}, nil
}
