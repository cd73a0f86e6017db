package demo

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"postern/cloud"
)

// session is the "ssh" session: one TCP connection that sends a numbered line at every interval and gets it back.
type session struct {
	conn net.Conn
	work sync.WaitGroup
	stop context.CancelFunc

	mu      sync.Mutex
	arrived []time.Time // of echoes, in their order
	failure error
}

// openSession connects from a machine to the echo server and begins to send.
func (s *stage) openSession(ctx context.Context, from cloud.Machine) (*session, error) {
	one := &session{}
	err := s.until(ctx, "the ssh session", func(ctx context.Context) (bool, error) {
		conn, err := from.DialContext(ctx, "tcp", net.JoinHostPort(echoAddress.String(), echoPort))
		one.conn = conn
		return err == nil, err
	})
	if err != nil {
		return nil, err
	}
	sending, stop := context.WithCancel(ctx)
	one.stop = stop
	one.work.Go(func() { one.send(sending, s.pace.Interval) })
	one.work.Go(one.receive)
	return one, nil
}

func (s *session) send(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for number := 1; ; number++ {
		if _, err := fmt.Fprintf(s.conn, "%d\n", number); err != nil {
			s.fail(ctx, err)
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// receive ends with the connection.
func (s *session) receive() {
	lines := bufio.NewScanner(s.conn)
	for lines.Scan() {
		s.mu.Lock()
		s.arrived = append(s.arrived, time.Now())
		want := len(s.arrived)
		if number, err := strconv.Atoi(strings.TrimSpace(lines.Text())); (err != nil || number != want) && s.failure == nil {
			s.failure = fmt.Errorf("ssh session: line %d came back as %q", want, lines.Text())
		}
		s.mu.Unlock()
	}
}

func (s *session) fail(ctx context.Context, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() == nil && s.failure == nil {
		s.failure = fmt.Errorf("ssh session: %w", err)
	}
}

// echoes are the times at which lines came back, and what went wrong.
func (s *session) echoes() ([]time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]time.Time(nil), s.arrived...), s.failure
}

func (s *session) close() {
	s.stop()
	s.conn.Close()
	s.work.Wait()
}
