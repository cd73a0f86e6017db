package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"postern/gateway"
)

// maxTail bounds what one look at a log reads, in bytes; what is left comes with the next.
const maxTail = 4 << 20

// logTail reads a log that grows.
type logTail struct {
	path   string
	offset int64 // of the first byte that was not taken
}

// read takes the whole lines that are new. A file that became shorter was begun anew, and is read from its front. Lines
// that are no entries are reported beside the entries.
func (t *logTail) read() ([]gateway.Entry, error) {
	file, err := os.Open(t.path)
	if errors.Is(err, os.ErrNotExist) {
		t.offset = 0
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("read access log: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("read access log: %w", err)
	}
	if info.Size() < t.offset {
		t.offset = 0
	}
	if info.Size() == t.offset {
		return nil, nil
	}
	data, err := io.ReadAll(io.NewSectionReader(file, t.offset, maxTail))
	if err != nil {
		return nil, fmt.Errorf("read access log %s: %w", t.path, err)
	}
	// The writer may be in the middle of a line: the rest of it comes with the next look.
	end := bytes.LastIndexByte(data, '\n') + 1
	if end == 0 && len(data) == maxTail {
		end = len(data) // no line is so long: it is none
	}
	t.offset += int64(end)
	entries, err := gateway.ReadLog(bytes.NewReader(data[:end]))
	if err != nil {
		return entries, fmt.Errorf("%s: %w", t.path, err)
	}
	return entries, nil
}
