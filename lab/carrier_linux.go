//go:build linux

package lab

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bringUp sets both ends of a veth pair up, and returns when both can send. The end that comes up first has no carrier
// yet; when the second one gives it one, the kernel starts its transmit queue later, from a work queue, and until
// then drops what it should send.
func bringUp(a, b end) error {
	for _, one := range []end{a, b} {
		if err := one.namespace.up(one.name); err != nil {
			return err
		}
	}
	for _, one := range []end{a, b} {
		if err := one.namespace.awaitCarrier(one.name); err != nil {
			return fmt.Errorf("namespace %s: carrier of %s: %w", one.namespace.Name, one.name, err)
		}
	}
	return nil
}

// awaitCarrier asks by ETHTOOL_GLINK: the kernel does what is pending for the link before it answers (linkwatch_sync_dev).
func (n *Namespace) awaitCarrier(ifname string) error {
	return n.Do(func() error {
		socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(socket)
		answer := struct{ command, up uint32 }{command: unix.ETHTOOL_GLINK} // struct ethtool_value
		var request struct {                                                // struct ifreq
			name [unix.IFNAMSIZ]byte
			data unsafe.Pointer
			_    [24 - unsafe.Sizeof(uintptr(0))]byte
		}
		if len(ifname) >= len(request.name) {
			return errors.New("the interface's name is too long")
		}
		copy(request.name[:], ifname)
		request.data = unsafe.Pointer(&answer)
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(socket), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
			return errno
		}
		if answer.up == 0 {
			return errors.New("there is none; is the other end up?")
		}
		return nil
	})
}
