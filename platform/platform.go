// Package platform is what answers at 168.63.129.16 and 169.254.169.254: name resolution, and the metadata service with its
// managed-identity tokens. A VM's packets arrive translated to IPv6 and keep who they are from in their addresses:
//
//	local   (platform locator, FunctionPlatform, IdentityPlatform, 168.63.129.16 or 169.254.169.254)
//	remote  (the host's locator, FunctionNIC, the subnet's identity, the NIC's private IPv4)
//
// so a plain socket's peer address says whose question it is, and nothing that a VM writes into a request can say
// otherwise (ID-1). The package opens no socket by itself but for ListenPacket; it serves listeners that it is given, of the
// kernel's or of a userspace stack.
package platform

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"postern/model"
	"postern/plan"
	"postern/token"
	"postern/wire"
)

// Options are what a Service is made of.
type Options struct {
	// Issuer gives the token issuer with the keys of now. It is asked at every request, so keys can rotate.
	Issuer func() token.Issuer

	// Upstream resolves names outside the cloud's zones; nil refuses them.
	Upstream Upstream

	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Service answers from the plan applied last. It is safe for concurrent use.
type Service struct {
	options  Options
	view     atomic.Pointer[view]
	tokens   tokenCache
	counters counters
}

// New makes a service without a plan: until Apply it answers SERVFAIL and 503.
func New(options Options) (*Service, error) {
	if options.Issuer == nil {
		return nil, errors.New("make the platform service: no token issuer given")
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Service{options: options}, nil
}

// caller names a NIC by what a packet's source address carries of it.
type caller struct {
	subnet model.Identity
	ipv4   netip.Addr
}

// view is one plan in the form that questions need. It is immutable.
type view struct {
	location model.Location
	locator  model.Locator
	machines map[caller]plan.Machine
	byVM     map[string][]plan.Machine // by key of the VM's id, in the plan's order
	zones    map[string]model.Zone     // of services, by suffix with a final dot
	above    map[string]string         // every name above or equal to a zone's suffix, to the topmost: each has no address
	labels   map[string]netip.Addr     // by plan.NameKey
	internal map[string]netip.Addr     // VMs by their names in their VNet's own zone, with a final dot
	names    map[string]netip.Addr     // by full lower-case name with a final dot
}

// Apply replaces the whole plan at one moment: a question sees the old one or the new one, never both. A plan that is not
// a gateway's, or that does not hold together, changes nothing.
func (s *Service) Apply(node plan.Node) error {
	gateway := node.Gateway
	switch {
	case gateway == nil:
		return fmt.Errorf("apply plan of node %s to the platform service: it is a %s's plan, want a gateway's", node.Node, node.Role)
	case gateway.PlatformLocator.IsZero():
		return fmt.Errorf("apply plan of node %s to the platform service: it has no platform locator", node.Node)
	case len(gateway.Zones) == 0:
		return fmt.Errorf("apply plan of node %s to the platform service: it has no zones", node.Node)
	}
	next := &view{
		location: node.Location, locator: gateway.PlatformLocator,
		machines: make(map[caller]plan.Machine, len(gateway.Machines)), byVM: map[string][]plan.Machine{},
		zones: map[string]model.Zone{}, above: map[string]string{},
		labels: map[string]netip.Addr{}, names: map[string]netip.Addr{}, internal: map[string]netip.Addr{},
	}
	for _, zone := range gateway.Zones {
		next.zones[zone.Suffix+"."] = zone
		apex := zone.Apex() + "."
		for name := zone.Suffix + "."; ; _, name, _ = strings.Cut(name, ".") {
			next.above[name] = apex
			if name == apex {
				break
			}
		}
	}
	for _, machine := range gateway.Machines {
		who := caller{machine.Subnet, machine.IPv4}
		if have, twice := next.machines[who]; twice {
			return fmt.Errorf("apply plan of node %s to the platform service: NICs %s and %s have the same subnet and address %s",
				node.Node, have.NIC, machine.NIC, machine.IPv4)
		}
		next.machines[who] = machine
		if machine.VM != "" {
			next.byVM[machine.VM.Key()] = append(next.byVM[machine.VM.Key()], machine)
			name := strings.ToLower(machine.VM.Name()) + "." + model.InternalSuffix(machine.VNet) + "."
			if _, known := next.internal[name]; !known { // the first of several NICs
				next.internal[name] = machine.IPv4
			}
		}
	}
	for name, text := range gateway.Names {
		address, err := netip.ParseAddr(text)
		if err != nil || !address.Is4() {
			return fmt.Errorf("apply plan of node %s to the platform service: name %s: address %q is not IPv4", node.Node, name, text)
		}
		name = strings.ToLower(name)
		if strings.Contains(name, "/") {
			next.labels[name] = address
		} else {
			next.names[strings.TrimSuffix(name, ".")+"."] = address
		}
	}
	s.view.Store(next)
	return nil
}

// Why a question has no answer.
var (
	errNoPlan        = errors.New("no plan has been applied yet")
	errNotPlatform   = errors.New("the address asked is not the platform's")
	errUnknownCaller = errors.New("no NIC of the plan has the address that asks")
)

// at takes a local address apart: the platform address that was asked, 168.63.129.16 or 169.254.169.254.
func (v *view) at(local netip.Addr) (netip.Addr, error) {
	if v == nil {
		return netip.Addr{}, errNoPlan
	}
	parts := wire.Parse(local)
	if parts.Locator != v.locator || parts.Function != model.FunctionPlatform || parts.Identity != model.IdentityPlatform {
		return netip.Addr{}, errNotPlatform
	}
	return parts.IPv4, nil
}

// from finds the NIC that a remote address is of.
func (v *view) from(remote netip.Addr) (plan.Machine, error) {
	parts := wire.Parse(remote)
	machine, ok := v.machines[caller{parts.Identity, parts.IPv4}]
	if !ok || parts.Function != model.FunctionNIC {
		return plan.Machine{}, errUnknownCaller
	}
	return machine, nil
}

// Counters are what the service has done since it was made.
type Counters struct {
	Answered        uint64 `json:"answered"`        // names answered, NXDOMAIN and no data included
	Forwarded       uint64 `json:"forwarded"`       // names asked upstream
	UpstreamFailed  uint64 `json:"upstreamFailed"`  // of these, without an answer
	Refused         uint64 `json:"refused"`         // questions refused for what they ask
	Malformed       uint64 `json:"malformed"`       // messages that are no question
	UnknownCaller   uint64 `json:"unknownCaller"`   // questions and requests from an address that is no NIC's
	Tokens          uint64 `json:"tokens"`          // tokens given
	Instances       uint64 `json:"instances"`       // instance documents given
	MetadataRefused uint64 `json:"metadataRefused"` // metadata requests refused for what they ask
	SendFailed      uint64 `json:"sendFailed"`      // answers that the socket did not take
}

type counters struct {
	answered, forwarded, upstreamFailed, refused, malformed, unknownCaller, tokens, instances, metadataRefused, sendFailed atomic.Uint64
}

// Counters reads the counters, one by one.
func (s *Service) Counters() Counters {
	c := &s.counters
	return Counters{
		Answered: c.answered.Load(), Forwarded: c.forwarded.Load(), UpstreamFailed: c.upstreamFailed.Load(), Refused: c.refused.Load(),
		Malformed: c.malformed.Load(), UnknownCaller: c.unknownCaller.Load(), Tokens: c.tokens.Load(), Instances: c.instances.Load(),
		MetadataRefused: c.metadataRefused.Load(), SendFailed: c.sendFailed.Load(),
	}
}
