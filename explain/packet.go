package explain

import (
	"fmt"
	"net/netip"

	"postern/model"
	"postern/packet"
	"postern/pipeline"
	"postern/plan"
	"postern/wire"
)

// Packet follows the first packet of a connection and tells what becomes of it: the same as becomes of a real one. A NIC that
// is not there gives a *NICError, a target that cannot be understood a *TargetError; a denial is no error.
func Packet(cloud *Cloud, question Question) (*Explanation, error) {
	nic, err := FindNIC(cloud.snapshot, question.From)
	if err != nil {
		return nil, err
	}
	host, port, err := ParseTarget(question.To)
	if err != nil {
		return nil, &TargetError{err.Error()}
	}
	w := &walk{cloud: cloud, nic: nic, protocol: question.Protocol, out: &Explanation{Revision: cloud.snapshot.Revision,
		From:  Origin{NIC: nic.ID, IPv4: nic.IPv4, Subnet: nic.Subnet, Node: nic.Node},
		To:    Target{Host: host, Port: port, Protocol: "tcp"},
		Steps: []Step{}, Routes: []Candidate{}}}
	switch question.Protocol {
	case model.ProtocolUDP:
		w.out.To.Protocol = "udp"
	case model.ProtocolTCP, model.ProtocolAny:
		w.protocol = model.ProtocolTCP
	default:
		return nil, &TargetError{fmt.Sprintf("protocol %d: explain knows TCP and UDP", question.Protocol)}
	}
	if err := w.send(host, port); err != nil {
		return nil, err
	}
	return w.out, nil
}

// walk is the way of one packet.
type walk struct {
	cloud    *Cloud
	nic      *model.NetworkInterface
	protocol model.Protocol
	name     string // of the target, where it was given by one
	out      *Explanation
}

// send takes the target's address and sends the packet.
func (w *walk) send(host string, port uint16) error {
	address, err := netip.ParseAddr(host)
	if err != nil {
		var goesOn bool
		if address, goesOn, err = w.resolve(host); err != nil || !goesOn {
			return err
		}
	}
	w.out.To.Address = address.Unmap()
	return w.leave(netip.AddrPortFrom(w.out.To.Address, port))
}

// leave judges the packet on the NIC's own host.
func (w *walk) leave(to netip.AddrPort) error {
	node, steps, result, err := w.judgeFrom(to, w.protocol)
	if err != nil {
		return err
	}
	if err := w.listRoutes(to.Addr(), steps); err != nil {
		return err
	}
	w.tell(node, steps)
	if result.Verdict.Action != model.ToFabric {
		w.denyBy(node, result.Verdict.Reason)
		return nil
	}
	return w.cross(result.Data)
}

// judgeFrom lets the NIC's host judge a packet of the NIC.
func (w *walk) judgeFrom(to netip.AddrPort, protocol model.Protocol) (string, []pipeline.Step, pipeline.Result, error) {
	node, ok := w.cloud.plans[w.nic.Node]
	if !ok || node.Host == nil {
		return w.nic.Node, []pipeline.Step{{Name: "plan", Reason: model.ReasonUnsynced, Detail: "no host carries the NIC"}},
			pipeline.Result{Verdict: model.Verdict{Action: model.Drop, Reason: model.ReasonUnsynced}}, nil
	}
	host, err := w.cloud.host(node)
	if err != nil {
		return "", nil, pipeline.Result{}, err
	}
	steps, result := host.Explain(w.nic.Number, firstFrame(w.nic, netip.AddrPortFrom(w.nic.IPv4, sourcePort), to, protocol))
	return node.Node, steps, result, nil
}

// cross takes an IPv6 packet over the fabric to the node that its destination names.
func (w *walk) cross(data []byte) error {
	ip, ok := packet.CheckIPv6(data)
	if !ok {
		return fmt.Errorf("explain: a node sent what is no IPv6 packet")
	}
	from, to := netip.AddrFrom16(ip.Source()), netip.AddrFrom16(ip.Destination())
	parts := wire.Parse(to)
	node, ok := w.cloud.at(parts.Locator)
	if !ok {
		w.end(Verdict{Outcome: Denied, At: "fabric", Reason: model.ReasonNoNode.String(),
			Detail: fmt.Sprintf("no node has the locator %v", parts.Locator)})
		return nil
	}
	switch {
	case node.Host != nil:
		return w.arrive(node, data)
	case node.Edge != nil:
		return w.goOut(node, data)
	case parts.Function == model.FunctionPlatform:
		return w.askPlatform(node, from, to)
	}
	return w.call(node, netip.AddrPortFrom(to, w.out.To.Port), netip.AddrPortFrom(from, sourcePort))
}

// arrive judges an encapsulated packet on the host of the NIC that it is for.
func (w *walk) arrive(node plan.Node, data []byte) error {
	host, err := w.cloud.host(node)
	if err != nil {
		return err
	}
	steps, result := host.ExplainFromFabric(data)
	w.tell(node.Node, steps)
	if result.Verdict.Action != model.Deliver {
		w.denyBy(node.Node, result.Verdict.Reason)
		return nil
	}
	nic := w.cloud.nic(result.NIC)
	inner := packet.IPv4(packet.Ethernet(result.Data).Payload())
	verdict := Verdict{Outcome: Delivered, At: node.Node, Reason: result.Verdict.Reason.String(),
		Detail: fmt.Sprintf("delivered to NIC %s (%v); whether a program listens on port %d there is the machine's matter",
			nic.ID.Name(), nic.IPv4, w.out.To.Port),
		Caller: netip.AddrPortFrom(netip.AddrFrom4(inner.Source()), sourcePort).String()}
	if destination := netip.AddrFrom4(inner.Destination()); destination != nic.IPv4 {
		verdict.Outcome, verdict.Rule = Appliance, "ROUTE-14"
		verdict.Detail = fmt.Sprintf("delivered to the appliance NIC %s (%v), which decides what becomes of it", nic.ID.Name(), nic.IPv4)
		w.note("What the appliance does is its own program's matter. Ask again with --from %s for its packets.", nic.ID.Name())
	}
	w.end(verdict)
	return nil
}

// tell adds the steps of a pipeline. The last one only repeats the verdict, and is kept where the packet goes on.
func (w *walk) tell(node string, steps []pipeline.Step) {
	for _, step := range steps {
		one := Step{Node: node, Name: step.Name, Rule: step.Rule, Detail: step.Detail, Decided: step.Decided}
		denied := step.Reason >= model.ReasonFirstDenial
		if step.Reason != model.ReasonNone {
			one.Denied, one.Reason = denied, step.Reason.String()
		}
		if step.Name == "result" && denied {
			continue
		}
		if step.Name == StepRoute && len(w.out.Routes) > 0 {
			one.Rule, one.Detail = w.routeStep()
		}
		w.out.Steps = append(w.out.Steps, one)
	}
}

func (w *walk) step(node, name, rule, format string, values ...any) {
	w.out.Steps = append(w.out.Steps, Step{Node: node, Name: name, Rule: rule, Detail: fmt.Sprintf(format, values...)})
}

func (w *walk) note(format string, values ...any) {
	w.out.Notes = append(w.out.Notes, fmt.Sprintf(format, values...))
}

// end says what became of the packet.
func (w *walk) end(verdict Verdict) {
	verdict.Allowed = verdict.Outcome != Denied
	w.out.Verdict = verdict
}

// deny ends the way in a step of its own.
func (w *walk) deny(node, step, reason, rule, detail, hint string) {
	w.out.Steps = append(w.out.Steps, Step{Node: node, Name: step, Denied: true, Reason: reason, Rule: rule, Detail: detail})
	w.end(Verdict{Outcome: Denied, At: node, Reason: reason, Rule: rule, Detail: detail, Hint: hint})
}

// denyBy ends the way by a data path's verdict, whose last step says why.
func (w *walk) denyBy(node string, reason model.Reason) {
	verdict := Verdict{Outcome: Denied, At: node, Reason: reason.String(), Rule: reason.Rule(), Detail: describe(reason), Hint: hint(reason)}
	if last := len(w.out.Steps) - 1; last >= 0 && w.out.Steps[last].Denied {
		if w.out.Steps[last].Rule != "" {
			verdict.Rule = w.out.Steps[last].Rule
		}
		if verdict.Detail == "" || reason == model.ReasonSecurityGroup {
			verdict.Detail = w.out.Steps[last].Detail
		}
		if w.out.Steps[last].Detail == reason.String() {
			w.out.Steps[last].Detail = verdict.Detail
		}
	}
	w.end(verdict)
}
