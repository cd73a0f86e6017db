package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	idleRounds  = 3                // measurements of memory: they differ little, and each takes seconds
	idleAtOnce  = 64               // connections that are being made
	idleSettles = 1 * time.Second  // after which connections count as idle
	perIdle     = 10_000           // connections that a figure is for
	idleLimit   = 60 * time.Second // for all of them to be made
)

// idleMemory is by how many MB (10^6 bytes) the memory of a way's processes grows for 10,000 idle connections. The process
// is a new one, and each connection has carried a request and its answer.
func (s *street) idleMemory(ctx context.Context, options GatewayOptions, by, name string, what talk) (float64, error) {
	one, err := s.again(ctx, by)
	if err != nil {
		return 0, err
	}
	first, err := s.openIdle(ctx, by, name, what, 1) // what comes with the first is not what each takes
	defer closeSockets(first)
	if err != nil {
		return 0, err
	}
	before, err := memoryOf(one.command.Process.Pid)
	if err != nil {
		return 0, err
	}
	open, err := s.openIdle(ctx, by, name, what, options.Connections)
	defer closeSockets(open)
	if err != nil {
		return 0, err
	}
	select {
	case <-time.After(min(idleSettles, options.Duration)):
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	after, err := memoryOf(one.command.Process.Pid)
	return float64(after-before) / 1e6 * perIdle / float64(options.Connections), err
}

func closeSockets(open []int) {
	for _, socket := range open {
		unix.Close(socket)
	}
}

// openIdle makes connections, a number at once, each of which has carried a request and its answer. Those that were made
// are answered beside an error too.
func (s *street) openIdle(ctx context.Context, by, name string, what talk, count int) (open []int, err error) {
	at := s.front(by, name)
	to := unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	defer unix.Close(epoll)
	asked, answers := map[int32]bool{}, map[int32][]byte{}
	begin := func() error {
		socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		open = append(open, socket)
		asked[int32(socket)] = false
		if err := unix.Connect(socket, &to); err != nil && err != unix.EINPROGRESS {
			return err
		}
		return unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, socket, &unix.EpollEvent{Fd: int32(socket), Events: unix.EPOLLOUT})
	}
	buffer, events := make([]byte, 4<<10), make([]unix.EpollEvent, idleAtOnce)
	// proceed tells whether a connection has had its answer.
	proceed := func(socket int32) (bool, error) {
		if !asked[socket] {
			asked[socket] = true
			if _, err := unix.Write(int(socket), []byte(what.request)); err != nil {
				return false, err
			}
			return false, unix.EpollCtl(epoll, unix.EPOLL_CTL_MOD, int(socket), &unix.EpollEvent{Fd: socket, Events: unix.EPOLLIN})
		}
		n, err := unix.Read(int(socket), buffer)
		if err == unix.EAGAIN || err == unix.EINTR {
			return false, nil
		}
		if n <= 0 || err != nil {
			return false, fmt.Errorf("it ended: %v", err)
		}
		answers[socket] = append(answers[socket], buffer[:n]...)
		if !bytes.HasSuffix(answers[socket], []byte(what.answerEnd)) {
			return false, nil
		}
		delete(answers, socket)
		delete(asked, socket)
		return true, unix.EpollCtl(epoll, unix.EPOLL_CTL_DEL, int(socket), nil)
	}
	deadline := time.Now().Add(idleLimit)
	err = s.client.Do(func() error {
		for len(open) < count || len(asked) > 0 {
			for len(open) < count && len(asked) < idleAtOnce {
				if err := begin(); err != nil {
					return fmt.Errorf("connection %d: %w", len(open), err)
				}
			}
			n, err := unix.EpollWait(epoll, events, int(patience.Milliseconds()))
			if err == unix.EINTR {
				continue
			}
			if err != nil || n == 0 || time.Now().After(deadline) || ctx.Err() != nil {
				return fmt.Errorf("%d of %d connections: no answer from %d: %v", len(open), count, len(asked), err)
			}
			for _, event := range events[:n] {
				if _, err := proceed(event.Fd); err != nil {
					return fmt.Errorf("connection %d of %d: %w", len(open), count, err)
				}
			}
		}
		return nil
	})
	return open, err
}

// memoryOf is the proportional set size of a process and those it has started, in bytes.
func memoryOf(process int) (bytes int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", process))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, "Pss:"); found {
			kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("memory of process %d: %w", process, err)
			}
			bytes += kilobytes << 10
		}
	}
	children, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", process))
	if err != nil {
		return 0, err
	}
	for _, file := range children {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // a thread that has ended
		}
		for _, child := range strings.Fields(string(text)) {
			number, err := strconv.Atoi(child)
			if err != nil {
				return 0, fmt.Errorf("children of process %d: %w", process, err)
			}
			more, err := memoryOf(number)
			if err != nil {
				return 0, err
			}
			bytes += more
		}
	}
	return bytes, nil
}
