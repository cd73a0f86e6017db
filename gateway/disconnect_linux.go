package gateway

import (
	"net"
	"syscall"
	"unsafe"
)

// disconnect sends a TCP reset without closing the descriptor, by connecting it to no address (connect(2), AF_UNSPEC): a
// close would wait until whoever reads the connection has seen its end, one after another. It tells whether that was done.
func disconnect(conn net.Conn) bool {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	nobody := syscall.RawSockaddr{Family: syscall.AF_UNSPEC}
	var failed syscall.Errno
	err = raw.Control(func(descriptor uintptr) {
		_, _, failed = syscall.RawSyscall(syscall.SYS_CONNECT, descriptor, uintptr(unsafe.Pointer(&nobody)), unsafe.Sizeof(nobody))
	})
	return err == nil && failed == 0
}
