package packet

import (
	"testing"

	"pgregory.net/rapid"
)

// slowChecksum is the slow obvious twin of Checksum(Add(0, bytes)): RFC 1071 word by word, carry by carry.
func slowChecksum(bytes []byte) uint16 {
	var sum uint32
	for i := 0; i < len(bytes); i += 2 {
		word := uint32(bytes[i]) << 8
		if i+1 < len(bytes) {
			word += uint32(bytes[i+1])
		}
		sum += word
		if sum > 0xffff {
			sum -= 0xffff
		}
	}
	return ^uint16(sum)
}

func TestChecksumIsThatOfItsSlowTwin(t *testing.T) {
	// RFC 1071, section 3, gives these bytes and the sum ddf2.
	if got := Checksum(Add(0, []byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7})); got != ^uint16(0xddf2) {
		t.Errorf("RFC 1071 example: %#04x, want %#04x", got, ^uint16(0xddf2))
	}
	rapid.Check(t, func(t *rapid.T) {
		bytes := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "bytes")
		if got, want := Checksum(Add(0, bytes)), slowChecksum(bytes); got != want {
			t.Fatalf("checksum %#04x, slow twin %#04x", got, want)
		}
		split := rapid.IntRange(0, len(bytes)/2).Draw(t, "split") * 2
		if got, want := Checksum(Add(Add(0, bytes[:split]), bytes[split:])), slowChecksum(bytes); got != want {
			t.Fatalf("checksum in two parts %#04x, slow twin %#04x", got, want)
		}
	})
}

// kernelReplaceByDiff is csum_replace_by_diff of the Linux kernel, with its 32-bit helpers.
func kernelReplaceByDiff(sum uint16, difference uint32) uint16 {
	add := func(a, b uint32) uint32 { // csum_add
		result := a + b
		if result < b {
			result++
		}
		return result
	}
	folded := add(difference, ^uint32(sum))
	folded = folded>>16 + folded&0xffff // csum_fold
	folded = folded>>16 + folded&0xffff
	return ^uint16(folded)
}

func TestUpdateIsTheKernels(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checksum := rapid.Uint16().Draw(t, "checksum")
		difference := rapid.OneOf(rapid.Uint32(), rapid.SampledFrom([]uint32{0, 0xffff, 0xffff0000, 0xffffffff})).Draw(t, "difference")
		if got, want := Update(checksum, uint64(difference)), kernelReplaceByDiff(checksum, difference); got != want {
			t.Fatalf("Update(%#04x, %#x) = %#04x, kernel %#04x", checksum, difference, got, want)
		}
	})
}

func TestUpdateEqualsFullComputation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bytes := rapid.SliceOfN(rapid.Byte(), 2, 100).Draw(t, "bytes")
		bytes[0] |= 1 // no message of zeros: that is the one case where the two zeros differ
		before := Checksum(Add(0, bytes))
		wrong := rapid.Uint16().Draw(t, "wrong by")

		start := rapid.IntRange(0, (len(bytes)-1)/2).Draw(t, "start") * 2
		end := min(start+8, len(bytes))
		old := Add(0, bytes[start:end])
		copy(bytes[start:end], rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "new"))
		bytes[0] |= 1
		difference := Subtract(Add(0, bytes[start:end]), old)

		full := Checksum(Add(0, bytes))
		if got := Update(before, difference); got != full {
			t.Fatalf("updated %#04x, computed anew %#04x", got, full)
		}
		if got := Update(before+wrong, difference); (before+wrong)%0xffff != before%0xffff && got == full {
			t.Fatalf("a wrong checksum was repaired")
		}
		if got := UpdateUDP(before, difference); before != 0 && got != markZero(full) {
			t.Fatalf("UDP: updated %#04x, computed anew %#04x", got, markZero(full))
		}
	})
	if got := UpdateUDP(0, 0x1234); got != 0 {
		t.Errorf("UDP without a checksum got %#04x", got)
	}
	if got := UpdateUDP(0x0001, 0x0001); got != 0xffff {
		t.Errorf("UDP checksum that becomes 0 is written %#04x, want 0xffff", got)
	}
}
