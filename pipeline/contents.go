package pipeline

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"

	"postern/model"
	"postern/plan"
)

// contents are the shared parts of a plan as tables, under the references of the plan. The empty reference is in none of
// them.
type contents struct {
	sets     map[plan.Ref]*bart.Lite
	rules    map[plan.Ref]*ruleList
	routes   map[plan.Ref]*bart.Table[*route]
	services map[plan.Ref]*serviceTable
	policies map[plan.Ref]map[[4]byte]struct{}
}

func newContents(host *plan.Host) (*contents, error) {
	all := new(contents)
	var err error
	if all.sets, err = each("set", host.Sets, newSet); err != nil {
		return nil, err
	}
	if all.rules, err = each("rule list", host.Rules, all.newRuleList); err != nil {
		return nil, err
	}
	if all.routes, err = each("routing table", host.Routes, newRoutes); err != nil {
		return nil, err
	}
	if all.services, err = each("service table", host.Services, newServiceTable); err != nil {
		return nil, err
	}
	if all.policies, err = each("policy", host.Policies, newPolicy); err != nil {
		return nil, err
	}
	return all, nil
}

func each[From, To any](what string, from map[plan.Ref]From, make func(From) (To, error)) (map[plan.Ref]To, error) {
	all := map[plan.Ref]To{}
	for ref, content := range from {
		if ref == "" {
			return nil, fmt.Errorf("a %s without a reference", what)
		}
		made, err := make(content)
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", what, ref, err)
		}
		all[ref] = made
	}
	return all, nil
}

func newSet(prefixes []netip.Prefix) (*bart.Lite, error) {
	set := new(bart.Lite)
	for _, prefix := range prefixes {
		if err := checkPrefix(prefix); err != nil {
			return nil, err
		}
		set.Insert(prefix)
	}
	return set, nil
}

func (c *contents) newRuleList(lines []plan.Rule) (*ruleList, error) {
	list := &ruleList{rules: make([]rule, 0, len(lines))}
	for _, line := range lines {
		source, err := resolve(c.sets, "set", line.Source)
		if err != nil {
			return nil, fmt.Errorf("rule %q: %w", line.Name, err)
		}
		destination, err := resolve(c.sets, "set", line.Destination)
		if err != nil {
			return nil, fmt.Errorf("rule %q: %w", line.Name, err)
		}
		for _, ports := range []model.PortRange{line.SourcePorts, line.DestinationPorts} {
			if ports.First > ports.Last {
				return nil, fmt.Errorf("rule %q: ports %d-%d end before they begin", line.Name, ports.First, ports.Last)
			}
		}
		list.rules = append(list.rules, rule{name: line.Name, priority: line.Priority, allow: line.Allow,
			protocol: line.Protocol, source: source, destination: destination,
			sourcePorts: line.SourcePorts, destinationPorts: line.DestinationPorts})
	}
	return list, nil
}

func newRoutes(lines []plan.Route) (*bart.Table[*route], error) {
	table := new(bart.Table[*route])
	for _, line := range lines {
		if err := checkPrefix(line.Prefix); err != nil {
			return nil, err
		}
		if _, twice := table.Get(line.Prefix); twice {
			return nil, fmt.Errorf("route %v stands there twice", line.Prefix)
		}
		made := &route{prefix: line.Prefix, hop: hop{line.Hop, uint8(line.Prefix.Bits())}}
		if err := checkHop(line.Hop); err != nil {
			return nil, fmt.Errorf("route %v: %w", line.Prefix, err)
		}
		if line.Beneath != nil {
			if err := checkHop(*line.Beneath); err != nil || line.BeneathBits > made.hop.bits {
				return nil, fmt.Errorf("route %v: what is beneath it (length %d) cannot be: %v", line.Prefix, line.BeneathBits, err)
			}
			made.beneath = &hop{*line.Beneath, line.BeneathBits}
		}
		table.Insert(line.Prefix, made)
	}
	return table, nil
}

func checkHop(h plan.Hop) error {
	if h.Type > model.NextHopInterfaceEndpoint || h.Type == model.NextHopServiceEndpoint || h.Source > model.SourceUser {
		return fmt.Errorf("next hop type %d of source %d cannot stand in a routing table", h.Type, h.Source)
	}
	if h.Type == model.NextHopVirtualAppliance && !h.Address.Is4() {
		return fmt.Errorf("next hop VirtualAppliance %v is no IPv4 address", h.Address)
	}
	return nil
}

func newServiceTable(p plan.ServiceTable) (*serviceTable, error) {
	table := new(serviceTable)
	targets := slices.Clone(p.Targets) // the plan stays its owner's
	for _, line := range p.Entries {
		if err := checkPrefix(line.Prefix); err != nil {
			return nil, err
		}
		if _, twice := table.entries.Get(line.Prefix); twice {
			return nil, fmt.Errorf("entry %v stands there twice", line.Prefix)
		}
		if len(line.Candidates) > plan.MaxServiceCandidates {
			return nil, fmt.Errorf("entry %v: %d candidates are more than %d", line.Prefix, len(line.Candidates), plan.MaxServiceCandidates)
		}
		made := &serviceEntry{prefix: line.Prefix, regional: line.Regional}
		for _, candidate := range line.Candidates {
			if int(candidate.Target) >= len(targets) || candidate.Bit >= 64 || candidate.Bits > uint8(line.Prefix.Bits()) {
				return nil, fmt.Errorf("entry %v: candidate %+v is out of range", line.Prefix, candidate)
			}
			made.candidates = append(made.candidates, serviceCandidate{candidate, &targets[candidate.Target]})
		}
		table.entries.Insert(line.Prefix, made)
	}
	return table, nil
}

func newPolicy(addresses []netip.Addr) (map[[4]byte]struct{}, error) {
	listed := make(map[[4]byte]struct{}, len(addresses))
	for _, address := range addresses {
		if !address.Is4() {
			return nil, fmt.Errorf("%v is no IPv4 address", address)
		}
		listed[address.As4()] = struct{}{}
	}
	return listed, nil
}
