package application

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

// run starts a writer and gives the function that stops it and reads what the table has.
func (n *network) run(w *Writer) (finish func() []Row) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), time.Minute)
	stopping, stop := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() { w.Run(ctx, stopping) })
	n.t.Cleanup(func() { cancel(); work.Wait() })
	return func() []Row {
		n.t.Helper()
		stop()
		work.Wait()
		if err := ctx.Err(); err != nil {
			n.t.Fatal(err)
		}
		rows, err := n.client(10*time.Second).Rows(n.t.Context(), account, w.Partition)
		if err != nil {
			n.t.Fatal(err)
		}
		return rows
	}
}

func (n *network) wait(what string, holds func() bool) {
	n.t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(30 * time.Second)
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			n.t.Fatalf("waited too long for %s", what)
		}
	}
}

func outageOf(t *testing.T, queue bool) (w *Writer, rows []Row) {
	n := newNetwork(t)
	if err := n.client(10*time.Second).EnsureTable(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	w = &Writer{Client: n.client(100 * time.Millisecond), Account: account, Partition: "w", Interval: 5 * time.Millisecond, Queue: queue}
	finish := n.run(w)
	n.wait("first rows", func() bool { return w.Progress().Stored >= 3 })
	n.broken.Store(true)
	n.wait("failed requests", func() bool { return w.Progress().Errors >= 3 })
	n.broken.Store(false)
	stored := w.Progress().Stored
	n.wait("rows behind the outage", func() bool { return w.Progress().Stored >= stored+3 })
	return w, finish()
}

func TestWriterWithQueueLosesNothing(t *testing.T) {
	w, rows := outageOf(t, true)
	progress := w.Progress()
	if len(rows) != progress.Due || progress.Stored != progress.Due || progress.Lost != 0 || progress.Waiting != 0 {
		t.Errorf("%d rows in the table, %+v", len(rows), progress)
	}
	for i, row := range rows {
		if row.MessageNumber != i+1 || i > 0 && row.Stored.Before(rows[i-1].Stored) {
			t.Fatalf("row %d has number %d, stored at %v: want them in their order", i+1, row.MessageNumber, row.Stored)
		}
	}
	if w.Errors()[ReasonTimeout] == 0 {
		t.Errorf("no timeout was recorded: %v", w.Errors())
	}
}

func TestWriterWithoutQueueLosesRows(t *testing.T) {
	w, rows := outageOf(t, false)
	progress := w.Progress()
	if progress.Lost < 3 || progress.Stored+progress.Lost != progress.Due || progress.Waiting != 0 {
		t.Errorf("%+v", progress)
	}
	// A row whose answer was lost may be there although the writer counts it as lost.
	if len(rows) < progress.Stored || len(rows) >= progress.Due {
		t.Errorf("%d rows in the table, %+v", len(rows), progress)
	}
}

func TestWriterGoesOnAfterRefusals(t *testing.T) {
	n := newNetwork(t)
	if err := n.client(10*time.Second).EnsureTable(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	w := &Writer{Client: n.client(10 * time.Second), Account: account, Partition: "w", Interval: 2 * time.Millisecond, Queue: true}
	finish := n.run(w)
	n.wait("first rows", func() bool { return w.Progress().Stored >= 3 })
	n.allow(false) // resets the open connection too
	n.wait("a refusal", func() bool { return w.Errors()["AuthorizationFailure"] > 0 })
	n.allow(true)
	stored := w.Progress().Stored
	n.wait("rows again", func() bool { return w.Progress().Stored >= stored+3 })
	if rows := finish(); len(rows) != w.Progress().Due {
		t.Errorf("%d rows in the table, %+v", len(rows), w.Progress())
	}
}

func TestReasons(t *testing.T) {
	wrapped := func(err error) error { return &net.OpError{Op: "read", Net: "tcp", Err: err} }
	for want, list := range map[string][]error{
		ReasonTimeout:          {context.DeadlineExceeded, os.ErrDeadlineExceeded, wrapped(os.ErrDeadlineExceeded)},
		ReasonReset:            {syscall.ECONNRESET, wrapped(syscall.ECONNRESET), wrapped(errors.New("connection reset by peer")), syscall.EPIPE},
		ReasonRefused:          {wrapped(syscall.ECONNREFUSED), errors.New("dial: connection refused")},
		ReasonClosed:           {io.EOF, io.ErrUnexpectedEOF, net.ErrClosed},
		"AuthorizationFailure": {&ServiceError{Code: "AuthorizationFailure"}},
		"out of paper":         {errors.New("out of paper")},
	} {
		for _, err := range list {
			if got := Reason(err); got != want {
				t.Errorf("%v: %q, want %q", err, got, want)
			}
		}
	}
	if IsReset(nil) || IsRefused(nil) || IsTimeout(nil) {
		t.Error("no error is no reason")
	}
}
