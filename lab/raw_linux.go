//go:build linux

package lab

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// RawSocket sends and receives whole Ethernet frames on one interface (packet(7)). Frames that leave through the
// interface are not received. The kernel takes a received frame's outer VLAN tag off.
type RawSocket struct {
	file *os.File
	mac  net.HardwareAddr
}

// Raw opens a RawSocket on an interface of the namespace. It is usable from any goroutine.
func (n *Namespace) Raw(ifname string) (*RawSocket, error) {
	var raw *RawSocket
	err := n.Do(func() error {
		link, err := net.InterfaceByName(ifname)
		if err != nil {
			return fmt.Errorf("open raw socket on %s: %w", ifname, err)
		}
		protocol := htons(unix.ETH_P_ALL)
		socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return fmt.Errorf("open raw socket on %s: %w", ifname, err)
		}
		err = unix.SetsockoptInt(socket, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)
		if err == nil {
			err = unix.Bind(socket, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: link.Index})
		}
		if err != nil {
			unix.Close(socket)
			return fmt.Errorf("bind raw socket to %s: %w", ifname, err)
		}
		raw = &RawSocket{os.NewFile(uintptr(socket), "raw:"+ifname), link.HardwareAddr}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("namespace %s: %w", n.Name, err)
	}
	return raw, nil
}

// HardwareAddr is the interface's own MAC.
func (r *RawSocket) HardwareAddr() net.HardwareAddr { return r.mac }

// Send sends one frame, Ethernet header first, as it is.
func (r *RawSocket) Send(frame []byte) error {
	if _, err := r.file.Write(frame); err != nil {
		return fmt.Errorf("send frame: %w", err)
	}
	return nil
}

// Receive waits for one frame, and copies as much of it as fits. The error of a passed deadline is
// os.ErrDeadlineExceeded.
func (r *RawSocket) Receive(buffer []byte) (int, error) {
	count, err := r.file.Read(buffer)
	if err != nil {
		return 0, fmt.Errorf("receive frame: %w", err)
	}
	return count, nil
}

// SetReadDeadline bounds Receive; zero takes the bound away.
func (r *RawSocket) SetReadDeadline(deadline time.Time) error {
	return r.file.SetReadDeadline(deadline)
}

// Close closes the socket; a waiting Receive returns.
func (r *RawSocket) Close() error { return r.file.Close() }

// htons is the number in network order, as sockaddr_ll wants it.
func htons(number uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, number))
}
