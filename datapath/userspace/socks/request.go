package socks

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
)

// Numbers of RFC 1928.
const (
	version5       = 5
	methodNone     = 0x00
	methodRefused  = 0xff
	commandConnect = 1
	addressIPv4    = 1
	addressName    = 3
	addressIPv6    = 4
)

// reply is the REP field of RFC 1928, section 6.
type reply byte

const (
	replySucceeded          reply = 0
	replyFailure            reply = 1
	replyNetworkUnreachable reply = 3
	replyHostUnreachable    reply = 4
	replyRefused            reply = 5
	replyTimeout            reply = 6 // "TTL expired": what every client shows for a timeout
	replyCommand            reply = 7
	replyAddressType        reply = 8
)

var errNoMethod = errors.New("the client offers no method without authentication")

// requestError is a request that is understood but not served: the reply says why.
type requestError struct {
	reply reply
	text  string
}

func (e *requestError) Error() string { return e.text }

// readGreeting reads the client's first message (RFC 1928, section 3): 3 to 257 bytes.
func readGreeting(r io.Reader) error {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return fmt.Errorf("read SOCKS greeting: %w", err)
	}
	if head[0] != version5 {
		return fmt.Errorf("read SOCKS greeting: version %d; want SOCKS5 (socks5h:// for curl)", head[0])
	}
	var methods [255]byte
	if _, err := io.ReadFull(r, methods[:head[1]]); err != nil {
		return fmt.Errorf("read SOCKS greeting: %w", err)
	}
	for _, method := range methods[:head[1]] {
		if method == methodNone {
			return nil
		}
	}
	return errNoMethod
}

// readRequest reads what the client wants (RFC 1928, section 4), at most 262 bytes, and gives it as host:port.
func readRequest(r io.Reader) (string, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", fmt.Errorf("read SOCKS request: %w", err)
	}
	if head[0] != version5 || head[2] != 0 {
		return "", fmt.Errorf("read SOCKS request: version %d, reserved byte %d; want 5 and 0", head[0], head[2])
	}
	var host string
	var field [256]byte
	read := func(length int) ([]byte, error) {
		_, err := io.ReadFull(r, field[:length])
		if err != nil {
			err = fmt.Errorf("read SOCKS request: %w", err)
		}
		return field[:length], err
	}
	switch head[3] {
	case addressIPv4, addressIPv6:
		length := net.IPv4len
		if head[3] == addressIPv6 {
			length = net.IPv6len
		}
		bytes, err := read(length)
		if err != nil {
			return "", err
		}
		ip, _ := netip.AddrFromSlice(bytes)
		host = ip.Unmap().String()
	case addressName:
		size, err := read(1)
		if err != nil {
			return "", err
		}
		name, err := read(int(size[0]))
		if err != nil {
			return "", err
		}
		if !printable(name) {
			return "", &requestError{replyHostUnreachable, "read SOCKS request: the name is empty or has bytes that no host name has"}
		}
		host = string(name)
	default:
		return "", &requestError{replyAddressType, fmt.Sprintf("read SOCKS request: address type %d is none of 1, 3, 4", head[3])}
	}
	port, err := read(2)
	if err != nil {
		return "", err
	}
	if head[1] != commandConnect {
		return "", &requestError{replyCommand, fmt.Sprintf("read SOCKS request: command %d; only CONNECT (1) is served", head[1])}
	}
	return net.JoinHostPort(host, strconv.Itoa(int(binary.BigEndian.Uint16(port)))), nil
}

// printable tells whether name can be a host name: visible ASCII without brackets, colon, slash or percent sign.
func printable(name []byte) bool {
	for _, c := range name {
		if c <= ' ' || c >= 0x7f || c == '[' || c == ']' || c == ':' || c == '/' || c == '%' {
			return false
		}
	}
	return len(name) > 0
}

// appendReply writes an answer (RFC 1928, section 6); the bound address is 0.0.0.0:0 if it is no IP address.
func appendReply(out []byte, code reply, bound net.Addr) []byte {
	out = append(out, version5, byte(code), 0)
	address := netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	if tcp, ok := bound.(*net.TCPAddr); ok && tcp != nil {
		if known := tcp.AddrPort(); known.IsValid() {
			address = netip.AddrPortFrom(known.Addr().Unmap(), known.Port())
		}
	}
	kind := byte(addressIPv4)
	if address.Addr().Is6() {
		kind = addressIPv6
	}
	out = append(out, kind)
	out = append(out, address.Addr().AsSlice()...)
	return binary.BigEndian.AppendUint16(out, address.Port())
}
