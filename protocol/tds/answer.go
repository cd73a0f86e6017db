package tds

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf16"
)

// More tokens of a reply; each has its length in two bytes behind it.
const (
	tokenInfo     = 0xab
	tokenLoginAck = 0xad
	tokenEnvelope = 0xe3 // ENVCHANGE
)

// lengthDone is what DONE has: a state, a command, and a count of rows.
const lengthDone = 2 + 2 + 8

var errAnswer = errors.New("read TDS answer: a token lies outside of it")

// Error is as sqlcmd shows it.
func (e *Error) Error() string {
	return fmt.Sprintf("Msg %d, Level %d, State %d, Server %s: %s", e.Number, e.Class, e.State, e.Server, e.Text)
}

// ReadLoginAnswer reads the answer to a login, and tells the program that the server says it is. The error is an *Error
// where the server says no.
func ReadLoginAnswer(content []byte) (program string, err error) {
	acknowledged := false
	for len(content) > 0 {
		token := content[0]
		if token == tokenDone {
			if len(content) < 1+lengthDone {
				return "", errAnswer
			}
			content = content[1+lengthDone:]
			continue
		}
		if len(content) < 3 {
			return "", errAnswer
		}
		length := int(binary.LittleEndian.Uint16(content[1:]))
		if len(content) < 3+length {
			return "", errAnswer
		}
		body := content[3 : 3+length]
		content = content[3+length:]
		switch token {
		case tokenError:
			refused, err := readError(body)
			if err != nil {
				return "", err
			}
			return "", refused
		case tokenLoginAck: // interface, TDS version, name, version
			if len(body) < 6 || len(body) < 6+2*int(body[5]) {
				return "", errAnswer
			}
			program, acknowledged = textOf(body[6:6+2*int(body[5])]), true
		case tokenInfo, tokenEnvelope:
		default:
			return "", fmt.Errorf("read TDS answer: token %#x is none of a login's answer", token)
		}
	}
	if !acknowledged {
		return "", errors.New("read TDS answer: it is neither yes nor no")
	}
	return program, nil
}

func readError(body []byte) (*Error, error) {
	if len(body) < 8 {
		return nil, errAnswer
	}
	e := &Error{Number: binary.LittleEndian.Uint32(body), State: body[4], Class: body[5]}
	length, rest := 2*int(binary.LittleEndian.Uint16(body[6:])), body[8:]
	if len(rest) < length+1 || len(rest) < length+1+2*int(rest[length]) {
		return nil, errAnswer
	}
	e.Text, e.Server = textOf(rest[:length]), textOf(rest[length+1:length+1+2*int(rest[length])])
	return e, nil
}

// textOf reads UTF-16, little-endian.
func textOf(raw []byte) string {
	units := make([]uint16, len(raw)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(raw[2*i:])
	}
	return string(utf16.Decode(units))
}

// LoginAnswer is the message that takes a login: LOGINACK with a version of TDS and a program's name, and DONE.
func LoginAnswer(version [4]byte, program string) []byte {
	name := units(program, maxName)
	body := append(append([]byte{1}, version[:]...), byte(len(name)/2))
	body = append(append(body, name...), 12, 0, 7, 208)
	out := binary.LittleEndian.AppendUint16([]byte{tokenLoginAck}, uint16(len(body)))
	return Packet(Reply, append(append(out, body...), done()...))
}

// Done is the message that has nothing more to say.
func Done() []byte { return Packet(Reply, done()) }

func done() []byte { return append([]byte{tokenDone}, make([]byte, lengthDone)...) }

// Version74 is TDS 7.4 as an answer has it, the newest of TDS 7.
var Version74 = [4]byte{0x74, 0, 0, 4}

// Version80 is TDS 8.
var Version80 = [4]byte{8, 0, 0, 0}

// MarshalLogin is a LOGIN7 ([MS-TDS] section 2.2.6.4) of a user without a password, to a server of a name.
func MarshalLogin(user, server string) []byte {
	const fixed, texts = 36, 58 // up to the offsets; of the offsets, with the address of the network card and three long fields
	head := make([]byte, fixed)
	binary.LittleEndian.PutUint32(head[4:], 0x74000004)
	binary.LittleEndian.PutUint32(head[8:], 4096) // packet size
	var offsets, data []byte
	place := func(text string) {
		raw := units(text, maxName)
		offsets = binary.LittleEndian.AppendUint16(offsets, uint16(fixed+texts+len(data)))
		offsets = binary.LittleEndian.AppendUint16(offsets, uint16(len(raw)/2))
		data = append(data, raw...)
	}
	for _, text := range []string{"vm", user, "", "postern", server, "", "postern", "", "master"} { // extension, language
		place(text)
	}
	offsets = append(offsets, make([]byte, 6)...) // no network card
	for range 3 {                                 // SSPI, attached file, new password
		place("")
	}
	offsets = append(offsets, make([]byte, 4)...)
	out := append(append(head, offsets...), data...)
	binary.LittleEndian.PutUint32(out, uint32(len(out)))
	return Packet(Login, out)
}
