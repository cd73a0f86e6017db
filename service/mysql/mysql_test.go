package mysql

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"postern/firewall"
	"postern/service"
)

// A client that has not said a word is told why (FW-12).
func TestRefusal(t *testing.T) {
	for _, test := range []struct {
		described *service.Service
		denial    service.Denial
		want      string
	}{
		{Service, service.Denial{Kind: firewall.Public}, "\xff\x28\x23Client with IP address '203.0.113.9' is not allowed to connect to this MySQL server."},
		{MariaDB, service.Denial{Kind: firewall.Platform}, "\xff\x28\x23Client with IP address '203.0.113.9' is not allowed to connect to this MariaDB server."},
		{Service, service.Denial{Kind: firewall.Endpoint}, "\xff\x28\x23Client from Azure Virtual Networks is not allowed to access the server."},
		{Service, service.Denial{Fault: service.NotServed}, "\xff\x1d\x04The server is not available"},
	} {
		near, far := net.Pipe()
		session, err := test.described.Startups[way](context.Background(), near, nil)
		if err != nil || session.Host != "" {
			t.Fatalf("got %+v, %v", session, err)
		}
		test.denial.Caller = netip.MustParseAddrPort("203.0.113.9:3306")
		go func() {
			_ = session.Refuse(&test.denial)
			near.Close()
		}()
		if got, err := io.ReadAll(far); err != nil || len(got) < 4 || !strings.HasPrefix(string(got[4:]), test.want) {
			t.Errorf("got %q, %v; want %q", got, err, test.want)
		}
		far.Close()
	}
}
