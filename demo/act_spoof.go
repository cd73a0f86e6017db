package demo

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"postern/gateway"
	"postern/model"
	"postern/packet"
	"postern/wire"
)

var actSpoof = act{
	id:       "spoof",
	expected: "vm-app sends what it should not: none arrives under another identity, each is counted under its reason (SE-13)",
	play: func(ctx context.Context, s *scene) error {
		if err := s.arrange(ctx, s.allowed()); err != nil {
			return err
		}
		fabric, err := s.fabricAddresses(ctx)
		if err != nil {
			return err
		}
		listener, err := s.otherVM.Listen(ctx, "tcp", fmt.Sprintf(":%d", spoofPort))
		if err != nil {
			return err
		}
		defer listener.Close()
		var accepted atomic.Int64
		go countConnections(listener, &accepted)
		// The honest frame shows that a frame can arrive: without it, silence would prove nothing.
		if err := s.honest(ctx); err != nil {
			return err
		}
		delivered, err := s.counted(ctx, s.other, model.ReasonDelivered)
		if err != nil {
			return err
		}
		began := time.Now()
		results := map[string]any{}
		stories := s.spoofs(fabric)
		for _, story := range stories {
			counted, err := s.send(ctx, story)
			if err != nil {
				return err
			}
			results[story.id] = map[string]any{"frames": len(story.frames), "reason": story.reason.String(), "counted": counted}
			s.see("%s: %d of %d counted as %s", story.id, min(counted, uint64(story.denied())), story.denied(), story.reason)
		}
		s.note("frames", results)
		return s.nothingArrived(ctx, delivered, began, &accepted)
	},
}

// spoofPort is where vm-other listens.
const spoofPort = 8080

// countConnections counts what a listener accepts until it is closed.
func countConnections(listener net.Listener, accepted *atomic.Int64) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		accepted.Add(1)
		conn.Close()
	}
}

// honest sends a SYN of vm-app's own and waits until vm-other's host has delivered it.
func (s *scene) honest(ctx context.Context) error {
	before, err := s.counted(ctx, s.other, model.ReasonDelivered)
	if err != nil {
		return err
	}
	own := packet4{from: s.app.IPv4, to: s.other.IPv4, protocol: model.ProtocolTCP, payload: syn(s.app.IPv4, s.other.IPv4, 40000, spoofPort)}
	if err := s.appVM.SendFrame(ctx, frame(s.app.MAC, packet.EtherTypeIPv4, own.bytes())); err != nil {
		return err
	}
	if _, err := s.countedMore(ctx, s.other, model.ReasonDelivered, before, 1); err != nil {
		return err
	}
	// vm-app's own stack knows nothing of that SYN and resets what comes back: wait for that too.
	if _, err := s.countedMore(ctx, s.other, model.ReasonDelivered, before, 2); err != nil {
		return err
	}
	s.see("an honest frame arrives")
	return nil
}

// fabricNames are addresses of the fabric that a VM should never reach by itself.
type fabricNames struct {
	ownNIC   netip.Addr // vm-app's own, as its host would write it
	otherNIC netip.Addr // vm-other's
	service  netip.Addr // the account in westeurope, at the region's gateway
}

func (s *scene) fabricAddresses(ctx context.Context) (names fabricNames, err error) {
	locator := func(node, property string) (found model.Locator) {
		if err != nil {
			return found
		}
		var text string
		if text, err = s.arranger.property(ctx, "nodes/"+node, property); err == nil {
			err = found.UnmarshalText([]byte(text))
		}
		return found
	}
	storage, _ := model.ServiceByEndpoint(endpointStorage)
	names = fabricNames{
		ownNIC:   wire.Parts{Locator: locator(s.app.Node, "locator"), Identity: s.app.Subnet, IPv4: s.app.IPv4}.Address(),
		otherNIC: wire.Parts{Locator: locator(s.other.Node, "locator"), Identity: s.other.Subnet, IPv4: s.other.IPv4}.Address(),
		service: wire.Parts{Locator: locator("gateway-we", "serviceLocator"), Function: model.FunctionService,
			Identity: storage.Identity, IPv4: s.fronts[accountWest]}.Address(),
	}
	return names, err
}

// spoof is one kind of forgery: frames, of which all but the honest ones are to be dropped for one reason.
type spoof struct {
	id     string
	reason model.Reason
	frames [][]byte
	honest int
}

func (s spoof) denied() int { return len(s.frames) - s.honest }

// spoofs are the forgeries, toward vm-other, and toward the account where a frame of them may rightly leave.
func (s *scene) spoofs(fabric fabricNames) []spoof {
	me, mac, they, account := s.app.IPv4, s.app.MAC, s.other.IPv4, s.fronts[accountWest]
	forged := netip.AddrFrom4([4]byte{10, 13, 77, 99})
	tcp := func(from, to netip.Addr) []byte {
		return packet4{from: from, to: to, protocol: model.ProtocolTCP, payload: syn(from, to, 40001, spoofPort)}.bytes()
	}
	fragment := func(to netip.Addr, identification uint16, offset int, more bool, payload []byte) []byte {
		return frame(mac, packet.EtherTypeIPv4, packet4{from: me, to: to, protocol: model.ProtocolTCP,
			identification: identification, offset: offset, more: more, payload: payload}.bytes())
	}
	whole := syn(me, account, 40002, 443, 1, 2, 3, 4) // 24 bytes: a fragment's length must be a multiple of 8
	return []spoof{
		{id: "source-ip", reason: model.ReasonSourceAddress, frames: [][]byte{
			frame(mac, packet.EtherTypeIPv4, tcp(forged, they)),
			frame(mac, packet.EtherTypeIPv4, tcp(s.other.IPv4, account)),
			frame(mac, packet.EtherTypeIPv4, tcp(outsiderAddress, account)),
		}},
		{id: "source-mac", reason: model.ReasonSourceMAC, frames: [][]byte{
			frame(s.other.MAC, packet.EtherTypeIPv4, tcp(me, they)),
			frame(model.RouterMAC, packet.EtherTypeIPv4, tcp(s.other.IPv4, account)),
		}},
		{id: "ipv6-to-fabric", reason: model.ReasonIPv6, frames: [][]byte{
			frame(mac, packet.EtherTypeIPv6, packet6(fabric.otherNIC, fabric.service, model.ProtocolTCP, syn(fabric.otherNIC, fabric.service, 40003, 443))),
			frame(mac, packet.EtherTypeIPv6, packet6(fabric.service, fabric.otherNIC, model.ProtocolTCP, syn(fabric.service, fabric.otherNIC, 443, spoofPort))),
		}},
		{id: "ipv4-in-ipv6", reason: model.ReasonIPv6, frames: [][]byte{
			frame(mac, packet.EtherTypeIPv6, packet6(fabric.ownNIC, fabric.otherNIC, model.ProtocolIPv4, tcp(forged, they))),
			frame(mac, packet.EtherTypeIPv6, packet6(fabric.otherNIC, fabric.otherNIC, model.ProtocolIPv4, tcp(me, they))),
		}},
		{id: "vlan-tag", reason: model.ReasonVLAN, frames: [][]byte{
			tagged(mac, 77, packet.EtherTypeIPv4, tcp(me, they)),
			tagged(mac, 0, packet.EtherTypeIPv4, tcp(me, they)),
		}},
		{id: "tiny-first-fragment", reason: model.ReasonFragmentTiny, frames: [][]byte{
			fragment(they, 1, 0, true, syn(me, they, 40001, spoofPort)[:8]),
		}},
		{id: "later-without-first", reason: model.ReasonFragmentFirstMissing, frames: [][]byte{
			fragment(they, 2, 24, false, make([]byte, 16)),
		}},
		{id: "overlapping-fragment", reason: model.ReasonFragmentOverlap, honest: 1, frames: [][]byte{
			fragment(account, 3, 0, true, whole),
			fragment(account, 3, 8, false, make([]byte, 16)),
		}},
	}
}

// send sends a forgery's frames and waits until all that are to be dropped were counted.
func (s *scene) send(ctx context.Context, story spoof) (counted uint64, err error) {
	before, err := s.counted(ctx, s.app, story.reason)
	if err != nil {
		return 0, err
	}
	for _, one := range story.frames {
		if err := s.appVM.SendFrame(ctx, one); err != nil {
			return 0, fmt.Errorf("send %s: %w", story.id, err)
		}
	}
	return s.countedMore(ctx, s.app, story.reason, before, uint64(story.denied()))
}

// nothingArrived compares what vm-other and the gateways have seen with before. An honest row comes last, so that a
// forged one would have come before it.
func (s *scene) nothingArrived(ctx context.Context, delivered uint64, began time.Time, accepted *atomic.Int64) error {
	own, err := s.try(ctx, s.writer, accountWest)
	if err != nil {
		return err
	}
	now, err := s.counted(ctx, s.other, model.ReasonDelivered)
	if err != nil {
		return err
	}
	entries, err := s.cloud.AccessLog(ctx)
	if err != nil {
		return err
	}
	strangers := slices.DeleteFunc(entries, func(e gateway.Entry) bool {
		var caller attempt
		caller.read(e)
		return e.Time.Before(began) || caller.fromPrivate(s.app.IPv4)
	})
	s.note("deliveredToOther", now-min(delivered, now))
	s.note("acceptedByOther", accepted.Load())
	s.note("loggedRequests", len(strangers))
	s.expect(own.stored() && own.fromPrivate(s.app.IPv4), "want the honest row let in: %v", own)
	s.expect(now == delivered, "%d packets were delivered to vm-other", now-min(delivered, now))
	s.expect(accepted.Load() == 0, "vm-other accepted %d connections", accepted.Load())
	s.expect(len(strangers) == 0, "the access log has %d requests that nobody made: %v", len(strangers), strangers)
	s.see("delivered to vm-other: %d; requests logged: %d", now-min(delivered, now), len(strangers))
	return nil
}
