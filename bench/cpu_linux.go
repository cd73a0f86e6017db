package bench

import (
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// placement says on which processor an end of a route works.
type placement int

const (
	nearEnd placement = iota // the first one that this process may use
	farEnd                   // the last one
)

// processors are those that the process may use, read before any thread is pinned.
var processors = sync.OnceValues(func() (allowed unix.CPUSet, err error) {
	err = unix.SchedGetaffinity(0, &allowed)
	return allowed, err
})

// pin keeps the calling goroutine on one processor until the returned function is called: where the scheduler happens to
// put two ends weighs more than what lies between them. Where the process may not choose, it is not pinned.
func pin(end placement) (release func()) {
	allowed, err := processors()
	if err != nil {
		return func() {}
	}
	var one unix.CPUSet
	chosen := -1
	for cpu := range len(allowed) * 64 {
		if allowed.IsSet(cpu) && (chosen < 0 || end == farEnd) {
			chosen = cpu
		}
	}
	if chosen < 0 {
		return func() {}
	}
	one.Set(chosen)
	runtime.LockOSThread()
	_ = unix.SchedSetaffinity(0, &one)
	return func() {
		// A thread that stays pinned must not serve anybody else: it ends with its goroutine.
		if unix.SchedSetaffinity(0, &allowed) == nil {
			runtime.UnlockOSThread()
		}
	}
}
