package userspace

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

// datagramQueue is how many datagrams wait for one reader, at most.
const datagramQueue = 1024

// Flow is both ends of a datagram: the net.Addr of a PacketConn. An answer written to the Flow that ReadFrom gave
// leaves from the address that was asked.
type Flow struct {
	Local  netip.AddrPort // where the datagram was sent to
	Remote netip.AddrPort // who sent it
}

// Network is "udp".
func (Flow) Network() string { return "udp" }

// String is the sender, as with a *net.UDPAddr.
func (f Flow) String() string { return f.Remote.String() }

// anyUDP receives UDP on every address of a stack that has none of its own; the stack must know toward.
type anyUDP struct {
	stack *Stack

	mu    sync.RWMutex
	ports map[uint16]*PacketConn
}

func newAnyUDP(s *Stack) *anyUDP {
	a := &anyUDP{stack: s, ports: map[uint16]*PacketConn{}}
	s.ip.SetTransportProtocolHandler(udp.ProtocolNumber, a.receive)
	return a
}

// listen takes a port on every address of both families.
func (a *anyUDP) listen(port uint16) (*PacketConn, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if port == 0 || a.ports[port] != nil {
		return nil, fmt.Errorf("listen on UDP port %d of %s: the port is zero or taken; choose another", port, a.stack.name)
	}
	conn := &PacketConn{
		any: a, port: port, queue: make(chan datagram, datagramQueue), done: make(chan struct{}), deadline: newDeadline(),
	}
	a.ports[port] = conn
	return conn, nil
}

// receive is called by the stack for every datagram; false lets it answer "port unreachable".
func (a *anyUDP) receive(id stack.TransportEndpointID, packet *stack.PacketBuffer) bool {
	a.mu.RLock()
	conn := a.ports[id.LocalPort]
	a.mu.RUnlock()
	if conn == nil {
		return false
	}
	data := packet.Data()
	_, sound := header.UDPValid(header.UDP(packet.TransportHeader().Slice()),
		func() uint16 { return data.Checksum() }, uint16(data.Size()), packet.NetworkProtocolNumber,
		id.RemoteAddress, id.LocalAddress, packet.RXChecksumValidated)
	if !sound {
		return true
	}
	flow := Flow{
		Local:  plain(tcpip.FullAddress{Addr: id.LocalAddress, Port: id.LocalPort}),
		Remote: plain(tcpip.FullAddress{Addr: id.RemoteAddress, Port: id.RemotePort}),
	}
	select {
	case conn.queue <- datagram{flow, data.AsRange().ToSlice()}:
	default:
		conn.dropped.Add(1)
	}
	return true
}

type datagram struct {
	flow Flow
	data []byte
}

// PacketConn is a UDP port on every address of a gateway. Its addresses are of type Flow.
type PacketConn struct {
	any      *anyUDP
	port     uint16
	queue    chan datagram
	deadline *deadline // of ReadFrom; writing never waits
	dropped  atomic.Uint64

	once sync.Once
	done chan struct{}
}

var _ net.PacketConn = (*PacketConn)(nil)

// ReadFrom waits for a datagram; what does not fit into data is cut off. The address is a Flow.
func (c *PacketConn) ReadFrom(data []byte) (int, net.Addr, error) {
	for {
		moved := c.deadline.wait()
		select {
		case <-c.done:
			return 0, nil, c.failure("read", net.ErrClosed)
		case <-moved:
			if c.deadline.expired() {
				return 0, nil, c.failure("read", os.ErrDeadlineExceeded)
			}
		case received := <-c.queue:
			return copy(data, received.data), received.flow, nil
		}
	}
}

// WriteTo sends a datagram from flow.Local to flow.Remote; address must be a Flow.
func (c *PacketConn) WriteTo(data []byte, address net.Addr) (int, error) {
	flow, ok := address.(Flow)
	if !ok {
		return 0, c.failure("write", fmt.Errorf("address %v is a %T; want the Flow that ReadFrom gave", address, address))
	}
	if len(data) > 65535-header.UDPMinimumSize-header.IPv6MinimumSize {
		return 0, c.failure("write", fmt.Errorf("%d bytes are too many for a datagram", len(data)))
	}
	select {
	case <-c.done:
		return 0, c.failure("write", net.ErrClosed)
	default:
	}
	local, _ := full(flow.Local)
	remote, number := full(flow.Remote)
	route, err := c.any.stack.ip.FindRoute(c.any.stack.toward(flow.Remote.Addr()), local.Addr, remote.Addr, number, false)
	if err != nil {
		return 0, c.failure("write", textError(err.String()))
	}
	defer route.Release()
	packet := stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: int(route.MaxHeaderLength()) + header.UDPMinimumSize,
		Payload:            buffer.MakeWithData(data),
	})
	defer packet.DecRef()
	length := uint16(header.UDPMinimumSize + len(data))
	head := header.UDP(packet.TransportHeader().Push(header.UDPMinimumSize))
	packet.TransportProtocolNumber = udp.ProtocolNumber
	head.Encode(&header.UDPFields{SrcPort: flow.Local.Port(), DstPort: flow.Remote.Port(), Length: length})
	sum := checksum.Combine(route.PseudoHeaderChecksum(udp.ProtocolNumber, length), packet.Data().Checksum())
	sum = ^head.CalculateChecksum(sum)
	if sum == 0 {
		sum = 0xffff // 0 is "no checksum" (RFC 768), which IPv6 does not take
	}
	head.SetChecksum(sum)
	params := stack.NetworkHeaderParams{Protocol: udp.ProtocolNumber, TTL: route.DefaultTTL()}
	if err := route.WritePacket(params, packet); err != nil {
		return 0, c.failure("write", textError(err.String()))
	}
	return len(data), nil
}

func (c *PacketConn) failure(operation string, err error) error {
	return &net.OpError{Op: operation, Net: "udp", Source: c.LocalAddr(), Err: err}
}

// Addressed is the same port with both addresses as values: the form that package platform serves names on.
func (c *PacketConn) Addressed() *AddressedConn { return &AddressedConn{c} }

// AddressedConn is a PacketConn whose methods name both ends of a datagram.
type AddressedConn struct{ conn *PacketConn }

// ReadFrom waits for a datagram; what does not fit into data is cut off. It fails with net.ErrClosed after Close.
func (a *AddressedConn) ReadFrom(data []byte) (n int, local, remote netip.AddrPort, err error) {
	n, address, err := a.conn.ReadFrom(data)
	flow, _ := address.(Flow)
	return n, flow.Local, flow.Remote, err
}

// WriteTo sends one datagram from local, an address of the gateway, to remote.
func (a *AddressedConn) WriteTo(data []byte, local, remote netip.AddrPort) error {
	_, err := a.conn.WriteTo(data, Flow{Local: local, Remote: remote})
	return err
}

// Close is that of the PacketConn.
func (a *AddressedConn) Close() error { return a.conn.Close() }

// Dropped counts datagrams that came faster than they were read.
func (c *PacketConn) Dropped() uint64 { return c.dropped.Load() }

// Close ends ReadFrom and frees the port.
func (c *PacketConn) Close() error {
	c.once.Do(func() {
		close(c.done)
		c.any.mu.Lock()
		delete(c.any.ports, c.port)
		c.any.mu.Unlock()
		c.deadline.set(time.Time{}) // frees its timer
	})
	return nil
}

// LocalAddr is the port on the unspecified address.
func (c *PacketConn) LocalAddr() net.Addr {
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.IPv6Unspecified(), c.port))
}

// SetDeadline is SetReadDeadline.
func (c *PacketConn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetReadDeadline bounds ReadFrom, one that waits already as well.
func (c *PacketConn) SetReadDeadline(t time.Time) error { c.deadline.set(t); return nil }

// SetWriteDeadline does nothing: writing never waits.
func (c *PacketConn) SetWriteDeadline(time.Time) error { return nil }
