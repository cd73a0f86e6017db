package pipeline

import (
	"fmt"
	"net/netip"
	"slices"

	"postern/model"
	"postern/plan"
	"postern/wire"
)

// edgeSnapshot is a plan.Edge as tables. It is never changed once it is made.
type edgeSnapshot struct {
	locator   model.Locator
	fabricMTU int
	fabric    map[nicAddress]*edgeNIC
	internet  map[[4]byte]*edgeNIC // by public and by platform address
}

// edgeNIC is a plan.EgressNIC.
type edgeNIC struct {
	ipv4, public, platform [4]byte
	hasPublic, outbound    bool
	natGateway             bool
	fabricAddress          [wire.AddressLen]byte
}

func newEdgeSnapshot(node plan.Node) (*edgeSnapshot, error) {
	fail := func(err error) (*edgeSnapshot, error) {
		return nil, fmt.Errorf("apply plan of node %q: %w; the plan before stays in force", node.Node, err)
	}
	if node.Edge == nil {
		return fail(fmt.Errorf("it is for role %q, not for an edge", node.Role))
	}
	if err := checkNode(node); err != nil {
		return fail(err)
	}
	s := &edgeSnapshot{locator: node.Locator, fabricMTU: node.FabricMTU,
		fabric: make(map[nicAddress]*edgeNIC, len(node.Edge.NICs)), internet: make(map[[4]byte]*edgeNIC, len(node.Edge.NICs))}
	for i := range node.Edge.NICs {
		if err := s.add(&node.Edge.NICs[i], node.Edge.NATGateways); err != nil {
			return fail(fmt.Errorf("NIC %v of subnet %d: %w", node.Edge.NICs[i].IPv4, node.Edge.NICs[i].Subnet, err))
		}
	}
	return s, nil
}

func (s *edgeSnapshot) add(p *plan.EgressNIC, gateways map[plan.Ref]plan.NATGateway) error {
	if !p.IPv4.Is4() || !p.PlatformAddress.Is4() {
		return fmt.Errorf("its address %v and its platform address %v must both be IPv4", p.IPv4, p.PlatformAddress)
	}
	if p.Subnet == model.IdentityNone {
		return fmt.Errorf("its subnet has no identity")
	}
	gateway, err := resolve(gateways, "NAT gateway", p.NATGateway)
	if err != nil {
		return err
	}
	if p.NATGateway != "" && (!p.NATAddress.Is4() || !slices.Contains(gateway.Addresses, p.NATAddress)) {
		return fmt.Errorf("%v is no address of its NAT gateway %s", p.NATAddress, gateway.ID)
	}
	n := &edgeNIC{ipv4: p.IPv4.As4(), platform: p.PlatformAddress.As4(), outbound: p.Outbound, natGateway: p.NATGateway != ""}
	wire.Put(&n.fabricAddress, p.Locator, model.FunctionNIC, p.Subnet, n.ipv4)
	key := nicAddress{p.Subnet, n.ipv4}
	if s.fabric[key] != nil {
		return fmt.Errorf("it stands there twice")
	}
	s.fabric[key] = n
	outside := []netip.Addr{p.PlatformAddress}
	if p.Public.IsValid() {
		if !p.Public.Is4() {
			return fmt.Errorf("its public address %v is not IPv4", p.Public)
		}
		n.hasPublic, n.public = true, p.Public.As4()
		outside = append(outside, p.Public)
	}
	for _, address := range outside {
		if s.internet[address.As4()] != nil {
			return fmt.Errorf("%v is another NIC's too", address)
		}
		s.internet[address.As4()] = n
	}
	return nil
}
