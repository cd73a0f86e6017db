package gateway

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// LogFile is where an access log is kept. At Path is the newest part of it; a part that is full is renamed once, to
// PATH.1, PATH.2 and so on, and never written again. The greatest number is the newest of these.
type LogFile struct {
	Path     string
	MaxBytes int64 // of one part; 0: 64 MiB. A part has whole lines, so one may be greater by a line
	MaxParts int   // how many full parts are kept; 0: 8
}

// Limits of a log that nobody gave any: 576 MiB on disk.
const (
	defaultLogBytes = 64 << 20
	defaultLogParts = 8
)

// OpenAccessLog starts a log that appends to a file; capacity is that of NewAccessLog. A file that a killed process left
// with half a line is gone on with: that line counts as lost. One process alone may write a log.
func OpenAccessLog(file LogFile, capacity int) (*AccessLog, error) {
	if file.MaxBytes < 0 || file.MaxParts < 0 {
		return nil, fmt.Errorf("open access log %s: at most %d bytes in %d parts: give numbers above 0", file.Path, file.MaxBytes, file.MaxParts)
	}
	if file.MaxBytes == 0 {
		file.MaxBytes = defaultLogBytes
	}
	if file.MaxParts == 0 {
		file.MaxParts = defaultLogParts
	}
	if err := os.MkdirAll(filepath.Dir(file.Path), 0o700); err != nil {
		return nil, fmt.Errorf("make folder for the access log: %w", err)
	}
	parts := &logParts{LogFile: file}
	if err := parts.open(); err != nil {
		return nil, err
	}
	torn, err := parts.endLine()
	if err != nil {
		return nil, errors.Join(err, parts.file.Close())
	}
	log := newAccessLog(capacity)
	if torn {
		log.lose(1)
	}
	go log.run(parts, parts)
	return log, nil
}

// logParts writes a LogFile. It is its log's writer's own.
type logParts struct {
	LogFile
	file *os.File // nil after a part was renamed and no new one could be made
	size int64
}

func (p *logParts) open() error {
	file, err := os.OpenFile(p.Path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open access log: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("open access log: %w", err), file.Close())
	}
	p.file, p.size = file, info.Size()
	return nil
}

// endLine ends a line that a killed process began.
func (p *logParts) endLine() (torn bool, err error) {
	if p.size == 0 {
		return false, nil
	}
	var last [1]byte
	if _, err := p.file.ReadAt(last[:], p.size-1); err != nil {
		return false, fmt.Errorf("read the access log's end: %w", err)
	}
	if last[0] == '\n' {
		return false, nil
	}
	n, err := p.file.Write([]byte{'\n'})
	p.size += int64(n)
	if err != nil {
		return false, fmt.Errorf("end the access log's torn line: %w", err)
	}
	return true, nil
}

// Write implements io.Writer for whole lines, and begins a new part before them where the newest is full.
func (p *logParts) Write(lines []byte) (int, error) {
	if p.file != nil && p.size > 0 && p.size+int64(len(lines)) > p.MaxBytes {
		p.rotate()
	}
	if p.file == nil {
		if err := p.open(); err != nil {
			return 0, err
		}
	}
	n, err := p.file.Write(lines)
	p.size += int64(n)
	return n, err
}

// rotate renames the newest part. It is one rename, so whoever is killed here leaves a whole log. Where it fails, the part
// grows beyond its limit, for a line is worth more than a limit, and the next lines try again.
func (p *logParts) rotate() {
	numbers, err := partNumbers(p.Path)
	if err != nil {
		return
	}
	next := 1
	if len(numbers) > 0 {
		next = numbers[len(numbers)-1] + 1
	}
	if err := os.Rename(p.Path, partPath(p.Path, next)); err != nil {
		return
	}
	_ = p.file.Close() // nothing is buffered: what was written stands
	p.file = nil
	numbers = append(numbers, next)
	for _, number := range numbers[:max(0, len(numbers)-p.MaxParts)] {
		_ = os.Remove(partPath(p.Path, number)) // tried again with the next part
	}
}

// Close implements io.Closer.
func (p *logParts) Close() error {
	if p.file == nil {
		return nil
	}
	return p.file.Close()
}

func partPath(path string, number int) string { return path + "." + strconv.Itoa(number) }

// partNumbers lists the full parts of a log, oldest first.
func partNumbers(path string) ([]int, error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list the parts of the access log: %w", err)
	}
	var numbers []int
	for _, entry := range entries {
		text, ok := strings.CutPrefix(entry.Name(), filepath.Base(path)+".")
		if number, err := strconv.Atoi(text); ok && err == nil && number > 0 && strconv.Itoa(number) == text {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// ReadLogFile reads all parts of the log at a path, oldest first: as ReadLog does. No file is an empty log. A line that is
// being written just now is left out.
func ReadLogFile(ctx context.Context, path string) ([]Entry, error) {
	tail := NewTail(path)
	defer tail.Close()
	var entries []Entry
	var unreadable *UnreadableLinesError
	for {
		read, more, err := tail.Read()
		entries = append(entries, read...)
		var some *UnreadableLinesError
		if errors.As(err, &some) {
			unreadable = unreadable.and(some)
		} else if err != nil {
			return entries, err
		}
		if ctx.Err() != nil {
			return entries, fmt.Errorf("read access log %s: %w", path, ctx.Err())
		}
		if !more {
			break
		}
	}
	if unreadable != nil {
		return entries, unreadable
	}
	return entries, nil
}

// and adds what a later part of the log has.
func (e *UnreadableLinesError) and(later *UnreadableLinesError) *UnreadableLinesError {
	if e == nil {
		return later
	}
	return &UnreadableLinesError{Count: e.Count + later.Count, First: e.First, Cause: e.Cause}
}

// logExtension is what the names of logs end in.
const logExtension = ".jsonl"

// LogPaths lists the logs of a folder, by name, each once however many parts it has. No folder is an empty one.
func LogPaths(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list access logs: %w", err)
	}
	var paths []string
	for _, entry := range entries {
		name, rest, ok := strings.Cut(entry.Name(), logExtension)
		if number, err := strconv.Atoi(strings.TrimPrefix(rest, ".")); ok && (rest == "" || err == nil && number > 0) {
			paths = append(paths, filepath.Join(folder, name+logExtension))
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths), nil
}
