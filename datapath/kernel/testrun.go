//go:build linux

package kernel

import (
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"postern/plan"
)

// What a program of the data path answers to the kernel.
const (
	answerPass     = -1
	answerOK       = 0
	answerDrop     = 2
	answerRedirect = 7
)

// skb is the part of the kernel's __sk_buff that a test run sets, the interface, and that it reads, the mark.
type skb struct {
	_       [2]uint32
	Mark    uint32
	_       [7]uint32
	Ifindex uint32
	_       [37]uint32
}

// run gives one frame to a program of this driver without any interface sending it. It returns the program's answer and
// the frame as the program left it.
func (d *Driver) run(program *ebpf.Program, ifindex int, frame []byte) (answer int32, out []byte, err error) {
	answer, out, _, err = runProgram(program, ifindex, frame)
	return answer, out, err
}

// runProgram is run for any program, and the mark that it gave the frame.
func runProgram(program *ebpf.Program, ifindex int, frame []byte) (answer int32, out []byte, mark uint32, err error) {
	var after skb
	options := &ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+256), Context: skb{Ifindex: uint32(ifindex)}, ContextOut: &after}
	code, err := program.Run(options)
	if err != nil {
		return 0, nil, 0, fmt.Errorf("test run: %w", err)
	}
	return int32(code), options.DataOut, after.Mark, nil
}

// TimeFromVM measures the NIC program by the kernel's own statistics: the mean time that it takes over one packet of the
// NIC's VM. It runs over each of the frames in turn, runs times in all, each time on a fresh copy. Frames must be ones
// that the program sends on. The thread must be in the network namespace of the NIC's interface. Packets that pass the
// node's other NICs at the same time count too.
func (d *Driver) TimeFromVM(nic plan.NIC, frames [][]byte, runs int) (time.Duration, error) {
	statistics, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	if err != nil {
		return 0, fmt.Errorf("time the NIC program: switch statistics on: %w", notSupported(err))
	}
	defer statistics.Close()
	ifindex, _ := linkOf(d.options.Link(nic))
	before, err := d.objects.FromVM.Stats()
	if err != nil {
		return 0, fmt.Errorf("time the NIC program: %w", err)
	}
	for i := range runs {
		answer, _, err := d.run(d.objects.FromVM, ifindex, frames[i%len(frames)])
		if err != nil {
			return 0, fmt.Errorf("time the NIC program: %w", err)
		}
		if answer != answerRedirect {
			return 0, fmt.Errorf("time the NIC program: it answers %d to frame %d, want %d: the plan does not let it through", answer, i%len(frames), answerRedirect)
		}
	}
	after, err := d.objects.FromVM.Stats()
	if err != nil {
		return 0, fmt.Errorf("time the NIC program: %w", err)
	}
	if after.RunCount == before.RunCount {
		return 0, fmt.Errorf("time the NIC program: the kernel counted no run of it")
	}
	return (after.Runtime - before.Runtime) / time.Duration(after.RunCount-before.RunCount), nil
}

// AttachedTo tells on how many interfaces this process's programs sit: for tests and for status.
func (d *Driver) AttachedTo() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.attachments)
}
