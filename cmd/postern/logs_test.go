package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/gateway"
)

const logLine = `{"time":"2026-01-02T10:00:0N.000Z","account":"ACC","service":"table","operation":"InsertEntity","statusCode":204,"statusText":"Success","callerIpAddress":"10.0.0.4:5"}`

func line(account, second string) string {
	return strings.NewReplacer("ACC", account, "0N", "0"+second).Replace(logLine)
}

// TestFollow reads as a person does who watches: what is there, what is appended (also in two halves), a log that begins
// later, one that begins anew, and one that goes on in a new part.
func TestFollow(t *testing.T) {
	folder := filepath.Join(t.TempDir(), logFolder)
	first, second := filepath.Join(folder, "gateway-a.jsonl"), filepath.Join(folder, "gateway-b.jsonl")
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	reader, writer := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := followLogs(ctx, folder, selection{}, &logPrinter{w: writer, json: true}, io.Discard)
		writer.Close()
		done <- err
	}()
	lines := bufio.NewScanner(reader)
	expect := func(account string) {
		t.Helper()
		if !lines.Scan() || !strings.Contains(lines.Text(), `"account":"`+account+`"`) {
			t.Fatalf("want a line of %s, got %q, %v", account, lines.Text(), lines.Err())
		}
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	add := func(path, text string) {
		t.Helper()
		file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if _, err := file.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	add(first, line("one", "1")+"\n")
	expect("one")
	half := line("two", "2")
	add(first, half[:40])
	add(second, line("three", "3")+"\n")
	expect("three")
	add(first, half[40:]+"\n")
	expect("two")
	if err := os.Truncate(first, 0); err != nil {
		t.Fatal(err)
	}
	add(second, line("four", "4")+"\n")
	expect("four")
	add(first, line("five", "5")+"\n")
	expect("five")
	add(first, line("six", "6")+"\n") // the last of its part
	if err := os.Rename(first, first+".1"); err != nil {
		t.Fatal(err)
	}
	add(first, line("seven", "7")+"\n")
	expect("six")
	expect("seven")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A table that grows has one header.
func TestFollowedTableHasOneHeader(t *testing.T) {
	var out strings.Builder
	printer := &logPrinter{w: &out}
	path := filepath.Join(t.TempDir(), "a.jsonl")
	for _, account := range []string{"one", "two"} {
		if err := os.WriteFile(path, []byte(line(account, "1")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		entries, err := gateway.ReadLogFile(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if err := printer.print(entries); err != nil {
			t.Fatal(err)
		}
	}
	if got := out.String(); strings.Count(got, "ACCOUNT") != 1 || strings.Count(got, "\n") != 3 {
		t.Errorf("got\n%s", got)
	}
}

func TestStateDir(t *testing.T) {
	for _, test := range []struct{ name, flag, variable, state, want string }{
		{"the flag first", "/a", "/b", "/c", "/a"},
		{"then the variable", "", "/b", "/c", "/b"},
		{"then the user's state folder", "", "", "/c", "/c/postern"},
		{"a relative one does not count", "", "", "c", "/srv/u/.local/state/postern"},
		{"then that of the home folder", "", "", "", "/srv/u/.local/state/postern"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv(dirVariable, test.variable)
			t.Setenv("XDG_STATE_HOME", test.state)
			t.Setenv("HOME", "/srv/u")
			if got, err := stateDir(test.flag); err != nil || got != test.want {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
}
