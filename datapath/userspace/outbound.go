package userspace

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"

	"postern/datapath/userspace/splice"
	"postern/model"
	"postern/plan"
)

const (
	maxOutboundFlows    = 4096
	maxOutboundDials    = 512
	outboundDialTimeout = 30 * time.Second
	udpIdle             = 120 * time.Second // as the pipeline's flows
	keepaliveIdle       = 2 * time.Minute
)

// OutboundCounters tell what default outbound access and NAT gateways did.
type OutboundCounters struct {
	Connections uint64 // TCP connections that were made
	Datagrams   uint64 // UDP flows that were made
	Refused     uint64 // answered with a reset: the target refused
	Unanswered  uint64 // the target did not answer, or nobody has its address
	Full        uint64 // more flows than maxOutboundFlows
	NoAddress   uint64 // the plan has no address to leave from
	Unsupported uint64 // neither TCP nor UDP: an echo request too is not forwarded
}

// outbound is default outbound access and NAT gateways by socket forwarding. A stack that answers for every Internet address
// ends the connections of VMs, known by their platform address, so that VNets with the same addresses stay apart; each is
// then dialled anew from the edge's outbound address or that of a NAT gateway (OUT-1).
type outbound struct {
	name     string
	internet *Internet
	dialHost func(ctx context.Context, network, address string) (net.Conn, error)
	inside   *Stack
	link     *link
	ctx      context.Context
	cancel   context.CancelFunc
	slots    chan struct{}

	mu      sync.Mutex                  // guards what follows, and the growth of wait
	exits   map[netip.Addr][]netip.Addr // of plan.Edge
	outside map[netip.Addr]*Outsider    // by the address that it has
	open    map[*leaving]struct{}
	closed  bool
	wait    sync.WaitGroup

	connections, datagrams, refused, unanswered, full, noAddress, unsupported atomic.Uint64
}

// newOutbound makes it without an address. back gets the packets toward platform addresses.
func newOutbound(name string, internet *Internet, dialHost func(context.Context, string, string) (net.Conn, error), back func([]byte)) (*outbound, error) {
	o := &outbound{
		name: name, internet: internet, dialHost: dialHost, inside: newStack(name+" outbound", family{ipv4: true}),
		link: newLink(machineMTU, ""), slots: make(chan struct{}, maxOutboundFlows),
		outside: map[netip.Addr]*Outsider{}, open: map[*leaving]struct{}{},
	}
	o.ctx, o.cancel = context.WithCancel(context.Background())
	o.link.start(back)
	if err := o.inside.attach(1, o.link, o.link, true); err != nil {
		o.inside.links = []*link{o.link}
		o.close()
		return nil, err
	}
	o.inside.ip.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: 1}})
	o.inside.ip.SetTransportProtocolHandler(tcp.ProtocolNumber,
		tcp.NewForwarder(o.inside.ip, 0, maxOutboundDials, o.forwardTCP).HandlePacket)
	o.inside.ip.SetTransportProtocolHandler(udp.ProtocolNumber, udp.NewForwarder(o.inside.ip, o.forwardUDP).HandlePacket)
	return o, nil
}

// setExits says from which addresses connections leave. Those that are open and leave by no exit of theirs are reset.
func (o *outbound) setExits(edge *plan.Edge) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.exits = edge.Exits()
	for connection := range o.open {
		if !slices.Contains(o.exits[connection.platform], connection.exit) {
			connection.cut()
		}
	}
	wanted := map[netip.Addr]bool{}
	if edge.OutboundAddress.IsValid() {
		wanted[edge.OutboundAddress] = true
	}
	for _, gateway := range edge.NATGateways {
		for _, address := range gateway.Addresses {
			wanted[address] = true
		}
	}
	for address, outside := range o.outside {
		if !wanted[address] {
			_ = outside.Close()
			delete(o.outside, address)
		}
	}
	for address := range wanted {
		if o.outside[address] != nil {
			continue
		}
		outside, err := o.internet.newOutsider(o.name, address)
		if err != nil {
			return fmt.Errorf("outbound address: %w", err)
		}
		o.outside[address] = outside
	}
	return nil
}

// leaving is a connection, or a UDP flow, that leaves or is about to.
type leaving struct {
	platform, exit netip.Addr
	outside        *Outsider // has the exit's address; nil for none
	ctx            context.Context
	end            context.CancelFunc
	joined         []net.Conn // both sides, once it carries bytes; guarded by the lock of outbound
}

// cut ends it with a reset, both ways: when cut returns, no more bytes pass.
func (l *leaving) cut() {
	l.end()
	for _, conn := range l.joined {
		if tcp, ok := conn.(interface{ SetLinger(seconds int) error }); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
}

// leave chooses the exit of a new connection of a platform address. The caller ends it with left.
func (o *outbound) leave(platform netip.Addr) *leaving {
	o.mu.Lock()
	defer o.mu.Unlock()
	connection := &leaving{platform: platform}
	connection.ctx, connection.end = context.WithCancel(o.ctx)
	if exits := o.exits[platform]; len(exits) > 0 {
		connection.exit, connection.outside = exits[0], o.outside[exits[0]]
	}
	o.open[connection] = struct{}{}
	return connection
}

// join notes the sides of a connection before bytes pass between them.
func (o *outbound) join(connection *leaving, sides ...net.Conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	connection.joined = sides
	if connection.ctx.Err() != nil {
		connection.cut() // its exit went meanwhile
	}
}

func (o *outbound) left(connection *leaving) {
	connection.end()
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.open, connection)
}

// forward takes one IPv4 packet from a platform address.
func (o *outbound) forward(packet []byte) {
	switch model.Protocol(packet[9]) {
	case model.ProtocolTCP, model.ProtocolUDP:
		o.link.inject(header.IPv4ProtocolNumber, packet)
	default:
		o.unsupported.Add(1)
	}
}

// begin counts a flow in; false when there are too many or all ends.
func (o *outbound) begin() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false
	}
	select {
	case o.slots <- struct{}{}:
		o.wait.Add(1)
		return true
	default:
		o.full.Add(1)
		return false
	}
}

func (o *outbound) end() {
	<-o.slots
	o.wait.Done()
}

var errUnanswered = errors.New("nobody has the address")

// dial connects to a target from a connection's exit, or from the real machine where nobody simulated has the target.
func (o *outbound) dial(ctx context.Context, from *leaving, network string, target netip.AddrPort) (net.Conn, error) {
	if from.outside == nil {
		o.noAddress.Add(1)
		return nil, errUnanswered
	}
	if o.internet.Has(target.Addr()) {
		return from.outside.DialContext(ctx, network, target.String())
	}
	if o.dialHost == nil || !public(target.Addr()) {
		return nil, errUnanswered
	}
	return o.dialHost(ctx, network, target.String())
}

// public tells whether an address may be dialled on the real Internet for a VM: nothing of the machine's own, of its
// local network or of the platform.
func public(address netip.Addr) bool {
	return address.Is4() && address.IsGlobalUnicast() && !address.IsPrivate() &&
		!sharedAddresses.Contains(address) && address != model.PlatformDNS && address.As4()[0] != 0 && address.As4()[0] < 224
}

var sharedAddresses = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598

// forwardTCP runs in a goroutine of its own for every connection that a VM opens. The target is dialled before the VM
// is answered: the VM sees a refusal as a refusal, and silence as silence.
func (o *outbound) forwardTCP(request *tcp.ForwarderRequest) {
	if !o.begin() {
		request.Complete(false)
		return
	}
	defer o.end()
	id := request.ID()
	connection := o.leave(plain(tcpip.FullAddress{Addr: id.RemoteAddress}).Addr())
	defer o.left(connection)
	ctx, cancel := context.WithTimeout(connection.ctx, outboundDialTimeout)
	target, err := o.dial(ctx, connection, "tcp", plain(tcpip.FullAddress{Addr: id.LocalAddress, Port: id.LocalPort}))
	cancel()
	if err != nil {
		refused := errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET)
		if refused {
			o.refused.Add(1)
		} else {
			o.unanswered.Add(1)
		}
		request.Complete(refused)
		return
	}
	queue := new(waiter.Queue)
	endpoint, fault := request.CreateEndpoint(queue)
	request.Complete(fault != nil)
	if fault != nil {
		_ = target.Close()
		return
	}
	// A VM that is gone says nothing; without this its connection would stay for ever.
	endpoint.SocketOptions().SetKeepAlive(true)
	idle := tcpip.KeepaliveIdleOption(keepaliveIdle)
	_ = endpoint.SetSockOpt(&idle)
	o.connections.Add(1)
	inside := newConn(queue, endpoint)
	o.join(connection, inside, target)
	splice.Both(connection.ctx, inside, target)
}

// close ends every flow.
func (o *outbound) close() {
	o.mu.Lock()
	o.closed = true
	outside := o.outside
	o.outside = nil
	o.mu.Unlock()
	o.cancel()
	ended := make(chan struct{})
	go func() { o.wait.Wait(); close(ended) }()
	// A VM may never answer our half of a handshake, and gVisor waits two minutes for it unless the endpoint is
	// aborted; one that is being made just now is found the next time.
	for open := true; open; {
		for _, endpoint := range o.inside.ip.RegisteredEndpoints() {
			endpoint.Abort()
		}
		select {
		case <-ended:
			open = false
		case <-time.After(10 * time.Millisecond):
		}
	}
	o.inside.close()
	for _, one := range outside {
		_ = one.Close()
	}
}

func (o *outbound) counters() OutboundCounters {
	return OutboundCounters{
		Connections: o.connections.Load(), Datagrams: o.datagrams.Load(), Refused: o.refused.Load(),
		Unanswered: o.unanswered.Load(), Full: o.full.Load(), NoAddress: o.noAddress.Load(), Unsupported: o.unsupported.Load(),
	}
}
