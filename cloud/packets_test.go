package cloud

import (
	"testing"

	"postern/model"
)

// machines are three VMs: app and near on one host, far in another subnet on another host.
var machines = []string{
	nodes,
	vnet("vnet", "10.13.0.0/16"),
	subnet("vnet/app", "10.13.76.0/24"), subnet("vnet/other", "10.13.77.0/24"),
	vm("app", "host-we1", "vnet/app", "10.13.76.36", ""),
	vm("near", "host-we1", "vnet/app", "10.13.76.37", ""),
	vm("far", "host-we2", "vnet/other", "10.13.77.5", ""),
}

func TestMachinesReachEachOther(t *testing.T) {
	onBothDataPaths(t, func(t *testing.T, dataPath string) {
		s := start(t, dataPath, "", machines...)
		app, near, far := s.machine("nic-app"), s.machine("nic-near"), s.machine("nic-far")
		s.echo(near, 7000)
		s.echo(far, 7000)
		for name, address := range map[string]string{"the same host": "10.13.76.37:7000", "another host": "10.13.77.5:7000"} {
			t.Run(name, func(t *testing.T) {
				s := s.in(t)
				s.roundTrip(s.wantPeer(app, address, "10.13.76.36"), 1<<20) // many full packets: PMTU and GSO
				if peer := s.datagram(app, address); peer.String() != "10.13.76.36" {
					t.Errorf("a datagram's source is %s", peer)
				}
			})
		}
		t.Run("NSG-2 a change affects new flows alone", func(t *testing.T) {
			s := s.in(t)
			open := s.dial(app, "10.13.77.5:7000")
			s.apply(group("100 Inbound Deny Tcp 10.13.76.0/24 * 7000"), subnet("vnet/other", "10.13.77.0/24", withGroup))
			s.roundTrip(open, 1000)
			s.wantBlocked(app, "10.13.77.5:7000", "nic-far", model.ReasonSecurityGroup)
			if peer := s.datagram(app, "10.13.77.5:7000"); peer.String() != "10.13.76.36" {
				t.Errorf("a datagram's source is %s", peer)
			}
			s.apply(group())
			s.roundTrip(s.dial(app, "10.13.77.5:7000"), 1000) // NSG-1 AllowVnetInBound
			s.roundTrip(open, 1000)
		})
		t.Run("NSG-3 outbound rules of the subnet deny too", func(t *testing.T) {
			s := s.in(t)
			s.apply(group("200 Outbound Deny * * VirtualNetwork 7000"), subnet("vnet/app", "10.13.76.0/24", withGroup))
			s.wantBlocked(app, "10.13.77.5:7000", "nic-app", model.ReasonSecurityGroup)
			s.apply(group())
			s.roundTrip(s.dial(app, "10.13.77.5:7000"), 1000)
		})
		t.Run("ROUTE-14 an appliance route drops and counts", func(t *testing.T) {
			s := s.in(t)
			s.apply(routeTable("10.13.77.0/24 VirtualAppliance 10.10.10.10"), subnet("vnet/app", "10.13.76.0/24", withRouteTable))
			s.wantBlocked(app, "10.13.77.5:7000", "nic-app", model.ReasonApplianceUnowned)
			s.apply(routeTable("10.13.77.0/24 VirtualAppliance 10.13.76.37"))
			s.wantBlocked(app, "10.13.77.5:7000", "nic-app", model.ReasonApplianceNotForwarding)
			s.apply(routeTable("10.13.77.0/24 None"))
			s.wantBlocked(app, "10.13.77.5:7000", "nic-app", model.ReasonRouteNone)
			s.apply(routeTable())
			s.roundTrip(s.dial(app, "10.13.77.5:7000"), 1000)
		})
		t.Run("an address that nobody has", func(t *testing.T) {
			s.in(t).wantBlocked(app, "10.13.77.99:7000", "nic-app", model.ReasonNoSuchAddress)
		})
	})
}

func TestAppliance(t *testing.T) {
	onBothDataPaths(t, func(t *testing.T, dataPath string) {
		s := start(t, dataPath, "", machines...)
		s.apply(subnet("vnet/middle", "10.13.78.0/24"),
			vm("appliance", "host-we2", "vnet/middle", "10.13.78.4", "", withForwarding),
			routeTable("10.13.0.0/16 VirtualAppliance 10.13.78.4"),
			subnet("vnet/app", "10.13.76.0/24", withRouteTable), subnet("vnet/other", "10.13.77.0/24", withRouteTable))
		app, far := s.machine("nic-app"), s.machine("nic-far")
		s.forward("nic-appliance")
		s.echo(far, 7000)
		// ROUTE-1 the VNet's own prefix is equally long, and the user's route wins (ROUTE-2).
		before := s.counted("nic-appliance", model.ReasonVirtualNetwork)
		s.roundTrip(s.wantPeer(app, "10.13.77.5:7000", "10.13.76.36"), 1<<18)
		if after := s.counted("nic-appliance", model.ReasonVirtualNetwork); after < before+20 {
			t.Errorf("the appliance forwarded %d packets", after-before)
		}
	})
}

func TestPeering(t *testing.T) {
	onBothDataPaths(t, func(t *testing.T, dataPath string) {
		half := func(remote string) string {
			return "virtualNetworkPeerings: [{name: to-" + remote + ", properties: {remoteVirtualNetwork: {id: virtualNetworks/" + remote + "}}}]"
		}
		s := start(t, dataPath, "", nodes,
			vnet("left", "10.1.0.0/16"), vnet("right", "10.2.0.0/16"),
			subnet("left/one", "10.1.1.0/24"), subnet("right/one", "10.2.1.0/24"),
			vm("left", "host-we1", "left/one", "10.1.1.4", ""), vm("right", "host-we2", "right/one", "10.2.1.4", ""))
		left, right := s.machine("nic-left"), s.machine("nic-right")
		s.echo(right, 7000)
		put := func(name, prefix string, properties ...string) {
			subnets := "subnets: [{name: one, properties: {addressPrefix: " + prefix + "}}]"
			s.apply(vnet(name, prefix[:5]+"0.0/16", append(properties, subnets)...))
		}
		s.wantBlocked(left, "10.2.1.4:7000", "nic-left", model.ReasonRouteNone)
		put("left", "10.1.1.0/24", half("right"))
		s.wantBlocked(left, "10.2.1.4:7000", "nic-left", model.ReasonRouteNone) // ROUTE-7 one half is no peering
		put("right", "10.2.1.0/24", half("left"))
		s.roundTrip(s.wantPeer(left, "10.2.1.4:7000", "10.1.1.4"), 1000)
		put("left", "10.1.1.0/24")
		s.wantBlocked(left, "10.2.1.4:7000", "nic-left", model.ReasonRouteNone)
	})
}
