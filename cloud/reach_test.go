package cloud

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"postern/certificate"
	servers "postern/demo/backend"
	"postern/demo/visit"
	"postern/model"
	"postern/routes"
)

// peered is a VNet beside that of the application, whose one subnet has no endpoint, and both halves of a peering.
func peered(properties ...string) []string {
	return []string{
		vnet("beside", "10.14.0.0/16"), subnet("beside/one", "10.14.1.0/24", properties...), vm("beside", "host-we2", "beside/one", "10.14.1.4", ""),
		`{type: virtualNetworks/virtualNetworkPeerings, name: vnet/to-beside, properties: {allowForwardedTraffic: true, remoteVirtualNetwork: {id: virtualNetworks/beside}}}`,
		`{type: virtualNetworks/virtualNetworkPeerings, name: beside/to-vnet, properties: {allowForwardedTraffic: true, remoteVirtualNetwork: {id: virtualNetworks/vnet}}}`,
	}
}

// What a subnet has by its endpoint, nobody else has: not its VNet's peer, whatever way its packets take.
func TestEndpointIsNotTransitive(t *testing.T) {
	onBothDataPaths(t, func(t *testing.T, dataPath string) {
		s := start(t, dataPath, "", append(application, peered()...)...)
		s.apply(subnet("vnet/app", "10.13.76.0/24", withStorage), account(own, "westeurope", appAlone))
		app, beside := s.machine("nic-app"), s.machine("nic-beside")
		token := s.token(app)
		s.makeTable(s.client(app, ""), own, token)
		t.Run("SE-8 the peering carries packets", func(t *testing.T) {
			s := s.in(t)
			s.echo(app, 7000)
			s.roundTrip(s.wantPeer(beside, "10.13.76.36:7000", "10.14.1.4"), 1000)
		})
		t.Run("SE-8 a VM of the peer is no endpoint's caller, and the subnet's rule does not let it in", func(t *testing.T) {
			s := s.in(t)
			s.wantInsert(app, "", own, token, http.StatusCreated, "")
			s.wantCaller(own, "10.13.76.36")
			endpoint, egress := s.counted("nic-beside", model.ReasonServiceEndpoint), s.counted("nic-beside", model.ReasonRegionalEgress)
			s.wantInsert(beside, "", own, token, http.StatusForbidden, denied)
			s.wantCallerIn(own, "100.64.0.0/16")
			if now := s.counted("nic-beside", model.ReasonServiceEndpoint); now != endpoint {
				t.Errorf("%d packets of the peer's VM took an endpoint", now-endpoint)
			}
			if s.counted("nic-beside", model.ReasonRegionalEgress) == egress {
				t.Error("no packet of the peer's VM went to the service by the region's way")
			}
		})
		t.Run("SE-8 ROUTE-9 the peer's subnet has no route of the endpoint", func(t *testing.T) {
			s := s.in(t)
			if covered := s.covered("nic-app", s.lookup(own)); covered != "Microsoft.Storage" {
				t.Errorf("nic-app reaches the account by endpoint %q", covered)
			}
			if covered := s.covered("nic-beside", s.lookup(own)); covered != "" {
				t.Errorf("nic-beside reaches the account by endpoint %q", covered)
			}
		})
		t.Run("SE-8 SE-13 a way through the subnet of the endpoint does not lend it", func(t *testing.T) {
			s := s.in(t)
			s.apply(vm("router", "host-we1", "vnet/app", "10.13.76.40", "", withForwarding), routeTable("0.0.0.0/0 VirtualAppliance 10.13.76.40"))
			s.apply(subnet("beside/one", "10.14.1.0/24", withRouteTable))
			s.forward("nic-router")
			s.wantBlocked(beside, s.lookup(own).String()+":80", "nic-router", model.ReasonForwardedToService)
			s.apply(subnet("beside/one", "10.14.1.0/24"))
			s.wantInsert(app, "", own, token, http.StatusCreated, "")
		})
	})
}

// covered is the endpoint whose active route of a NIC has an address; "" for none.
func (s *stage) covered(nic string, address netip.Addr) string {
	s.t.Helper()
	data, err := s.API().Routes(s.ctx, nic)
	if err != nil {
		s.t.Fatal(err)
	}
	var list struct {
		Value []routes.Effective `json:"value"`
	}
	if err := json.Unmarshal(data, &list); err != nil || len(list.Value) == 0 {
		s.t.Fatalf("%d routes of %s: %v", len(list.Value), nic, err)
	}
	for _, route := range list.Value {
		for _, prefix := range route.Prefixes {
			if route.State == routes.Active && route.NextHopType == model.NextHopServiceEndpoint && prefix.Contains(address) {
				return route.Name
			}
		}
	}
	return ""
}

// sqlVisitor is a client of SQL in a VM that trusts the cloud and a backend.
func (s *stage) sqlVisitor(from Machine, backend *certificate.Authority) *visit.Visitor {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CA())
	roots.AppendCertsFromPEM(backend.CertificatePEM())
	return &visit.Visitor{Dial: from.DialContext, Roots: roots, Timeout: patience}
}

// A server of another region is reached by no endpoint of the VNet's, and by that of a VNet in its own.
func TestSQLInAnotherRegion(t *testing.T) {
	const typ, westHost, germanHost = "Microsoft.Sql/servers", "west.database.windows.net", "german.database.windows.net"
	germany := func(document string) string { return strings.ReplaceAll(document, "westeurope", "germanywestcentral") }
	onBothDataPaths(t, func(t *testing.T, dataPath string) {
		s := start(t, dataPath, "", application...)
		s.apply(germany(vnet("berlin", "10.15.0.0/16")), subnet("berlin/one", "10.15.1.0/24", withSQL), germany(vm("berlin", "host-gwc", "berlin/one", "10.15.1.4", "")),
			subnet("vnet/app", "10.13.76.0/24", withSQL))
		authority, leaf := backendIdentity(t, westHost, germanHost)
		listener := s.backend("sql", "198.51.100.77")
		go servers.Each(listener, servers.SQL(&tls.Config{Certificates: []tls.Certificate{*leaf}}))
		for name, place := range map[string]func(string) string{"west": strings.Clone, "german": germany} {
			s.apply(place(server(typ, name, listener.Addr().String(), "")), subnetRule(t, typ, name, "app"),
				strings.ReplaceAll(strings.ReplaceAll(subnetRule(t, typ, name, "one"), "virtualNetworks/vnet", "virtualNetworks/berlin"), "/from-app", "/from-one"))
		}
		app, berlin := s.sqlVisitor(s.machine("nic-app"), authority), s.sqlVisitor(s.machine("nic-berlin"), authority)
		logIn := func(v *visit.Visitor, host string) string {
			answer, err := v.SQL(s.ctx, host, "bob")
			if err != nil {
				return err.Error()
			}
			return answer
		}
		t.Run("SE-10 the endpoint reaches the server of the VNet's own region", func(t *testing.T) {
			s := s.in(t)
			for _, one := range []struct {
				from       *visit.Visitor
				host, seen string
			}{{app, westHost, "10.13.76.36"}, {berlin, germanHost, "10.15.1.4"}} {
				if got := logIn(one.from, one.host); !strings.HasPrefix(got, "logged in") {
					t.Errorf("%s: %s", one.host, got)
				}
				name, _, _ := strings.Cut(one.host, ".")
				s.wantCaller(name, one.seen)
			}
		})
		t.Run("SE-10 SE-2 the other region's server sees the public address, and the subnet's rule does not match", func(t *testing.T) {
			s := s.in(t)
			if got := logIn(app, germanHost); !strings.Contains(got, "Msg 40615") || !strings.Contains(got, "'203.0.113.7'") {
				t.Errorf("from westeurope: %s", got)
			}
			s.wantCaller("german", "203.0.113.7")
			if got := logIn(berlin, westHost); !strings.Contains(got, "Msg 40615") || !strings.Contains(got, "'203.0.113.251'") {
				t.Errorf("from germanywestcentral: %s", got)
			}
			s.wantCaller("west", "203.0.113.251")
		})
		t.Run("SE-10 ROUTE-9 the routes say so", func(t *testing.T) {
			s := s.in(t)
			for nic, want := range map[string][2]string{"nic-app": {"Microsoft.Sql", ""}, "nic-berlin": {"", "Microsoft.Sql"}} {
				if got := [2]string{s.covered(nic, s.lookup("west")), s.covered(nic, s.lookup("german"))}; got != want {
					t.Errorf("%s reaches west and german by endpoints %q, want %q", nic, got, want)
				}
			}
		})
		t.Run("SE-10 FW-4 a rule for the public address lets it in", func(t *testing.T) {
			s := s.in(t)
			s.apply(addressRule(typ, "german", "203.0.113.7", "203.0.113.7"))
			if got := logIn(app, germanHost); !strings.HasPrefix(got, "logged in") {
				t.Error(got)
			}
		})
	})
}
