package mysql

import (
	"strings"
	"testing"
)

func TestError(t *testing.T) {
	if got := string(Error(9000, "no")); got != "\x05\x00\x00\x00\xff\x28\x23no" {
		t.Errorf("got %q", got)
	}
	if got := Error(9000, strings.Repeat("x", 70000)); len(got) != 4+3+maxText || got[0] != 0x03 || got[1] != 0x02 {
		t.Errorf("got %d bytes, %x", len(got), got[:4])
	}
}
