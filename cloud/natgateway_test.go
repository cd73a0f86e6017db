package cloud

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postern/model"
)

// natGateway is the NAT gateway nat with public addresses of its own, which the names say: pip-20 is 203.0.113.20.
func natGateway(addresses ...string) string {
	var documents, ids strings.Builder
	for _, address := range addresses {
		fmt.Fprintf(&documents, "{type: publicIPAddresses, name: pip-%[1]s, location: westeurope, sku: {name: Standard}, "+
			"properties: {publicIPAllocationMethod: Static, ipAddress: 203.0.113.%[1]s}}\n---\n", address)
		fmt.Fprintf(&ids, "{id: publicIPAddresses/pip-%s}, ", address)
	}
	return fmt.Sprintf("%s{type: natGateways, name: nat, location: westeurope, properties: {publicIpAddresses: [%s]}}", documents.String(), ids.String())
}

const withNATGateway = "natGateway: {id: natGateways/nat}"

func TestNATGateway(t *testing.T) {
	onBothDataPaths(t, func(t *testing.T, dataPath string) {
		s := start(t, dataPath, "", application...)
		app, far := s.machine("nic-app"), s.machine("nic-far")
		outsider := s.outsider("outsider", "198.51.100.7")
		s.echo(outsider, 7000)
		s.echo(app, 22)
		const server, instance, byDefault = "198.51.100.7:7000", "203.0.113.7", "203.0.113.250"

		t.Run("OUT-1 the NAT gateway beats default outbound access", func(t *testing.T) {
			s := s.in(t)
			s.apply(natGateway("20"), subnet("vnet/other", "10.13.77.0/24"))
			before := s.wantPeer(far, server, byDefault)
			s.apply(subnet("vnet/other", "10.13.77.0/24", withNATGateway))
			s.roundTrip(s.wantPeer(far, server, "203.0.113.20"), 1<<20)
			if peer := s.datagram(far, server).String(); peer != "203.0.113.20" {
				t.Errorf("a datagram's source is %s", peer)
			}
			s.roundTrip(before, 1000) // what is open keeps its address
			if s.counted("nic-far", model.ReasonNATGateway) == 0 {
				t.Error("nothing is counted as nat-gateway")
			}
		})
		t.Run("OUT-1 it beats the public address of the instance, which goes on serving", func(t *testing.T) {
			s := s.in(t)
			own, served := s.wantPeer(app, server, instance), s.wantPeer(outsider, instance+":22", "198.51.100.7")
			s.apply(subnet("vnet/app", "10.13.76.0/24", withNATGateway))
			s.roundTrip(s.wantPeer(app, server, "203.0.113.20"), 1<<20)
			s.roundTrip(s.wantPeer(outsider, instance+":22", "198.51.100.7"), 1<<20)
			if peer := s.datagram(app, server).String(); peer != "203.0.113.20" {
				t.Errorf("a datagram's source is %s", peer)
			}
			// A connected socket takes an answer from the address that it asked alone.
			if peer := s.datagram(outsider, instance+":22").String(); peer != "198.51.100.7" {
				t.Errorf("a datagram from outside came from %s", peer)
			}
			s.roundTrip(own, 1000)
			s.roundTrip(served, 1000)
			// A VM of the same region reaches it from the NAT gateway's address.
			s.roundTrip(s.wantPeer(far, instance+":22", "203.0.113.20"), 1000)
		})
		t.Run("OUT-1 nobody comes in by the NAT gateway's address", func(t *testing.T) {
			ctx, cancel := context.WithTimeout(s.ctx, patience/20)
			defer cancel()
			if conn, err := outsider.DialContext(ctx, "tcp", "203.0.113.20:22"); err == nil {
				conn.Close()
				t.Error("somebody answers there")
			}
		})
		t.Run("OUT-2 SE-12 a private subnet leaves by it, and to its services by endpoint", func(t *testing.T) {
			s := s.in(t)
			s.apply(subnet("vnet/other", "10.13.77.0/24", privateSubnet, withStorage, withNATGateway))
			s.wantPeer(far, server, "203.0.113.20")
			token := s.token(far)
			s.makeTable(s.client(far, ""), own, token)
			s.wantInsert(far, "", own, token, http.StatusCreated, "")
			s.wantCaller(own, "10.13.77.5")
			s.apply(subnet("vnet/other", "10.13.77.0/24", privateSubnet, withStorage))
			s.wantBlocked(far, server, "nic-far", model.ReasonNoOutbound)
		})
		t.Run("OUT-1 an address that the gateway loses ends what left from it", func(t *testing.T) {
			s := s.in(t)
			s.apply(natGateway("20", "21", "22"), subnet("vnet/other", "10.13.77.0/24", withNATGateway))
			opened := s.dial(far, server)
			first := opened.peer.Addr()
			if again := s.dial(far, server).peer.Addr(); again != first {
				t.Errorf("the second connection leaves from %s, the first one from %s", again, first)
			}
			left := make([]string, 0, 2)
			for _, address := range []string{"20", "21", "22"} {
				if "203.0.113."+address != first.String() {
					left = append(left, address)
				}
			}
			s.apply(natGateway(left...))
			s.wantEnded(opened)
			if next := s.dial(far, server).peer.Addr(); next == first || next == netip.MustParseAddr(byDefault) {
				t.Errorf("then it leaves from %s", next)
			}
			s.apply(natGateway("20"))
		})
		t.Run("OUT-1 without the NAT gateway what it carried ends, and the next one goes the old way", func(t *testing.T) {
			s := s.in(t)
			ofApp, ofFar, served := s.wantPeer(app, server, "203.0.113.20"), s.wantPeer(far, server, "203.0.113.20"),
				s.wantPeer(outsider, instance+":22", "198.51.100.7")
			s.apply(subnet("vnet/other", "10.13.77.0/24"), subnet("vnet/app", "10.13.76.0/24"))
			s.wantEnded(ofApp)
			s.wantEnded(ofFar)
			s.roundTrip(served, 1000)
			s.wantPeer(app, server, instance)
			s.wantPeer(far, server, byDefault)
			if peer := s.datagram(app, server).String(); peer != instance {
				t.Errorf("a datagram's source is %s, want %s", peer, instance)
			}
			if peer := s.datagram(far, server).String(); peer != byDefault {
				t.Errorf("a datagram's source is %s, want %s", peer, byDefault)
			}
			s.remove("natGateways/nat")
		})
	})
}

// wantEnded uses an open connection: it must end by the time that its VM has sent on it, with an error that is no timeout.
func (s *stage) wantEnded(c *session) {
	s.t.Helper()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	err := c.roundTrip(1000)
	var timeout net.Error
	if err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		s.t.Errorf("the connection from %s ends by %v; want a reset", c.peer, err)
	}
}
