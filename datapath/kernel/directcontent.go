//go:build linux

package kernel

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"postern/datapath/kernel/bpf"
	"postern/model"
	"postern/plan"
	"postern/wire"
)

// directContent is a plan.Direct as the maps hold it.
type directContent struct {
	vips    map[bpf.PosternVipKey]bpf.PosternVip
	served  map[uint32]uint8
	callers map[bpf.PosternItemKey]uint8
	origins map[bpf.PosternPrefixKey]uint8
	plan    plan.Direct
}

// newDirectContent lays a plan out for the maps. It touches nothing, so that a wrong one is refused whole.
func newDirectContent(wanted plan.Direct) (directContent, error) {
	c := directContent{
		vips: map[bpf.PosternVipKey]bpf.PosternVip{}, served: map[uint32]uint8{}, callers: map[bpf.PosternItemKey]uint8{},
		origins: map[bpf.PosternPrefixKey]uint8{}, plan: wanted,
	}
	for _, port := range wanted.ServicePorts {
		c.served[uint32(model.FunctionService)<<16|uint32(port)] = 1
	}
	for _, port := range wanted.PlatformPorts {
		c.served[uint32(model.FunctionPlatform)<<16|uint32(port)] = 1
	}
	for _, address := range wanted.Addresses {
		c.vips[bpf.PosternVipKey{Ipv4: be32(address)}] = bpf.PosternVip{}
	}
	for ref, who := range wanted.Callers {
		handle, err := number(ref)
		if err != nil {
			return c, err
		}
		for _, subnet := range who.Subnets {
			c.callers[bpf.PosternItemKey{Ref: handle, Index: uint32(subnet)}] = 1
		}
		for _, origin := range who.Origins {
			may := uint8(0)
			if origin.May {
				may = 1
			}
			c.origins[prefixKey(handle, origin.Prefix)] = may
		}
	}
	for _, port := range wanted.Ports {
		if _, ok := wanted.Callers[port.Callers]; !ok {
			return c, fmt.Errorf("port %s:%d refers to callers %q, which the plan does not have", port.Address, port.Port, port.Callers)
		}
		vip, err := vipOf(port)
		if err != nil {
			return c, err
		}
		c.vips[bpf.PosternVipKey{Ipv4: be32(port.Address), Port: be16(port.Port)}] = vip
	}
	return c, nil
}

func vipOf(port plan.DirectPort) (vip bpf.PosternVip, err error) {
	if len(port.Backends) > plan.MaxDirectBackends {
		return vip, fmt.Errorf("port %s:%d has %d backends: at most %d", port.Address, port.Port, len(port.Backends), plan.MaxDirectBackends)
	}
	vip.Service, vip.Backends = uint32(port.Service), uint32(len(port.Backends))
	if vip.Callers, err = number(port.Callers); err != nil {
		return vip, err
	}
	through := 0
	for i, backend := range port.Backends {
		through += max(backend.Weight, 1)
		vip.Backend[i] = bpf.PosternBackend{Port: be16(backend.Server.Port()), Through: uint16(through)}
		if !backend.Server.Addr().IsLoopback() {
			vip.Backend[i].Address = addressOf(backend.Server.Addr())
		}
	}
	return vip, nil
}

// be16 is a port as a map holds it: network order in memory.
func be16(port uint16) uint16 {
	var bytes [2]byte
	binary.BigEndian.PutUint16(bytes[:], port)
	return binary.NativeEndian.Uint16(bytes[:])
}

// addressOf is an address as a map holds it; IPv4 stands as ::ffff:a.b.c.d.
func addressOf(address netip.Addr) (out bpf.PosternAddress) {
	bytes := address.As16()
	copy(out.Locator[:], bytes[:wire.OffsetFunction])
	out.Function = bytes[wire.OffsetFunction]
	out.Identity = binary.NativeEndian.Uint32(bytes[wire.OffsetIdentity:])
	out.Ipv4 = binary.NativeEndian.Uint32(bytes[wire.OffsetIPv4:])
	return out
}

// ofAddress is addressOf the other way; an IPv4 address is one again.
func ofAddress(address bpf.PosternAddress) netip.Addr {
	var bytes [wire.AddressLen]byte
	copy(bytes[:], address.Locator[:])
	bytes[wire.OffsetFunction] = address.Function
	binary.NativeEndian.PutUint32(bytes[wire.OffsetIdentity:], address.Identity)
	binary.NativeEndian.PutUint32(bytes[wire.OffsetIPv4:], address.Ipv4)
	return netip.AddrFrom16(bytes).Unmap()
}

// caller and dialled are the two ends of a connection.
func callerOf(key bpf.PosternConnectionKey) netip.AddrPort {
	return netip.AddrPortFrom(ofAddress(key.Caller), be16(key.CallerPort))
}

func dialledOf(key bpf.PosternConnectionKey) netip.AddrPort {
	return netip.AddrPortFrom(ofAddress(key.Server), be16(key.ServerPort))
}

// admits tells whether a connection may be: the twin of the programs' admits.
func (c *directContent) admits(key bpf.PosternConnectionKey) bool {
	vip, ok := c.vips[bpf.PosternVipKey{Ipv4: key.Server.Ipv4, Port: key.ServerPort}]
	if !ok {
		return false
	}
	if caller := ofAddress(key.Caller); ofAddress(key.Server).Is4() {
		for bits := 32; bits >= 0; bits-- {
			if may, ok := c.origins[prefixKey(vip.Callers, netip.PrefixFrom(caller, bits))]; ok {
				return may == 1
			}
		}
		return false
	}
	from, to := wire.Parse(ofAddress(key.Caller)), wire.Parse(ofAddress(key.Server))
	_, listed := c.callers[bpf.PosternItemKey{Ref: vip.Callers, Index: uint32(from.Identity)}]
	return listed && from.Function == model.FunctionNIC && uint32(to.Identity) == vip.Service // their IPv4 part was asked at its beginning
}
