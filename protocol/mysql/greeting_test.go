package mysql

import (
	"bytes"
	"errors"
	"testing"
	"testing/iotest"
)

func packet(t *testing.T, raw []byte) Packet {
	t.Helper()
	p, err := ReadPacket(iotest.OneByteReader(bytes.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestLogin(t *testing.T) {
	greeting := packet(t, Greeting("8.0.36"))
	if version, err := greeting.Version(); err != nil || version != "8.0.36" || greeting.Number != 0 {
		t.Errorf("greeting %d: %q, %v", greeting.Number, version, err)
	}
	login := packet(t, Login("bob"))
	if login.Number != 1 || !bytes.Contains(login.Content, []byte("\x00bob\x00\x00mysql_native_password\x00")) {
		t.Errorf("login %d: %q", login.Number, login.Content)
	}
	if err := packet(t, OK()).Accepted(); err != nil {
		t.Error(err)
	}
}

func TestServerError(t *testing.T) {
	var refused *ServerError
	if _, err := packet(t, Error(9000, "not you")).Version(); !errors.As(err, &refused) || refused.Error() != "ERROR 9000 (HY000): not you" {
		t.Errorf("instead of a greeting: %v", err)
	}
	if err := (Packet{2, []byte("\xff\x15\x04#28000Access denied")}).Accepted(); !errors.As(err, &refused) || refused.Error() != "ERROR 1045 (28000): Access denied" {
		t.Errorf("instead of a yes: %v", err)
	}
	for _, bad := range []Packet{{0, []byte{9, 0}}, {0, []byte{10, '8'}}, {0, []byte{0xff}}} {
		if version, err := bad.Version(); err == nil || errors.As(err, &refused) {
			t.Errorf("%x: %q, %v", bad.Content, version, err)
		}
	}
	if err := (Packet{2, []byte{0xfe}}).Accepted(); err == nil || errors.As(err, &refused) {
		t.Errorf("a question: %v", err)
	}
	for name, bad := range map[string][]byte{"nothing": {}, "empty": {0, 0, 0, 0}, "cut off": {2, 0, 0, 0, 1}, "long": {0, 0, 0xff, 0}} {
		if p, err := ReadPacket(bytes.NewReader(bad)); err == nil {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func FuzzReadPacket(f *testing.F) {
	f.Add(Greeting("8.0.36"))
	f.Add(Error(9000, "no"))
	f.Add(OK())
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		p, err := ReadPacket(r)
		if err != nil {
			return
		}
		if raw := p.Marshal(); !bytes.Equal(raw, data[:len(data)-r.Len()]) {
			t.Fatalf("read %x as %+v", data, p)
		}
		_, _ = p.Version()
		_ = p.Accepted()
	})
}
