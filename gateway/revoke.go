package gateway

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"postern/firewall"
	"postern/model"
)

// revokedAtOnce is how many connections one goroutine asks again. It has done so before its time is up, and so before the
// scheduler turns to the thousands that wake up because their connections are reset.
const revokedAtOnce = 64

// revoke asks again for every open connection, resets those that a new plan does not admit to an instance that they have
// used, and logs each. Thousands can go at once: callers that the plan cannot tell apart are judged once by each goroutine,
// and the cleaning up is done after the return.
func (g *Gateway) revoke(snapshot *Snapshot) {
	open := g.connections.all()
	parts := make([][]revocation, (len(open)+revokedAtOnce-1)/revokedAtOnce)
	var work sync.WaitGroup
	for i := range parts {
		part := open[i*revokedAtOnce : min((i+1)*revokedAtOnce, len(open))]
		work.Go(func() { parts[i] = revokeSome(part, snapshot) })
	}
	work.Wait()
	all := slices.Concat(parts...)
	if len(all) == 0 {
		return
	}
	doomed := make([]*connection, 0, len(all))
	for _, r := range all {
		if len(doomed) == 0 || doomed[len(doomed)-1] != r.connection { // those of one connection stand side by side
			doomed = append(doomed, r.connection)
		}
	}
	g.connections.forget(doomed...)
	g.metrics.revoked.Add(float64(len(doomed)))
	var lines []Entry
	for i := range all {
		if !all[i].connection.logsItself() {
			lines = append(lines, all[i].entry())
		}
	}
	g.config.AccessLog.recordAll(lines)
	g.serving.Go(func() {
		for _, c := range doomed { // this waits until whoever reads the connection has seen its end
			c.Close()
		}
	})
}

// revokeSome is revoke for some connections, without the cleaning up.
func revokeSome(some []*connection, snapshot *Snapshot) (all []revocation) {
	judged := judgements{snapshot: snapshot, known: make(map[question]Decision)}
	for _, c := range some {
		if revoked := c.rejudge(&judged); len(revoked) > 0 {
			c.abort()
			all = append(all, revoked...)
		}
	}
	return all
}

// question is all that a decision depends on, but for the plan.
type question struct {
	kind     firewall.Kind
	subnet   model.Identity
	service  model.Identity
	address  netip.Addr // of callers without an identity; an endpoint caller's own address decides nothing
	managed  firewall.Managed
	instance *Instance // of this plan; nil: nobody
	name     string
}

// judgements are decisions of one plan, of one goroutine.
type judgements struct {
	snapshot *Snapshot
	known    map[question]Decision

	was, now Target // of the last target, which most connections share
}

// again is Snapshot.again.
func (j *judgements) again(was Target) Target {
	if j.was != was || was.Instance == nil {
		j.was, j.now = was, j.snapshot.again(was)
	}
	return j.now
}

func (j *judgements) judge(caller Caller, target Target) Decision {
	if caller.Kind == firewall.Unknown {
		return Judge(j.snapshot, caller, target) // the words are about this one
	}
	q := question{kind: caller.Kind, subnet: caller.Subnet, service: caller.Service, managed: caller.Managed, instance: target.Instance, name: target.Name}
	if caller.Kind != firewall.Endpoint {
		q.address = caller.Address.Addr()
	}
	decision, ok := j.known[q]
	if !ok {
		decision = Judge(j.snapshot, caller, target)
		j.known[q] = decision
	}
	return decision
}

// revocation is an instance that a connection may use no longer.
type revocation struct {
	connection *connection
	was        admission
	now        Decision
	at         time.Time
}

// entry is the log line of a revoked connection: whom the connection was, and which rule it misses now.
func (r revocation) entry() Entry {
	entry := Entry{
		Time: r.at.UTC(), Protocol: r.connection.protocol, StatusText: StatusConnectionRevoked,
		DurationMs: milliseconds(r.at.Sub(r.connection.since)), Rule: r.was.decision.Rule, MissingRule: r.now.Missing,
	}
	entry.setTarget(r.was.target)
	entry.setCaller(r.was.caller, r.was.snapshot)
	return entry
}

// rejudge asks again for every instance that the connection was admitted to, by its name: another instance may have it
// now. Where one is refused, the connection is marked, so that it admits nothing more, and all that is refused is answered:
// the caller shall end it.
func (c *connection) rejudge(judged *judgements) (revoked []revocation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.revoked || len(c.admitted) == 0 {
		return nil
	}
	var moved []*admission
	for key, was := range c.admitted {
		caller := Identify(judged.snapshot, c.local, c.peer)
		caller.Managed = was.caller.Managed
		target := judged.again(was.target)
		decision := judged.judge(caller, target)
		if !decision.Allow {
			revoked = append(revoked, revocation{connection: c, was: *was, now: decision, at: time.Now()})
			continue
		}
		now := &admission{snapshot: judged.snapshot, caller: caller, target: target, decision: decision}
		if key == target.Instance.key {
			c.admitted[key] = now
			continue
		}
		delete(c.admitted, key)
		moved = append(moved, now)
	}
	for _, now := range moved {
		c.admitted[now.target.Instance.key] = now
	}
	if c.revoked = len(revoked) > 0; c.revoked {
		c.missing = revoked[0].now.Missing
	}
	return revoked
}

// abort resets the connection at once, and with it its backend's, and ends what goes on on it. It stays to be closed.
func (c *connection) abort() {
	c.mu.Lock()
	cancel, backend, joined, own := c.cancel, c.backend, c.joined, c.own
	c.mu.Unlock()
	if backend != nil { // first, since the end of the one closes the other
		lingerNot(backend)
	}
	reset(c.Conn)
	if joined { // the backend of a request is net/http's to close: it alone knows whether another request has it by now
		reset(backend)
	}
	if cancel != nil {
		cancel()
	}
	if own != nil {
		own.CloseIdleConnections()
	}
}

// join notes that a connection is passed through to a backend's. Where it was revoked meanwhile the backend is reset.
func (c *connection) join(backend net.Conn) (ok bool) {
	c.mu.Lock()
	c.backend, c.joined = backend, true
	ok = !c.revoked
	c.mu.Unlock()
	if !ok {
		reset(backend)
	}
	return ok
}

// use notes which connection to a backend serves the request under way.
func (c *connection) use(backend net.Conn) {
	c.mu.Lock()
	c.backend = backend
	revoked := c.revoked
	c.mu.Unlock()
	if revoked {
		lingerNot(backend)
	}
}

// reset ends a connection with a TCP reset and drops what is buffered, also while others read and write. Where the
// connection knows no resets it is closed. It is still to be closed.
func reset(conn net.Conn) {
	if resetter, ok := conn.(Resetter); ok {
		_ = resetter.Reset() // it was closed already
		return
	}
	if disconnect(conn) {
		return
	}
	lingerNot(conn)
	_ = conn.Close()
}

// lingerNot lets Close send a reset, where the connection can.
func lingerNot(conn net.Conn) {
	if l, ok := conn.(lingerer); ok {
		_ = l.SetLinger(0) // it fails where the connection is gone already
	}
}
