package amqp

import (
	"encoding/binary"
	"fmt"
	"io"
)

// The kinds of frames (section 2.3 and 5.3.1).
const (
	FrameAMQP = 0
	FrameSASL = 1
)

// Performative is the code of what a frame says (section 2.7 and 5.3.3).
type Performative uint64

// The performatives that a refusal meets.
const (
	Heartbeat     Performative = 0 // a frame without a body (section 2.4.5)
	PerformOpen   Performative = 0x10
	PerformClose  Performative = 0x18
	PerformError  Performative = 0x1d // inside of a close
	SASLMechanism Performative = 0x40
	SASLInit      Performative = 0x41
	SASLOutcome   Performative = 0x44
)

// symbols are the names that performatives can have in place of their codes.
var symbols = map[string]Performative{
	"amqp:open:list": PerformOpen, "amqp:close:list": PerformClose, "amqp:sasl-init:list": SASLInit,
}

// MaxFrame bounds a frame that is read, in bytes. Peers that have not agreed on more send 512 at most (section 2.4.1).
const MaxFrame = 16 << 10

// Frame is one frame.
type Frame struct {
	Type byte // FrameAMQP, FrameSASL
	What Performative
	Body []byte // what follows the performative's code
}

// ReadFrame reads one frame and no byte more. A performative that has a name, and none of those that are known here, is
// ^0.
func ReadFrame(r io.Reader) (*Frame, error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("read AMQP frame: %w", err)
	}
	size, offset := binary.BigEndian.Uint32(head[:]), uint32(head[4])*4
	if size < 8 || size > MaxFrame || offset < 8 || offset > size {
		return nil, fmt.Errorf("read AMQP frame: %d bytes with a body from byte %d: want 8 to %d", size, offset, MaxFrame)
	}
	rest := make([]byte, size-8)
	if _, err := io.ReadFull(r, rest); err != nil {
		return nil, fmt.Errorf("read AMQP frame: %w", err)
	}
	frame := &Frame{Type: head[5]}
	body := rest[offset-8:]
	if len(body) == 0 {
		return frame, nil
	}
	var err error
	if frame.What, frame.Body, err = described(body); err != nil {
		return nil, err
	}
	return frame, nil
}

// described reads the code of a described type (section 1.2): 0x00 and a ulong or a symbol.
func described(body []byte) (Performative, []byte, error) {
	bad := fmt.Errorf("read AMQP frame: its body begins with no performative: % x", body[:min(len(body), 10)])
	if len(body) < 3 || body[0] != 0 {
		return 0, nil, bad
	}
	format, rest := body[1], body[2:]
	switch format {
	case 0x53: // smallulong
		return Performative(rest[0]), rest[1:], nil
	case 0x80: // ulong
		if len(rest) >= 8 {
			return Performative(binary.BigEndian.Uint64(rest)), rest[8:], nil
		}
	case 0xa3: // sym8
		if length := int(rest[0]); len(rest) > length {
			what, known := symbols[string(rest[1:1+length])]
			if !known {
				what = ^Performative(0)
			}
			return what, rest[1+length:], nil
		}
	}
	return 0, nil, bad
}
