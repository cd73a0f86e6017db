//go:build linux

package kernel

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// attachment is a program on an interface, pinned so that it outlives the process.
type attachment struct {
	ifindex int
	link    link.Link
	pin     string
}

// attach puts a program on an interface, or adopts the pinned attachment of an earlier process and gives it this
// process's program in one step, so that no packet passes unjudged.
func attach(folder, name string, ifindex int, program *ebpf.Program, at ebpf.AttachType) (*attachment, error) {
	pin := filepath.Join(folder, "link-"+name)
	if adopted, err := adopt(pin, ifindex, program); err != nil || adopted != nil {
		return adopted, err
	}
	fresh, err := link.AttachTCX(link.TCXOptions{Interface: ifindex, Program: program, Attach: at})
	if err != nil {
		return nil, fmt.Errorf("attach to interface %s: %w", name, notSupported(err))
	}
	if err := fresh.Pin(pin); err != nil {
		return nil, errors.Join(fmt.Errorf("pin attachment to interface %s: %w", name, err), fresh.Close())
	}
	return &attachment{ifindex, fresh, pin}, nil
}

// adopt takes over a pinned attachment. It answers nil if there is none for this very interface.
func adopt(pin string, ifindex int, program *ebpf.Program) (*attachment, error) {
	pinned, err := link.LoadPinnedLink(pin, nil)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("adopt attachment %s: %w", pin, err)
	}
	info, err := pinned.Info()
	if err == nil && info.TCX() != nil && int(info.TCX().Ifindex) == ifindex {
		if err := pinned.Update(program); err != nil {
			return nil, errors.Join(fmt.Errorf("update attachment %s: %w", pin, err), pinned.Close())
		}
		return &attachment{ifindex, pinned, pin}, nil
	}
	// The interface went and another one has its name: what is pinned holds on to nothing.
	return nil, errors.Join(pinned.Unpin(), pinned.Close())
}

// detach takes the program off its interface and forgets the pin.
func (a *attachment) detach() error {
	return errors.Join(a.link.Unpin(), a.link.Close())
}
