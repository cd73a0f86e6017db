package gateway

import (
	"net/netip"
	"slices"

	"postern/firewall"
	"postern/model"
	"postern/plan"
)

// DirectPath judges the packets to instances' own addresses in this process's place: the kernel does.
type DirectPath interface {
	// Apply puts what is to be judged by in force. When it returns, connections that it does not admit have been reset.
	Apply(plan.Direct) error
}

// platformPorts are the TCP ports on which the platform answers.
var platformPorts = []uint16{53, 80}

// Direct derives what packets to the instances' own addresses are judged by. Who may come in is asked of Judge itself, for
// every subnet and for every range of addresses that it could tell apart: so both doors say the same. down tells which
// backends are known to be dead; nil: none.
func (s *Snapshot) Direct(down func(backend, healthPath string) bool) plan.Direct {
	d := plan.Direct{
		ServiceLocator: s.plan.ServiceLocator, PlatformLocator: s.plan.PlatformLocator,
		ServicePorts: []uint16{80, 443}, PlatformPorts: platformPorts, Callers: map[plan.Ref]plan.Callers{},
	}
	for address := range s.addresses {
		d.Addresses = append(d.Addresses, address)
	}
	slices.SortFunc(d.Addresses, netip.Addr.Compare)
	for i := range s.plan.Instances {
		instance := s.addresses[s.plan.Instances[i].Address.Unmap()]
		callers := plan.Ref("")
		for _, port := range instance.Ports {
			if port.Way != model.WayDirect {
				d.ServicePorts = append(d.ServicePorts, port.Number)
				continue
			}
			if callers == "" {
				who := s.callers(instance)
				callers = plan.RefOf("callers", who)
				d.Callers[callers] = who
			}
			d.Ports = append(d.Ports, plan.DirectPort{Address: instance.Address.Unmap(), Port: port.Number,
				Service: instance.Endpoint.Identity, Callers: callers, Backends: living(instance, down)})
		}
	}
	slices.Sort(d.ServicePorts)
	d.ServicePorts = slices.Compact(d.ServicePorts)
	return d
}

// living are the backends of an instance that are not known to be dead.
func living(instance *Instance, down func(backend, healthPath string) bool) (list []plan.DirectBackend) {
	for _, backend := range backendsOf(instance, "") {
		server, err := netip.ParseAddrPort(backend.Address)
		if err == nil && (down == nil || !down(backend.Address, instance.Delivery.HealthPath)) {
			list = append(list, plan.DirectBackend{Server: server, Weight: backend.Weight})
		}
	}
	return list
}

// callers asks Judge who may use an instance.
func (s *Snapshot) callers(instance *Instance) plan.Callers {
	who := plan.Callers{Subnets: []model.Identity{}, Origins: []plan.Origin{}}
	target := instance.target("")
	for identity := range s.subnets {
		if Judge(s, s.endpointCaller(identity, instance), target).Allow {
			who.Subnets = append(who.Subnets, identity)
		}
	}
	slices.Sort(who.Subnets)
	local := netip.AddrPortFrom(instance.Address, 1)
	for prefix, representative := range ranges(boundaries(&instance.Rules)) {
		caller := Identify(s, local, netip.AddrPortFrom(representative, 1))
		who.Origins = append(who.Origins, plan.Origin{Prefix: prefix, May: Judge(s, caller, target).Allow})
	}
	slices.SortFunc(who.Origins, func(a, b plan.Origin) int { return a.Prefix.Compare(b.Prefix) })
	return who
}

// endpointCaller is any NIC of a subnet that comes by the instance's endpoint.
func (s *Snapshot) endpointCaller(subnet model.Identity, instance *Instance) Caller {
	return Caller{Kind: firewall.Endpoint, Subnet: subnet, Service: instance.Endpoint.Identity}
}

// everywhere are the ranges that Identify tells apart.
var everywhere = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), platformAddresses,
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("224.0.0.0/3"),
}

// boundaries are all prefixes that a judgement of an IPv4 caller can depend on.
func boundaries(rules *model.NetworkRules) []netip.Prefix {
	list := slices.Clone(everywhere)
	list = append(list, rules.IPRules...)
	for _, filter := range rules.Filters {
		list = append(list, filter.Prefixes...)
	}
	list = slices.DeleteFunc(list, func(p netip.Prefix) bool { return !p.Addr().Is4() })
	for i := range list {
		list[i] = list[i].Masked()
	}
	slices.SortFunc(list, netip.Prefix.Compare)
	return slices.Compact(list)
}

// ranges gives, for each prefix, an address that is in it and in no longer one: all such addresses are judged alike. A
// prefix whose every address is in a longer one is left out. The prefixes are sorted.
func ranges(prefixes []netip.Prefix) map[netip.Prefix]netip.Addr {
	out := make(map[netip.Prefix]netip.Addr, len(prefixes))
	for _, prefix := range prefixes {
		address := prefix.Addr()
		for _, inner := range prefixes { // sorted by address: those that begin before address have been passed
			if inner.Bits() > prefix.Bits() && inner.Contains(address) {
				address = last(inner).Next()
			}
		}
		if address.IsValid() && prefix.Contains(address) {
			out[prefix] = address
		}
	}
	return out
}

// last is the highest address of an IPv4 prefix.
func last(prefix netip.Prefix) netip.Addr {
	bytes := prefix.Addr().As4()
	for bit := prefix.Bits(); bit < 32; bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(bytes)
}
