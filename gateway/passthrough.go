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
	"postern/model"
	"postern/protocol/clienthello"
	"postern/service"
)

// pass serves a connection that is not HTTP, from its first byte to its last, and logs it: once, at its end.
func (g *Gateway) pass(c *connection, way model.Way) {
	ctx := c.context(context.Background())
	defer c.Close()
	start := time.Now()
	x := &exchange{decision: decisionReject, entry: Entry{
		Time: start.UTC(), Protocol: string(way), Operation: "Connect", RequestID: uuid.NewString(), StatusText: StatusSuccess,
	}}
	g.passOn(ctx, c, way, x)
	record := g.config.AccessLog.Record
	if missing, revoked := c.revokedFor(); revoked {
		x.entry.StatusText, x.entry.MissingRule = StatusConnectionRevoked, missing
		record = g.config.AccessLog.recordWaiting // thousands may end at once
	}
	duration := time.Since(start)
	x.entry.DurationMs = milliseconds(duration)
	record(x.entry)
	g.metrics.connection(x.label, x.decision, duration)
}

// passOn reads whom the connection asks for, judges, and joins it with a backend or refuses it.
func (g *Gateway) passOn(ctx context.Context, c *connection, way model.Way, x *exchange) {
	snapshot := g.snapshot.Load()
	caller := Identify(snapshot, c.local, c.peer)
	x.entry.setCaller(caller, snapshot)
	byAddress, _ := snapshot.At(caller.Dialled)
	x.asks(byAddress)
	if way == "" {
		x.entry.StatusText = StatusNotServed
		c.reset()
		return
	}
	_ = c.Conn.SetDeadline(time.Now().Add(g.config.HeaderTimeout))
	session, err := g.open(ctx, c, way, snapshot.serviceFor(caller))
	if err != nil {
		x.entry.StatusText, x.entry.MissingRule = StatusNetworkError, ""
		g.config.Logger.Debug("a connection did not say whom it asks for", "protocol", way, "peer", c.peer, "error", err)
		return
	}
	if session.Operation != "" {
		x.entry.Operation = session.Operation
	}
	target, fault := byAddress, service.NoSuchInstance
	switch {
	case session.Host != "":
		x.entry.URI = session.Host
		if target, err = snapshot.Find(session.Host); err != nil {
			target, fault = Target{Service: snapshot.serviceFor(caller)}, service.NoSuchName
		}
	case way == model.WayTLS: // what hides its name is not let in: it could be anyone's
		target, fault = Target{Service: snapshot.serviceFor(caller)}, service.NoSuchName
	}
	if session.Part != "" {
		target.Part = session.Part
	}
	x.asks(target)
	denial := &service.Denial{Kind: caller.Kind, Caller: caller.Address, Host: session.Host, Instance: target.Name, Part: target.Part,
		RequestID: x.entry.RequestID}
	refuse := func(fault service.Fault) {
		denial.Fault, denial.Time, denial.Subnet = fault, time.Now(), model.ResourceID(x.entry.Subnet)
		x.entry.StatusText = fault.String()
		_ = c.Conn.SetDeadline(time.Now().Add(g.config.HeaderTimeout))
		if err := session.Refuse(denial); err != nil {
			g.config.Logger.Debug("a refused client did not take its answer", "peer", c.peer, "error", err)
		}
	}
	admitted, ok := g.admit(c, target, firewall.Managed{})
	if !ok {
		return
	}
	x.entry.setCaller(admitted.caller, admitted.snapshot)
	x.entry.Rule, x.entry.MissingRule = admitted.decision.Rule, admitted.decision.Missing
	denial.Decision = admitted.decision
	if !admitted.decision.Allow {
		if admitted.decision.Reason != firewall.ReasonUnknownAccount {
			x.decision, fault = decisionDeny, service.Forbidden
		} else if target.Elsewhere || admitted.target.Instance != nil {
			fault = service.Misdirected
		}
		refuse(fault)
		return
	}
	x.decision = decisionAllow
	instance := admitted.target.Instance
	backend, err := g.reach(ctx, instance, target.Part, admitted.caller, x)
	if errors.Is(err, errNoBackend) {
		refuse(service.NotServed)
		return
	}
	if err == nil && !c.join(backend) {
		backend.Close()
		return
	}
	if err == nil && session.Greet != nil {
		greeted, failure := session.Greet(ctx, backend)
		if backend, err = joined(backend, greeted), failure; failure != nil {
			backend.Close()
		}
	}
	if c.isRevoked() {
		if err == nil {
			backend.Close()
		}
		return
	}
	if err != nil {
		g.config.Logger.Warn("backend did not answer", "instance", instance.ID, "backend", x.entry.Backend, "error", err)
		refuse(service.BackendDown)
		return
	}
	_ = c.Conn.SetDeadline(time.Time{})
	x.entry.ResponseBytes, x.entry.RequestBytes = splice.Both(ctx, session.Client, backend)
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
	case model.WayTCP:
		return &service.Session{Client: c.Conn, Refuse: func(*service.Denial) error { c.reset(); return nil }}, nil
	case model.WayTLS:
		return openTLS(c)
	}
	if described == nil || described.Startups[way] == nil {
		return nil, fmt.Errorf("nobody here speaks %s", way)
	}
	return described.Startups[way](ctx, c.Conn, g.tls)
}

// openTLS reads a ClientHello. What it says goes to the backend as it came.
func openTLS(c *connection) (*service.Session, error) {
	hello, raw, err := clienthello.Read(c.Conn)
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
