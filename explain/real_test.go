package explain

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"postern/compile"
	"postern/gateway"
	"postern/model"
	"postern/pipeline"
	"postern/plan"
	"postern/servicetag"
	"postern/wire"
)

// network carries real packets between the pipelines of a cloud's nodes, as a data path does. It shares no code with the walk.
type network struct {
	t        *testing.T
	plans    map[string]plan.Node
	hosts    map[string]*pipeline.Host
	edges    map[string]*pipeline.Edge
	gateways map[string]*gateway.Snapshot
}

func networkOf(t *testing.T, snapshot *model.Snapshot) *network {
	t.Helper()
	plans, err := new(compile.Compiler).Compile(snapshot, servicetag.BuiltIn())
	if err != nil {
		t.Fatal(err)
	}
	n := &network{t, plans, map[string]*pipeline.Host{}, map[string]*pipeline.Edge{}, map[string]*gateway.Snapshot{}}
	for name, node := range plans {
		switch node.Role {
		case model.RoleHost:
			n.hosts[name] = pipeline.NewHost(func() int64 { return 1 })
			err = n.hosts[name].Apply(node)
		case model.RoleEdge:
			n.edges[name] = pipeline.NewEdge()
			err = n.edges[name].Apply(node)
		case model.RoleGateway:
			n.gateways[name], err = gateway.NewSnapshot(node)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// end is what became of a packet.
type end struct {
	outcome Outcome
	at      string
	reason  string
}

// frame is the first frame of a connection, written by another hand than firstFrame.
func (n *network) frame(nic *model.NetworkInterface, to netip.AddrPort, from uint16, protocol model.Protocol) []byte {
	n.t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocol(protocol), SrcIP: nic.IPv4.AsSlice(), DstIP: to.Addr().AsSlice()}
	ethernet := &layers.Ethernet{SrcMAC: nic.MAC[:], DstMAC: model.RouterMAC[:], EthernetType: layers.EthernetTypeIPv4}
	var transport gopacket.SerializableLayer
	if protocol == model.ProtocolTCP {
		tcp := &layers.TCP{SrcPort: layers.TCPPort(from), DstPort: layers.TCPPort(to.Port()), SYN: true, Window: 1000, Seq: 77}
		tcp.SetNetworkLayerForChecksum(ip)
		transport = tcp
	} else {
		udp := &layers.UDP{SrcPort: layers.UDPPort(from), DstPort: layers.UDPPort(to.Port())}
		udp.SetNetworkLayerForChecksum(ip)
		transport = udp
	}
	buffer := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ethernet, ip, transport); err != nil {
		n.t.Fatal(err)
	}
	return buffer.Bytes()
}

// send lets a NIC send a packet, and follows it to where it ends. account is the one that the client names.
func (n *network) send(nic *model.NetworkInterface, to netip.AddrPort, from uint16, protocol model.Protocol, account string) end {
	n.t.Helper()
	result := n.hosts[nic.Node].FromVM(nic.Number, n.frame(nic, to, from, protocol), make([]byte, 4096))
	if result.Verdict.Action != model.ToFabric {
		return end{Denied, nic.Node, result.Verdict.Reason.String()}
	}
	data := slices.Clone(result.Data)
	for range 4 {
		destination := wire.Parse(netip.AddrFrom16([16]byte(data[24:40])))
		for name, node := range n.plans {
			switch {
			case node.Host != nil && node.Locator == destination.Locator:
				result := n.hosts[name].FromFabric(data, make([]byte, 4096))
				if result.Verdict.Action != model.Deliver {
					return end{Denied, name, result.Verdict.Reason.String()}
				}
				if destination.Function == model.FunctionAppliance && netip.AddrFrom4([4]byte(result.Data[30:34])) != destination.IPv4 {
					return end{Appliance, name, "delivered"}
				}
				return end{Delivered, name, "delivered"}
			case node.Gateway != nil && node.Gateway.ServiceLocator == destination.Locator:
				return n.serve(name, netip.AddrPortFrom(netip.AddrFrom16([16]byte(data[24:40])), to.Port()),
					netip.AddrPortFrom(netip.AddrFrom16([16]byte(data[8:24])), from), protocol, account)
			case node.Gateway != nil && node.Gateway.PlatformLocator == destination.Locator:
				return end{Platform, name, "platform"}
			case node.Edge != nil && node.Locator == destination.Locator:
				result := n.edges[name].FromFabric(data, make([]byte, 4096))
				if result.Verdict.Action != model.ToInternet {
					return end{Denied, name, result.Verdict.Reason.String()}
				}
				packet := slices.Clone(result.Data)
				source := netip.AddrFrom4([4]byte(packet[12:16]))
				if destination.Function != model.FunctionRegionalEgress && node.Edge.PlatformPool.Contains(source) {
					source = n.exitOf(node.Edge, source)
					address := source.As4()
					copy(packet[12:16], address[:])
				}
				var ended end
				if data, ended = n.outside(name, packet, source, to, from, protocol, account); data == nil {
					if ended.outcome == Internet {
						ended.reason = result.Verdict.Reason.String()
					}
					return ended
				}
			}
			if data == nil {
				break
			}
		}
	}
	n.t.Fatalf("the packet from %s to %v has no end", nic.ID.Name(), to)
	return end{}
}

// exitOf is what the NAT makes of a platform address.
func (n *network) exitOf(edge *plan.Edge, platform netip.Addr) netip.Addr {
	n.t.Helper()
	for _, nic := range edge.NICs {
		if nic.PlatformAddress == platform {
			if nic.NATGateway != "" {
				return nic.NATAddress
			}
			return edge.OutboundAddress
		}
	}
	n.t.Fatalf("no NIC has platform address %v", platform)
	return netip.Addr{}
}

// outside finds who has an address on the Internet: the answer is a fabric packet, or the end.
func (n *network) outside(from string, packet []byte, source netip.Addr, to netip.AddrPort, port uint16, protocol model.Protocol, account string) ([]byte, end) {
	for name, node := range n.plans {
		if node.Gateway != nil && slices.Contains(node.Gateway.Addresses, to.Addr()) {
			return nil, n.serve(name, to, netip.AddrPortFrom(source, port), protocol, account)
		}
	}
	for name, edge := range n.edges {
		result := edge.ToFabric(packet, make([]byte, 4096))
		if result.Verdict.Action == model.ToFabric {
			return slices.Clone(result.Data), end{}
		}
		for _, nic := range n.plans[name].Edge.NICs {
			if nic.Public == to.Addr() || nic.PlatformAddress == to.Addr() {
				return nil, end{Denied, name, result.Verdict.Reason.String()}
			}
		}
	}
	if source.IsPrivate() || netip.MustParsePrefix("100.64.0.0/10").Contains(source) {
		return nil, end{Denied, "internet", ReasonNoSuchHost}
	}
	for name, node := range n.plans {
		if node.Edge == nil {
			continue
		}
		if node.Edge.OutboundAddress == to.Addr() {
			return nil, end{Denied, name, ReasonNoListener}
		}
		for _, gateway := range node.Edge.NATGateways {
			if slices.Contains(gateway.Addresses, to.Addr()) {
				return nil, end{Denied, name, ReasonNoListener}
			}
		}
	}
	return nil, end{Internet, from, "internet"}
}

// serve is a gateway's answer.
func (n *network) serve(name string, local, peer netip.AddrPort, protocol model.Protocol, account string) end {
	if protocol != model.ProtocolTCP || local.Port() != 443 {
		return end{Denied, name, ReasonNoListener}
	}
	snapshot := n.gateways[name]
	target, err := snapshot.Find(account + ".blob.core.windows.net")
	if account != "" && err != nil {
		panic(err)
	}
	decision := gateway.Judge(snapshot, gateway.Identify(snapshot, local, peer), target)
	if !decision.Allow {
		return end{Denied, name, string(decision.Reason)}
	}
	return end{Service, name, string(decision.Reason)}
}
