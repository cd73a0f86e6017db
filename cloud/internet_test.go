package cloud

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"postern/model"
)

func TestInternet(t *testing.T) {
	onBothDataPaths(t, func(t *testing.T, dataPath string) {
		s := start(t, dataPath, "", application...)
		s.apply(vnet("twin", "10.13.0.0/16"), subnet("twin/app", "10.13.76.0/24"),
			vm("twin", "host-we2", "twin/app", "10.13.76.36", ""))
		app, far, twin := s.machine("nic-app"), s.machine("nic-far"), s.machine("nic-twin")
		outsider := s.outsider("outsider", "198.51.100.7")
		s.echo(outsider, 7000)

		t.Run("OUT-1 the public address of the instance beats default outbound", func(t *testing.T) {
			s := s.in(t)
			s.roundTrip(s.wantPeer(app, "198.51.100.7:7000", "203.0.113.7"), 1<<20)
			if peer := s.datagram(app, "198.51.100.7:7000").String(); peer != "203.0.113.7" {
				t.Errorf("a datagram's source is %s", peer)
			}
		})
		t.Run("OUT-1 without one it leaves from the edge's address", func(t *testing.T) {
			s := s.in(t)
			s.roundTrip(s.wantPeer(far, "198.51.100.7:7000", "203.0.113.250"), 1<<20)
			if peer := s.datagram(far, "198.51.100.7:7000").String(); peer != "203.0.113.250" {
				t.Errorf("a datagram's source is %s", peer)
			}
		})
		t.Run("VNets with the same addresses get their own answers", func(t *testing.T) {
			s := s.in(t)
			s.apply(vm("app", "host-we1", "vnet/app", "10.13.76.36", "")) // now both leave by default outbound
			var both sync.WaitGroup
			failures := make(chan error, 2)
			for _, machine := range []Machine{app, twin} {
				both.Go(func() {
					for range 8 {
						failures <- s.ownAnswers(machine)
					}
				})
			}
			go func() { both.Wait(); close(failures) }()
			for err := range failures {
				if err != nil {
					t.Error(err)
				}
			}
			s.apply(vm("app", "host-we1", "vnet/app", "10.13.76.36", "pip"))
		})
		t.Run("NSG-4 inbound to the public address through the tag Internet", func(t *testing.T) {
			s := s.in(t)
			s.apply(group("100 Inbound Allow Tcp Internet * 22"), subnet("vnet/app", "10.13.76.0/24", withGroup))
			s.echo(app, 22)
			s.echo(app, 23)
			s.roundTrip(s.wantPeer(outsider, "203.0.113.7:22", "198.51.100.7"), 1<<20)
			s.wantBlocked(outsider, "203.0.113.7:23", "nic-app", model.ReasonSecurityGroup)
			// A VM of the same region reaches the public address too, as the Internet sees it.
			s.roundTrip(s.wantPeer(far, "203.0.113.7:22", "203.0.113.250"), 1000)
			s.apply(subnet("vnet/app", "10.13.76.0/24"))
		})
		t.Run("OUT-2 a private subnet has no Internet, and its endpoint works", func(t *testing.T) {
			s := s.in(t)
			token := s.token(far)
			s.apply(subnet("vnet/other", "10.13.77.0/24", privateSubnet, withStorage))
			s.wantBlocked(far, "198.51.100.7:7000", "nic-far", model.ReasonNoOutbound)
			s.makeTable(s.client(far, ""), own, token)
			s.wantInsert(far, "", own, token, http.StatusCreated, "")
			s.wantCaller(own, "10.13.77.5")
		})
		t.Run("OUT-2 a public address of the instance leads out of a private subnet", func(t *testing.T) {
			s := s.in(t)
			s.apply(subnet("vnet/app", "10.13.76.0/24", privateSubnet))
			s.roundTrip(s.wantPeer(app, "198.51.100.7:7000", "203.0.113.7"), 1000)
		})
		t.Run("ROUTE-4 a None route takes the Internet away", func(t *testing.T) {
			s := s.in(t)
			s.apply(routeTable("0.0.0.0/0 None"), subnet("vnet/app", "10.13.76.0/24", withRouteTable))
			s.wantBlocked(app, "198.51.100.7:7000", "nic-app", model.ReasonRouteNone)
		})
	})
}

// ownAnswers talks to the outsider with bytes that nobody else sends.
func (s *stage) ownAnswers(from Machine) error {
	opened, err := dialEcho(s.ctx, from, "198.51.100.7:7000")
	if err != nil {
		return err
	}
	defer opened.Close()
	text := fmt.Sprintf("%d of mine", allRows.Add(1))
	if _, err := io.WriteString(opened, text); err != nil {
		return err
	}
	back := make([]byte, len(text))
	if _, err := io.ReadFull(opened, back); err != nil || string(back) != text {
		return fmt.Errorf("sent %q, got %q, %w", text, back, err)
	}
	if opened.peer.Addr().String() != "203.0.113.250" {
		return fmt.Errorf("it left from %s", opened.peer)
	}
	return nil
}

func TestPlatform(t *testing.T) {
	onBothDataPaths(t, func(t *testing.T, dataPath string) {
		s := start(t, dataPath, "", application...)
		app, far := s.machine("nic-app"), s.machine("nic-far")
		t.Run("DNS-1 names resolve to public addresses", func(t *testing.T) {
			s := s.in(t)
			for _, account := range []string{own, german} {
				if remote := s.mustConnect(app, tableHost(account)+":80").RemoteAddr().(*net.TCPAddr).AddrPort().Addr(); remote != s.lookup(account) {
					t.Errorf("%s is %s, want %s", account, remote, s.lookup(account))
				}
			}
			if conn, err := app.DialContext(s.ctx, "tcp", "nothere.table.core.windows.net:80"); err == nil {
				conn.Close()
				t.Error("a name that nobody has resolves")
			}
		})
		t.Run("ID-1 each VM gets its own token", func(t *testing.T) {
			s := s.in(t)
			if s.token(app) == s.token(far) {
				t.Error("two VMs got one token")
			}
			got, err := s.ask(s.client(app, ""), http.MethodGet,
				"http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fstorage.azure.com%2F", "", nil)
			if err != nil || got.status != http.StatusBadRequest {
				t.Errorf("without the header Metadata: %+v, %v; want 400", got, err)
			}
		})
		t.Run("NSG-5 a platform tag denies the platform", func(t *testing.T) {
			s := s.in(t)
			s.apply(group("100 Outbound Deny * * AzurePlatformIMDS *"), subnet("vnet/app", "10.13.76.0/24", withGroup))
			s.wantBlocked(app, "169.254.169.254:80", "nic-app", model.ReasonSecurityGroup)
			s.mustConnect(app, tableHost(own)+":80") // names still resolve
			s.apply(group("100 Outbound Deny * * * *"))
			s.token(app) // a rule without the tag does not
		})
		t.Run("ID-1 outsiders do not reach it", func(t *testing.T) {
			s := s.in(t)
			ctx, cancel := context.WithTimeout(s.ctx, patience/20)
			defer cancel()
			if conn, err := s.outsider("stranger", "198.51.100.9").DialContext(ctx, "tcp", "169.254.169.254:80"); err == nil {
				conn.Close()
				t.Error("the Internet reaches the metadata address")
			}
		})
	})
}
