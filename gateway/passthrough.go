package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/google/uuid"

	"postern/datapath/userspace/splice"
	"postern/firewall"
	"postern/gateway/relay"
	"postern/model"
	"postern/protocol/clienthello"
	"postern/service"
)

// passing is a connection that is not HTTP, from its first byte to its last. It has one line in the log, at its end.
type passing struct {
	exchange
	gateway *Gateway
	c       *connection
	way     model.Way
	start   time.Time
	link    *relay.Link // nil where goroutines pass it on

	byAddress Target
	described *service.Service // whom it asks by its address
	session   *service.Session // what it said; nil before, and when it is joined
	admitted  *admission       // who may; nil before, and when it is joined
	first     []byte           // what a client of the relay's has said; nil when it is joined
}

func (g *Gateway) newPassing(c *connection, way model.Way, link *relay.Link) *passing {
	p := &passing{gateway: g, c: c, way: way, start: time.Now(), link: link}
	p.decision, p.entry = decisionReject, Entry{Time: p.start.UTC(), Protocol: string(way), Operation: "Connect",
		RequestID: uuid.NewString(), StatusText: StatusSuccess}
	snapshot := g.snapshot.Load()
	caller := Identify(snapshot, c.local, c.peer)
	p.entry.setCaller(caller, snapshot)
	p.byAddress, _ = snapshot.At(caller.Dialled)
	p.described = snapshot.serviceFor(caller)
	p.asks(p.byAddress)
	return p
}

// pass serves a connection in its own goroutine.
func (g *Gateway) pass(c *connection, way model.Way) {
	p := g.newPassing(c, way, nil)
	defer p.finish()
	if way == "" {
		p.entry.StatusText = StatusNotServed
		c.reset()
		return
	}
	p.serve()
}

// serve asks the client, and waits for it.
func (p *passing) serve() {
	ctx := p.c.context(context.Background())
	_ = p.c.Conn.SetDeadline(p.start.Add(p.gateway.config.HeaderTimeout))
	session, err := p.gateway.open(ctx, p.c, p.way, p.described)
	if err != nil {
		p.unheard(err)
		return
	}
	if p.session = session; p.judge() {
		p.deliver(ctx)
	}
}

// unheard notes that a connection did not say whom it asks for.
func (p *passing) unheard(err error) {
	p.entry.StatusText, p.entry.MissingRule = StatusNetworkError, ""
	p.gateway.config.Logger.Debug("a connection did not say whom it asks for", "protocol", p.way, "peer", p.c.peer, "error", err)
}

// finish writes the line and ends the connection.
func (p *passing) finish() {
	missing, revoked := p.c.revokedFor()
	if revoked {
		p.entry.StatusText, p.entry.MissingRule = StatusConnectionRevoked, missing
	}
	duration := time.Since(p.start)
	p.entry.DurationMs = milliseconds(duration)
	if entry := p.entry; revoked { // thousands may end at once, and the relay waits for nobody
		p.gateway.serving.Go(func() { p.gateway.config.AccessLog.recordWaiting(entry) })
	} else {
		p.gateway.config.AccessLog.Record(entry)
	}
	p.gateway.metrics.connection(p.label, p.decision, duration)
	p.c.Close()
}

// judge finds the instance that a session asks for. Who may not use it is told so.
func (p *passing) judge() (allowed bool) {
	snapshot, session := p.gateway.snapshot.Load(), p.session
	if session.Operation != "" {
		p.entry.Operation = session.Operation
	}
	target, fault := p.byAddress, service.NoSuchInstance
	switch {
	case session.Host != "":
		p.entry.URI = session.Host
		var err error
		if target, err = snapshot.Find(session.Host); err != nil {
			target, fault = Target{Service: p.described}, service.NoSuchName
		}
	case p.way == model.WayTLS: // what hides its name is not let in: it could be anyone's
		target, fault = Target{Service: p.described}, service.NoSuchName
	}
	if session.Part != "" {
		target.Part = session.Part
	}
	p.asks(target)
	admitted, ok := p.gateway.admit(p.c, target, firewall.Managed{})
	if !ok {
		return false
	}
	p.admitted = &admitted
	p.entry.setCaller(admitted.caller, admitted.snapshot)
	p.entry.Rule, p.entry.MissingRule = admitted.decision.Rule, admitted.decision.Missing
	if !admitted.decision.Allow {
		if admitted.decision.Reason != firewall.ReasonUnknownAccount {
			p.decision, fault = decisionDeny, service.Forbidden
		} else if target.Elsewhere || admitted.target.Instance != nil {
			fault = service.Misdirected
		}
		p.refuse(fault, target)
		return false
	}
	p.decision = decisionAllow
	return true
}

// refuse answers in the words of the protocol.
func (p *passing) refuse(fault service.Fault, target Target) {
	denial := &service.Denial{Kind: p.admitted.caller.Kind, Caller: p.admitted.caller.Address, Host: p.session.Host, Instance: target.Name,
		Part: target.Part, RequestID: p.entry.RequestID, Decision: p.admitted.decision, Fault: fault, Time: time.Now(),
		Subnet: model.ResourceID(p.entry.Subnet)}
	p.entry.StatusText = fault.String()
	_ = p.c.Conn.SetDeadline(time.Now().Add(p.gateway.config.HeaderTimeout))
	if err := p.session.Refuse(denial); err != nil {
		p.gateway.config.Logger.Debug("a refused client did not take its answer", "peer", p.c.peer, "error", err)
	}
}

// deliver joins the connection with a backend, and returns when both have ended.
func (p *passing) deliver(ctx context.Context) {
	instance, target := p.admitted.target.Instance, p.admitted.target
	backend, err := p.gateway.reach(ctx, instance, target.Part, p.admitted.caller, &p.exchange)
	if errors.Is(err, errNoBackend) {
		p.refuse(service.NotServed, target)
		return
	}
	if err == nil && !p.c.join(backend) {
		backend.Close()
		return
	}
	if err == nil && p.session.Greet != nil {
		greeted, failure := p.session.Greet(ctx, backend)
		if backend, err = joined(backend, greeted), failure; failure != nil {
			backend.Close()
		}
	}
	if p.c.isRevoked() {
		if err == nil {
			backend.Close()
		}
		return
	}
	if err != nil {
		p.gateway.config.Logger.Warn("backend did not answer", "instance", instance.ID, "backend", p.entry.Backend, "error", err)
		p.refuse(service.BackendDown, target)
		return
	}
	_ = p.c.Conn.SetDeadline(time.Time{})
	p.entry.ResponseBytes, p.entry.RequestBytes = splice.Both(ctx, p.session.Client, backend)
}

// joined is the connection to go on with.
func joined(backend, greeted net.Conn) net.Conn {
	if greeted != nil {
		return greeted
	}
	return backend
}

// open reads as much of a connection as it takes to know whom it asks for.
func (g *Gateway) open(ctx context.Context, c *connection, way model.Way, described *service.Service) (*service.Session, error) {
	switch way {
	case model.WayTCP, model.WayDirect:
		return openTCP(c), nil
	case model.WayTLS:
		return openTLS(c)
	}
	if described == nil || described.Startups[way] == nil {
		return nil, fmt.Errorf("nobody here speaks %s", way)
	}
	return described.Startups[way](ctx, c.Conn, g.tls)
}

// openTCP is the session of a client that says nothing: the address that it dialled is what it asks for.
func openTCP(c *connection) *service.Session {
	return &service.Session{Client: c.Conn, Refuse: func(*service.Denial) error { c.reset(); return nil }}
}

// openTLS reads a ClientHello. What it says goes to the backend as it came.
func openTLS(c *connection) (*service.Session, error) {
	hello, raw, err := clienthello.Read(c.Conn)
	return heardTLS(c, hello, raw, err)
}

// heardTLS is the session of a client that has sent a ClientHello, or something else.
func heardTLS(c *connection, hello clienthello.Hello, raw []byte, err error) (*service.Session, error) {
	alert := func(d *service.Denial) error {
		answer := clienthello.AccessDenied
		if d.Fault == service.BackendDown || d.Fault == service.NotServed {
			answer = clienthello.InternalError
		}
		_, err := c.Conn.Write(answer)
		return err
	}
	if err != nil {
		if !errors.Is(err, clienthello.ErrNotTLS) {
			_, _ = c.Conn.Write(clienthello.DecodeError)
		}
		return nil, err
	}
	if hello.Encrypted {
		hello.ServerName = ""
	}
	greet := func(_ context.Context, backend net.Conn) (net.Conn, error) {
		_, err := backend.Write(raw)
		return backend, err
	}
	return &service.Session{Host: hello.ServerName, Client: c.Conn, Greet: greet, Refuse: alert}, nil
}
