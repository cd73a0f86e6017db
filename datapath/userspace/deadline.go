package userspace

import (
	"sync"
	"time"
)

// deadline is a point in time that can be moved while somebody waits for it, like that of a net.Conn.
type deadline struct {
	mu     sync.Mutex
	timer  *time.Timer
	passed chan struct{} // closed when the time has come; replaced when it moves after that
}

func newDeadline() *deadline { return &deadline{passed: make(chan struct{})} }

// set moves the deadline; the zero time is never.
func (d *deadline) set(at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	// A new channel each time: a timer that fires late closes only its own. Who waits must notice the move, so the old
	// channel is closed as well, and the waiter asks over before it gives up.
	old := d.passed
	d.passed = make(chan struct{})
	select {
	case <-old:
	default:
		close(old)
	}
	if at.IsZero() {
		return
	}
	mine := d.passed
	fire := func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.passed == mine {
			select {
			case <-mine:
			default:
				close(mine)
			}
		}
	}
	if left := time.Until(at); left > 0 {
		d.timer = time.AfterFunc(left, fire)
	} else {
		close(mine)
	}
}

// wait is closed when the deadline passes or moves: expired tells which.
func (d *deadline) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.passed
}

// expired tells whether the deadline as it stands now has passed.
func (d *deadline) expired() bool {
	select {
	case <-d.wait():
		return true
	default:
		return false
	}
}
