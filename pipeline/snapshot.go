package pipeline

import (
	"fmt"
	"net/netip"

	"github.com/gaissmai/bart"

	"postern/model"
	"postern/plan"
	"postern/wire"
)

// minFabricMTU is the smallest MTU of an IPv6 link (RFC 8200, section 5).
const minFabricMTU = 1280

// snapshot is a plan.Host as tables. It is never changed once it is made, but for the counters that it points to.
type snapshot struct {
	locator          model.Locator
	platform, egress model.Locator
	fabricMTU        int
	documentedRoutes bool

	nics      map[uint32]*nic
	addresses map[nicAddress]*nic
	directory map[directoryKey]place
}

// nic is a plan.NIC with what it refers to.
type nic struct {
	number                uint32
	id                    model.ResourceID
	subnet                model.Identity
	ipv4                  [4]byte
	mac                   model.MAC
	forwarding, outbound  bool
	natGateway            bool
	denyDNS, denyMetadata bool
	outgoing, incoming    [2]*ruleList
	routes                *bart.Table[*route] // nil: none
	services              *serviceTable       // nil: none
	enabledServices       uint64
	policy                map[[4]byte]struct{} // nil: every instance may be reached
	fabricAddress         [wire.AddressLen]byte
	counters              *reasonCounters
}

// nicAddress is the name of a NIC in a fabric address.
type nicAddress struct {
	subnet model.Identity
	ipv4   [4]byte
}

type directoryKey struct {
	vnet uint32
	ipv4 [4]byte
}

// place is a plan.Location without its key.
type place struct {
	subnet     model.Identity
	locator    model.Locator
	forwarding bool
}

// newSnapshot checks a plan and makes its tables. Counters of NICs that stay come from the snapshot before, which may be
// nil.
func newSnapshot(node plan.Node, before *snapshot) (*snapshot, error) {
	fail := func(format string, args ...any) (*snapshot, error) {
		return nil, fmt.Errorf("apply plan of node %q: %w; the plan before stays in force", node.Node, fmt.Errorf(format, args...))
	}
	if node.Host == nil {
		return fail("it is for role %q, not for a host", node.Role)
	}
	if err := checkNode(node); err != nil {
		return fail("%w", err)
	}
	host := node.Host
	s := &snapshot{
		locator: node.Locator, platform: host.Platform, egress: host.Egress, fabricMTU: node.FabricMTU,
		documentedRoutes: host.DocumentedRoutes,
		nics:             make(map[uint32]*nic, len(host.NICs)),
		addresses:        make(map[nicAddress]*nic, len(host.NICs)),
		directory:        make(map[directoryKey]place, len(host.Directory)),
	}
	for _, location := range host.Directory {
		if !location.IPv4.Is4() {
			return fail("directory of VNet %d: %v is no IPv4 address", location.VNet, location.IPv4)
		}
		key := directoryKey{location.VNet, location.IPv4.As4()}
		if _, twice := s.directory[key]; twice {
			return fail("directory of VNet %d: %v stands there twice", location.VNet, location.IPv4)
		}
		s.directory[key] = place{location.Subnet, location.Locator, location.Forwarding}
	}
	shared, err := newContents(host)
	if err != nil {
		return fail("%w", err)
	}
	for i := range host.NICs {
		made, err := s.newNIC(&host.NICs[i], shared)
		if err != nil {
			return fail("NIC %d (%s): %w", host.NICs[i].Number, host.NICs[i].ID, err)
		}
		if before != nil && before.nics[made.number] != nil {
			made.counters = before.nics[made.number].counters
		}
	}
	return s, nil
}

// checkNode checks what a host's and an edge's plan have in common.
func checkNode(node plan.Node) error {
	if node.Locator.IsZero() {
		return fmt.Errorf("it has no locator")
	}
	if node.FabricMTU < minFabricMTU || node.FabricMTU > 65535 {
		return fmt.Errorf("fabric MTU %d: want %d to 65535", node.FabricMTU, minFabricMTU)
	}
	return nil
}

// newNIC makes a NIC and enters it under its number and its address.
func (s *snapshot) newNIC(p *plan.NIC, shared *contents) (*nic, error) {
	if p.Number == 0 {
		return nil, fmt.Errorf("its number is 0, which stands for no NIC")
	}
	if !p.IPv4.Is4() || unusable(p.IPv4.As4()) {
		return nil, fmt.Errorf("%v is no IPv4 address that a NIC can have", p.IPv4)
	}
	if p.Subnet == model.IdentityNone {
		return nil, fmt.Errorf("its subnet has no identity")
	}
	n := &nic{
		number: p.Number, id: p.ID, subnet: p.Subnet, ipv4: p.IPv4.As4(), mac: p.MAC,
		forwarding: p.Forwarding, outbound: p.Outbound, natGateway: p.NATGateway, denyDNS: p.DenyDNS, denyMetadata: p.DenyMetadata,
		enabledServices: p.EnabledServices, counters: new(reasonCounters),
	}
	wire.Put(&n.fabricAddress, s.locator, model.FunctionNIC, n.subnet, n.ipv4)

	var err error
	for i := range 2 {
		if n.outgoing[i], err = resolve(shared.rules, "rule list", p.Outgoing[i]); err != nil {
			return nil, err
		}
		if n.incoming[i], err = resolve(shared.rules, "rule list", p.Incoming[i]); err != nil {
			return nil, err
		}
	}
	if n.routes, err = resolve(shared.routes, "routing table", p.Routes); err != nil {
		return nil, err
	}
	if n.services, err = resolve(shared.services, "service table", p.Services); err != nil {
		return nil, err
	}
	if n.policy, err = resolve(shared.policies, "policy", p.Policy); err != nil {
		return nil, err
	}

	address := nicAddress{n.subnet, n.ipv4}
	if s.nics[n.number] != nil || s.addresses[address] != nil {
		return nil, fmt.Errorf("another NIC has its number, or its address in its subnet")
	}
	s.nics[n.number], s.addresses[address] = n, n
	return n, nil
}

// resolve finds the content of a reference; the zero value for the empty one.
func resolve[T any](all map[plan.Ref]T, what string, ref plan.Ref) (T, error) {
	content, ok := all[ref]
	if !ok && ref != "" {
		return content, fmt.Errorf("%s %q is not in the plan", what, ref)
	}
	return content, nil
}

// checkPrefix accepts IPv4 prefixes without host bits.
func checkPrefix(prefix netip.Prefix) error {
	if !prefix.IsValid() || !prefix.Addr().Is4() || prefix != prefix.Masked() {
		return fmt.Errorf("%v is no IPv4 prefix without host bits", prefix)
	}
	return nil
}
