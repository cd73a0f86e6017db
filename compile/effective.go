package compile

import (
	"fmt"
	"net/netip"

	"postern/model"
	"postern/servicetag"
)

// EffectiveGroup is a security group as it holds for a NIC: what ARM calls effective.
type EffectiveGroup struct {
	ID     model.ResourceID
	Subnet bool // it is the subnet's; otherwise the NIC's own
	Rules  []EffectiveRule
	Tags   map[string][]netip.Prefix // what the tags of its rules stand for
}

// EffectiveRule is a security rule with what its sides stand for in the NIC's VNet.
type EffectiveRule struct {
	model.SecurityRule
	Default             bool           // one of the three that every group has each way
	Source, Destination []netip.Prefix // sorted, disjoint; empty for anybody, and for nobody
}

// EffectiveGroups works out the security groups of a NIC, the NIC's own first, by the lists that its plan has (NSG-1, NSG-4).
// Rules stand in the order of their judging, inbound ones first.
func (c *Compiler) EffectiveGroups(snapshot *model.Snapshot, catalogue *servicetag.Catalogue, nic *model.NetworkInterface) ([]EffectiveGroup, error) {
	in := index(snapshot, c.overlaid(snapshot, catalogue).catalogue)
	subnet := in.subnet(nic.Subnet)
	if subnet == nil {
		return nil, fmt.Errorf("security groups of NIC %s: its subnet %s is not there", nic.ID, nic.Subnet)
	}
	var groups []EffectiveGroup
	for i, id := range []model.ResourceID{nic.NetworkSecurityGroup, subnet.NetworkSecurityGroup} {
		group := in.groups[id.Key()]
		if group == nil {
			continue
		}
		effective := EffectiveGroup{ID: group.ID, Subnet: i == 1, Tags: map[string][]netip.Prefix{}}
		in.addEffective(&effective, group, subnet.network.vnet, true)
		in.addEffective(&effective, group, subnet.network.vnet, false)
		groups = append(groups, effective)
	}
	return groups, nil
}

// addEffective adds one direction's rules. A rule's lines in the plan differ in their ports alone.
func (in *indexed) addEffective(out *EffectiveGroup, group *model.NetworkSecurityGroup, vnet *model.VirtualNetwork, inbound bool) {
	list := in.makeList(listKey{group, inbound}, vnet)
	for _, rule := range rulesOf(group, inbound) {
		effective := EffectiveRule{SecurityRule: rule, Default: rule.Priority >= defaultInbound[0].Priority}
		for _, line := range list.lines {
			if line.Name == rule.Name && int(line.Priority) == rule.Priority {
				effective.Source, effective.Destination = list.sets[line.Source], list.sets[line.Destination]
				break
			}
		}
		for _, tag := range []string{rule.Source.Tag, rule.Destination.Tag} {
			if tag != "" {
				out.Tags[tag] = disjoint(in.tagPrefixes(tag, vnet))
			}
		}
		out.Rules = append(out.Rules, effective)
	}
}
