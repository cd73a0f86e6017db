package gateway

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"postern/model"
	"postern/plan"
)

// Snapshot is one plan.Gateway with the indexes that judging needs. It is immutable once made, so every reader may
// hold it without a lock; a nil *Snapshot stands for "no plan yet" and denies everything (FW-3).
type Snapshot struct {
	plan      plan.Gateway
	suffix    string
	accounts  map[string]*account // by lower-case name
	subnets   map[model.Identity]*plan.Subnet
	policies  map[plan.Ref]map[string]struct{} // account id keys that a policy lists
	addresses map[netip.Addr]struct{}          // public addresses that the gateway answers on
}

// account is a plan.Account with the key of its id, which endpoint policies are asked for.
type account struct {
	plan.Account
	key string
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
	suffix := strings.ToLower(strings.Trim(gateway.StorageSuffix, "."))
	if suffix == "" {
		return nil, fmt.Errorf("apply plan of node %q: storageSuffix is missing: set it, for example %q",
			node.Node, model.DefaultSettings.StorageSuffix)
	}
	snapshot := &Snapshot{
		plan:      gateway,
		suffix:    suffix,
		accounts:  make(map[string]*account, len(gateway.Accounts)),
		subnets:   make(map[model.Identity]*plan.Subnet, len(gateway.Subnets)),
		policies:  make(map[plan.Ref]map[string]struct{}, len(gateway.Policies)),
		addresses: make(map[netip.Addr]struct{}, len(gateway.Addresses)+len(gateway.Accounts)),
	}
	var problems []error
	for i := range gateway.Accounts {
		a := &account{Account: gateway.Accounts[i], key: gateway.Accounts[i].ID.Key()}
		name := strings.ToLower(a.Name)
		if !validAccountName(name) {
			problems = append(problems, fmt.Errorf("account %q: want 3 to 24 letters and digits as its name", a.Name))
		}
		if _, twice := snapshot.accounts[name]; twice {
			problems = append(problems, fmt.Errorf("account %q stands twice: names are unique in a cloud", a.Name))
		}
		snapshot.accounts[name] = a
		snapshot.addresses[a.Address.Unmap()] = struct{}{}
	}
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
	for _, address := range gateway.Addresses {
		snapshot.addresses[address.Unmap()] = struct{}{}
	}
	return snapshot, nil
}

// Suffix is what storage names of this plan end in, in lower case without dots around it: "core.windows.net".
func (s *Snapshot) Suffix() string {
	if s == nil {
		return model.DefaultSettings.StorageSuffix
	}
	return s.suffix
}

// Account finds an account of the gateway's region by its lower-case name.
func (s *Snapshot) Account(name string) (plan.Account, bool) {
	if s == nil {
		return plan.Account{}, false
	}
	if a, ok := s.accounts[name]; ok {
		return a.Account, true
	}
	return plan.Account{}, false
}

// Elsewhere tells whether an account of that name exists, but in another region.
func (s *Snapshot) Elsewhere(name string) bool {
	if s == nil {
		return false
	}
	_, here := s.accounts[name]
	_, known := s.plan.Names[name]
	return known && !here
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
