package pipeline

import (
	"fmt"
	"net/netip"

	"github.com/gaissmai/bart"

	"postern/model"
	"postern/plan"
	"postern/wire"
)

// gatewaySnapshot is a plan.Direct as tables. It is never changed once it is made.
type gatewaySnapshot struct {
	service, platform model.Locator
	addresses         map[[4]byte]bool
	served            map[servedPort]bool
	ports             map[vip]*gatewayPort
}

// vip is an instance's own address with one of its ports.
type vip struct {
	ipv4 [4]byte
	port uint16
}

// vipOf is the address that a connection was dialled at.
func vipOf(key connectionKey) vip {
	return vip{[4]byte(key.server.address[wire.OffsetIPv4:]), key.server.port}
}

// gatewayPort is a plan.DirectPort.
type gatewayPort struct {
	service  model.Identity
	subnets  map[model.Identity]bool
	origins  *bart.Table[bool]
	backends []endpoint
	through  []int // sums of the weights
}

func newGatewaySnapshot(wanted plan.Direct) (*gatewaySnapshot, error) {
	s := &gatewaySnapshot{service: wanted.ServiceLocator, platform: wanted.PlatformLocator, addresses: map[[4]byte]bool{},
		served: map[servedPort]bool{}, ports: map[vip]*gatewayPort{}}
	for _, address := range wanted.Addresses {
		s.addresses[address.As4()] = true
	}
	for _, port := range wanted.ServicePorts {
		s.served[servedPort{model.FunctionService, port}] = true
	}
	for _, port := range wanted.PlatformPorts {
		s.served[servedPort{model.FunctionPlatform, port}] = true
	}
	for _, port := range wanted.Ports {
		who, ok := wanted.Callers[port.Callers]
		if !ok {
			return nil, fmt.Errorf("port %s:%d refers to callers %q, which the plan does not have", port.Address, port.Port, port.Callers)
		}
		if len(port.Backends) > plan.MaxDirectBackends {
			return nil, fmt.Errorf("port %s:%d has %d backends: at most %d", port.Address, port.Port, len(port.Backends), plan.MaxDirectBackends)
		}
		s.ports[vip{port.Address.As4(), port.Port}] = newGatewayPort(port, who)
	}
	return s, nil
}

func newGatewayPort(wanted plan.DirectPort, who plan.Callers) *gatewayPort {
	port := &gatewayPort{service: wanted.Service, subnets: map[model.Identity]bool{}, origins: new(bart.Table[bool])}
	for _, subnet := range who.Subnets {
		port.subnets[subnet] = true
	}
	for _, origin := range who.Origins {
		port.origins.Insert(origin.Prefix, origin.May)
	}
	through := 0
	for _, backend := range wanted.Backends {
		end := endpoint{port: backend.Server.Port()}
		if !backend.Server.Addr().IsLoopback() {
			end.address = backend.Server.Addr().As16()
		}
		through += max(backend.Weight, 1)
		port.backends, port.through = append(port.backends, end), append(port.through, through)
	}
	return port
}

// portOf is the port that a segment was sent to; nil where none is judged here.
func (s *gatewaySnapshot) portOf(t *segment) *gatewayPort {
	if t.function != model.FunctionService {
		return nil
	}
	return s.ports[vipOf(t.key)]
}

// admits tells whether an instance lets a caller in: by its subnet from the fabric, by its address from the Internet.
func (s *gatewaySnapshot) admits(port *gatewayPort, key connectionKey) bool {
	if port == nil {
		return false
	}
	if netip.AddrFrom16(key.server.address).Is4In6() {
		may, ok := port.origins.Lookup(netip.AddrFrom16(key.caller.address).Unmap())
		return ok && may
	}
	from, to := partsOf(key.caller.address), partsOf(key.server.address)
	return from.function == model.FunctionNIC && isUnicast(from.ipv4) && to.identity == port.service && port.subnets[from.identity]
}

// stillAdmits tells whether a known connection may still be. A plan newer than the one that admitted it is asked once.
func (s *gatewaySnapshot) stillAdmits(c *connection, key connectionKey) bool {
	if c.revoked {
		return false
	}
	if c.admitted == s {
		return true
	}
	if !s.admits(s.ports[vipOf(key)], key) {
		return false
	}
	c.admitted = s
	return true
}

// isUnicast tells whether one host can have an address.
func isUnicast(ipv4 [4]byte) bool {
	return ipv4[0] != 0 && ipv4[0] != 127 && ipv4[0] < 224 && !(ipv4[0] == 169 && ipv4[1] == 254)
}

// choose picks a backend by weight and by the ends of the connection. One elsewhere is none for callers of the Internet,
// whose packets are IPv4.
func (p *gatewayPort) choose(key connectionKey) (endpoint, bool) {
	if len(p.backends) == 0 {
		return endpoint{}, false
	}
	point := int(uint64(key.hash()) * uint64(p.through[len(p.through)-1]) >> 32)
	for i, through := range p.through {
		if point < through {
			elsewhere := p.backends[i].address != [wire.AddressLen]byte{}
			return p.backends[i], !elsewhere || !netip.AddrFrom16(key.server.address).Is4In6()
		}
	}
	return endpoint{}, false // never: the last sum is greater
}
