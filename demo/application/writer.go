package application

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"
)

// Writer writes one row each Interval, one after another. A row that is due is made whatever the network does: with the
// queue it waits for its turn and is sent again until it is stored; without it a row that fails, or that is due while the
// one before is still under way, is lost.
type Writer struct {
	Client    *Client
	Account   string
	Partition string
	Interval  time.Duration
	Queue     bool

	mu    sync.Mutex
	state Progress
	errs  map[string]int
}

// Progress is how far a Writer is.
type Progress struct {
	Due     int       `json:"due"`     // rows made; their MessageNumber is 1 to Due
	Stored  int       `json:"stored"`  // rows that the service said it has
	Lost    int       `json:"lost"`    // rows that will never be sent again
	Waiting int       `json:"waiting"` // rows in the queue, and the one under way
	Errors  int       `json:"errors"`  // requests that failed
	Last    time.Time `json:"last"`    // of the last answer that said stored
}

// Progress tells how far the writer is.
func (w *Writer) Progress() Progress {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state
}

// Errors are the texts of failed requests with their numbers.
func (w *Writer) Errors() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.errs)
}

func (w *Writer) note(change func(*Progress)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.state)
}

// Run writes until stop ends; then no new row is made, and with the queue those that wait are still sent. The end of ctx
// ends everything at once.
func (w *Writer) Run(ctx, stop context.Context) {
	var work sync.WaitGroup
	rows := make(chan Row)
	work.Go(func() {
		for row := range rows {
			w.write(ctx, row)
		}
	})
	w.schedule(ctx, stop, rows)
	close(rows)
	work.Wait()
}

// schedule makes a row whenever one is due and hands rows over.
func (w *Writer) schedule(ctx, stop context.Context, rows chan<- Row) {
	ticker := time.NewTicker(w.Interval)
	defer ticker.Stop()
	var queue []Row
	stopped := stop.Done()
	for stopped != nil || len(queue) > 0 {
		var out chan<- Row
		var first Row
		if len(queue) > 0 {
			out, first = rows, queue[0]
		}
		select {
		case <-ctx.Done():
			return
		case <-stopped:
			stopped = nil
			ticker.Stop()
		case now := <-ticker.C:
			row := w.next(now)
			if w.Queue {
				queue = append(queue, row)
				continue
			}
			select {
			case rows <- row:
			default:
				w.note(func(p *Progress) { p.Lost++; p.Waiting-- })
			}
		case out <- first:
			queue = queue[1:]
		}
	}
}

func (w *Writer) next(now time.Time) Row {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state.Due++
	w.state.Waiting++
	number := w.state.Due
	return Row{
		PartitionKey: w.Partition, RowKey: fmt.Sprintf("%010d", number), MessageTime: now.UTC().Truncate(100 * time.Nanosecond),
		Message: fmt.Sprintf("row %d of %s", number, w.Partition), MessageNumber: number,
	}
}

// write sends a row: once, or with the queue until it is stored.
func (w *Writer) write(ctx context.Context, row Row) {
	for ctx.Err() == nil {
		_, err := w.Client.Insert(ctx, w.Account, row)
		if err == nil {
			w.note(func(p *Progress) { p.Stored++; p.Waiting--; p.Last = time.Now() })
			return
		}
		w.note(func(p *Progress) {
			p.Errors++
			if w.errs == nil {
				w.errs = map[string]int{}
			}
			w.errs[Reason(err)]++
		})
		if !w.Queue {
			w.note(func(p *Progress) { p.Lost++; p.Waiting-- })
			return
		}
		select { // a refusal comes at once; it is not asked for faster than rows are made
		case <-ctx.Done():
		case <-time.After(w.Interval):
		}
	}
}
