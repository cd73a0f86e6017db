package gateway

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func logTo(t *testing.T, file LogFile) *AccessLog {
	t.Helper()
	log, err := OpenAccessLog(file, 0)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func closeLog(t *testing.T, log *AccessLog) {
	t.Helper()
	if err := log.Close(bounded(t)); err != nil {
		t.Fatal(err)
	}
}

// recordEach writes entries with the ids from..to-1, each by a write of its own.
func recordEach(t *testing.T, log *AccessLog, from, to int) {
	t.Helper()
	for id := from; id < to; id++ {
		log.Record(Entry{RequestID: strconv.Itoa(id)})
		if err := log.Sync(bounded(t)); err != nil {
			t.Fatal(err)
		}
	}
}

func ids(entries []Entry) (list []int) {
	for _, entry := range entries {
		id, _ := strconv.Atoi(entry.RequestID)
		list = append(list, id)
	}
	return list
}

// inRow tells whether ids count from..to-1.
func inRow(got []int, from, to int) bool {
	if len(got) != to-from {
		return false
	}
	for i, id := range got {
		if id != from+i {
			return false
		}
	}
	return true
}

func TestLogBeginsANewPart(t *testing.T) {
	file := LogFile{Path: filepath.Join(t.TempDir(), "logs", "gw.jsonl"), MaxBytes: 2000, MaxParts: 3}
	log := logTo(t, file)
	recordEach(t, log, 0, 40)
	closeLog(t, log)
	numbers, err := partNumbers(file.Path)
	if err != nil || len(numbers) != 3 {
		t.Fatalf("parts %v, %v, want 3", numbers, err)
	}
	for _, number := range numbers {
		if info, err := os.Stat(partPath(file.Path, number)); err != nil || info.Size() > file.MaxBytes || info.Size() < file.MaxBytes/2 {
			t.Errorf("part %d: %v, %v, want nearly %d bytes", number, info, err, file.MaxBytes)
		}
	}
	entries, err := ReadLogFile(t.Context(), file.Path)
	got := ids(entries)
	if err != nil || len(got) < 8 || !inRow(got, 40-len(got), 40) {
		t.Errorf("got %v, %v, want the newest in a row", got, err)
	}
	paths, err := LogPaths(filepath.Dir(file.Path))
	if err != nil || len(paths) != 1 || paths[0] != file.Path {
		t.Errorf("logs %v, %v, want the one", paths, err)
	}
}

func TestTailFollowsOverParts(t *testing.T) {
	file := LogFile{Path: filepath.Join(t.TempDir(), "gw.jsonl"), MaxBytes: 1500, MaxParts: 50}
	tail := NewTail(file.Path)
	defer tail.Close()
	if entries, more, err := tail.Read(); len(entries) > 0 || more || err != nil {
		t.Errorf("before the log: %v, %v, %v", entries, more, err)
	}
	var got []int
	look := func() {
		t.Helper()
		for {
			entries, more, err := tail.Read()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, ids(entries)...)
			if !more {
				return
			}
		}
	}
	log := logTo(t, file)
	// One line between two looks, then about a part, then several parts: the reader meets every step of the rotation.
	at := 0
	for _, lines := range []int{1, 1, 1, 1, 1, 1, 1, 3, 3, 4, 11, 17} {
		recordEach(t, log, at, at+lines)
		at += lines
		look()
		if !inRow(got, 0, at) {
			t.Fatalf("after %d lines got %v", at, got)
		}
	}
	closeLog(t, log)
}

func TestTailSaysWhatItMissed(t *testing.T) {
	file := LogFile{Path: filepath.Join(t.TempDir(), "gw.jsonl"), MaxBytes: 1500, MaxParts: 2}
	log := logTo(t, file)
	tail := NewTail(file.Path)
	defer tail.Close()
	recordEach(t, log, 0, 1)
	if entries, _, err := tail.Read(); err != nil || len(entries) != 1 {
		t.Fatalf("got %v, %v", entries, err)
	}
	recordEach(t, log, 1, 60)
	closeLog(t, log)
	var got []int
	var missed error
	for {
		entries, more, err := tail.Read()
		got, missed = append(got, ids(entries)...), errors.Join(missed, err)
		if !more {
			break
		}
	}
	if !errors.Is(missed, errPartsGone) || len(got) < 5 || got[len(got)-1] != 59 {
		t.Errorf("got %v, %v, want the newest, and that parts are gone", got, missed)
	}
}

func TestLogGoesOnAfterATornLine(t *testing.T) {
	file := LogFile{Path: filepath.Join(t.TempDir(), "gw.jsonl")}
	if err := os.WriteFile(file.Path, []byte(`{"time":"2026-03-01T12:00:00Z","requestId":"0"}`+"\n"+`{"time":"20`), 0o600); err != nil {
		t.Fatal(err)
	}
	log := logTo(t, file)
	recordEach(t, log, 1, 2)
	closeLog(t, log)
	entries, err := ReadLogFile(t.Context(), file.Path)
	var unreadable *UnreadableLinesError
	if !errors.As(err, &unreadable) || unreadable.Count != 1 || unreadable.First != 2 {
		t.Errorf("got %v, want line 2 reported", err)
	}
	if !inRow(ids(entries), 0, 2) || entries[1].LostLines != 1 {
		t.Errorf("got %+v, want both whole lines, the second with a lost one before", entries)
	}
}

func TestLogWithoutAPlace(t *testing.T) {
	place := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(place, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []LogFile{{Path: filepath.Join(place, "gw.jsonl")}, {Path: t.TempDir()}, {Path: place, MaxBytes: -1}} {
		if _, err := OpenAccessLog(file, 0); err == nil {
			t.Errorf("%+v was opened", file)
		}
	}
}

// killedWriter is the environment variable by which this test binary becomes a process that writes a log until it is
// killed; its value is the log's path.
const killedWriter = "POSTERN_TEST_KILLED_WRITER"

// TestKilledWriter kills a writer in the midst of its rotations, several times, while a reader follows. Each life's lines
// arrive in a row from its first; at most its last is torn, and nothing else is.
func TestKilledWriter(t *testing.T) {
	if path := os.Getenv(killedWriter); path != "" {
		log := logTo(t, LogFile{Path: path, MaxBytes: 3000, MaxParts: 1 << 20})
		life := os.Getenv(killedWriter + "_LIFE")
		for id := 0; ; id++ {
			log.Record(Entry{RequestID: strconv.Itoa(id), Account: life})
			if err := log.Sync(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "gw.jsonl")
	tail := NewTail(path)
	defer tail.Close()
	const lives = 4
	next := make([]int, lives)
	torn := 0
	look := func() (more bool) {
		t.Helper()
		entries, more, err := tail.Read()
		var unreadable *UnreadableLinesError
		if errors.As(err, &unreadable) {
			torn += unreadable.Count
		} else if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			life, err := strconv.Atoi(entry.Account)
			if err != nil || entry.RequestID != strconv.Itoa(next[life]) {
				t.Fatalf("life %s: got %s, want %d", entry.Account, entry.RequestID, next[life])
			}
			next[life]++
		}
		return more
	}
	for life := range lives {
		var said bytes.Buffer
		writer := exec.Command(os.Args[0], "-test.run", "^TestKilledWriter$", "-test.timeout", "60s")
		writer.Env = append(os.Environ(), killedWriter+"="+path, killedWriter+"_LIFE="+strconv.Itoa(life))
		writer.Stdout, writer.Stderr = &said, &said
		if err := writer.Start(); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(30 * time.Second); next[life] < 100+37*life; look() {
			if time.Now().After(deadline) {
				_ = writer.Process.Kill()
				_ = writer.Wait()
				t.Fatalf("life %d wrote %d lines; it says %s", life, next[life], strings.TrimSpace(said.String()))
			}
		}
		if err := writer.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = writer.Wait() // says that it was killed
	}
	for look() {
	}
	whole, err := ReadLogFile(t.Context(), path)
	if errors.As(err, new(*UnreadableLinesError)) {
		err = nil
	}
	sum := 0
	for _, lines := range next {
		sum += lines
	}
	if err != nil || len(whole) != sum || torn > lives {
		t.Errorf("%d lines, %v; the follower saw %d, %d torn", len(whole), err, sum, torn)
	}
}
