package tableservice

import (
	"encoding/binary"
	"errors"
	"math"
	"time"
)

// rowVersion is the first byte of a stored row.
const rowVersion = 1

// errRow says that bytes are no row of this version.
var errRow = errors.New("read row: these bytes are none")

// appendRow writes what of an entity stands behind its key:
//
//	version (1)  timestamp  number of properties  { name  kind (1)  value }
//
// Numbers are varints; texts are their length and bytes; times are seconds since 1970 and nanoseconds; doubles are 8 bytes,
// little-endian.
func appendRow(to []byte, e *entity) []byte {
	to = appendTime(append(to, rowVersion), e.timestamp)
	to = binary.AppendUvarint(to, uint64(len(e.properties)))
	for _, p := range e.properties {
		to = append(appendCounted(to, p.name), byte(p.value.kind))
		switch p.value.kind {
		case kindString, kindGUID, kindBinary:
			to = appendCounted(to, p.value.text)
		case kindBool, kindInt32, kindInt64:
			to = binary.AppendVarint(to, p.value.integer)
		case kindDouble:
			to = binary.LittleEndian.AppendUint64(to, math.Float64bits(p.value.double))
		case kindDateTime:
			to = appendTime(to, p.value.time)
		}
	}
	return to
}

func appendCounted(to []byte, text string) []byte {
	return append(binary.AppendUvarint(to, uint64(len(text))), text...)
}

func appendTime(to []byte, at time.Time) []byte {
	return binary.AppendUvarint(binary.AppendVarint(to, at.Unix()), uint64(at.Nanosecond()))
}

// parseRow reads what appendRow wrote. It keeps none of the bytes.
func parseRow(k key, data []byte) (*entity, error) {
	r := rowReader{rest: data}
	if r.byte() != rowVersion {
		return nil, errRow
	}
	e := &entity{key: k, timestamp: r.time()}
	count := r.unsigned()
	if count > maxProperties {
		return nil, errRow
	}
	for range count {
		p := property{name: r.text(), value: value{kind: kind(r.byte())}}
		switch p.value.kind {
		case kindString, kindGUID, kindBinary:
			p.value.text = r.text()
		case kindBool, kindInt32, kindInt64:
			p.value.integer = r.signed()
		case kindDouble:
			p.value.double = r.double()
		case kindDateTime:
			p.value.time = r.time()
		default:
			return nil, errRow
		}
		e.properties = append(e.properties, p)
	}
	if r.bad || len(r.rest) > 0 {
		return nil, errRow
	}
	return e, nil
}

// rowReader takes the parts of a row one by one. After the first that is not there, all are zero and bad is true.
type rowReader struct {
	rest []byte
	bad  bool
}

func (r *rowReader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.rest)) {
		r.bad = true
		return nil
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *rowReader) byte() byte {
	if one := r.take(1); one != nil {
		return one[0]
	}
	return 0
}

func (r *rowReader) unsigned() uint64 {
	number, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.take(uint64(n))
	return number
}

func (r *rowReader) signed() int64 {
	number, n := binary.Varint(r.rest)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.take(uint64(n))
	return number
}

func (r *rowReader) text() string { return string(r.take(r.unsigned())) }

func (r *rowReader) double() float64 {
	if bits := r.take(8); bits != nil {
		return math.Float64frombits(binary.LittleEndian.Uint64(bits))
	}
	return 0
}

func (r *rowReader) time() time.Time {
	seconds, nanoseconds := r.signed(), r.unsigned()
	if nanoseconds >= uint64(time.Second) {
		r.bad = true
	}
	return time.Unix(seconds, int64(nanoseconds)).UTC()
}
