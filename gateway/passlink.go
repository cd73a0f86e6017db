package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"

	"postern/gateway/relay"
	"postern/model"
	"postern/protocol/clienthello"
)

// passLink serves a connection of the relay's, without a goroutine of its own: what can be read, judged and joined at once
// is. What cannot goes the way of pass: a ClientHello in pieces, a backend that has no address but a name, that wants to be
// told who calls, or does not answer.
func (g *Gateway) passLink(c *connection, link *relay.Link, way model.Way) {
	p := g.newPassing(c, way, link)
	g.serving.Add(1)
	if way == model.WayTLS {
		link.Await(p, g.config.HeaderTimeout)
		return
	}
	p.session = openTCP(c)
	p.forward(nil)
}

var _ relay.Handler = (*passing)(nil)

// Spoke implements relay.Handler.
func (p *passing) Spoke(first []byte, err error) {
	if err != nil {
		_, err := heardTLS(p.c, clienthello.Hello{}, nil, err)
		p.unheard(err)
		p.end()
		return
	}
	first = bytes.Clone(first)
	hello, raw, err := clienthello.Read(bytes.NewReader(first))
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		p.leave(first, p.serve) // there is more to come
		return
	}
	if p.session, err = heardTLS(p.c, hello, raw, err); err != nil {
		p.unheard(err)
		p.end()
		return
	}
	p.forward(first)
}

// forward judges and joins. first is what the client has said.
func (p *passing) forward(first []byte) {
	p.first = first
	if !p.judge() {
		p.end()
		return
	}
	backend, ok := p.directly()
	if ok && p.link.Connect(p, backend, first, p.gateway.config.HeaderTimeout) == nil {
		return
	}
	p.slowly()
}

// slowly joins in a goroutine.
func (p *passing) slowly() {
	read := p.first
	if p.way == model.WayTLS { // the session has the ClientHello for the backend
		_, hello, err := clienthello.Read(bytes.NewReader(p.first))
		if err != nil {
			panic("gateway: a ClientHello that was read is none: " + err.Error())
		}
		read = p.first[len(hello):]
	}
	p.leave(read, func() { p.deliver(p.c.context(context.Background())) })
}

// leave goes on with an ordinary connection, of which some has been read.
func (p *passing) leave(read []byte, goOn func()) {
	conn, err := p.link.Leave(read)
	if err != nil { // it is gone
		p.end()
		return
	}
	if p.session != nil {
		p.session.Client = conn
	}
	go func() {
		goOn()
		p.end()
	}()
}

// directly is the backend, where it can be joined without further ado.
func (p *passing) directly() (netip.AddrPort, bool) {
	target := p.admitted.target
	if target.Instance.Delivery.ProxyProtocol {
		return netip.AddrPort{}, false
	}
	order := p.gateway.health.order(target.Instance, target.Part)
	if len(order) == 0 {
		return netip.AddrPort{}, false
	}
	backend, err := netip.ParseAddrPort(order[0])
	p.entry.Backend = order[0]
	return backend, err == nil && backend.Addr().Zone() == ""
}

// Joined implements relay.Handler.
func (p *passing) Joined() { p.session, p.admitted, p.first = nil, nil, nil }

// Unconnected implements relay.Handler.
func (p *passing) Unconnected(err error) {
	if !errors.Is(err, relay.ErrClosed) {
		p.gateway.health.failed(probe{p.entry.Backend, p.admitted.target.Instance.Delivery.HealthPath})
	}
	p.slowly()
}

// Ended implements relay.Handler.
func (p *passing) Ended(toClient, toBackend int64) {
	p.entry.ResponseBytes, p.entry.RequestBytes = toClient, toBackend
	p.end()
}

// end is finish of a connection of the relay's.
func (p *passing) end() {
	p.finish()
	p.gateway.serving.Done()
}
