// Package clienthello reads the first message of a TLS client without taking TLS: which server it names (SNI, RFC 6066
// section 3), and whether it hides another behind it (Encrypted Client Hello, RFC 9849). TLS 1.0 to 1.3 begin alike
// (RFC 8446 section 4.1.2).
package clienthello

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Hello is what a ClientHello says.
type Hello struct {
	ServerName string   // as it was sent; "" for none
	ALPN       []string // protocols, in the client's order
	Encrypted  bool     // it has an Encrypted Client Hello, or noise in the form of one
}

// Limits. No client's message is near them, even with post-quantum key shares.
const (
	maxMessage = 32 << 10 // bytes of the handshake message
	maxRecord  = 16 << 10 // bytes of a record's content (RFC 8446 section 5.1)
)

// Numbers of the protocol.
const (
	recordHandshake    = 22
	messageHello       = 1
	extensionName      = 0
	extensionALPN      = 16
	extensionEncrypted = 0xfe0d
	nameHost           = 0
)

// ErrNotTLS says that the first bytes are no TLS record with a handshake.
var ErrNotTLS = errors.New("the client does not begin with TLS")

// errShort says that a length points behind the end.
var errShort = errors.New("read ClientHello: a length is larger than what it counts")

// Read reads one ClientHello, in however many records and pieces, and no byte more. raw is all that was read, also with
// an error. The error is the reader's, ErrNotTLS, or says what is wrong with the message.
func Read(r io.Reader) (hello Hello, raw []byte, err error) {
	var message []byte
	for {
		var header [5]byte
		n, err := io.ReadFull(r, header[:])
		raw = append(raw, header[:n]...)
		if n > 0 && header[0] != recordHandshake || n > 1 && header[1] != 3 {
			return hello, raw, ErrNotTLS
		}
		if err != nil {
			return hello, raw, fmt.Errorf("read ClientHello: %w", err)
		}
		length := int(binary.BigEndian.Uint16(header[3:]))
		if length == 0 || length > maxRecord {
			return hello, raw, fmt.Errorf("read ClientHello: a record of %d bytes: want 1 to %d", length, maxRecord)
		}
		if len(message)+length > maxMessage+4 {
			return hello, raw, fmt.Errorf("read ClientHello: more than %d bytes", maxMessage)
		}
		content := make([]byte, length)
		n, err = io.ReadFull(r, content)
		raw = append(raw, content[:n]...)
		if err != nil {
			return hello, raw, fmt.Errorf("read ClientHello: %w", err)
		}
		message = append(message, content...)
		if message[0] != messageHello {
			return hello, raw, ErrNotTLS
		}
		if len(message) < 4 {
			continue
		}
		want := int(message[1])<<16 | int(message[2])<<8 | int(message[3])
		if want > maxMessage {
			return hello, raw, fmt.Errorf("read ClientHello: %d bytes, more than %d", want, maxMessage)
		}
		switch have := len(message) - 4; {
		case have > want:
			return hello, raw, errors.New("read ClientHello: more follows it in its record")
		case have == want:
			hello, err = Parse(message[4:])
			return hello, raw, err
		}
	}
}

// Parse reads the body of a ClientHello message.
func Parse(body []byte) (hello Hello, err error) {
	b := reader{body}
	b.skip(2 + 32) // legacy_version, random
	b.vector(1)    // legacy_session_id
	b.vector(2)    // cipher_suites
	b.vector(1)    // legacy_compression_methods
	if b.bytes == nil {
		return hello, errShort
	}
	if len(b.bytes) == 0 {
		return hello, nil // without extensions
	}
	extensions := reader{b.vector(2)}
	if b.bytes == nil || len(b.bytes) != 0 {
		return hello, errShort
	}
	seen := map[uint16]bool{}
	for len(extensions.bytes) > 0 {
		kind := extensions.number()
		content := reader{extensions.vector(2)}
		if extensions.bytes == nil {
			return hello, errShort
		}
		if seen[kind] {
			return hello, fmt.Errorf("read ClientHello: extension %d stands twice", kind)
		}
		seen[kind] = true
		switch kind {
		case extensionName:
			if hello.ServerName, err = serverName(content); err != nil {
				return hello, err
			}
		case extensionALPN:
			list := reader{content.vector(2)}
			for len(list.bytes) > 0 {
				hello.ALPN = append(hello.ALPN, string(list.vector(1)))
			}
			if list.bytes == nil || content.bytes == nil || len(content.bytes) != 0 {
				return hello, errShort
			}
		case extensionEncrypted:
			hello.Encrypted = true
		}
	}
	return hello, nil
}

// serverName reads the one host name of the extension (RFC 6066 section 3: one of each type at most).
func serverName(content reader) (string, error) {
	list := reader{content.vector(2)}
	if content.bytes == nil || len(content.bytes) != 0 {
		return "", errShort
	}
	name := ""
	for len(list.bytes) > 0 {
		kind := list.bytes[0]
		list.skip(1)
		text := string(list.vector(2))
		if list.bytes == nil {
			return "", errShort
		}
		if kind == nameHost {
			if name != "" {
				return "", errors.New("read ClientHello: two server names")
			}
			name = text
		}
	}
	return name, nil
}

// reader takes bytes apart. After a length that is larger than what is left, bytes is nil, and all that follows is empty.
type reader struct{ bytes []byte }

func (r *reader) skip(n int) {
	if len(r.bytes) < n {
		r.bytes = nil
		return
	}
	r.bytes = r.bytes[n:]
}

func (r *reader) number() uint16 {
	if len(r.bytes) < 2 {
		r.bytes = nil
		return 0
	}
	n := binary.BigEndian.Uint16(r.bytes)
	r.bytes = r.bytes[2:]
	return n
}

// vector is what stands behind a length of one or two bytes.
func (r *reader) vector(lengthBytes int) []byte {
	if len(r.bytes) < lengthBytes {
		r.bytes = nil
		return nil
	}
	length := int(r.bytes[0])
	if lengthBytes == 2 {
		length = int(binary.BigEndian.Uint16(r.bytes))
	}
	if len(r.bytes) < lengthBytes+length {
		r.bytes = nil
		return nil
	}
	content := r.bytes[lengthBytes : lengthBytes+length : lengthBytes+length]
	r.bytes = r.bytes[lengthBytes+length:]
	return content
}

// Alerts of TLS that refuse a client before it has a key (RFC 8446 section 6): a fatal alert in a record of its own.
var (
	AccessDenied     = alert(49)
	UnrecognizedName = alert(112)
	InternalError    = alert(80)
	DecodeError      = alert(50)
)

func alert(description byte) []byte { return []byte{21, 3, 3, 0, 2, 2, description} }
