package pipeline

import (
	"encoding/binary"
	"net/netip"

	"postern/model"
	"postern/packet"
	"postern/wire"
)

// endpoint is one end of a connection: an address, IPv4 as ::ffff:a.b.c.d, and a port.
type endpoint struct {
	address [wire.AddressLen]byte
	port    uint16
}

// connectionKey is both ends of a connection as a packet shows them: the server's is the address that was dialled, or the
// backend's.
type connectionKey struct{ caller, server endpoint }

// segment is a TCP segment between a caller and an instance, whichever way it runs.
type segment struct {
	key      connectionKey
	packet   []byte         // without what stands behind its length
	tcp      packet.TCP     // header and payload, within packet
	function model.Function // of the instance's side on the fabric; FunctionService on the Internet, FunctionNIC for what is neither service nor platform
}

// taken is how a packet is taken.
type taken uint8

const (
	takenSound taken = iota
	takenNotOurs
	takenMalformed
)

// servedPort is a port on which sockets answer.
type servedPort struct {
	function model.Function
	port     uint16
}

func (t *segment) served() servedPort { return servedPort{t.function, t.key.server.port} }

func (t *segment) payload() int { return len(t.tcp) - t.tcp.DataOffset() }

// end is the sequence number behind the segment.
func (t *segment) end() uint32 {
	end := t.tcp.Sequence() + uint32(t.payload())
	if t.tcp.Flags()&packet.TCPSyn != 0 {
		end++
	}
	if t.tcp.Flags()&packet.TCPFin != 0 {
		end++
	}
	return end
}

// take6 takes a segment of the fabric's: its instance's side has one of the gateway's anycast locators. Of what leaves,
// that may be a backend elsewhere, too.
func take6(s *gatewaySnapshot, bytes []byte, toward bool) (t segment, how taken) {
	if len(bytes) < packet.IPv6Len || bytes[0]>>4 != 6 || packet.IPv6(bytes).NextHeader() != model.ProtocolTCP {
		return t, takenNotOurs
	}
	source, destination := packet.IPv6(bytes).Source(), packet.IPv6(bytes).Destination()
	caller, server := source, destination
	if !toward {
		caller, server = destination, source
	}
	to := partsOf(server)
	t.function = to.function
	if !(to.locator == s.service && to.function == model.FunctionService) && !(to.locator == s.platform && to.function == model.FunctionPlatform) {
		if toward {
			return t, takenNotOurs
		}
		t.function = model.FunctionNIC
	}
	ip, ok := packet.CheckIPv6(bytes)
	if !ok {
		return t, takenMalformed
	}
	return t.finish(ip, ip.Payload(), caller, server, toward)
}

// take4 takes a segment of the Internet's, of one of the plan's addresses. Fragments go to the host's own stack: no
// connection comes of them, for its answers find none here.
func take4(s *gatewaySnapshot, bytes []byte, toward bool) (t segment, how taken) {
	ip, ok := packet.CheckIPv4(bytes)
	if !ok || ip.Protocol() != model.ProtocolTCP || ip.Fragmented() {
		return t, takenNotOurs
	}
	caller, server := ip.Source(), ip.Destination()
	if !toward {
		caller, server = server, caller
	}
	if !s.addresses[server] {
		return t, takenNotOurs
	}
	t.function = model.FunctionService
	return t.finish(ip, ip.Payload(), mapped(caller), mapped(server), toward)
}

func mapped(ipv4 [4]byte) [16]byte { return netip.AddrFrom4(ipv4).As16() }

// finish fills in what TCP says.
func (t segment) finish(ip, layer4 []byte, caller, server [16]byte, toward bool) (segment, taken) {
	if !packet.CheckTCP(layer4) {
		return t, takenMalformed
	}
	t.packet, t.tcp = ip, packet.TCP(layer4)
	source, destination := packet.Ports(layer4)
	if !toward {
		source, destination = destination, source
	}
	t.key = connectionKey{caller: endpoint{caller, source}, server: endpoint{server, destination}}
	return t, takenSound
}

// rewriteSide copies a segment into out with another address and port on one side. IPv4 addresses stay.
func rewriteSide(out []byte, t *segment, at side, to endpoint) []byte {
	data := out[:len(t.packet)]
	copy(data, t.packet)
	tcp := data[len(data)-len(t.tcp):]
	sum := tcp[packet.TCPChecksumOffset:]
	update := func(old, new []byte) {
		difference := packet.Subtract(packet.Add(0, new), packet.Add(0, old))
		binary.BigEndian.PutUint16(sum, packet.Update(binary.BigEndian.Uint16(sum), difference))
		copy(old, new)
	}
	portAt, addressAt := 0, 8
	if at == destinationSide {
		portAt, addressAt = 2, 24
	}
	if to.port != t.key.server.port {
		update(tcp[portAt:portAt+2], binary.BigEndian.AppendUint16(nil, to.port))
	}
	if data[0]>>4 == 6 && to.address != t.key.server.address {
		update(data[addressAt:addressAt+wire.AddressLen], to.address[:])
	}
	return data
}
