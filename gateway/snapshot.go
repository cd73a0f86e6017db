package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"postern/model"
	"postern/plan"
	"postern/service"
	"postern/service/all"
)

// Snapshot is one plan.Gateway with the indexes that judging needs. It is immutable once made, so every reader may
// hold it without a lock; a nil *Snapshot stands for "no plan yet" and denies everything (FW-3).
type Snapshot struct {
	plan      plan.Gateway
	zones     zones
	names     map[string]*Instance // by plan.NameKey, and by full host name
	subnets   map[model.Identity]*plan.Subnet
	policies  map[plan.Ref]map[string]struct{} // instance id keys that a policy lists
	addresses map[netip.Addr]*Instance         // public addresses that the gateway answers on; nil: nobody's
	endpoints map[model.Identity]*endpoint     // that instances are reached by
	passing   map[uint16]bool                  // ports where some instance's connections are passed on unread, or by server name
}

// endpoint is one identity that packets for services have: a service that subnets enable, under one name or several.
type endpoint struct {
	name    string // of those the one with the lowest bit
	bits    uint64
	service *service.Service // of the first instance, for the words of refusals
	ways    map[uint16]model.Way
}

// NewSnapshot checks a node's plan and indexes it. The plan must not be changed afterwards. It fails where the plan is
// not a gateway's or contradicts itself; a reference to a policy that is not in the plan is no failure, since refusing
// the whole plan would leave an older, perhaps wider, one in force: Judge denies that subnet instead.
func NewSnapshot(node plan.Node) (*Snapshot, error) {
	if node.Gateway == nil {
		return nil, fmt.Errorf("apply plan of node %q: role is %q and there is no gateway part: send this node a gateway's plan",
			node.Node, node.Role)
	}
	gateway := *node.Gateway
	if gateway.ServiceLocator.IsZero() {
		return nil, fmt.Errorf("apply plan of node %q: serviceLocator is missing: set the region's anycast locator", node.Node)
	}
	snapshot := &Snapshot{
		plan:      gateway,
		zones:     zonesOf(gateway.Zones),
		names:     make(map[string]*Instance, len(gateway.Instances)),
		subnets:   make(map[model.Identity]*plan.Subnet, len(gateway.Subnets)),
		policies:  make(map[plan.Ref]map[string]struct{}, len(gateway.Policies)),
		addresses: make(map[netip.Addr]*Instance, len(gateway.Addresses)+len(gateway.Instances)),
		endpoints: make(map[model.Identity]*endpoint),
		passing:   make(map[uint16]bool),
	}
	for _, address := range gateway.Addresses {
		snapshot.addresses[address.Unmap()] = nil
	}
	for _, described := range all.Services() {
		if one, ok := model.ServiceByEndpoint(described.Endpoint); ok {
			snapshot.endpoint(one.Identity, described)
		}
	}
	problems := snapshot.addInstances()
	for i := range gateway.Subnets {
		subnet := &gateway.Subnets[i]
		if subnet.Identity < model.FirstSubnetIdentity {
			problems = append(problems, fmt.Errorf("subnet %s has identity %d: want %d or more",
				subnet.ID, subnet.Identity, model.FirstSubnetIdentity))
		}
		if _, twice := snapshot.subnets[subnet.Identity]; twice {
			problems = append(problems, fmt.Errorf("subnet %s has identity %d, which another subnet has", subnet.ID, subnet.Identity))
		}
		snapshot.subnets[subnet.Identity] = subnet
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("apply plan of node %q: %w", node.Node, errors.Join(problems...))
	}
	for ref, keys := range gateway.Policies {
		set := make(map[string]struct{}, len(keys))
		for _, key := range keys {
			set[strings.ToLower(key)] = struct{}{}
		}
		snapshot.policies[ref] = set
	}
	return snapshot, nil
}

func (s *Snapshot) addInstances() (problems []error) {
	services := slices.Clone(model.Services)
	for i := range s.plan.Instances {
		in := &Instance{Instance: s.plan.Instances[i], key: s.plan.Instances[i].ID.Key()}
		if in.Described = all.Named(in.Service); in.Described == nil {
			problems = append(problems, fmt.Errorf("instance %s is of service %q, which this gateway does not know: use the same version everywhere", in.ID, in.Service))
			continue
		}
		name := strings.ToLower(in.Name)
		if !in.Described.NameIsValid(name) {
			problems = append(problems, fmt.Errorf("instance %s: %q can be no name of one", in.ID, in.Name))
		}
		for _, name := range in.names() {
			if _, twice := s.names[name]; twice {
				problems = append(problems, fmt.Errorf("the name %q stands twice: names are unique in a cloud", name))
			}
			s.names[name] = in
		}
		s.addresses[in.Address.Unmap()] = in
		if !slices.Contains(services, in.Endpoint) {
			services = append(services, in.Endpoint)
		}
		at := s.endpoint(in.Endpoint.Identity, in.Described)
		for _, port := range in.Ports {
			at.ways[port.Number] = port.Way
			if passedOn(port.Way) {
				s.passing[port.Number] = true
			}
		}
	}
	slices.SortFunc(services, func(a, b model.Service) int { return cmp.Compare(a.Bit, b.Bit) })
	for _, one := range services {
		if at := s.endpoints[one.Identity]; at != nil {
			at.bits |= 1 << one.Bit
			at.name = cmp.Or(at.name, one.Endpoint)
		}
	}
	return problems
}

// endpoint finds the endpoint of an identity, and makes it where there is none.
func (s *Snapshot) endpoint(identity model.Identity, described *service.Service) *endpoint {
	if s.endpoints[identity] == nil {
		s.endpoints[identity] = &endpoint{service: described, ways: make(map[uint16]model.Way)}
	}
	return s.endpoints[identity]
}

// Instances are those of the plan.
func (s *Snapshot) Instances() []plan.Instance { return s.plan.Instances }

// passes tells whether connections to a port may be ones that are passed on.
func (s *Snapshot) passes(port uint16) bool { return s != nil && s.passing[port] }

// At finds the instance with a public address.
func (s *Snapshot) At(address netip.Addr) (Target, bool) {
	if s == nil || s.addresses[address] == nil {
		return Target{}, false
	}
	return s.addresses[address].target(""), true
}

// again finds, in this plan, the instance that an older one had: by its id, or another that has its name now.
func (s *Snapshot) again(target Target) Target {
	for _, name := range target.Instance.names() {
		if now, ok := s.names[name]; ok {
			return now.target(target.Part)
		}
	}
	return Target{Service: target.Service, Name: target.Name, Part: target.Part}
}

// names are what an instance stands under in Snapshot.names.
func (i *Instance) names() []string {
	if i.Space == "" {
		return i.Hosts
	}
	names := append(slices.Clone(i.Hosts), plan.NameKey(i.Space, strings.ToLower(i.Name)))
	for _, label := range i.Labels {
		names = append(names, plan.NameKey(i.Space, label))
	}
	return names
}

// Subnet finds the subnet that has an identity now.
func (s *Snapshot) Subnet(identity model.Identity) (plan.Subnet, bool) {
	if s == nil {
		return plan.Subnet{}, false
	}
	if subnet, ok := s.subnets[identity]; ok {
		return *subnet, true
	}
	return plan.Subnet{}, false
}
