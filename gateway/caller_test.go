package gateway

import (
	"net/netip"
	"testing"

	"postern/firewall"
	"postern/model"
	"postern/wire"
)

func TestIdentify(t *testing.T) {
	snapshot := snapshotOf(t, cloud(storageAccount("sta", model.NetworkRules{})))
	at := func(locator model.Locator, function model.Function, identity model.Identity, ipv4 string) netip.Addr {
		return wire.Parts{Locator: locator, Function: function, Identity: identity, IPv4: netip.MustParseAddr(ipv4)}.Address()
	}
	service := serviceAddress.Addr()
	tests := []struct {
		name        string
		local, peer netip.Addr
		want        firewall.Kind
		address     string
	}{
		{"SE-2 the private address by an endpoint", service, nicAddress(identityApp, "10.13.76.36"), firewall.Endpoint, "10.13.76.36"},
		{"SE-2 a VNet may use public ranges", service, nicAddress(identityApp, "51.4.0.4"), firewall.Endpoint, "51.4.0.4"},
		{"the Internet", accountAddress, netip.MustParseAddr("20.1.2.3"), firewall.Public, "20.1.2.3"},
		{"the Internet on a dual-stack socket", netip.MustParseAddr("::ffff:20.60.1.1"), netip.MustParseAddr("::ffff:20.1.2.3"), firewall.Public, "20.1.2.3"},
		{"FW-5 the region, first address", accountAddress, netip.MustParseAddr("100.64.0.0"), firewall.Platform, "100.64.0.0"},
		{"FW-5 the region, last address", accountAddress, netip.MustParseAddr("100.127.255.255"), firewall.Platform, "100.127.255.255"},
		{"FW-5 the region ends there", accountAddress, netip.MustParseAddr("100.128.0.0"), firewall.Public, "100.128.0.0"},
		{"FW-3 a private source on a public address", accountAddress, netip.MustParseAddr("10.13.76.36"), firewall.Unknown, "10.13.76.36"},
		{"FW-3 loopback", accountAddress, netip.MustParseAddr("127.0.0.1"), firewall.Unknown, "127.0.0.1"},
		{"FW-3 a fabric source on a public address", accountAddress, nicAddress(identityApp, "10.13.76.36"), firewall.Unknown, ""},
		{"FW-3 an address that is not the gateway's", netip.MustParseAddr("20.60.1.99"), netip.MustParseAddr("20.1.2.3"), firewall.Unknown, "20.1.2.3"},
		{"FW-3 a node of the fabric", service, at(hostLocator, model.FunctionNIC, model.IdentityNone, "0.0.0.1"), firewall.Unknown, ""},
		{"FW-3 a service as source", service, at(hostLocator, model.FunctionNIC, identityStorage, "10.0.0.4"), firewall.Unknown, ""},
		{"FW-3 another function as source", service, at(hostLocator, model.FunctionInternetEgress, identityApp, "10.0.0.4"), firewall.Unknown, ""},
		{"FW-3 no address of a NIC", service, nicAddress(identityApp, "0.0.0.0"), firewall.Unknown, ""},
		{"FW-3 a multicast address of a NIC", service, nicAddress(identityApp, "224.0.0.1"), firewall.Unknown, ""},
		{"FW-3 another function of the gateway", at(serviceLocator, model.FunctionPlatform, 1, "1.1.1.1"), nicAddress(identityApp, "10.0.0.4"), firewall.Unknown, ""},
		{"FW-3 another service of the gateway", at(serviceLocator, model.FunctionService, 999, "1.1.1.1"), nicAddress(identityApp, "10.0.0.4"), firewall.Unknown, ""},
		{"FW-3 another locator", at(hostLocator, model.FunctionService, 16, "1.1.1.1"), nicAddress(identityApp, "10.0.0.4"), firewall.Unknown, ""},
		{"FW-3 no addresses", netip.Addr{}, netip.Addr{}, firewall.Unknown, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := Identify(snapshot, netip.AddrPortFrom(test.local, 443), netip.AddrPortFrom(test.peer, 50000))
			if got.Kind != test.want {
				t.Fatalf("got %+v, want %s", got, test.want)
			}
			if test.address != "" && got.Address.Addr().String() != test.address {
				t.Errorf("address is %s, want %s", got.Address, test.address)
			}
			if (got.Problem != "") != (got.Kind == firewall.Unknown) {
				t.Errorf("problem is %q for kind %s", got.Problem, got.Kind)
			}
			if got.Kind == firewall.Endpoint && got.Subnet != identityApp {
				t.Errorf("subnet is %d, want %d", got.Subnet, identityApp)
			}
		})
	}
}

// FuzzIdentify: no pair of addresses makes an endpoint caller unless both are what the wire format says.
func FuzzIdentify(f *testing.F) {
	snapshot := snapshotOf(f, cloud(storageAccount("sta", model.NetworkRules{})))
	add := func(local, peer netip.Addr) {
		l, p := local.As16(), peer.As16()
		f.Add(l[:], p[:])
	}
	add(serviceAddress.Addr(), nicAddress(identityApp, "10.13.76.36"))
	add(accountAddress, netip.MustParseAddr("20.1.2.3"))
	f.Fuzz(func(t *testing.T, local, peer []byte) {
		l, _ := netip.AddrFromSlice(local)
		p, _ := netip.AddrFromSlice(peer)
		caller := Identify(snapshot, netip.AddrPortFrom(l, 443), netip.AddrPortFrom(p, 1))
		if caller.Kind != firewall.Endpoint {
			if caller.Subnet != model.IdentityNone {
				t.Fatalf("%+v has a subnet", caller)
			}
			return
		}
		to, from := wire.Parse(l), wire.Parse(p)
		if to.Locator != serviceLocator || to.Function != model.FunctionService || from.Function != model.FunctionNIC ||
			from.Identity != caller.Subnet || from.IPv4 != caller.Address.Addr() {
			t.Fatalf("%s from %s is %+v", l, p, caller)
		}
	})
}
