package tds

import (
	"encoding/binary"
	"errors"
)

// Encryption is what a side says about TLS in PRELOGIN.
type Encryption uint8

// The words of a client.
const (
	EncryptionOff          Encryption = 0 // of the login alone
	EncryptionOn           Encryption = 1
	EncryptionNotSupported Encryption = 2
	EncryptionRequired     Encryption = 3
)

// Options of PRELOGIN.
const (
	optionVersion    = 0
	optionEncryption = 1
	optionInstance   = 2
	optionThread     = 3
	optionMARS       = 4
	optionEnd        = 0xff
)

var errPreLogin = errors.New("read PRELOGIN: an option lies outside of it")

// ReadPreLogin reads what a PRELOGIN says about encryption: EncryptionOff where it is silent.
func ReadPreLogin(content []byte) (Encryption, error) {
	encryption := EncryptionOff
	for at := 0; ; at += 5 {
		if at >= len(content) {
			return 0, errPreLogin
		}
		if content[at] == optionEnd {
			return encryption, nil
		}
		if at+5 > len(content) {
			return 0, errPreLogin
		}
		offset, length := int(binary.BigEndian.Uint16(content[at+1:])), int(binary.BigEndian.Uint16(content[at+3:]))
		if offset+length > len(content) {
			return 0, errPreLogin
		}
		if content[at] == optionEncryption {
			if length != 1 || offset < at {
				return 0, errPreLogin
			}
			encryption = Encryption(content[offset] & 0x0f) // the upper bits are about client certificates
		}
	}
}

// MarshalPreLogin is the PRELOGIN of a server that says one thing alone: how the login is encrypted.
func MarshalPreLogin(encryption Encryption) []byte {
	options := []struct {
		token byte
		data  []byte
	}{
		{optionVersion, []byte{12, 0, 7, 208, 0, 0}}, // 12.0.2000, as Azure SQL says
		{optionEncryption, []byte{byte(encryption)}}, {optionInstance, []byte{0}}, {optionThread, nil}, {optionMARS, []byte{0}},
	}
	var head, data []byte
	for _, o := range options {
		head = append(head, o.token)
		head = binary.BigEndian.AppendUint16(head, uint16(5*len(options)+1+len(data)))
		head = binary.BigEndian.AppendUint16(head, uint16(len(o.data)))
		data = append(data, o.data...)
	}
	return append(append(head, optionEnd), data...)
}
