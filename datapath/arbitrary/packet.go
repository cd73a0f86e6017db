package arbitrary

import (
	"encoding/binary"
	"net/netip"

	"postern/model"
	"postern/plan"
	"postern/wire"
)

// ipPacket is an IPv4 packet to be written.
type ipPacket struct {
	source, destination netip.Addr
	protocol            byte
	tos, ttl            byte
	id                  uint16
	fragment            uint16
	options             []byte
	payload             []byte
}

func checksum(bytes []byte, seed uint32) uint16 {
	sum := seed
	for i := 0; i+1 < len(bytes); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(bytes[i:]))
	}
	if len(bytes)%2 == 1 {
		sum += uint32(bytes[len(bytes)-1]) << 8
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

func pseudo(source, destination netip.Addr, protocol byte, length int) uint32 {
	var sum uint32
	for _, address := range []netip.Addr{source, destination} {
		bytes := address.AsSlice()
		for i := 0; i < len(bytes); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(bytes[i:]))
		}
	}
	return sum + uint32(protocol) + uint32(length)
}

func (p ipPacket) bytes() []byte {
	header := 20 + len(p.options)
	out := make([]byte, header, header+len(p.payload))
	out[0] = 0x40 | byte(header/4)
	out[1] = p.tos
	binary.BigEndian.PutUint16(out[2:], uint16(header+len(p.payload)))
	binary.BigEndian.PutUint16(out[4:], p.id)
	binary.BigEndian.PutUint16(out[6:], p.fragment)
	out[8], out[9] = p.ttl, p.protocol
	copy(out[12:], p.source.AsSlice())
	copy(out[16:], p.destination.AsSlice())
	copy(out[20:], p.options)
	binary.BigEndian.PutUint16(out[10:], checksum(out, 0))
	return append(out, p.payload...)
}

func (h *Host) port() uint16 { return pick(h, []uint16{53, 80, 443, 1433, 50000, 50001}) }

func (h *Host) body(most int) []byte {
	out := make([]byte, h.random.IntN(most+1))
	for i := range out {
		out[i] = byte(h.random.Uint32())
	}
	return out
}

// transport writes TCP, UDP, ICMP or something else for a packet between two addresses of either family.
func (h *Host) transport(protocol byte, source, destination netip.Addr) []byte {
	size := pick(h, []int{0, 3, 16, 40, 200, 1180, 1300, 1460})
	var out []byte
	at := 0
	switch protocol {
	case 6:
		options := h.tcpOptions()
		out = make([]byte, 20+len(options))
		binary.BigEndian.PutUint16(out[0:], h.port())
		binary.BigEndian.PutUint16(out[2:], h.port())
		binary.BigEndian.PutUint32(out[4:], h.random.Uint32())
		binary.BigEndian.PutUint32(out[8:], h.random.Uint32())
		out[12] = byte(len(out)/4) << 4
		out[13] = pick(h, []byte{2, 2, 18, 16, 16, 24, 17, 4, 20, 0})
		binary.BigEndian.PutUint16(out[14:], 65000)
		copy(out[20:], options)
		at = 16
	case 17:
		out = make([]byte, 8)
		binary.BigEndian.PutUint16(out[0:], h.port())
		binary.BigEndian.PutUint16(out[2:], h.port())
		at = 6
	case 1, 58:
		out = make([]byte, 8)
		types := []byte{8, 0, 8, 13, 3}
		if protocol == 58 {
			types = []byte{128, 129, 129, 135, 1}
		}
		out[0] = pick(h, types)
		binary.BigEndian.PutUint16(out[4:], h.port())
		at = 2
	default:
		return h.body(size)
	}
	out = append(out, h.body(size)...)
	if protocol == 17 {
		binary.BigEndian.PutUint16(out[4:], uint16(len(out)))
		if h.chance(6) {
			return out // no checksum
		}
	}
	seed := uint32(0)
	if protocol != 1 {
		seed = pseudo(source, destination, protocol, len(out))
	}
	binary.BigEndian.PutUint16(out[at:], checksum(out, seed))
	if h.chance(20) {
		out[at] ^= 0x55 // a wrong checksum stays wrong
	}
	return out
}

func (h *Host) tcpOptions() []byte {
	switch h.random.IntN(5) {
	case 0:
		return []byte{2, 4, 0x05, 0xb4, 1, 3, 3, 7}
	case 1:
		return []byte{1, 2, 4, 0x22, 0x60, 0, 0, 0}
	case 2:
		options := h.body(40)
		return options[:len(options)/4*4]
	}
	return nil
}

func (h *Host) ipOptions() []byte {
	switch h.random.IntN(20) {
	case 0:
		return []byte{1, 1, 1, 0}
	case 1:
		return []byte{131, 7, 4, 10, 1, 1, 1, 0}
	case 2:
		return []byte{1, 137, 7, 8, 10, 1, 1, 1}
	case 3:
		options := h.body(40)
		return options[:len(options)/4*4]
	}
	return nil
}

// packetFrom is a packet of an address's, sometimes an answer, an error about an earlier one, or a fragment.
func (h *Host) packetFrom(source netip.Addr, toward []netip.Addr) []byte {
	p := ipPacket{
		source: source, destination: pick(h, toward), protocol: pick(h, []byte{6, 6, 6, 17, 17, 1, 47}),
		tos: byte(h.random.IntN(256)), ttl: byte(1 + h.random.IntN(255)), id: uint16(h.random.Uint32()), options: h.ipOptions(),
		fragment: pick(h, []uint16{0, 0x4000}),
	}
	if len(h.sent) > 0 && h.chance(4) {
		return h.about(p)
	}
	p.payload = h.transport(p.protocol, p.source, p.destination)
	if h.chance(8) {
		h.fragmentise(&p)
	}
	return p.bytes()
}

func (h *Host) fragmentise(p *ipPacket) {
	p.id = uint16(1 + h.random.IntN(3))
	offset := uint16(pick(h, []int{0, 0, 1, 2, 5, 26, 150, 200}))
	p.fragment = offset | pick(h, []uint16{0x2000, 0x2000, 0})
	if offset == 0 && h.chance(4) {
		p.payload = p.payload[:min(len(p.payload), h.random.IntN(24))]
	}
}

// about is an ICMP error that quotes an earlier packet, or the answer to one.
func (h *Host) about(p ipPacket) []byte {
	earlier := pick(h, h.sent)
	size := int(earlier[0]&15) * 4
	if h.chance(2) { // the answer: addresses and ports turned round
		answer := append([]byte(nil), earlier...)
		copy(answer[12:16], earlier[16:20])
		copy(answer[16:20], earlier[12:16])
		if size <= len(earlier)-4 && (earlier[9] == 6 || earlier[9] == 17) {
			copy(answer[size:size+2], earlier[size+2:size+4])
			copy(answer[size+2:size+4], earlier[size:size+2])
		}
		return answer
	}
	p.protocol, p.fragment = 1, 0
	quote := earlier[:min(len(earlier), 20+h.random.IntN(60))]
	p.payload = make([]byte, 8, 8+len(quote))
	p.payload[0] = pick(h, []byte{3, 3, 3, 11, 12, 5})
	p.payload[1] = byte(h.random.IntN(17))
	if p.payload[0] == 12 {
		p.payload[1], p.payload[4] = byte(h.random.IntN(3)), byte(h.random.IntN(24))
	} else if p.payload[1] == 4 {
		binary.BigEndian.PutUint16(p.payload[6:], uint16(h.random.IntN(2000)))
	}
	p.payload = append(p.payload, quote...)
	binary.BigEndian.PutUint16(p.payload[2:], checksum(p.payload, 0))
	return p.bytes()
}

// FromVM is a frame that a NIC's VM sends, and which NIC.
func (h *Host) FromVM() (plan.NIC, []byte) {
	nic := pick(h, h.Node.Host.NICs)
	ethernet := make([]byte, 14)
	copy(ethernet, model.RouterMAC[:])
	copy(ethernet[6:], nic.MAC[:])
	binary.BigEndian.PutUint16(ethernet[12:], 0x0800)
	switch h.random.IntN(60) {
	case 0:
		ethernet[11] ^= 1
	case 1:
		binary.BigEndian.PutUint16(ethernet[12:], pick(h, []uint16{0x8100, 0x88a8, 0x86dd, 0x9000, 0x0806}))
	case 2, 3:
		binary.BigEndian.PutUint16(ethernet[12:], 0x0806)
		return nic, append(ethernet, h.arp(nic)...)
	}
	source := nic.IPv4
	if h.chance(25) {
		source = pick(h, append(h.destinations, ipv4(127, 0, 0, 1), ipv4(224, 0, 0, 1)))
	}
	toward := h.destinations
	if h.chance(40) {
		toward = []netip.Addr{ipv4(224, 0, 0, 5), ipv4(255, 255, 255, 255), ipv4(127, 0, 0, 1), ipv4(0, 0, 0, 0)}
	}
	packet := h.packetFrom(source, toward)
	h.remember(packet)
	frame := append(ethernet, h.damage(packet)...)
	if h.chance(10) {
		frame = append(frame, h.body(30)...) // padding
	}
	return nic, frame
}

func (h *Host) remember(packet []byte) {
	if len(h.sent) < 40 {
		h.sent = append(h.sent, packet)
	} else {
		h.sent[h.random.IntN(len(h.sent))] = packet
	}
}

// damage cuts a packet off or turns a byte of its header, now and then.
func (h *Host) damage(packet []byte) []byte {
	if !h.chance(30) {
		return packet
	}
	packet = append([]byte(nil), packet...)
	if h.chance(2) {
		return packet[:h.random.IntN(len(packet)+1)]
	}
	packet[h.random.IntN(min(len(packet), 48))] ^= byte(1 << h.random.IntN(8))
	return packet
}

func (h *Host) arp(nic plan.NIC) []byte {
	out := make([]byte, 28)
	binary.BigEndian.PutUint16(out[0:], 1)
	binary.BigEndian.PutUint16(out[2:], 0x0800)
	out[4], out[5] = 6, 4
	binary.BigEndian.PutUint16(out[6:], pick(h, []uint16{1, 1, 1, 2}))
	copy(out[8:], nic.MAC[:])
	copy(out[14:], nic.IPv4.AsSlice())
	copy(out[24:], pick(h, append(h.destinations, nic.IPv4)).AsSlice())
	if h.chance(6) {
		out[h.random.IntN(18)] ^= 1
	}
	return out[:28-h.random.IntN(2)*h.random.IntN(2)*h.random.IntN(5)]
}

// FromFabric is an IPv6 packet that reaches the host.
func (h *Host) FromFabric() []byte {
	nic := pick(h, h.Node.Host.NICs)
	destination := wire.Parts{Locator: ownLocator, Identity: nic.Subnet, IPv4: nic.IPv4}
	switch h.random.IntN(30) {
	case 0:
		destination.Locator = otherLocator
	case 1:
		destination.Function = model.Function(h.random.IntN(8))
	case 2:
		destination.Identity = model.Identity(h.random.IntN(3))
	case 3:
		destination.IPv4 = ipv4(10, 1, 9, 9)
	case 4, 5:
		destination.Function = model.FunctionAppliance
	}
	source := wire.Parts{Locator: otherLocator, Identity: nic.Subnet, IPv4: pick(h, h.destinations)}
	if h.chance(2) {
		return h.damageIPv6(h.encapsulated(source, destination, nic))
	}
	return h.damageIPv6(h.translated(source, destination, nic))
}

func (h *Host) encapsulated(source, destination wire.Parts, nic plan.NIC) []byte {
	toward := []netip.Addr{nic.IPv4, nic.IPv4, nic.IPv4, nic.IPv4, nic.IPv4, pick(h, h.destinations)}
	from := pick(h, h.destinations)
	if h.chance(30) {
		from = pick(h, []netip.Addr{ipv4(127, 0, 0, 1), ipv4(239, 1, 1, 1), ipv4(0, 0, 0, 0)})
	}
	packet := h.packetFrom(from, toward)
	h.remember(packet)
	return ipv6(source.Address(), destination.Address(), 4, byte(h.random.IntN(256)), h.damage(packet))
}

func ipv6(source, destination netip.Addr, next, class byte, payload []byte) []byte {
	out := make([]byte, 40, 40+len(payload))
	binary.BigEndian.PutUint32(out, 6<<28|uint32(class)<<20)
	binary.BigEndian.PutUint16(out[4:], uint16(len(payload)))
	out[6], out[7] = next, 55
	copy(out[8:], source.AsSlice())
	copy(out[24:], destination.AsSlice())
	return append(out, payload...)
}

// translated is what a service, the platform or a router of the fabric sends: mostly the answer to a packet of the NIC's.
func (h *Host) translated(source, destination wire.Parts, nic plan.NIC) []byte {
	source.Function = pick(h, []model.Function{model.FunctionService, model.FunctionService, model.FunctionPlatform, model.FunctionNIC})
	source.Locator, source.Identity = serviceHere, pick(h, []model.Identity{16, 16, 17, 18})
	if source.Function == model.FunctionPlatform {
		source.Locator, source.Identity = platform, model.IdentityPlatform
		source.IPv4 = pick(h, []netip.Addr{model.PlatformDNS, model.PlatformMetadata})
	}
	protocol := pick(h, []byte{6, 6, 17, 17, 58, 58, 132, 0, 43})
	var earlier []byte
	for range 8 {
		if len(h.sent) == 0 {
			break
		}
		candidate := pick(h, h.sent)
		if [4]byte(candidate[12:16]) == nic.IPv4.As4() {
			earlier = candidate
			source.IPv4 = netip.AddrFrom4([4]byte(candidate[16:20]))
			if source.IPv4 == model.PlatformDNS || source.IPv4 == model.PlatformMetadata {
				source.Locator, source.Function, source.Identity = platform, model.FunctionPlatform, model.IdentityPlatform
			}
			break
		}
	}
	if earlier != nil && h.chance(4) {
		return h.errorFromFabric(source, destination, earlier)
	}
	payload := h.transport(protocol, source.Address(), destination.Address())
	if size := 20; earlier != nil && earlier[0] == 0x45 && len(earlier) >= size+8 && len(payload) >= 8 {
		switch {
		case earlier[9] == protocol && (protocol == 6 || protocol == 17):
			copy(payload[0:2], earlier[size+2:size+4])
			copy(payload[2:4], earlier[size:size+2])
		case earlier[9] == 1 && protocol == 58:
			copy(payload[4:6], earlier[size+4:size+6])
		}
	}
	if h.chance(8) {
		extension := make([]byte, 8)
		extension[0] = protocol
		binary.BigEndian.PutUint16(extension[2:], uint16(pick(h, []int{0, 0, 8, 16, 40, 208}))|uint16(h.random.IntN(2)))
		extension[7] = byte(1 + h.random.IntN(3))
		payload = append(extension, payload...)
		protocol = 44
	}
	return ipv6(source.Address(), destination.Address(), protocol, byte(h.random.IntN(256)), payload)
}

// errorFromFabric is an ICMPv6 error about a packet that the NIC's earlier one became.
func (h *Host) errorFromFabric(source, destination wire.Parts, earlier []byte) []byte {
	message := make([]byte, 8)
	message[0] = byte(1 + h.random.IntN(4))
	message[1] = byte(h.random.IntN(6))
	binary.BigEndian.PutUint32(message[4:], uint32(h.random.IntN(2200)))
	if message[0] == 4 {
		binary.BigEndian.PutUint32(message[4:], uint32(h.random.IntN(44)))
	}
	quotedSource, quotedDestination := destination.Address(), source.Address()
	var quote []byte
	size := int(earlier[0]&15) * 4
	if h.chance(2) {
		quote = ipv6(quotedSource, quotedDestination, 4, 3, earlier)
	} else if size <= len(earlier) {
		protocol := earlier[9]
		body := append([]byte(nil), earlier[size:]...)
		if protocol == 1 {
			protocol = 58
			if len(body) > 0 {
				body[0] = pick(h, []byte{128, 129, 1})
			}
		}
		quote = ipv6(quotedSource, quotedDestination, protocol, 9, body)
	}
	if h.chance(10) && len(quote) > 0 {
		quote = quote[:h.random.IntN(len(quote))]
	}
	message = append(message, quote...)
	from := source.Address()
	if h.chance(3) {
		from = netip.MustParseAddr("fe80::1")
	}
	binary.BigEndian.PutUint16(message[2:], checksum(message, pseudo(from, destination.Address(), 58, len(message))))
	return ipv6(from, destination.Address(), 58, 0, message)
}

func (h *Host) damageIPv6(packet []byte) []byte {
	if h.chance(12) {
		packet = append(packet, h.body(20)...)
	}
	if !h.chance(30) {
		return packet
	}
	if h.chance(2) {
		return packet[:h.random.IntN(len(packet))]
	}
	packet[h.random.IntN(min(len(packet), 60))] ^= byte(1 << h.random.IntN(8))
	return packet
}
