package tds

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func content(t testing.TB, raw []byte) []byte {
	t.Helper()
	m, err := Read(bytes.NewReader(raw), PacketType(raw[0]))
	if err != nil {
		t.Fatal(err)
	}
	return m.Content
}

func TestLoginAnswer(t *testing.T) {
	if program, err := ReadLoginAnswer(content(t, LoginAnswer(Version74, "Nö SQL"))); err != nil || program != "Nö SQL" {
		t.Errorf("got %q, %v", program, err)
	}
	want := Error{Number: 40914, State: 1, Class: 14, Text: "Nö", Server: "shop"}
	_, err := ReadLoginAnswer(content(t, Refusal(want)))
	var got *Error
	if !errors.As(err, &got) || !cmp.Equal(*got, want) || err.Error() != "Msg 40914, Level 14, State 1, Server shop: Nö" {
		t.Errorf("got %v", err)
	}
	for name, bad := range map[string][]byte{"nothing": {}, "DONE alone": content(t, Done()), "DONE cut off": {tokenDone, 0}, "a row": {0xd1, 0, 0},
		"an error cut off": {tokenError, 2, 0, 1, 2}, "outside": {tokenInfo, 9, 0}, "a text outside": {tokenError, 9, 0, 1, 0, 0, 0, 1, 14, 9, 0, 0}} {
		if program, err := ReadLoginAnswer(bad); err == nil || errors.As(err, &got) {
			t.Errorf("%s: got %q, %v", name, program, err)
		}
	}
}

// The texts of a login lie where its offsets say ([MS-TDS] section 2.2.6.4).
func TestMarshalLogin(t *testing.T) {
	login := content(t, MarshalLogin("bob", "shop.example"))
	if length := binary.LittleEndian.Uint32(login); int(length) != len(login) {
		t.Errorf("its length is %d, and it says %d", len(login), length)
	}
	for offset, want := range map[int]string{40: "bob", 44: "", 52: "shop.example", 68: "master"} {
		at, length := int(binary.LittleEndian.Uint16(login[offset:])), int(binary.LittleEndian.Uint16(login[offset+2:]))
		if got := textOf(login[at : at+2*length]); got != want {
			t.Errorf("the text at %d is %q, want %q", offset, got, want)
		}
	}
}

func FuzzReadLoginAnswer(f *testing.F) {
	f.Add(content(f, LoginAnswer(Version80, "SQL")))
	f.Add(content(f, Refusal(Error{Number: 40615, Text: "no", Server: "shop"})))
	f.Fuzz(func(t *testing.T, data []byte) {
		program, err := ReadLoginAnswer(data)
		if err == nil && len(program) > 2*len(data) {
			t.Fatalf("%q out of %x", program, data)
		}
	})
}
