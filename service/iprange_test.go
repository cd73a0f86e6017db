package service

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

func TestReadRange(t *testing.T) {
	for _, c := range [][3]string{
		{"20.0.0.1", "20.0.0.1", "[20.0.0.1/32]"},
		{"20.0.0.1", "20.0.0.4", "[20.0.0.1/32 20.0.0.2/31 20.0.0.4/32]"},
		{"20.0.0.0", "20.0.1.255", "[20.0.0.0/23]"},
		{"0.0.0.0", "255.255.255.255", "[0.0.0.0/0]"},
		{"255.255.255.254", "255.255.255.255", "[255.255.255.254/31]"},
	} {
		if got, err := ReadRange(c[0], c[1], "f"); err != nil || fmt.Sprint(got) != c[2] {
			t.Errorf("%s to %s: %v, %v; want %s", c[0], c[1], got, err, c[2])
		}
	}
	for _, c := range [][2]string{{"20.0.0.2", "20.0.0.1"}, {"", "20.0.0.1"}, {"20.0.0.1", "::1"}, {"::", "::1"}} {
		if got, err := ReadRange(c[0], c[1], "f"); err == nil {
			t.Errorf("%s to %s is taken: %v", c[0], c[1], got)
		}
	}
}

// A range has an address exactly if one of its prefixes does, and its prefixes do not overlap.
func TestReadRangeHasItsAddresses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) netip.Addr {
			var bytes [4]byte
			binary.BigEndian.PutUint32(bytes[:], rapid.Uint32().Draw(t, name))
			return netip.AddrFrom4(bytes)
		}
		first, last, asked := draw("first"), draw("last"), draw("asked")
		if last.Less(first) {
			first, last = last, first
		}
		list, err := ReadRange(first.String(), last.String(), "f")
		if err != nil {
			t.Fatal(err)
		}
		for _, address := range []netip.Addr{asked, first, last, first.Prev(), last.Next()} {
			if !address.IsValid() {
				continue
			}
			has := 0
			for _, prefix := range list {
				if prefix.Contains(address) {
					has++
				}
			}
			if want := !address.Less(first) && !last.Less(address); (has == 1) != want || has > 1 {
				t.Fatalf("%s to %s is %v: %d of them have %s", first, last, list, has, address)
			}
		}
	})
}
