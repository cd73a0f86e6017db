package activity

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Limits are what a log keeps.
type Limits struct {
	Age     time.Duration
	Events  int // all in all; what is over goes away by whole files
	PerFile int
}

// DefaultLimits are Azure's 90 days, and a bound on the disk of about 200 MB.
var DefaultLimits = Limits{Age: 90 * 24 * time.Hour, Events: 200_000, PerFile: 5000}

// Log is an activity log in a folder. It is safe for concurrent use. An event is in the file, and safe from the end of the
// process, when Append returns; it is safe from a loss of power within a second.
type Log struct {
	dir    string
	limits Limits

	mu     sync.Mutex // guards what follows
	files  []file     // oldest first
	open   *os.File   // the newest of files; nil when it must be opened
	size   int64      // of open: where the next line goes
	next   int64      // number of the next event
	newest time.Time  // of the last event
	dirty  bool       // there is something to sync
	lost   uint64
}

// file is one of the log's files, named for the number of its first event.
type file struct {
	first int64
	since time.Time // of its first event
}

const suffix = ".jsonl"

func (l *Log) path(f file) string {
	return filepath.Join(l.dir, fmt.Sprintf("%012d%s", f.first, suffix))
}

// Open opens the log of a folder, which it makes for its owner alone. A line that was being written when its process ended
// is taken away.
func Open(dir string, limits Limits) (*Log, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the activity log: %w", err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		return nil, fmt.Errorf("open the activity log: %w", err)
	}
	l := &Log{dir: dir, limits: limits, next: 1}
	slices.Sort(names)
	for _, name := range names {
		if first, err := strconv.ParseInt(strings.TrimSuffix(filepath.Base(name), suffix), 10, 64); err == nil {
			l.files = append(l.files, file{first: first})
		}
	}
	if err := l.recover(); err != nil {
		return nil, err
	}
	return l, l.reopen()
}

// recover finds out where the log ends and when its files begin. A file without events is removed.
func (l *Log) recover() error {
	for i := len(l.files) - 1; i >= 0; i-- {
		newest := l.next == 1
		events, err := readFile(l.path(l.files[i]), !newest)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			if err := os.Remove(l.path(l.files[i])); err != nil {
				return fmt.Errorf("open the activity log: %w", err)
			}
			l.files = slices.Delete(l.files, i, i+1)
			continue
		}
		l.files[i].since = events[0].Time
		if last := events[len(events)-1]; newest {
			l.next, l.newest = last.Number+1, last.Time
		}
	}
	return nil
}

// reopen opens the newest file for appending, behind its last whole line.
func (l *Log) reopen() error {
	if len(l.files) == 0 {
		return nil
	}
	opened, err := os.OpenFile(l.path(l.files[len(l.files)-1]), os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open the activity log: %w", err)
	}
	data, err := io.ReadAll(opened)
	if err != nil {
		return errors.Join(fmt.Errorf("open the activity log: %w", err), opened.Close())
	}
	l.size = int64(bytes.LastIndexByte(data, '\n') + 1)
	if err := opened.Truncate(l.size); err != nil {
		return errors.Join(fmt.Errorf("open the activity log: %w", err), opened.Close())
	}
	l.open = opened
	return nil
}

// Append writes an event, and gives it its number, its id and, where it has none, its time. An error means that the event is
// lost; Lost counts it.
func (l *Log) Append(e Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.append(e)
	if err != nil {
		l.lost++
	}
	return err
}

func (l *Log) append(e Event) error {
	e.Number, e.ID = l.next, uuid.NewString()
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Time = e.Time.UTC()
	if e.Time.Before(l.newest) {
		e.Time = l.newest
	}
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("write to the activity log: %w", err)
	}
	if l.open == nil || l.next-l.files[len(l.files)-1].first >= int64(l.limits.PerFile) {
		if err := l.begin(e); err != nil {
			return err
		}
	}
	line = append(line, '\n')
	// At a place, so that what a failed write has left is written over.
	if _, err := l.open.WriteAt(line, l.size); err != nil {
		return fmt.Errorf("write to the activity log: %w", err)
	}
	l.size += int64(len(line))
	l.next, l.newest, l.dirty = l.next+1, e.Time, true
	return nil
}

// begin opens the next file, and removes those that are over the limits.
func (l *Log) begin(e Event) error {
	fresh := file{e.Number, e.Time}
	opened, err := os.OpenFile(l.path(fresh), os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write to the activity log: %w", err)
	}
	if l.open != nil {
		_ = l.open.Sync() // its events are in the file; what a loss of power takes cannot be helped
		_ = l.open.Close()
	}
	l.open, l.size, l.files = opened, 0, append(l.files, fresh)
	l.prune(e.Time)
	return nil
}

// prune removes whole files whose events are all too old or too many. The newest stays.
func (l *Log) prune(now time.Time) {
	for len(l.files) > 1 {
		second := l.files[1]
		if l.next-second.first < int64(l.limits.Events) && now.Sub(second.since) < l.limits.Age {
			return
		}
		if err := os.Remove(l.path(l.files[0])); err != nil && !errors.Is(err, os.ErrNotExist) {
			return // the next file tries again
		}
		l.files = slices.Delete(l.files, 0, 1)
	}
}

// Lost is how many events could not be written since the log was opened.
func (l *Log) Lost() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// syncPeriod is how long an event may be in the system's memory alone.
const syncPeriod = time.Second

// Run brings what is written to the disk, and removes what has become too old, until the context ends.
func (l *Log) Run(ctx context.Context) {
	ticker := time.NewTicker(syncPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			l.mu.Lock()
			l.sync()
			l.prune(now)
			l.mu.Unlock()
		}
	}
}

func (l *Log) sync() {
	if l.dirty && l.open != nil && l.open.Sync() == nil {
		l.dirty = false
	}
}

// Close brings what is written to the disk.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		return nil
	}
	l.sync()
	err := l.open.Close()
	l.open = nil
	return err
}
