package relay

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls of this file never wait, so they are made without the scheduler's part (RawSyscall): on what they take, sysmon
// would take the processor away from their thread, and both would pay for it.

func receive(socket int, into []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(socket), uintptr(unsafe.Pointer(unsafe.SliceData(into))), uintptr(len(into)), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

func send(socket int, from []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(socket), uintptr(unsafe.Pointer(unsafe.SliceData(from))), uintptr(len(from)), unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

func shutdown(socket int) unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(socket), unix.SHUT_WR, 0)
	return errno
}

// closeSocket has nobody who could do anything about an error.
func closeSocket(socket int) { _, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(socket), 0, 0) }

func setOption(socket, level, name, value int) unix.Errno {
	is := int32(value)
	_, _, errno := unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(socket), uintptr(level), uintptr(name), uintptr(unsafe.Pointer(&is)), 4, 0)
	return errno
}

// newSocket is a socket for a connection to an address.
func newSocket(to netip.AddrPort) (int, unix.Errno) {
	family := unix.AF_INET
	if to.Addr().Is6() {
		family = unix.AF_INET6
	}
	socket, _, errno := unix.RawSyscall(unix.SYS_SOCKET, uintptr(family), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	return int(socket), errno
}

// connect begins a connection.
func connect(socket int, to netip.AddrPort) unix.Errno {
	var address [unix.SizeofSockaddrInet6]byte
	size := putAddress(address[:], to)
	_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(socket), uintptr(unsafe.Pointer(&address)), uintptr(size))
	if errno == unix.EINPROGRESS {
		return 0
	}
	return errno
}

// putAddress writes a struct sockaddr_in or sockaddr_in6: family (host order), port (network order), address.
func putAddress(into []byte, to netip.AddrPort) (size int) {
	binary.BigEndian.PutUint16(into[2:], to.Port())
	if to.Addr().Is6() {
		binary.NativeEndian.PutUint16(into, unix.AF_INET6)
		address := to.Addr().As16()
		copy(into[8:], address[:]) // behind sin6_flowinfo
		return unix.SizeofSockaddrInet6
	}
	binary.NativeEndian.PutUint16(into, unix.AF_INET)
	address := to.Addr().As4()
	copy(into[4:], address[:])
	return unix.SizeofSockaddrInet4
}

// getAddress reads what putAddress writes. An IPv4 address in an IPv6 one is an IPv4 one.
func getAddress(from []byte) netip.AddrPort {
	port := binary.BigEndian.Uint16(from[2:])
	switch binary.NativeEndian.Uint16(from) {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(from[4:8])), port)
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(from[8:24])).Unmap(), port)
	}
	return netip.AddrPort{}
}

// accept takes a connection that waits.
func accept(listener int) (socket int, peer netip.AddrPort, errno unix.Errno) {
	var address [unix.SizeofSockaddrInet6]byte
	size := uint32(len(address))
	n, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), uintptr(unsafe.Pointer(&address)), uintptr(unsafe.Pointer(&size)),
		unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, netip.AddrPort{}, errno
	}
	return int(n), getAddress(address[:]), 0
}

// ownAddress is the near end of a connection.
func ownAddress(socket int) (netip.AddrPort, unix.Errno) {
	var address [unix.SizeofSockaddrInet6]byte
	size := uint32(len(address))
	_, _, errno := unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(socket), uintptr(unsafe.Pointer(&address)), uintptr(unsafe.Pointer(&size)))
	return getAddress(address[:]), errno
}

// failureOf is why a connection was not made; 0: it was, or will be.
func failureOf(socket int) unix.Errno {
	var code int32
	size := uint32(4)
	_, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(socket), unix.SOL_SOCKET, unix.SO_ERROR, uintptr(unsafe.Pointer(&code)),
		uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return errno
	}
	return unix.Errno(code)
}

func control(epoll, operation, file int, event *unix.EpollEvent) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(epoll), uintptr(operation), uintptr(file), uintptr(unsafe.Pointer(event)), 0, 0)
	return errno
}

// look asks epoll for what there is.
func look(epoll int, into []unix.EpollEvent) int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(unsafe.SliceData(into))), uintptr(len(into)), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}
