package bench

import (
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// processors are those that the process may use, read before any thread is pinned.
var processors = sync.OnceValues(func() (allowed unix.CPUSet, err error) {
	err = unix.SchedGetaffinity(0, &allowed)
	return allowed, err
})

// pin keeps the calling goroutine on the first processor that the process may use, until the returned function is called.
// Both ends of a route work there, so what is measured is the work that a byte or a transaction takes. On two
// processors the time that one takes to wake the other, and the order in which their queues give out packets, would weigh
// more than what lies between the ends. Where the process may not choose, it is not pinned.
func pin() (release func()) {
	allowed, err := processors()
	if err != nil {
		return func() {}
	}
	var one unix.CPUSet
	chosen := -1
	for cpu := range len(allowed) * 64 {
		if allowed.IsSet(cpu) {
			chosen = cpu
			break
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
