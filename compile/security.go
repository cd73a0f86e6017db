package compile

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"postern/model"
	"postern/plan"
)

// The special tags: they stand for no fixed prefixes of the catalogue.
const (
	tagVirtualNetwork   = "VirtualNetwork"
	tagInternet         = "Internet"
	tagLoadBalancer     = "AzureLoadBalancer"
	tagPlatformDNS      = "AzurePlatformDNS"
	tagPlatformMetadata = "AzurePlatformIMDS"
)

// The default rules (NSG-1).
var (
	defaultInbound = []model.SecurityRule{
		{Name: "AllowVnetInBound", Priority: 65000, Inbound: true, Allow: true, Source: model.SecurityPeers{Tag: tagVirtualNetwork}, Destination: model.SecurityPeers{Tag: tagVirtualNetwork}},
		{Name: "AllowAzureLoadBalancerInBound", Priority: 65001, Inbound: true, Allow: true, Source: model.SecurityPeers{Tag: tagLoadBalancer}, Destination: model.SecurityPeers{Any: true}},
		{Name: "DenyAllInBound", Priority: 65500, Inbound: true, Source: model.SecurityPeers{Any: true}, Destination: model.SecurityPeers{Any: true}},
	}
	defaultOutbound = []model.SecurityRule{
		{Name: "AllowVnetOutBound", Priority: 65000, Allow: true, Source: model.SecurityPeers{Tag: tagVirtualNetwork}, Destination: model.SecurityPeers{Tag: tagVirtualNetwork}},
		{Name: "AllowInternetOutBound", Priority: 65001, Allow: true, Source: model.SecurityPeers{Any: true}, Destination: model.SecurityPeers{Tag: tagInternet}},
		{Name: "DenyAllOutBound", Priority: 65500, Source: model.SecurityPeers{Any: true}, Destination: model.SecurityPeers{Any: true}},
	}
)

// secure gives a NIC its four rule lists and what platform tags deny it (NSG-3, NSG-5).
func (in *indexed) secure(out *plan.Host, entry *plan.NIC, nic nic) {
	own, outer := in.groups[nic.NetworkSecurityGroup.Key()], in.groups[nic.subnet.NetworkSecurityGroup.Key()]
	network := nic.subnet.network
	entry.Outgoing = [2]plan.Ref{in.list(out, own, network, false), in.list(out, outer, network, false)}
	entry.Incoming = [2]plan.Ref{in.list(out, outer, network, true), in.list(out, own, network, true)}
	for _, group := range []*model.NetworkSecurityGroup{own, outer} {
		entry.DenyDNS = entry.DenyDNS || deniesPlatform(group, tagPlatformDNS)
		entry.DenyMetadata = entry.DenyMetadata || deniesPlatform(group, tagPlatformMetadata)
	}
}

// deniesPlatform tells whether the first outbound rule that names the platform tag denies.
func deniesPlatform(group *model.NetworkSecurityGroup, tag string) bool {
	if group == nil {
		return false
	}
	for _, rule := range sorted(group, false) {
		if strings.EqualFold(rule.Destination.Tag, tag) {
			return !rule.Allow
		}
	}
	return false
}

// rulesOf is one direction of a security group in the order of its judging, the default rules last (NSG-1).
func rulesOf(group *model.NetworkSecurityGroup, inbound bool) []model.SecurityRule {
	rules := sorted(group, inbound)
	if inbound {
		return append(rules, defaultInbound...)
	}
	return append(rules, defaultOutbound...)
}

func sorted(group *model.NetworkSecurityGroup, inbound bool) []model.SecurityRule {
	var rules []model.SecurityRule
	for _, rule := range group.Rules {
		if rule.Inbound == inbound {
			rules = append(rules, rule)
		}
	}
	slices.SortStableFunc(rules, func(a, b model.SecurityRule) int { return a.Priority - b.Priority })
	return rules
}

// listKey is what the rule lists of a network differ by. The VNet gives the tags VirtualNetwork and Internet their meaning.
type listKey struct {
	group   *model.NetworkSecurityGroup
	inbound bool
}

// ruleList is a rule list with the sets that it refers to.
type ruleList struct {
	ref   plan.Ref
	lines []plan.Rule
	sets  map[plan.Ref][]netip.Prefix
}

// list puts one direction of a security group into a plan: "" without a group. Each is made once for all NICs of a network.
func (in *indexed) list(out *plan.Host, group *model.NetworkSecurityGroup, network *network, inbound bool) plan.Ref {
	if group == nil {
		return ""
	}
	key := listKey{group, inbound}
	made := network.lists[key]
	if made == nil {
		made = in.makeList(key, network.vnet)
		network.lists[key] = made
	}
	out.Rules[made.ref] = made.lines
	maps.Copy(out.Sets, made.sets)
	return made.ref
}

// makeList is one direction of a security group as lines in the order of their judging.
func (in *indexed) makeList(key listKey, vnet *model.VirtualNetwork) *ruleList {
	made := &ruleList{lines: []plan.Rule{}, sets: map[plan.Ref][]netip.Prefix{}}
	for _, rule := range rulesOf(key.group, key.inbound) {
		source, some := in.peersSet(made.sets, rule.Source, vnet)
		destination, someDestination := in.peersSet(made.sets, rule.Destination, vnet)
		if !some || !someDestination {
			continue // a side that nobody is in matches nothing
		}
		line := plan.Rule{
			Name: rule.Name, Priority: uint16(rule.Priority), Allow: rule.Allow, Protocol: rule.Protocol,
			Source: source, Destination: destination,
		}
		for _, line.SourcePorts = range ports(rule.SourcePorts) {
			for _, line.DestinationPorts = range ports(rule.DestinationPorts) {
				made.lines = append(made.lines, line)
			}
		}
	}
	made.ref = plan.RefOf("rules", made.lines)
	return made
}

func ports(ranges []model.PortRange) []model.PortRange {
	if len(ranges) == 0 {
		return []model.PortRange{model.AllPorts}
	}
	return ranges
}

// peersSet is one side of a rule as a set: "" for anybody; false for nobody.
func (in *indexed) peersSet(sets map[plan.Ref][]netip.Prefix, peers model.SecurityPeers, vnet *model.VirtualNetwork) (ref plan.Ref, some bool) {
	if peers.Any {
		return "", true
	}
	prefixes := slices.Clone(peers.Prefixes)
	if peers.Tag != "" {
		prefixes = append(prefixes, in.tagPrefixes(peers.Tag, vnet)...)
	}
	for _, group := range peers.ASGs {
		for _, nic := range in.members[group.Key()] {
			prefixes = append(prefixes, netip.PrefixFrom(nic.IPv4, 32))
		}
	}
	prefixes = disjoint(prefixes)
	if len(prefixes) == 0 {
		return "", false
	}
	if prefixes[0].Bits() == 0 {
		return "", true
	}
	return share(sets, "set", prefixes), true
}

func (in *indexed) tagPrefixes(tag string, vnet *model.VirtualNetwork) []netip.Prefix {
	switch {
	case strings.EqualFold(tag, tagVirtualNetwork):
		return in.virtualNetworkTag(vnet)
	case strings.EqualFold(tag, tagInternet):
		return complement(append(in.virtualNetworkTag(vnet), notInternet...))
	case strings.EqualFold(tag, tagLoadBalancer), strings.EqualFold(tag, tagPlatformDNS):
		return []netip.Prefix{netip.PrefixFrom(model.PlatformDNS, 32)}
	case strings.EqualFold(tag, tagPlatformMetadata):
		return []netip.Prefix{netip.PrefixFrom(model.PlatformMetadata, 32)}
	}
	return in.catalogue.IPv4(tag)
}

// virtualNetworkTag is the VNet's address space and that of its connected peers.
func (in *indexed) virtualNetworkTag(vnet *model.VirtualNetwork) []netip.Prefix {
	prefixes := slices.Clone(vnet.AddressSpace)
	for _, peer := range in.peers(vnet) {
		prefixes = append(prefixes, peer.AddressSpace...)
	}
	return prefixes
}
