package pipeline

import (
	"net/netip"

	"postern/model"
)

// Step is what one step of the judging saw. A step that let the packet go on has ReasonNone; the one that ended the way has
// the verdict's reason.
type Step struct {
	Name       string       `json:"name"`
	Reason     model.Reason `json:"reason"`
	Rule       string       `json:"rule,omitempty"` // id of the rule that decided, "" where plain protocol sense did
	Detail     string       `json:"detail"`
	Candidates []Candidate  `json:"candidates,omitempty"` // of the step "route": the winner first, then the losers, longest prefix first
	Decided    *Decided     `json:"decided,omitempty"`    // of the step "security-group": the rule that matched
}

// Decided is the security rule that decided about a packet in one security group (NSG-1).
type Decided struct {
	Rule     string `json:"rule"`
	Priority uint16 `json:"priority"`
	Allow    bool   `json:"allow"`
	Subnet   bool   `json:"subnet"` // the group is the subnet's; otherwise the NIC's
}

// firstDefaultPriority is the least priority of a default rule; a user's own go up to 4096 (NSG-1).
const firstDefaultPriority = 65000

// Default tells whether the rule is one of the three that every group has each way.
func (d *Decided) Default() bool { return d.Priority >= firstDefaultPriority }

// Candidate is a route or a service endpoint that the packet's destination matches.
type Candidate struct {
	Prefix      netip.Prefix `json:"prefix"`
	Source      string       `json:"source"`      // model.RouteSource in words; an endpoint's is Default
	NextHopType string       `json:"nextHopType"` // model.NextHopType in words
	NextHop     netip.Addr   `json:"nextHop,omitzero"`
	Endpoint    string       `json:"endpoint,omitempty"` // "Microsoft.Storage" and its kin; "" for a route, and for an own endpoint
	Bit         uint8        `json:"-"`                  // of the endpoint: a plan has no names of own ones
	Enabled     bool         `json:"enabled"`            // the NIC's subnet has the endpoint; true for a route
	Active      bool         `json:"active"`             // the winner
	Rule        string       `json:"rule"`               // that made it win or lose
	Detail      string       `json:"detail"`             // why, in words
}

// Names of steps, as Explain tells them.
const (
	stepPlan      = "plan"
	stepFrame     = "frame"
	stepARP       = "arp"
	stepFabric    = "fabric"
	stepSource    = "source"
	stepFragment  = "fragment"
	stepFlow      = "flow"
	stepSecurity  = "security-group"
	stepRoute     = "route"
	stepNextHop   = "next-hop"
	stepPolicy    = "endpoint-policy"
	stepTranslate = "translate"
	stepSize      = "size"
	stepPath      = "path"
	stepResult    = "result"
)

// Explain judges a frame as FromVM does, by the same code, and tells each step (ROUTE-17). It makes no flow, remembers no
// fragment and counts nothing, so it may be asked about packets that were never sent.
func (h *Host) Explain(nic uint32, frame []byte) ([]Step, Result) {
	j := judge{host: h, snapshot: h.current.Load(), out: make([]byte, len(frame)+Headroom), trace: new(trace)}
	result := j.fromVM(nic, frame)
	return j.trace.end(result), result
}

// ExplainFromFabric judges an IPv6 packet as FromFabric does, on the terms of Explain.
func (h *Host) ExplainFromFabric(packet []byte) ([]Step, Result) {
	j := judge{host: h, snapshot: h.current.Load(), out: make([]byte, len(packet)+Headroom), trace: new(trace)}
	result := j.fromFabric(packet)
	return j.trace.end(result), result
}

// ExplainRoute tells by which route a NIC's packets to an address go, by the code that routes them, whether or not its security
// groups let them go there: the candidates are those of the step "route". It is false where the host does not carry the NIC.
// For the platform's addresses, which no route decides about, there are no candidates.
func (h *Host) ExplainRoute(number uint32, destination netip.Addr, protocol model.Protocol) (step Step, carried bool) {
	s := h.current.Load()
	if s == nil || s.nics[number] == nil || !destination.Is4() {
		return Step{}, false
	}
	t := new(trace)
	d := datagram{source: s.nics[number].ipv4, destination: destination.As4(), protocol: protocol}
	if isPlatform(d.destination) {
		t.platformRoute()
		return t.steps[0], true
	}
	c := s.choose(s.nics[number], d.destination, protocol)
	t.routeChosen(s, s.nics[number], &d, &c)
	return t.steps[0], true
}

// trace collects steps. Its methods take what they need by value or only read it: what they kept would have to live
// beyond the judging, and every packet would pay for that.
type trace struct{ steps []Step }

func (t *trace) add(name, rule, detail string) {
	t.steps = append(t.steps, Step{Name: name, Rule: rule, Detail: detail})
}

// denied marks the step that ended the way: the last one told, if it has that name.
func (t *trace) denied(name string, reason model.Reason) {
	if len(t.steps) == 0 || t.steps[len(t.steps)-1].Name != name {
		t.add(name, reason.Rule(), reason.String())
	}
	last := &t.steps[len(t.steps)-1]
	last.Reason = reason
	if last.Rule == "" {
		last.Rule = reason.Rule()
	}
}

func (t *trace) end(result Result) []Step {
	t.steps = append(t.steps, Step{Name: stepResult, Reason: result.Verdict.Reason, Rule: result.Verdict.Reason.Rule(),
		Detail: result.Verdict.Action.String() + ": " + result.Verdict.Reason.String()})
	return t.steps
}
