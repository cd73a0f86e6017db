package relay

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// direction is what goes from one end to the other.
type direction struct {
	bytes   int64  // that the other end has taken
	pending []byte // read, and not taken yet
	pipe    *pipe  // nil where it is empty
	held    int    // bytes in the pipe
	stream  bool   // it is spliced
	ended   bool   // its source has said all
	told    bool   // and its destination knows
}

// outcome is why a direction was left.
type outcome uint8

const (
	drained    outcome = iota // its source has no more, or has ended
	blocked                   // its destination takes no more
	unfinished                // its turn is over
	broken                    // one of its ends failed
)

// ready does what a side is ready for.
func (l *Link) ready(backend bool, events uint32) {
	l.mu.Lock()
	handler := l.handler
	switch l.state {
	case stateAwaiting:
		first, err, spoken := l.hear()
		if spoken {
			l.state = stateAccepted
		}
		l.mu.Unlock()
		if spoken {
			handler.Spoke(first, err)
		}
		return
	case stateConnecting:
		if !backend {
			break // it will be asked when the backend is there
		}
		if events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
			errno := failureOf(l.backend)
			l.unconnect()
			l.mu.Unlock()
			handler.Unconnected(errno)
			return
		}
		watched := l.watched // epoll has told of what the client said before, and does so no more
		if events&unix.EPOLLOUT != 0 && l.join() {
			ended := watched && l.move(&l.up, true)
			if !ended && events&unix.EPOLLIN != 0 {
				ended = l.move(&l.down, true)
			}
			toClient, toBackend := l.down.bytes, l.up.bytes
			l.mu.Unlock()
			handler.Joined()
			if ended {
				handler.Ended(toClient, toBackend)
			}
			return
		}
	case stateJoined:
		readable := events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0
		end := events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0
		from, to := &l.up, &l.down // what this side says, what it is told
		if backend {
			from, to = to, from
		}
		ended := false
		if readable {
			ended = l.move(from, end)
		}
		if !ended && events&unix.EPOLLOUT != 0 && (to.held > 0 || to.pending != nil) {
			ended = l.move(to, true)
		}
		toClient, toBackend := l.down.bytes, l.up.bytes
		l.mu.Unlock()
		if ended {
			handler.Ended(toClient, toBackend)
		}
		return
	}
	l.mu.Unlock()
}

// goOn continues what had more than one turn's bytes.
func (l *Link) goOn() {
	l.mu.Lock()
	if l.state != stateJoined {
		l.mu.Unlock()
		return
	}
	handler, ended := l.handler, l.moveBoth()
	toClient, toBackend := l.down.bytes, l.up.bytes
	l.mu.Unlock()
	if ended {
		handler.Ended(toClient, toBackend)
	}
}

// hear reads the client's first bytes. The caller has the lock; the bytes are the loop's buffer.
func (l *Link) hear() (first []byte, err error, spoken bool) {
	n, errno := receive(l.client, l.loop.buffer)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return nil, nil, false
	case errno != 0:
		return nil, errno, true
	case n == 0:
		return nil, ErrEnded, true
	}
	return l.loop.buffer[:n], nil, true
}

// join begins to pass on. The caller has the lock. It answers false where the client cannot be watched: the next
// event, of the time that is over, ends the connection.
func (l *Link) join() bool {
	if !l.watched && l.watchClient() != nil {
		return false
	}
	l.timer.Stop()
	l.state = stateJoined
	l.up.pending, l.first = l.first, nil
	return true
}

func (l *Link) moveBoth() (ended bool) { return l.move(&l.up, true) || l.move(&l.down, true) }

// move moves what a direction has: all that there is, or all that one read gets where nothing can be behind it. It tells
// whether the connection has ended. The caller has the lock.
func (l *Link) move(d *direction, all bool) (ended bool) {
	from, to := l.client, l.backend
	if d == &l.down {
		from, to = to, from
	}
	switch l.pump(d, from, to, all) {
	case broken:
		l.shut(true)
		return true
	case unfinished:
		l.loop.again = append(l.loop.again, l)
	case blocked:
		if d == &l.down && !l.clientOut {
			l.clientOut = true
			if l.loop.watch(unix.EPOLL_CTL_MOD, l, l.client, toClientSide, unix.EPOLLOUT) != nil {
				l.shut(true)
				return true
			}
		}
	case drained:
		if l.up.told && l.down.told {
			l.shut(false)
			return true
		}
	}
	return false
}

func (l *Link) pump(d *direction, from, to int, all bool) outcome {
	for range turnsAtOnce {
		if done := l.flush(d, to); done != drained {
			return done
		}
		if d.ended {
			if !d.told {
				d.told = true
				// The end of the second direction is told by closing both.
				if !(l.up.told && l.down.told) && shutdown(to) != 0 {
					return broken
				}
			}
			return drained
		}
		if d.stream {
			if done, empty := l.fill(d, from); done != drained || empty {
				return done
			}
			continue
		}
		n, errno := receive(from, l.loop.buffer)
		switch {
		case errno == unix.EAGAIN:
			return drained
		case errno == unix.EINTR:
			continue
		case errno != 0:
			return broken
		case n == 0:
			d.ended = true
			continue
		}
		sent, errno := send(to, l.loop.buffer[:n])
		if errno != 0 && errno != unix.EAGAIN && errno != unix.EINTR {
			return broken
		}
		d.bytes += int64(sent)
		if sent < n {
			d.pending = bytes.Clone(l.loop.buffer[sent:n])
		} else if d.stream = n == len(l.loop.buffer); !d.stream && !all {
			return drained
		}
	}
	return unfinished
}

// flush hands out what is held; drained says that it is all.
func (l *Link) flush(d *direction, to int) outcome {
	for len(d.pending) > 0 {
		sent, errno := send(to, d.pending)
		switch {
		case errno == unix.EAGAIN:
			return blocked
		case errno != 0 && errno != unix.EINTR:
			return broken
		}
		d.bytes += int64(sent)
		if d.pending = d.pending[sent:]; len(d.pending) == 0 {
			d.pending = nil
		}
	}
	for d.held > 0 {
		n, err := unix.Splice(d.pipe.read, nil, to, nil, d.held, unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
		switch {
		case err == unix.EAGAIN:
			return blocked
		case err != nil && err != unix.EINTR:
			return broken
		}
		d.bytes += max(n, 0)
		if d.held -= int(max(n, 0)); d.held == 0 {
			l.loop.givePipe(d.pipe)
			d.pipe = nil
		}
	}
	return drained
}

// fill splices what the source has into a pipe. empty says that there was nothing.
func (l *Link) fill(d *direction, from int) (done outcome, empty bool) {
	through := l.loop.takePipe()
	if through == nil {
		d.stream = false
		return drained, false
	}
	n, err := unix.Splice(from, nil, through.write, nil, pipeBytes, unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
	if n <= 0 || err != nil {
		l.loop.givePipe(through)
		switch {
		case err == unix.EAGAIN:
			return drained, true
		case err == unix.EINTR:
			return drained, false
		case err != nil:
			return broken, false
		}
		d.ended = true
		return drained, false
	}
	d.pipe, d.held, d.stream = through, int(n), n >= trickleBytes
	return drained, false
}
