package demo

import "time"

// Pace is how fast the story goes. The measures of an act are derived from it.
type Pace struct {
	Interval time.Duration // between two rows
	Outage   time.Duration // how long a wrong route stands
	Timeout  time.Duration // of one request of the application
}

// Scaled lets the whole story take half a minute; Real is that of the field reports behind it.
var (
	Scaled = Pace{Interval: 50 * time.Millisecond, Outage: 2 * time.Second, Timeout: 750 * time.Millisecond}
	Real   = Pace{Interval: time.Second, Outage: 120 * time.Second, Timeout: 10 * time.Second}
)

// someRows is how many rows must be stored to show that rows arrive.
const someRows = 8

// patience bounds the wait for one condition. After an outage a TCP session may stay silent for as long again as the
// outage was, since its retransmissions back off (RFC 6298, 5.5); it is far longer than anything should take, so that a
// busy machine does not spoil the story.
func (p Pace) patience() time.Duration { return 20*time.Second + 3*p.Outage + 2*someRows*p.Interval }

// actLimit bounds an act.
func (p Pace) actLimit() time.Duration { return 3 * p.patience() }

// stuckAtLeast and stuckAtMost bound what a program sees of an outage that stood between two moments. What was under way
// when the route came may still arrive, hence the lower one. The application notices the end with its next request.
func (p Pace) stuckAtLeast(o outage) time.Duration { return o.stood() * 3 / 4 }
func (p Pace) stuckAtMost(o outage) time.Duration {
	return o.longest() + 2*(p.Timeout+p.Interval) + p.noise()
}

// sessionStuckAtMost is for a TCP connection that waits: its next retransmission comes within the same time again.
func (p Pace) sessionStuckAtMost(o outage) time.Duration {
	return 2*o.longest() + p.Interval + p.noise()
}

// noise is what a busy machine may add.
func (p Pace) noise() time.Duration { return 2 * time.Second }

// noGap is below what the outage would show (stuckAtLeast), and above what a row takes on a busy machine, even if one
// request has to be repeated.
func (p Pace) noGap(o outage) time.Duration { return o.stood() * 2 / 3 }
