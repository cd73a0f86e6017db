package relay

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// Sizes, in bytes.
const (
	messageBytes = 32 << 10 // of one read; who fills it sends a stream
	pipeBytes    = 1 << 20  // of a pipe, where the system lets it grow so far
	trickleBytes = 4 << 10  // a stream whose splice moves less is one no more
)

// Numbers.
const (
	eventsAtOnce = 256
	turnsAtOnce  = 16 // reads of one direction before others have their turn
	idlePipes    = 16 // pipes that a loop keeps for the next stream
)

// Relay is the threads.
type Relay struct {
	loops []*loop
	next  atomic.Uint32
	once  sync.Once
	ended sync.WaitGroup
}

// New starts a number of threads. Close ends them.
func New(threads int) (*Relay, error) {
	r := &Relay{}
	for range max(1, threads) {
		one, err := newLoop()
		if err != nil {
			r.Close()
			return nil, fmt.Errorf("start relay: %w", err)
		}
		r.loops = append(r.loops, one)
		r.ended.Go(one.run)
	}
	return r, nil
}

// Close ends the threads. The connections are to be closed before: nobody moves their bytes any more.
func (r *Relay) Close() {
	r.once.Do(func() {
		for _, one := range r.loops {
			one.stop()
		}
	})
	r.ended.Wait()
}

func (r *Relay) loop() *loop { return r.loops[int(r.next.Add(1))%len(r.loops)] }

// loop is one thread. What has no lock is its own.
type loop struct {
	epoll, stopper int
	file           *os.File        // is epoll's descriptor; the runtime waits for it
	waiting        syscall.RawConn // of file
	events         []unix.EpollEvent
	buffer         []byte
	pipes          []*pipe
	again, next    []*Link // have more to move than their turn allowed

	mu    sync.Mutex
	slots []slot // links by the number that epoll has of them
	free  []uint32
}

// slot is a place for a Link. Its generation tells an event of a link that is gone from one of the next.
type slot struct {
	link       *Link
	generation int32
}

// stopKey is the number of the eventfd that ends the thread.
const stopKey = -1

func newLoop() (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	stopper, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, stopper, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: stopKey})
	}
	l := &loop{epoll: epoll, stopper: stopper, buffer: make([]byte, messageBytes), events: make([]unix.EpollEvent, eventsAtOnce)}
	if err == nil {
		err = unix.SetNonblock(epoll, true)
	}
	if err == nil {
		l.file = os.NewFile(uintptr(epoll), "epoll")
		l.waiting, err = l.file.SyscallConn()
	}
	if err != nil {
		unix.Close(epoll)
		return nil, err
	}
	return l, nil
}

func (l *loop) stop() { _, _ = unix.Write(l.stopper, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }

// run is the thread.
func (l *loop) run() {
	defer func() {
		for _, one := range l.pipes {
			one.close()
		}
		unix.Close(l.stopper)
		l.file.Close()
	}()
	n := 0
	wait := func(uintptr) bool {
		n = look(l.epoll, l.events)
		return n > 0
	}
	for {
		if n = look(l.epoll, l.events); n == 0 && len(l.again) == 0 {
			_ = l.waiting.Read(wait) // nobody else closes it
		}
		for i := range n {
			event := &l.events[i]
			if event.Fd == stopKey {
				return
			}
			if link := l.at(uint32(event.Fd)>>1, event.Pad); link != nil {
				link.ready(event.Fd&1 == toBackendSide, event.Events)
			}
		}
		l.again, l.next = l.next[:0], l.again
		for _, link := range l.next {
			link.goOn()
		}
		clear(l.next)
	}
}

// The sides of a link, as the last bit of the number that epoll has of it.
const (
	toClientSide  = 0
	toBackendSide = 1
)

// place gives a link its number.
func (l *loop) place(link *Link) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.free); n > 0 {
		link.slot = l.free[n-1]
		l.free = l.free[:n-1]
	} else {
		link.slot = uint32(len(l.slots))
		l.slots = append(l.slots, slot{})
	}
	l.slots[link.slot].link = link
	link.generation = l.slots[link.slot].generation
}

// leave takes the number back.
func (l *loop) leave(link *Link) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slots[link.slot].link = nil
	l.slots[link.slot].generation++
	l.free = append(l.free, link.slot)
}

func (l *loop) at(number uint32, generation int32) *Link {
	l.mu.Lock()
	defer l.mu.Unlock()
	if one := l.slots[number]; one.generation == generation {
		return one.link
	}
	return nil
}

// watch has epoll tell of a side of a link.
func (l *loop) watch(operation int, link *Link, file int, side int32, events uint32) error {
	if errno := control(l.epoll, operation, file, &unix.EpollEvent{
		Events: events | unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(link.slot<<1) | side, Pad: link.generation}); errno != 0 {
		return os.NewSyscallError("epoll_ctl", errno)
	}
	return nil
}

// pipe is what a splice goes through. An idle one is empty.
type pipe struct{ read, write int }

func (p *pipe) close() {
	unix.Close(p.read)
	unix.Close(p.write)
}

// takePipe answers nil where there is none to be had.
func (l *loop) takePipe() *pipe {
	if n := len(l.pipes); n > 0 {
		one := l.pipes[n-1]
		l.pipes = l.pipes[:n-1]
		return one
	}
	var ends [2]int
	if unix.Pipe2(ends[:], unix.O_NONBLOCK|unix.O_CLOEXEC) != nil {
		return nil
	}
	_, _ = unix.FcntlInt(uintptr(ends[1]), unix.F_SETPIPE_SZ, pipeBytes) // a small one does too
	return &pipe{read: ends[0], write: ends[1]}
}

func (l *loop) givePipe(one *pipe) {
	if len(l.pipes) >= idlePipes {
		one.close()
		return
	}
	l.pipes = append(l.pipes, one)
}
