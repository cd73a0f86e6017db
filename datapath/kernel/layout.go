//go:build linux

package kernel

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"

	"postern/datapath/kernel/bpf"
	"postern/model"
	"postern/plan"
)

// Flags of a NIC in its map; enum nic_flag of bpf/plan.h.
const (
	flagForwarding = 1 << iota
	flagOutbound
	flagDenyDNS
	flagDenyMetadata
	flagVeth
	flagNATGateway
)

// be32 is an IPv4 address as a map holds it: network order in memory.
func be32(address netip.Addr) uint32 {
	if !address.Is4() {
		return 0
	}
	bytes := address.As4()
	return binary.NativeEndian.Uint32(bytes[:])
}

func locatorOf(locator model.Locator) (out bpf.PosternLocator) {
	copy(out.Bytes[:], locator[:])
	return out
}

// number is a Ref as the maps hold it.
func number(ref plan.Ref) (uint64, error) {
	if ref == "" {
		return 0, nil
	}
	value, err := strconv.ParseUint(string(ref), 16, 64)
	if err != nil || value == 0 {
		return 0, fmt.Errorf("plan reference %q: want 16 hex digits that are not all zero", ref)
	}
	return value, nil
}

// prefixKey is the key of a trie: bits of the ref count too.
func prefixKey(ref uint64, prefix netip.Prefix) bpf.PosternPrefixKey {
	return bpf.PosternPrefixKey{
		Bits:    uint32(64 + prefix.Bits()),
		Ref:     [2]uint32{uint32(ref), uint32(ref >> 32)},
		Address: be32(prefix.Masked().Addr()),
	}
}

func hopOf(hop plan.Hop, bits int) bpf.PosternHop {
	return bpf.PosternHop{
		Address: be32(hop.Address),
		Vnet:    hop.VNet,
		Type:    uint8(hop.Type),
		Source:  uint8(hop.Source),
		Bits:    uint8(bits),
		Present: 1,
	}
}

func routeOf(route plan.Route) bpf.PosternRoute {
	out := bpf.PosternRoute{Hop: hopOf(route.Hop, route.Prefix.Bits())}
	if route.Beneath != nil {
		out.Beneath = hopOf(*route.Beneath, int(route.BeneathBits))
	}
	return out
}

func ruleOf(rule plan.Rule) (out bpf.PosternRule, err error) {
	if out.Source, err = number(rule.Source); err != nil {
		return out, err
	}
	if out.Destination, err = number(rule.Destination); err != nil {
		return out, err
	}
	out.SourceFirst, out.SourceLast = rule.SourcePorts.First, rule.SourcePorts.Last
	out.DestinationFirst, out.DestinationLast = rule.DestinationPorts.First, rule.DestinationPorts.Last
	out.Protocol, out.Priority = uint8(rule.Protocol), rule.Priority
	if rule.Allow {
		out.Allow = 1
	}
	return out, nil
}

func entryOf(entry plan.ServiceEntry) (out bpf.PosternServiceEntry, err error) {
	if len(entry.Candidates) > plan.MaxServiceCandidates {
		return out, fmt.Errorf("service entry %s has %d candidates: at most %d", entry.Prefix, len(entry.Candidates), plan.MaxServiceCandidates)
	}
	if entry.Regional {
		out.Regional = 1
	}
	out.Count = uint8(len(entry.Candidates))
	for i, candidate := range entry.Candidates {
		out.Candidates[i].Bit = candidate.Bit
		out.Candidates[i].Bits = candidate.Bits
		out.Candidates[i].Target = candidate.Target
	}
	return out, nil
}

func nicOf(nic plan.NIC, ifindex int, veth bool, slot uint32) (out bpf.PosternNic, err error) {
	out.Number, out.Ifindex, out.Vnet, out.Subnet = nic.Number, uint32(ifindex), nic.VNet, uint32(nic.Subnet)
	out.Ipv4, out.Mac, out.Slot, out.Enabled = be32(nic.IPv4), nic.MAC, slot, nic.EnabledServices
	for flag, set := range map[uint8]bool{
		flagForwarding: nic.Forwarding, flagOutbound: nic.Outbound, flagDenyDNS: nic.DenyDNS,
		flagDenyMetadata: nic.DenyMetadata, flagVeth: veth, flagNATGateway: nic.NATGateway,
	} {
		if set {
			out.Flags |= flag
		}
	}
	for _, reference := range []struct {
		ref plan.Ref
		to  *uint64
	}{
		{nic.Outgoing[0], &out.Outgoing[0]}, {nic.Outgoing[1], &out.Outgoing[1]},
		{nic.Incoming[0], &out.Incoming[0]}, {nic.Incoming[1], &out.Incoming[1]},
		{nic.Routes, &out.Routes}, {nic.Services, &out.Services}, {nic.Policy, &out.Policy},
	} {
		if *reference.to, err = number(reference.ref); err != nil {
			return out, fmt.Errorf("NIC %d: %w", nic.Number, err)
		}
	}
	return out, nil
}
