package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"postern/model"
	"postern/plan"
)

// size is how much a NIC's plan holds.
type size struct {
	routes          int // prefixes in the NIC's own routes
	servicePrefixes int // prefixes in the service table
	services        int // enabled
	policies        int // instance addresses that may be reached; 0: no policy

	toNIC bool // the NIC's own routes decide: packets go to other NICs; otherwise to the service
}

// least is the smallest of the sizes that lead the same way.
func (s size) least() size { return size{routes: 1, servicePrefixes: 1, services: 1, toNIC: s.toNIC} }

// destinations are what the measured packets go to: each has a prefix of its own in a plan with as many prefixes, so that
// lookups do not always walk the same branch.
const destinations = 64

// programRows time the NIC program with each large plan beside the least one.
func programRows(ctx context.Context, options Options, measure func(comparison) error) error {
	for _, row := range []struct {
		id   string
		size size
	}{
		{"program-routes-100", size{routes: 100, servicePrefixes: 1, services: 1, toNIC: true}},
		{"program-routes-10000", size{routes: 10_000, servicePrefixes: 1, services: 1, toNIC: true}},
		{"program-service-prefixes-100", size{routes: 1, servicePrefixes: 100, services: 1}},
		{"program-service-prefixes-10000", size{routes: 1, servicePrefixes: 10_000, services: 1}},
		{"program-services-13", size{routes: 1, servicePrefixes: 1, services: 13}},
		{"program-policies-1000", size{routes: 1, servicePrefixes: 1, services: 1, policies: 1000}},
	} {
		if err := programRow(ctx, options, row.id, row.size, measure); err != nil {
			return err
		}
	}
	return nil
}

// programRow has two hosts: the first with the large plan, the second with the least one.
func programRow(ctx context.Context, options Options, id string, large size, measure func(comparison) error) (err error) {
	w, err := newWires(2)
	if err != nil {
		return fmt.Errorf("benchmark: %w", err)
	}
	f := &fabric{wires: w}
	defer func() { err = errors.Join(err, f.close()) }()
	row := comparison{id: id, unit: "ns/packet", target: 1.3, atMost: true}
	sides := []*measureOf{{&row.ours, large}, {&row.theirs, large.least()}}
	for host, side := range sides {
		node := f.plan(host)
		side.size.fill(node.Host)
		if err := f.start(ctx, host, node); err != nil {
			return fmt.Errorf("benchmark: %w", err)
		}
		*side.to = f.timer(host, node, max(1, options.Runs/options.Pairs/slicesPerPair))
	}
	for _, side := range sides { // flows are made, caches filled
		if _, err := (*side.to)(ctx); err != nil {
			row.ours = func(context.Context) (float64, error) { return 0, err }
		}
	}
	return measure(row)
}

// measureOf is one side of a row before its measure is made.
type measureOf struct {
	to   *measure
	size size
}

// timer measures the mean time of packets to the service from the VM of a host.
func (f *fabric) timer(host int, node plan.Node, runs int) measure {
	nic := node.Host.NICs[0]
	frames := make([][]byte, destinations)
	for i := range frames {
		frames[i] = frame(nic, destination(i))
	}
	return func(ctx context.Context) (nanoseconds float64, err error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		err = f.hosts[host].Do(func() error {
			took, err := f.drivers[host].TimeFromVM(nic, frames, runs)
			nanoseconds = float64(took) / float64(time.Nanosecond)
			return err
		})
		return nanoseconds, err
	}
}

// destination is an instance of the service: 20.K.0.7 for K from 0 on.
func destination(i int) netip.Addr { return netip.AddrFrom4([4]byte{20, byte(i), 0, 7}) }

// fill gives the plan of a host with one NIC the size.
func (s size) fill(host *plan.Host) {
	nic := &host.NICs[0]
	host.Routes[routesRef] = []plan.Route{{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Hop: plan.Hop{Type: model.NextHopInternet}}}
	table := host.Services[serviceRef]
	table.Entries = nil
	services := spread(s.servicePrefixes)
	if s.toNIC {
		host.Routes[routesRef] = nil
		for _, prefix := range spread(s.routes) {
			host.Routes[routesRef] = append(host.Routes[routesRef], plan.Route{Prefix: prefix, Hop: plan.Hop{Type: model.NextHopVnetLocal, VNet: vnet}})
		}
		for i := range destinations {
			host.Directory = append(host.Directory, plan.Location{VNet: vnet, IPv4: destination(i), Subnet: subnet, Locator: hostLocators[0]})
		}
		services = []netip.Prefix{netip.MustParsePrefix("52.0.0.0/8")}
	}
	for _, prefix := range services {
		entry := plan.ServiceEntry{Prefix: prefix}
		for i := range min(s.services, plan.MaxServiceCandidates) {
			entry.Candidates = append(entry.Candidates, plan.ServiceCandidate{Bit: uint8(s.services - 1 - i), Bits: uint8(prefix.Bits())})
		}
		table.Entries = append(table.Entries, entry)
	}
	host.Services[serviceRef] = table
	nic.EnabledServices = 1<<s.services - 1
	if s.policies > 0 {
		nic.Policy = policyRef
		allowed := make([]netip.Addr, 0, s.policies)
		for i := range s.policies {
			allowed = append(allowed, netip.AddrFrom4([4]byte{20, byte(i), byte(i >> 8), 7}))
		}
		host.Policies = map[plan.Ref][]netip.Addr{policyRef: allowed}
	}
}

// spread gives so many prefixes: one that covers all destinations, or /24 of which each destination has its own.
func spread(n int) []netip.Prefix {
	if n == 1 {
		return []netip.Prefix{netip.MustParsePrefix("20.0.0.0/8")}
	}
	prefixes := make([]netip.Prefix, n)
	for i := range prefixes {
		prefixes[i] = netip.PrefixFrom(netip.AddrFrom4([4]byte{20, byte(i), byte(i >> 8), 0}), 24)
	}
	return prefixes
}

// frame is a TCP packet of the NIC with 1000 bytes of payload, not the first of its connection.
func frame(nic plan.NIC, to netip.Addr) []byte {
	const ethernet, ipv4, tcp, payload = 14, 20, 20, 1000
	out := make([]byte, ethernet+ipv4+tcp+payload)
	copy(out, model.RouterMAC[:])
	copy(out[6:], nic.MAC[:])
	binary.BigEndian.PutUint16(out[12:], 0x0800)
	ip := out[ethernet:]
	ip[0], ip[8], ip[9] = 0x45, 64, byte(model.ProtocolTCP)
	binary.BigEndian.PutUint16(ip[2:], ipv4+tcp+payload)
	copy(ip[12:], nic.IPv4.AsSlice())
	copy(ip[16:], to.AsSlice())
	segment := ip[ipv4:]
	binary.BigEndian.PutUint16(segment[0:], 40000)
	binary.BigEndian.PutUint16(segment[2:], 443)
	segment[12], segment[13] = 5<<4, 0x10 // no options; ACK
	return out
}
