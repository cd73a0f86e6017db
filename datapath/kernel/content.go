//go:build linux

package kernel

import (
	"fmt"

	"postern/datapath/kernel/bpf"
	"postern/model"
	"postern/plan"
)

// content is what a host's plan wants in the maps that NICs refer to.
type content struct {
	routes    map[bpf.PosternPrefixKey]bpf.PosternRoute
	services  map[bpf.PosternPrefixKey]bpf.PosternServiceEntry
	sets      map[bpf.PosternPrefixKey]uint8
	rules     map[bpf.PosternItemKey]bpf.PosternRule
	targets   map[bpf.PosternItemKey]bpf.PosternTarget
	policies  map[bpf.PosternPolicyKey]uint8
	directory map[bpf.PosternDirectoryKey]bpf.PosternPlace
}

// maxRules is how many lines of a rule list the programs read; MAX_RULES of bpf/plan.h.
const maxRules = 4096

// newContent lays a host's plan out for the maps. It touches nothing, so a wrong plan is refused whole. A reference that
// names no content of the plan is refused too: what it should have denied would pass.
func newContent(host *plan.Host) (*content, error) {
	c := &content{
		routes:    map[bpf.PosternPrefixKey]bpf.PosternRoute{},
		services:  map[bpf.PosternPrefixKey]bpf.PosternServiceEntry{},
		sets:      map[bpf.PosternPrefixKey]uint8{},
		rules:     map[bpf.PosternItemKey]bpf.PosternRule{},
		targets:   map[bpf.PosternItemKey]bpf.PosternTarget{},
		policies:  map[bpf.PosternPolicyKey]uint8{},
		directory: map[bpf.PosternDirectoryKey]bpf.PosternPlace{},
	}
	for ref, routes := range host.Routes {
		handle, err := number(ref)
		if err != nil {
			return nil, err
		}
		for _, route := range routes {
			c.routes[prefixKey(handle, route.Prefix)] = routeOf(route)
		}
	}
	for ref, prefixes := range host.Sets {
		handle, err := number(ref)
		if err != nil {
			return nil, err
		}
		for _, prefix := range prefixes {
			if prefix.Addr().Is4() {
				c.sets[prefixKey(handle, prefix)] = 1
			}
		}
	}
	for ref, addresses := range host.Policies {
		handle, err := number(ref)
		if err != nil {
			return nil, err
		}
		for _, address := range addresses {
			c.policies[bpf.PosternPolicyKey{Ref: handle, Address: be32(address)}] = 1
		}
	}
	for _, place := range host.Directory {
		value := bpf.PosternPlace{Locator: locatorOf(place.Locator), Subnet: uint32(place.Subnet)}
		if place.Forwarding {
			value.Forwarding = 1
		}
		c.directory[bpf.PosternDirectoryKey{Vnet: place.VNet, Ipv4: be32(place.IPv4)}] = value
	}
	if err := c.addRules(host); err != nil {
		return nil, err
	}
	if err := c.addServices(host.Services); err != nil {
		return nil, err
	}
	return c, checkReferences(host)
}

func (c *content) addRules(host *plan.Host) error {
	for ref, rules := range host.Rules {
		handle, err := number(ref)
		if err != nil {
			return err
		}
		if len(rules) > maxRules {
			return fmt.Errorf("rule list %s has %d lines: at most %d", ref, len(rules), maxRules)
		}
		for i, rule := range rules {
			value, err := ruleOf(rule)
			if err != nil {
				return fmt.Errorf("rule %s: %w", rule.Name, err)
			}
			for _, set := range []plan.Ref{rule.Source, rule.Destination} {
				if _, ok := host.Sets[set]; set != "" && !ok {
					return fmt.Errorf("rule %s refers to set %s, which the plan does not have", rule.Name, set)
				}
			}
			c.rules[bpf.PosternItemKey{Ref: handle, Index: uint32(i)}] = value
		}
	}
	return nil
}

func (c *content) addServices(tables map[plan.Ref]plan.ServiceTable) error {
	for ref, services := range tables {
		handle, err := number(ref)
		if err != nil {
			return err
		}
		for i, target := range services.Targets {
			c.targets[bpf.PosternItemKey{Ref: handle, Index: uint32(i)}] = bpf.PosternTarget{
				Locator: locatorOf(target.Locator), Service: uint32(target.Service),
			}
		}
		for _, entry := range services.Entries {
			value, err := entryOf(entry)
			if err != nil {
				return err
			}
			c.services[prefixKey(handle, entry.Prefix)] = value
		}
	}
	return nil
}

func checkReferences(host *plan.Host) error {
	for _, nic := range host.NICs {
		for _, list := range [][2]plan.Ref{nic.Outgoing, nic.Incoming} {
			for _, ref := range list {
				if _, ok := host.Rules[ref]; ref != "" && !ok {
					return fmt.Errorf("NIC %d refers to rule list %s, which the plan does not have", nic.Number, ref)
				}
			}
		}
		if _, ok := host.Routes[nic.Routes]; nic.Routes != "" && !ok {
			return fmt.Errorf("NIC %d refers to routes %s, which the plan does not have", nic.Number, nic.Routes)
		}
		if _, ok := host.Services[nic.Services]; nic.Services != "" && !ok {
			return fmt.Errorf("NIC %d refers to service table %s, which the plan does not have", nic.Number, nic.Services)
		}
		if _, ok := host.Policies[nic.Policy]; nic.Policy != "" && !ok {
			return fmt.Errorf("NIC %d refers to policy %s, which the plan does not have", nic.Number, nic.Policy)
		}
	}
	return nil
}

// nodeOf is the entry of map nodes, but for the generation.
func nodeOf(node plan.Node, fabric, shadow int) bpf.PosternNode {
	out := bpf.PosternNode{
		Locator: locatorOf(node.Locator), Mtu: uint32(node.FabricMTU),
		FabricIfindex: uint32(fabric), ShadowIfindex: uint32(shadow),
	}
	if host := node.Host; host != nil {
		out.Platform, out.Egress = locatorOf(host.Platform), locatorOf(host.Egress)
		if host.DocumentedRoutes {
			out.DocumentedRoutes = 1
		}
	}
	return out
}

// leastFabricMTU is the least that the fabric must carry (RFC 8200, section 5).
const leastFabricMTU = 1280

func checkNode(node plan.Node, role model.Role) error {
	if node.Role != role {
		return fmt.Errorf("plan of node %s is for a %s, this is a %s", node.Node, node.Role, role)
	}
	if node.FabricMTU < leastFabricMTU || node.FabricMTU > 65535 {
		return fmt.Errorf("plan of node %s: fabric MTU %d is not between %d and 65535", node.Node, node.FabricMTU, leastFabricMTU)
	}
	if node.Locator.IsZero() {
		return fmt.Errorf("plan of node %s has no locator", node.Node)
	}
	return nil
}
