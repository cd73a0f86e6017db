//go:build linux

package kernel

import (
	"fmt"
	"time"

	"github.com/cilium/ebpf"

	"postern/plan"
)

// What a program of the data path answers to the kernel.
const (
	answerPass     = -1
	answerOK       = 0
	answerDrop     = 2
	answerRedirect = 7
)

// skb is the part of the kernel's __sk_buff that a test run sets: the interface.
type skb struct {
	_       [10]uint32
	Ifindex uint32
	_       [37]uint32
}

// run gives one frame to a program of this driver without any interface sending it, repeat times over. It returns the
// program's answer, the frame as the program left it, and the time of one run.
func (d *Driver) run(program *ebpf.Program, ifindex int, frame []byte, repeat int) (answer int32, out []byte, each time.Duration, err error) {
	options := &ebpf.RunOptions{
		Data: frame, DataOut: make([]byte, len(frame)+256), Repeat: uint32(repeat),
		Context: skb{Ifindex: uint32(ifindex)},
	}
	started := time.Now()
	code, err := program.Run(options)
	if err != nil {
		return 0, nil, 0, fmt.Errorf("test run: %w", err)
	}
	return int32(code), options.DataOut, time.Since(started) / time.Duration(repeat), nil
}

// TimeFromVM measures the NIC program: the mean time of one packet of the NIC's VM, over repeat packets that are all
// this frame. The frame must be one that the program does not change, or changes in a way that the next run accepts.
func (d *Driver) TimeFromVM(nic plan.NIC, frame []byte, repeat int) (time.Duration, error) {
	ifindex, _ := linkOf(d.options.Link(nic))
	_, _, each, err := d.run(d.objects.FromVm, ifindex, frame, repeat)
	return each, err
}

// AttachedTo tells on how many interfaces this process's programs sit: for tests and for status.
func (d *Driver) AttachedTo() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.attachments)
}
