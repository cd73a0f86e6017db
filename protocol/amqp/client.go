package amqp

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// PerformBegin is the performative that begins a session (section 2.7.2).
const PerformBegin Performative = 0x11

// Init is the frame by which a client chooses a mechanism of SASL, without a first answer (section 5.3.3.2).
func Init(mechanism string) []byte {
	return frame(FrameSASL, composite(SASLInit, append([]byte{0xa3, byte(len(mechanism))}, mechanism...)))
}

// OpenTo is the frame by which a client opens a connection to a host (section 2.7.1).
func OpenTo(container, host string) []byte {
	return frame(FrameAMQP, composite(PerformOpen, text(container), text(host)))
}

// null and the numbers of Begin, of one byte (section 1.6).
const (
	null      = 0x40
	smallUint = 0x52
	ushort    = 0x60
)

// Begin is the frame that begins the session of channel 0, with windows of 100 transfers from the first on. The answer to a
// peer's begin names the peer's channel, 0, too.
func Begin(answer bool) []byte {
	channel := []byte{null}
	if answer {
		channel = []byte{ushort, 0, 0}
	}
	return frame(FrameAMQP, composite(PerformBegin, channel, []byte{smallUint, 1}, []byte{smallUint, 100}, []byte{smallUint, 100}))
}

// Bye is the frame that closes a connection without an error.
func Bye() []byte { return frame(FrameAMQP, composite(PerformClose)) }

// PeerError is the error that a peer closes a connection for.
type PeerError struct{ Condition, Description string }

// Error has the condition and the description.
func (e *PeerError) Error() string { return e.Condition + ": " + e.Description }

var errClose = errors.New("read AMQP close: its error has another form")

// ReadClose reads the body of a close. It answers nil where there is no error in it.
func ReadClose(body []byte) (*PeerError, error) {
	fields, err := list(body)
	if err != nil || len(fields) == 0 || fields[0] == null {
		return nil, err
	}
	what, rest, err := described(fields)
	if err != nil {
		return nil, err
	}
	if what != PerformError {
		return nil, fmt.Errorf("%w: performative %#x", errClose, uint64(what))
	}
	if fields, err = list(rest); err != nil {
		return nil, err
	}
	e := &PeerError{}
	if e.Condition, fields, err = readText(fields); err != nil {
		return nil, err
	}
	if len(fields) > 0 && fields[0] != null {
		e.Description, _, err = readText(fields)
	}
	return e, err
}

// list gives the fields of a list, one behind the other (section 1.6.22).
func list(raw []byte) ([]byte, error) {
	switch {
	case len(raw) >= 1 && raw[0] == 0x45: // list0
		return nil, nil
	case len(raw) >= 3 && raw[0] == 0xc0: // list8: size, count
		if size := int(raw[1]); size >= 1 && len(raw) >= 2+size {
			return raw[3 : 2+size], nil
		}
	case len(raw) >= 9 && raw[0] == 0xd0: // list32
		if size := uint64(binary.BigEndian.Uint32(raw[1:])); size >= 4 && uint64(len(raw)) >= 5+size {
			return raw[9 : 5+size], nil
		}
	}
	return nil, errClose
}

// readText reads a symbol or a string (section 1.6.20 and 1.6.21), and gives what is behind it.
func readText(raw []byte) (string, []byte, error) {
	switch {
	case len(raw) >= 2 && (raw[0] == 0xa1 || raw[0] == 0xa3): // str8, sym8
		if size := int(raw[1]); len(raw) >= 2+size {
			return string(raw[2 : 2+size]), raw[2+size:], nil
		}
	case len(raw) >= 5 && (raw[0] == 0xb1 || raw[0] == 0xb3): // str32, sym32
		if size := uint64(binary.BigEndian.Uint32(raw[1:])); uint64(len(raw)) >= 5+size {
			return string(raw[5 : 5+size]), raw[5+size:], nil
		}
	}
	return "", nil, errClose
}
