// Package amqp reads and writes as much of AMQP 1.0 (OASIS, 29 October 2012) as it takes to open a session, and
// to say no to a client: the protocol headers, the talk of SASL, open, begin and close. It knows no service.
package amqp

import (
	"errors"
	"fmt"
	"io"
)

// ID is the protocol that a header begins (section 2.2 and 5.3.2).
type ID uint8

// The protocols.
const (
	Plain ID = 0 // AMQP itself
	TLS   ID = 2 // TLS follows (section 5.2.1)
	SASL  ID = 3 // SASL follows, and then a second header
)

// ErrVersion says that a header is AMQP's, but of another version than 1.0.0, or for TLS. The peer is to be sent the
// header that is supported, before the connection is closed (section 2.2).
var ErrVersion = errors.New("the client asks for another version of AMQP than 1.0.0")

// Header is the header of version 1.0.0 that begins a protocol.
func Header(id ID) []byte { return []byte{'A', 'M', 'Q', 'P', byte(id), 1, 0, 0} }

// ReadHeader reads the eight bytes of a protocol header and no more: Plain or SASL. The error is the reader's, ErrVersion,
// or says that this is not AMQP.
func ReadHeader(r io.Reader) (ID, error) {
	var raw [8]byte
	if _, err := io.ReadFull(r, raw[:]); err != nil {
		return 0, fmt.Errorf("read AMQP header: %w", err)
	}
	if string(raw[:4]) != "AMQP" {
		return 0, fmt.Errorf("read AMQP header: %q is not AMQP", raw[:])
	}
	id := ID(raw[4])
	if id != Plain && id != SASL || raw[5] != 1 || raw[6] != 0 || raw[7] != 0 {
		return id, ErrVersion
	}
	return id, nil
}
