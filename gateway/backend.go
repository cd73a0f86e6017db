package gateway

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"

	"github.com/pires/go-proxyproto"

	"postern/model"
)

// errNoBackend says that an instance has nobody behind it.
var errNoBackend = errors.New("the instance has no backend")

// The types of the TLVs in a PROXY header that say who calls, in the range for applications (PROXY protocol 2.8, section
// 2.2.7). Each has a resource id.
const (
	ProxySubnet         proxyproto.PP2Type = 0xE1
	ProxyVirtualNetwork proxyproto.PP2Type = 0xE2
)

// backendsOf are the backends of a sub-service: its own, or else those for all.
func backendsOf(instance *Instance, part string) (list []model.Backend) {
	for _, want := range []string{part, ""} {
		for _, one := range instance.Backends {
			if one.Part == want {
				one.Weight = max(one.Weight, 1)
				list = append(list, one)
			}
		}
		if len(list) > 0 {
			return list
		}
	}
	return nil
}

// order is the addresses of the backends of a sub-service in the order in which to try them: by chance, with their
// weights, but those that are down at the end.
func (h *health) order(instance *Instance, part string) []string {
	list := backendsOf(instance, part)
	var order, down []string
	for len(list) > 0 {
		total := 0
		for _, one := range list {
			total += one.Weight
		}
		at, chosen := rand.IntN(total), 0
		for i, one := range list {
			if at -= one.Weight; at < 0 {
				chosen = i
				break
			}
		}
		if address := list[chosen].Address; h.isDown(probe{address, instance.Delivery.HealthPath}) {
			down = append(down, address)
		} else {
			order = append(order, address)
		}
		list = slices.Delete(list, chosen, chosen+1)
	}
	return append(order, down...)
}

// reach connects to a backend of an instance, the next one where one does not answer, and says who calls where the
// instance wants that.
func (g *Gateway) reach(ctx context.Context, instance *Instance, part string, caller Caller, x *exchange) (net.Conn, error) {
	err := errNoBackend
	for _, address := range g.health.order(instance, part) {
		x.entry.Backend = address
		var conn net.Conn
		if conn, err = g.dial(ctx, instance, address, caller); err == nil {
			return conn, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		g.health.failed(probe{address, instance.Delivery.HealthPath})
	}
	return nil, err
}

// dial connects to one backend.
func (g *Gateway) dial(ctx context.Context, instance *Instance, address string, caller Caller) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, g.config.HeaderTimeout)
	defer cancel()
	conn, err := g.config.Dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if !instance.Delivery.ProxyProtocol {
		return conn, nil
	}
	if err := g.introduce(conn, caller); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// introduce sends a PROXY protocol header, version 2: the caller's private address, if it came by an endpoint, the
// address that it dialled, and its subnet and VNet.
func (g *Gateway) introduce(conn net.Conn, caller Caller) error {
	header := &proxyproto.Header{Version: 2, Command: proxyproto.PROXY, TransportProtocol: proxyproto.TCPv4,
		SourceAddr:      net.TCPAddrFromAddrPort(caller.Address),
		DestinationAddr: &net.TCPAddr{IP: caller.Dialled.AsSlice(), Port: int(caller.Port)}}
	if subnet, ok := g.snapshot.Load().Subnet(caller.Subnet); ok {
		if err := header.SetTLVs([]proxyproto.TLV{
			{Type: ProxySubnet, Value: []byte(subnet.ID)}, {Type: ProxyVirtualNetwork, Value: []byte(subnet.VNet)},
		}); err != nil {
			return fmt.Errorf("write PROXY header: %w", err)
		}
	}
	if _, err := header.WriteTo(conn); err != nil {
		return fmt.Errorf("write PROXY header: %w", err)
	}
	return nil
}
