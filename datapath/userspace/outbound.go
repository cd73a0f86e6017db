package userspace

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
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
)

const (
	maxOutboundFlows    = 4096
	maxOutboundDials    = 512
	outboundDialTimeout = 30 * time.Second
	udpIdle             = 120 * time.Second // as the pipeline's flows
	keepaliveIdle       = 2 * time.Minute
)

// OutboundCounters tell what default outbound access did.
type OutboundCounters struct {
	Connections uint64 // TCP connections that were made
	Datagrams   uint64 // UDP flows that were made
	Refused     uint64 // answered with a reset: the target refused
	Unanswered  uint64 // the target did not answer, or nobody has its address
	Full        uint64 // more flows than maxOutboundFlows
	NoAddress   uint64 // the plan has no OutboundAddress
	Unsupported uint64 // neither TCP nor UDP: an echo request too is not forwarded
}

// outbound is default outbound access by socket forwarding. A stack that answers for every Internet address ends the
// connections of VMs, known by their platform address, so that VNets with the same addresses stay apart; each is then
// dialled anew from the edge's outbound address.
type outbound struct {
	name     string
	internet *Internet
	dialHost func(ctx context.Context, network, address string) (net.Conn, error)
	inside   *Stack
	link     *link
	ctx      context.Context
	cancel   context.CancelFunc
	slots    chan struct{}

	mu      sync.Mutex // guards outside, closed, and the growth of wait
	outside *Outsider  // has the outbound address; nil without one
	closed  bool
	wait    sync.WaitGroup

	connections, datagrams, refused, unanswered, full, noAddress, unsupported atomic.Uint64
}

// newOutbound makes it without an address. back gets the packets toward platform addresses.
func newOutbound(name string, internet *Internet, dialHost func(context.Context, string, string) (net.Conn, error), back func([]byte)) (*outbound, error) {
	o := &outbound{
		name: name, internet: internet, dialHost: dialHost, inside: newStack(name+" outbound", family{ipv4: true}),
		link: newLink(machineMTU, ""), slots: make(chan struct{}, maxOutboundFlows),
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

// setAddress makes address the one that connections leave from. Those from an earlier address are reset.
func (o *outbound) setAddress(address netip.Addr) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.outside != nil && o.outside.address == address {
		return nil
	}
	if o.outside != nil {
		_ = o.outside.Close()
		o.outside = nil
	}
	if !address.IsValid() {
		return nil
	}
	outside, err := o.internet.newOutsider(o.name, address)
	if err != nil {
		return fmt.Errorf("outbound address: %w", err)
	}
	o.outside = outside
	return nil
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

// dial connects to a target from the outbound address, or from the real machine where nobody simulated has the target.
func (o *outbound) dial(ctx context.Context, network string, target netip.AddrPort) (net.Conn, error) {
	o.mu.Lock()
	outside := o.outside
	o.mu.Unlock()
	if outside == nil {
		o.noAddress.Add(1)
		return nil, errUnanswered
	}
	if o.internet.Has(target.Addr()) {
		return outside.DialContext(ctx, network, target.String())
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
	ctx, cancel := context.WithTimeout(o.ctx, outboundDialTimeout)
	target, err := o.dial(ctx, "tcp", plain(tcpip.FullAddress{Addr: id.LocalAddress, Port: id.LocalPort}))
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
	splice.Both(o.ctx, newConn(queue, endpoint), target)
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
	if outside != nil {
		_ = outside.Close()
	}
}

func (o *outbound) counters() OutboundCounters {
	return OutboundCounters{
		Connections: o.connections.Load(), Datagrams: o.datagrams.Load(), Refused: o.refused.Load(),
		Unanswered: o.unanswered.Load(), Full: o.full.Load(), NoAddress: o.noAddress.Load(), Unsupported: o.unsupported.Load(),
	}
}
