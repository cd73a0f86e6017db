package cloud

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postern/model"
	"postern/wire"
)

// The accounts of the stories: of the VNet's own region, of the other, and somebody else's.
const (
	own     = "stvnetstorageendpoints"
	german  = "storagetest1138germany"
	another = "rogue"
)

// application is a VM with a public address in a subnet, a second VM in another subnet, and the accounts.
var application = []string{
	nodes,
	vnet("vnet", "10.13.0.0/16"),
	subnet("vnet/app", "10.13.76.0/24"), subnet("vnet/other", "10.13.77.0/24"),
	publicAddress("pip", "203.0.113.7"),
	vm("app", "host-we1", "vnet/app", "10.13.76.36", "pip"),
	vm("far", "host-we2", "vnet/other", "10.13.77.5", ""),
	account(own, "westeurope", ""), account(german, "germanywestcentral", ""), account(another, "westeurope", ""),
}

const denied = "AuthorizationFailure"

func TestEndpoint(t *testing.T) {
	onBothDataPaths(t, func(t *testing.T, dataPath string) {
		s := start(t, dataPath, "", application...)
		app, far := s.machine("nic-app"), s.machine("nic-far")
		token := s.token(app)
		outsider := s.outsider("outsider", "198.51.100.7")
		s.makeTable(s.client(app, ""), own, token)
		s.makeTable(s.client(app, ""), german, token)
		s.makeTable(s.client(app, ""), another, token)
		addressOf := func(account string) string { return s.lookup(account).String() }

		t.Run("FW-5 without an endpoint the region's own account sees a platform address, another region's the public one", func(t *testing.T) {
			s := s.in(t)
			s.wantInsert(app, "", german, token, http.StatusCreated, "")
			s.wantCaller(german, "203.0.113.7")
			s.apply(account(own, "westeurope", "defaultAction: Deny, ipRules: [{value: 203.0.113.7}]"),
				account(german, "germanywestcentral", "defaultAction: Deny, ipRules: [{value: 203.0.113.7}]"))
			s.wantInsert(app, "", german, token, http.StatusCreated, "")
			s.wantInsert(app, "", own, token, http.StatusForbidden, denied)
			s.apply(account(own, "westeurope", ""), account(german, "germanywestcentral", ""))
		})
		t.Run("SE-3 SE-2 SE-1 enabling resets what is open, and the caller becomes the private address", func(t *testing.T) {
			s := s.in(t)
			open := s.keepOpen(app, own)
			s.apply(subnet("vnet/app", "10.13.76.0/24", withStorage))
			s.wantReset(open)
			s.wantInsert(app, "", own, token, http.StatusCreated, "")
			s.wantCaller(own, "10.13.76.36")
			s.wantInsert(app, "", another, token, http.StatusCreated, "") // SE-1 every instance
			s.wantCaller(another, "10.13.76.36")
			// SE-9 another region's account is not covered, so its IP rule still matches.
			s.apply(account(german, "germanywestcentral", "defaultAction: Deny, ipRules: [{value: 203.0.113.7}]"))
			s.wantInsert(app, "", german, token, http.StatusCreated, "")
		})
		t.Run("SE-5 the name still resolves to the public address", func(t *testing.T) {
			s := s.in(t)
			conn := s.mustConnect(app, tableHost(own)+":80")
			if remote := conn.RemoteAddr().String(); remote != addressOf(own)+":80" {
				t.Errorf("connected to %s, want %s", remote, addressOf(own))
			}
			if !s.storagePrefix(s.lookup(own)) {
				t.Errorf("%s is no address of the region's storage", addressOf(own))
			}
		})
		t.Run("SE-4 FW-6 rules name the subnet", func(t *testing.T) {
			s := s.in(t)
			s.apply(account(own, "westeurope", "defaultAction: Deny, ipRules: [{value: 203.0.113.7}]"))
			s.wantInsert(app, "", own, token, http.StatusForbidden, denied)
			s.apply(account(own, "westeurope", "defaultAction: Deny, virtualNetworkRules: [{id: virtualNetworks/vnet/subnets/app}]"))
			s.wantInsert(app, "", own, token, http.StatusCreated, "")
			s.wantInsert(far, "", own, token, http.StatusForbidden, denied)
			s.wantInsert(outsider, addressOf(own), own, token, http.StatusForbidden, denied)
			s.wantInsert(outsider, addressOf(another), another, token, http.StatusCreated, "")
			s.wantCaller(another, "198.51.100.7")
		})
		t.Run("SE-12 neither a public address nor a default route is needed", func(t *testing.T) {
			s := s.in(t)
			s.apply(routeTable("0.0.0.0/0 VirtualAppliance 10.10.10.10"),
				subnet("vnet/app", "10.13.76.0/24", withStorage, withRouteTable, privateSubnet))
			s.wantInsert(app, "", own, token, http.StatusCreated, "")
			s.wantBlocked(app, "198.51.100.7:7000", "nic-app", model.ReasonApplianceUnowned)
			s.apply(subnet("vnet/app", "10.13.76.0/24", withStorage))
		})
		t.Run("SE-6 ICMP does not take the tunnel", func(t *testing.T) {
			s := s.in(t)
			internet := s.counted("nic-app", model.ReasonInternet) + s.counted("nic-app", model.ReasonRegionalEgress)
			if err := app.SendFrame(s.ctx, s.echoRequest("nic-app", s.lookup(own))); err != nil {
				t.Fatal(err)
			}
			// A packet is counted once, under where it went: the endpoint's counter moves with open connections meanwhile.
			s.eventually("wait for the echo request", func() error {
				if s.counted("nic-app", model.ReasonInternet)+s.counted("nic-app", model.ReasonRegionalEgress) == internet {
					return errors.New("not counted as sent to the Internet")
				}
				return nil
			})
		})
		t.Run("SE-7 security groups apply, by the service's tag", func(t *testing.T) {
			s := s.in(t)
			s.apply(group("100 Outbound Deny * * Storage *"), subnet("vnet/app", "10.13.76.0/24", withStorage, withGroup))
			s.wantBlocked(app, addressOf(own)+":80", "nic-app", model.ReasonSecurityGroup)
			s.apply(group("100 Outbound Allow * * Storage.WestEurope *", "200 Outbound Deny * * * *"))
			s.wantInsert(app, "", own, token, http.StatusCreated, "") // NSG-5 names and tokens are exempt
			s.wantBlocked(app, "198.51.100.7:7000", "nic-app", model.ReasonSecurityGroup)
			s.apply(subnet("vnet/app", "10.13.76.0/24", withStorage))
		})
		t.Run("SEP-2 a policy lets through what it lists alone", func(t *testing.T) {
			s := s.in(t)
			s.apply(fmt.Sprintf(`{type: serviceEndpointPolicies, name: policy, location: westeurope, properties: {serviceEndpointPolicyDefinitions: [
  {name: own, properties: {service: Microsoft.Storage, serviceResources: [Microsoft.Storage/storageAccounts/%s]}}]}}`, own),
				subnet("vnet/app", "10.13.76.0/24", withStorage, withPolicy))
			s.wantInsert(app, "", own, token, http.StatusCreated, "")
			before := s.counted("nic-app", model.ReasonEndpointPolicy)
			ctx, cancel := context.WithTimeout(s.ctx, patience)
			defer cancel()
			if conn, err := app.DialContext(ctx, "tcp", addressOf(another)+":80"); err == nil {
				conn.Close()
				t.Error("the other account was reached")
			} else if ctx.Err() != nil {
				t.Errorf("want a reset at once: %v", err)
			}
			if s.counted("nic-app", model.ReasonEndpointPolicy) == before {
				t.Error("the refusal was not counted")
			}
			s.apply(subnet("vnet/app", "10.13.76.0/24", withStorage))
			s.wantInsert(app, "", another, token, http.StatusCreated, "")
		})
		t.Run("SE-14 the service's side cannot connect to a VM", func(t *testing.T) {
			s := s.in(t)
			s.echo(app, 7000)
			info, err := s.NIC(s.ctx, "nic-app")
			if err != nil {
				t.Fatal(err)
			}
			to := wire.Parts{Locator: model.MustLocator("fd00:1:1:100::/56"), Identity: info.Subnet, IPv4: info.IPv4}.Address()
			from := wire.Parts{Locator: model.MustLocator("fd00:1:a:100::/56"), Function: model.FunctionService, Identity: 16, IPv4: s.lookup(own)}.Address()
			before := s.counted("nic-app", model.ReasonUnsolicited)
			ctx, cancel := context.WithTimeout(s.ctx, patience)
			defer cancel()
			ended := make(chan error, 1)
			go func() {
				conn, err := s.dialFromGateway(ctx, "gateway-we", netip.AddrPortFrom(from, 0), netip.AddrPortFrom(to, 7000))
				if err == nil {
					conn.Close()
				}
				ended <- err
			}()
			s.eventually("wait for the drop", func() error {
				if s.counted("nic-app", model.ReasonUnsolicited) == before {
					return errors.New("not counted")
				}
				return nil
			})
			cancel()
			if err := <-ended; err == nil {
				t.Error("the gateway reached the VM")
			}
		})
		t.Run("SE-9 Microsoft.Storage.Global covers all regions", func(t *testing.T) {
			s := s.in(t)
			s.apply(account(german, "germanywestcentral", ""), subnet("vnet/app", "10.13.76.0/24", withStorageAll))
			s.wantInsert(app, "", german, token, http.StatusCreated, "")
			s.wantCaller(german, "10.13.76.36")
		})
		t.Run("SE-3 disabling resets too", func(t *testing.T) {
			s := s.in(t)
			s.apply(account(own, "westeurope", ""))
			open := s.keepOpen(app, own)
			s.apply(subnet("vnet/app", "10.13.76.0/24"))
			s.wantReset(open)
			s.wantInsert(app, "", own, token, http.StatusCreated, "")
		})
		t.Run("FW-7 SE-16 a new subnet of the same name gets no access", func(t *testing.T) {
			s := s.in(t)
			s.apply(subnet("vnet/other", "10.13.77.0/24", withStorage),
				account(own, "westeurope", "defaultAction: Deny, virtualNetworkRules: [{id: virtualNetworks/vnet/subnets/other}]"))
			s.wantInsert(far, "", own, token, http.StatusCreated, "")
			s.remove("virtualMachines/vm-far", "networkInterfaces/nic-far", "virtualNetworks/vnet/subnets/other")
			body, err := s.API().Get(s.ctx, idOf(t, "storageAccounts/"+own))
			if err != nil || !strings.Contains(strings.ToLower(string(body)), "networksourcedeleted") {
				t.Errorf("the account's rule does not tell of the deletion: %s, %v", body, err)
			}
			s.apply(subnet("vnet/other", "10.13.77.0/24", withStorage), vm("far", "host-we2", "vnet/other", "10.13.77.5", ""))
			s.wantInsert(s.machine("nic-far"), "", own, token, http.StatusForbidden, denied)
		})
	})
}

// lookup is an account's public address.
func (s *stage) lookup(account string) netip.Addr {
	s.t.Helper()
	cloud, err := s.Control().Cache.Current(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, found := range cloud.Snapshot().Instances {
		if found.Name == account {
			return found.Address
		}
	}
	s.t.Fatalf("no account %s", account)
	return netip.Addr{}
}

func (s *stage) storagePrefix(address netip.Addr) bool {
	s.t.Helper()
	catalogue, err := s.Control().Catalogue(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	region, ok := catalogue.RegionOf("Storage", address)
	return ok && region == "westeurope"
}

func (s *stage) mustConnect(from Machine, address string) net.Conn {
	s.t.Helper()
	conn := s.connect(from, address)
	s.t.Cleanup(func() { conn.Close() })
	return conn
}

// keepOpen opens a connection to an account and makes one request, so that the connection is in use.
func (s *stage) keepOpen(from Machine, account string) net.Conn {
	s.t.Helper()
	conn := s.mustConnect(from, tableHost(account)+":80")
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	if err := ping(conn, account); err != nil {
		s.t.Fatal(err)
	}
	return conn
}

// ping makes a request without credentials and reads the whole answer; the connection stays open.
func ping(conn net.Conn, account string) error {
	if _, err := fmt.Fprintf(conn, "GET /Tables HTTP/1.1\r\nHost: %s\r\n\r\n", tableHost(account)); err != nil {
		return err
	}
	var head []byte
	for one := make([]byte, 1); !strings.HasSuffix(string(head), "\r\n\r\n"); head = append(head, one[0]) {
		if _, err := io.ReadFull(conn, one); err != nil {
			return err
		}
	}
	length := 0
	for line := range strings.Lines(string(head)) {
		if name, value, _ := strings.Cut(line, ":"); strings.EqualFold(name, "Content-Length") {
			if _, err := fmt.Sscan(value, &length); err != nil {
				return err
			}
		}
	}
	_, err := io.CopyN(io.Discard, conn, int64(length))
	return err
}

// wantReset uses an open connection: it must end with an error that is no timeout.
func (s *stage) wantReset(conn net.Conn) {
	s.t.Helper()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	for range 3 {
		err := ping(conn, own)
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			s.t.Error("the connection hung; want a reset")
			return
		case err != nil:
			return
		}
	}
	s.t.Error("the connection goes on; want a reset")
}
