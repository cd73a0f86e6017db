package tds

import (
	"encoding/binary"
	"unicode/utf16"
)

// Tokens of a reply.
const (
	tokenError = 0xaa
	tokenDone  = 0xfd
	doneError  = 2
)

// Limits of texts, so that a refusal is one packet: in UTF-16 units.
const (
	maxText = 1500
	maxName = 128
)

// Error is an error that a server answers.
type Error struct {
	Number       uint32
	State, Class uint8
	Text, Server string
}

// Refusal is the message that ends a login: an ERROR token, and DONE.
func Refusal(e Error) []byte {
	text, server := units(e.Text, maxText), units(e.Server, maxName)
	body := binary.LittleEndian.AppendUint32(nil, e.Number)
	body = append(body, e.State, e.Class)
	body = append(binary.LittleEndian.AppendUint16(body, uint16(len(text)/2)), text...)
	body = append(append(body, byte(len(server)/2)), server...)
	body = append(body, 0)                           // no procedure
	body = binary.LittleEndian.AppendUint32(body, 1) // its line
	out := binary.LittleEndian.AppendUint16([]byte{tokenError}, uint16(len(body)))
	out = append(out, body...)
	out = binary.LittleEndian.AppendUint16(append(out, tokenDone), doneError)
	return Packet(Reply, append(out, make([]byte, 2+8)...)) // no command, no rows
}

// units is a text in UTF-16, little-endian, cut to a number of units.
func units(text string, most int) []byte {
	var out []byte
	all := utf16.Encode([]rune(text))
	for _, unit := range all[:min(len(all), most)] {
		out = binary.LittleEndian.AppendUint16(out, unit)
	}
	return out
}
