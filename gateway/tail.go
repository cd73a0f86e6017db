package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxTail bounds what one look at a log reads, in bytes; what is left comes with the next.
const maxTail = 4 << 20

// Tail reads a log that grows, from its oldest part on, and follows it from one part to the next. Close it.
type Tail struct {
	path   string
	file   *os.File // of the part that is being read; nil before the first
	number int      // of that part, or 0 while it is the newest
	offset int64    // of the first byte that was not taken
	lines  int      // taken of this part
	passed int      // number of the newest part that was read to its end
}

// errPartsGone says that a reader was slower than the rotation.
var errPartsGone = errors.New("parts of it were removed before they were read: its limits of size and number are too small for this reader")

// NewTail begins at the oldest part of the log at a path. The log need not be there yet.
func NewTail(path string) *Tail { return &Tail{path: path} }

// Close ends the reading.
func (t *Tail) Close() error {
	if t.file == nil {
		return nil
	}
	err := t.file.Close()
	t.file = nil
	return err
}

// Read takes the whole lines that are new, a few MiB at a time; more tells that another Read has more to do. Lines that
// are no entries are reported beside the entries by an *UnreadableLinesError, whose numbers count from this part's front.
// A file that became shorter was begun anew by somebody else, and is read from its front.
func (t *Tail) Read() (entries []Entry, more bool, err error) {
	var missed error
	if t.file == nil {
		var opened bool
		if opened, missed = t.next(); !opened {
			return nil, false, missed
		}
	}
	// Whether the part is full is asked before it is read: what was renamed has its last line already.
	full, gone, err := t.settled()
	if err != nil {
		return nil, false, errors.Join(missed, err)
	}
	data, whole, err := t.take(full || gone)
	if err != nil {
		return nil, false, errors.Join(missed, err)
	}
	before := t.lines
	t.lines += bytes.Count(data, []byte{'\n'})
	entries, err = ReadLog(bytes.NewReader(data))
	var unreadable *UnreadableLinesError
	if errors.As(err, &unreadable) {
		unreadable.First += before
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", t.path, err)
	}
	err = errors.Join(missed, err)
	if !whole || !full && !gone {
		return entries, !whole, err
	}
	if full {
		t.passed = t.number
	}
	return entries, true, errors.Join(err, t.Close())
}

// take reads on in the part; whole tells that nothing is left. Of a part that is not final a line without its end stays.
func (t *Tail) take(final bool) (data []byte, whole bool, err error) {
	info, err := t.file.Stat()
	if err != nil {
		return nil, false, fmt.Errorf("read access log: %w", err)
	}
	if info.Size() < t.offset {
		t.offset, t.lines = 0, 0
	}
	data, err = io.ReadAll(io.NewSectionReader(t.file, t.offset, maxTail))
	if err != nil {
		return nil, false, fmt.Errorf("read access log %s: %w", t.path, err)
	}
	whole = len(data) < maxTail
	end := bytes.LastIndexByte(data, '\n') + 1
	if final && whole || end == 0 && !whole { // no line is as long as a whole look: it is none
		end = len(data)
	}
	t.offset += int64(end)
	return data[:end], whole, nil
}

// settled tells whether the part that is being read has a number by now, or is no more.
func (t *Tail) settled() (full, gone bool, err error) {
	if t.number > 0 {
		return true, false, nil
	}
	own, err := t.file.Stat()
	if err != nil {
		return false, false, fmt.Errorf("read access log: %w", err)
	}
	newest, err := os.Stat(t.path)
	if err == nil && os.SameFile(own, newest) {
		return false, false, nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, false, fmt.Errorf("read access log: %w", err)
	}
	numbers, err := partNumbers(t.path)
	if err != nil {
		return false, false, err
	}
	if len(numbers) > 0 && numbers[0] > t.passed+1 {
		t.passed++ // it got the number after the last one that was read, and was removed since: what is open is still whole
	}
	for _, number := range numbers {
		if part, err := os.Stat(partPath(t.path, number)); err == nil && os.SameFile(own, part) {
			t.number = number
			return true, false, nil
		}
	}
	return false, true, nil
}

// next opens the part after those that were read: false where there is none yet.
func (t *Tail) next() (opened bool, err error) {
	// The newest is opened first: if it gets its number meanwhile, it is in the list, and its turn comes.
	file, err := os.Open(t.path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, fmt.Errorf("read access log: %w", err)
	}
	numbers, listing := partNumbers(t.path)
	if listing != nil {
		if file != nil {
			listing = errors.Join(listing, file.Close())
		}
		return false, listing
	}
	t.number, t.offset, t.lines = 0, 0, 0
	for _, number := range numbers {
		if number <= t.passed {
			continue
		}
		if file != nil {
			err = file.Close()
		} else {
			err = nil
		}
		if t.file, t.number = nil, number; err != nil {
			return false, fmt.Errorf("read access log: %w", err)
		}
		if t.file, err = os.Open(partPath(t.path, number)); errors.Is(err, os.ErrNotExist) {
			t.file = nil
			return false, nil // removed since it was listed: the next look finds what is left, and says so
		} else if err != nil {
			t.file = nil
			return false, fmt.Errorf("read access log: %w", err)
		}
		if t.passed > 0 && number > t.passed+1 {
			missed := t.passed
			t.passed = number - 1
			return true, fmt.Errorf("read access log %s: parts %d to %d: %w", t.path, missed+1, number-1, errPartsGone)
		}
		return true, nil
	}
	t.file = file
	return file != nil, nil
}
