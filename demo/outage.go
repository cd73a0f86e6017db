package demo

import (
	"context"
	"fmt"
	"time"

	"postern/demo/application"
)

// outage is when a situation stood. An API's answer means that every node has applied it.
type outage struct {
	asked, inForce       time.Time // the change to it was sent, and answered
	endAsked, endInForce time.Time // the same for the change back
}

// stood is how long it stood at least, longest at most.
func (o outage) stood() time.Duration   { return o.endAsked.Sub(o.inForce) }
func (o outage) longest() time.Duration { return o.endInForce.Sub(o.asked) }

// suffer puts a situation in force for the pace's outage and until seen says so, then the one behind it.
func (s *scene) suffer(ctx context.Context, during, behind situation, seen func(context.Context) error) (o outage, err error) {
	o.asked = time.Now()
	if err := s.arrange(ctx, during); err != nil {
		return o, err
	}
	o.inForce = time.Now()
	fmt.Fprintf(s.progress, "    the route to the appliance stands\n")
	// This is no synchronisation: how long the wrong route stands is what the act is about.
	standing := time.NewTimer(s.pace.Outage)
	defer standing.Stop()
	failed := seen(ctx)
	select {
	case <-standing.C:
	case <-ctx.Done():
		return o, context.Cause(ctx)
	}
	o.endAsked = time.Now()
	if err := s.arrange(ctx, behind); err != nil {
		return o, err
	}
	o.endInForce = time.Now()
	fmt.Fprintf(s.progress, "    the route is gone, after %.2f s\n", o.stood().Seconds())
	return o, failed
}

// writing is a writer that runs beside an act.
type writing struct {
	*application.Writer
	ended chan struct{} // closed when the writer has nothing more to do
	stop  context.CancelFunc
	end   context.CancelFunc
}

// write starts a writer in vm-app and waits for its first rows.
func (s *scene) write(ctx context.Context, account, what string, queue bool) (*writing, error) {
	w := &writing{Writer: &application.Writer{
		Client: s.writer, Account: account, Partition: s.partition(s.act.id + "-" + what), Interval: s.pace.Interval, Queue: queue,
	}}
	// Each writer is a program of its own: it has its own connections.
	var err error
	if w.Client, err = s.client(s.appVM.DialContext, s.writer.Token); err != nil {
		return nil, err
	}
	running, end := context.WithCancel(ctx)
	stopping, stop := context.WithCancel(running)
	w.stop, w.end, w.ended = stop, end, make(chan struct{})
	go func() {
		defer close(w.ended)
		w.Run(running, stopping)
	}()
	if err := s.moreRows(ctx, w, w.Progress().Stored); err != nil {
		w.abandon()
		return nil, err
	}
	return w, nil
}

// moreRows waits until some more rows than before are stored.
func (s *stage) moreRows(ctx context.Context, w *writing, before int) error {
	return s.until(ctx, "rows of "+w.Partition, func(context.Context) (bool, error) {
		progress := w.Progress()
		if len(w.Errors()) > 0 {
			return progress.Stored >= before+someRows, fmt.Errorf("failed requests: %v", w.Errors())
		}
		return progress.Stored >= before+someRows, nil
	})
}

// finish lets the writer send what waits, and reads its rows back.
func (s *stage) finish(ctx context.Context, w *writing) (rows []application.Row, err error) {
	w.stop()
	// A row may come to be after the stop was asked for: the writer's own end tells that none is left.
	if err := s.until(ctx, "the queue of "+w.Partition, func(context.Context) (bool, error) {
		select {
		case <-w.ended:
			return true, nil
		default:
			return false, nil
		}
	}); err != nil {
		w.abandon()
		return nil, err
	}
	w.abandon()
	err = s.until(ctx, "the rows of "+w.Partition, func(ctx context.Context) (bool, error) {
		var err error
		rows, err = s.writer.Rows(ctx, w.Account, w.Partition)
		return err == nil, err
	})
	return rows, err
}

// abandon ends the writer at once; again is no harm.
func (w *writing) abandon() {
	w.end()
	<-w.ended
	w.Client.Close()
}
