package arm

import (
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"postern/compile"
	"postern/model"
	"postern/resource"
)

// diagnosticProfile is one kind of traffic that a question is about.
type diagnosticProfile struct {
	Direction       string `json:"direction"`
	Protocol        string `json:"protocol"`
	Source          string `json:"source"`
	Destination     string `json:"destination"`
	DestinationPort string `json:"destinationPort"`
}

type diagnosticResult struct {
	Profile diagnosticProfile `json:"profile"`
	Groups  struct {
		Access    string           `json:"securityRuleAccessResult"`
		Evaluated []evaluatedGroup `json:"evaluatedNetworkSecurityGroups"`
	} `json:"networkSecurityGroupResult"`
}

// evaluatedGroup is how one security group judges a profile.
type evaluatedGroup struct {
	ID        model.ResourceID `json:"networkSecurityGroupId"`
	AppliedTo model.ResourceID `json:"appliedTo"`
	Matched   *matchedRule     `json:"matchedRule,omitempty"`
	Rules     []evaluatedRule  `json:"rulesEvaluationResult"`
}

type matchedRule struct {
	Name   string `json:"ruleName"`
	Action string `json:"action"`
}

// evaluatedRule tells which parts of a rule a profile fits, all of it.
type evaluatedRule struct {
	Name            string `json:"name"`
	Protocol        bool   `json:"protocolMatched"`
	Source          bool   `json:"sourceMatched"`
	SourcePort      bool   `json:"sourcePortMatched"`
	Destination     bool   `json:"destinationMatched"`
	DestinationPort bool   `json:"destinationPortMatched"`
}

func (e *evaluatedRule) matches() bool {
	return e.Protocol && e.Source && e.SourcePort && e.Destination && e.DestinationPort
}

// traffic is a profile that has been read.
type traffic struct {
	inbound             bool
	protocol            model.Protocol
	source, destination []netip.Prefix
	port                model.PortRange
}

// diagnoseConfiguration answers, rule by rule, how the security groups of a VM's NICs, or of one NIC, judge traffic (NSG-1,
// NSG-3). The groups are those that its host judges with; no packet is made.
func diagnoseConfiguration(r *request) (int, any, error) {
	var question struct {
		Target    string              `json:"targetResourceId"`
		Verbosity string              `json:"verbosityLevel"`
		Profiles  []diagnosticProfile `json:"profiles"`
	}
	w, err := r.watch(&question)
	if err != nil {
		return 0, nil, err
	}
	verbosity := strings.ToLower(question.Verbosity)
	if !slices.Contains([]string{"", "normal", "minimum", "full"}, verbosity) {
		return 0, nil, badQuestion("verbosityLevel", "The verbosityLevel '%.40s' is none: use Normal, Minimum or Full.", question.Verbosity)
	}
	nics, err := w.diagnosed(question.Target)
	if err != nil {
		return 0, nil, err
	}
	if len(question.Profiles) == 0 {
		return 0, nil, badQuestion("profiles", "The question has no profile of traffic.")
	}
	results := []diagnosticResult{}
	for i, profile := range question.Profiles {
		flow, err := w.traffic(profile, "profiles["+strconv.Itoa(i)+"].")
		if err != nil {
			return 0, nil, err
		}
		result := diagnosticResult{Profile: profile}
		result.Groups.Access, result.Groups.Evaluated = "Allow", []evaluatedGroup{}
		for _, nic := range nics {
			groups, err := r.door.Compiler.EffectiveGroups(w.snapshot, w.catalogue, nic)
			if err != nil {
				return 0, nil, err
			}
			if flow.inbound {
				slices.Reverse(groups) // the subnet's first
			}
			for _, group := range groups {
				one := flow.judged(group, verbosity)
				if one.AppliedTo = nic.ID; group.Subnet {
					one.AppliedTo = nic.Subnet
				}
				if one.Matched == nil || one.Matched.Action != "Allow" {
					result.Groups.Access = "Deny"
				}
				result.Groups.Evaluated = append(result.Groups.Evaluated, one)
			}
		}
		results = append(results, result)
	}
	return http.StatusOK, map[string]any{"results": results}, nil
}

// diagnosed are the NICs that a target means: a NIC itself, or those of a VM.
func (w *watch) diagnosed(target string) ([]*model.NetworkInterface, error) {
	id, err := resource.ParseID(target)
	if err != nil || !strings.EqualFold(id.Type(), resource.TypeNetworkInterface) {
		machine, err := w.machine(target)
		if err != nil {
			return nil, err
		}
		return w.interfaces(machine), nil
	}
	if err := w.readable(id); err != nil {
		return nil, err
	}
	at := slices.IndexFunc(w.snapshot.NetworkInterfaces, func(nic *model.NetworkInterface) bool { return nic.ID.Is(id.Model()) })
	if at < 0 {
		return nil, resource.NotFound(id)
	}
	nic := w.snapshot.NetworkInterfaces[at]
	if !strings.EqualFold(string(nic.Location), w.location) {
		return nil, badQuestion("targetResourceId", "Network interface %s is in %s, and this network watcher is for %s: ask the one of its region.", nic.ID.Name(),
			nic.Location, w.location)
	}
	return []*model.NetworkInterface{nic}, nil
}

func (w *watch) traffic(profile diagnosticProfile, field string) (traffic, error) {
	flow := traffic{inbound: strings.EqualFold(profile.Direction, "Inbound"), port: model.AllPorts}
	if !flow.inbound && !strings.EqualFold(profile.Direction, "Outbound") {
		return flow, badQuestion(field+"direction", "The direction '%.40s' is none: use Inbound or Outbound.", profile.Direction)
	}
	switch strings.ToLower(profile.Protocol) {
	case "*":
	case "tcp":
		flow.protocol = model.ProtocolTCP
	case "udp":
		flow.protocol = model.ProtocolUDP
	default:
		return flow, badQuestion(field+"protocol", "The protocol '%.40s' is none: use TCP, UDP or *.", profile.Protocol)
	}
	if profile.DestinationPort != "*" {
		port, err := strconv.ParseUint(profile.DestinationPort, 10, 16)
		if err != nil {
			return flow, badQuestion(field+"destinationPort", "The destinationPort '%.40s' is none: use 0 to 65535, or *.", profile.DestinationPort)
		}
		flow.port = model.PortRange{First: uint16(port), Last: uint16(port)}
	}
	var err error
	if flow.source, err = w.side(profile.Source, field+"source"); err != nil {
		return flow, err
	}
	flow.destination, err = w.side(profile.Destination, field+"destination")
	return flow, err
}

// side reads "*", an address, a prefix or a service tag.
func (w *watch) side(text, field string) ([]netip.Prefix, error) {
	if text == "*" {
		return []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0)}, nil
	}
	if address, err := netip.ParseAddr(text); err == nil && address.Is4() {
		return []netip.Prefix{netip.PrefixFrom(address, 32)}, nil
	}
	if prefix, err := netip.ParsePrefix(text); err == nil && prefix.Addr().Is4() {
		return []netip.Prefix{prefix.Masked()}, nil
	}
	if prefixes := w.catalogue.IPv4(text); len(prefixes) > 0 {
		return prefixes, nil
	}
	return nil, badQuestion(field, "'%.80s' is no IPv4 address, no prefix, no service tag with IPv4 prefixes, and not *.", text)
}

// judged asks the rules of a group one after the other, until one matches; with verbosity full the rest too, with minimum
// none is told.
func (t *traffic) judged(group compile.EffectiveGroup, verbosity string) evaluatedGroup {
	answer := evaluatedGroup{ID: group.ID, Rules: []evaluatedRule{}}
	for i := range group.Rules {
		rule := &group.Rules[i]
		if rule.Inbound != t.inbound {
			continue
		}
		one := evaluatedRule{Name: diagnosticName(rule), Protocol: rule.Protocol == model.ProtocolAny || rule.Protocol == t.protocol,
			Source: within(t.source, &rule.SecurityRule.Source, rule.Source), Destination: within(t.destination, &rule.SecurityRule.Destination, rule.Destination),
			SourcePort: covers(rule.SourcePorts, model.AllPorts), DestinationPort: covers(rule.DestinationPorts, t.port)}
		if verbosity != "minimum" {
			answer.Rules = append(answer.Rules, one)
		}
		if answer.Matched != nil || !one.matches() {
			continue
		}
		if answer.Matched = (&matchedRule{one.Name, "Deny"}); rule.Allow {
			answer.Matched.Action = "Allow"
		}
		if verbosity != "full" {
			break
		}
	}
	return answer
}

func diagnosticName(rule *compile.EffectiveRule) string {
	if rule.Default {
		return "DefaultRule_" + rule.Name
	}
	return "UserRule_" + rule.Name
}

// within tells whether a side of a rule has all of some prefixes. stands is what it stands for, empty for anybody too.
func within(wanted []netip.Prefix, peers *model.SecurityPeers, stands []netip.Prefix) bool {
	if peers.Any {
		return true
	}
	return !slices.ContainsFunc(wanted, func(prefix netip.Prefix) bool {
		return !slices.ContainsFunc(stands, func(have netip.Prefix) bool { return have.Bits() <= prefix.Bits() && have.Contains(prefix.Addr()) })
	})
}

// covers tells whether one of a rule's ranges of ports has all of a range.
func covers(ranges []model.PortRange, wanted model.PortRange) bool {
	return len(ranges) == 0 || slices.ContainsFunc(ranges, func(have model.PortRange) bool { return have.First <= wanted.First && wanted.Last <= have.Last })
}
