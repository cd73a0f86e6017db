package amqp

import (
	"encoding/binary"
	"strings"
)

// Conditions of errors (section 2.8.14 and 2.8.15).
const (
	UnauthorizedAccess = "amqp:unauthorized-access"
	NotFound           = "amqp:not-found"
	InternalError      = "amqp:internal-error"
)

// maxText bounds a text that is written, so that a frame is never longer than what every peer takes (section 2.4.1: 512
// bytes).
const maxText = 400

// Mechanisms is the frame that offers ways of SASL (section 5.3.3.1). Their names are short: 250 bytes together at most.
func Mechanisms(names ...string) []byte {
	var list []byte
	for _, name := range names {
		list = append(append(list, byte(len(name))), name...)
	}
	array := append([]byte{0xe0, byte(len(list) + 2), byte(len(names)), 0xa3}, list...) // array8 of sym8
	return frame(FrameSASL, composite(SASLMechanism, array))
}

// Welcome is the frame that ends SASL well (section 5.3.3.5: outcome with the code ok).
func Welcome() []byte { return frame(FrameSASL, composite(SASLOutcome, []byte{0x50, 0})) }

// Open is the frame that opens a connection (section 2.7.1), of a container of the name.
func Open(container string) []byte { return frame(FrameAMQP, composite(PerformOpen, text(container))) }

// Close is the frame that closes a connection for an error (section 2.7.9 and 2.8.14). A long description is cut off.
func Close(condition, description string) []byte {
	symbol := append([]byte{0xa3, byte(len(condition))}, condition...)
	return frame(FrameAMQP, composite(PerformClose, composite(PerformError, symbol, text(description))))
}

// text is a string (section 1.6.20).
func text(s string) []byte {
	s = strings.ToValidUTF8(s[:min(len(s), maxText)], "")
	return append(binary.BigEndian.AppendUint32([]byte{0xb1}, uint32(len(s))), s...)
}

// composite is a described list (section 1.4).
func composite(what Performative, fields ...[]byte) []byte {
	var content []byte
	for _, field := range fields {
		content = append(content, field...)
	}
	out := []byte{0, 0x53, byte(what), 0xd0} // list32
	out = binary.BigEndian.AppendUint32(out, uint32(len(content)+4))
	out = binary.BigEndian.AppendUint32(out, uint32(len(fields)))
	return append(out, content...)
}

// frame puts a body behind a frame's header, for channel 0.
func frame(kind byte, body []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(body)+8))
	return append(append(out, 2, kind, 0, 0), body...)
}
