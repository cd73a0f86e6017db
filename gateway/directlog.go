package gateway

import (
	"fmt"
	"slices"

	"github.com/google/uuid"

	"postern/model"
	"postern/plan"
	"postern/service"
)

// applyDirect tells the packets' judge what a snapshot admits, and whom it finds behind. The caller holds g.applying.
func (g *Gateway) applyDirect(snapshot *Snapshot) error {
	if g.config.Direct == nil {
		return nil
	}
	down := func(backend, healthPath string) bool { return g.health.isDown(probe{backend, healthPath}) }
	if err := g.config.Direct.Apply(snapshot.Direct(down)); err != nil {
		return fmt.Errorf("judge packets to own addresses: %w", err)
	}
	return nil
}

// backendsChanged takes backends that have died out of the choice, and those that have come back into it.
func (g *Gateway) backendsChanged() {
	g.applying.Lock()
	defer g.applying.Unlock()
	snapshot := g.snapshot.Load()
	if snapshot == nil || !slices.ContainsFunc(snapshot.plan.Instances, func(one plan.Instance) bool { return isDirect(&one) }) {
		return
	}
	if err := g.applyDirect(snapshot); err != nil {
		g.config.Logger.Error("backends that died or came back are chosen as before", "error", err)
	}
}

// isDirect tells whether some port of an instance is judged packet by packet.
func isDirect(instance *plan.Instance) bool {
	return slices.ContainsFunc(instance.Ports, func(port model.ServicePort) bool { return port.Way == model.WayDirect })
}

// RecordDirect writes the line of a connection to an instance's own address that the packets' judge tells of.
func (g *Gateway) RecordDirect(c model.Connection) {
	snapshot, before := g.snapshot.Load(), g.before.Load()
	caller := Identify(snapshot, c.Dialled, c.Caller)
	target, ok := snapshot.At(caller.Dialled)
	if !ok { // its instance has just gone
		if target, ok = before.At(caller.Dialled); !ok && before != nil {
			caller = Identify(before, c.Dialled, c.Caller)
			target, _ = before.At(caller.Dialled)
		}
	}
	entry := Entry{Time: c.Opened.UTC(), Protocol: string(model.WayDirect), Operation: "Connect", RequestID: uuid.NewString(),
		StatusText: StatusSuccess, RequestBytes: int64(c.Received), ResponseBytes: int64(c.Sent), DurationMs: milliseconds(c.Duration)}
	entry.setTarget(target)
	entry.setCaller(caller, snapshot)
	if c.Backend.IsValid() {
		entry.Backend = c.Backend.String()
	}
	now := Judge(snapshot, caller, target)
	decision := decisionAllow
	switch c.Reason {
	case model.ReasonOwnAddress:
		if c.Broken {
			entry.StatusText = StatusNetworkError
		}
		entry.Rule = admittedBy(now, before, caller, target)
	case model.ReasonRevoked:
		entry.StatusText, entry.MissingRule = StatusConnectionRevoked, now.Missing
		entry.Rule = admittedBy(Decision{}, before, caller, target)
		if now.Allow {
			entry.MissingRule = fmt.Sprintf("no direct port %d", c.Dialled.Port())
		}
		g.metrics.revoked.Inc()
	case model.ReasonNetworkRules:
		decision, entry.StatusText, entry.MissingRule = decisionDeny, service.Forbidden.String(), now.Missing
		if now.Allow { // a newer plan lets it in
			entry.MissingRule = Judge(before, caller, before.again(target)).Missing
		}
	case model.ReasonNoBackend:
		entry.StatusText, entry.Rule = service.BackendDown.String(), now.Rule
		g.config.Logger.Warn("no backend lives", "instance", entry.ResourceID, "port", c.Dialled.Port())
	default:
		decision, entry.StatusText = decisionReject, StatusNotTaken
		g.config.Logger.Warn("a connection was not taken", "instance", entry.ResourceID, "caller", c.Caller, "reason", c.Reason)
	}
	g.config.AccessLog.Record(entry)
	g.metrics.connection(entry.Service, decision, c.Duration)
}

// admittedBy is the rule that let a connection in: today's, or the last plan's.
func admittedBy(now Decision, before *Snapshot, caller Caller, target Target) string {
	if now.Allow || before == nil || target.Instance == nil {
		return now.Rule
	}
	return Judge(before, caller, before.again(target)).Rule
}
