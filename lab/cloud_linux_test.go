//go:build linux

package lab

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/model"
)

// patience bounds everything that a test waits for.
const patience = 10 * time.Second

// cloud is the lab of the tests: two hosts, a gateway, an edge, an outsider.
type cloud struct {
	*Lab
	hosts    [2]*Host
	gateway  *Gateway
	edge     *Edge
	outsider *Namespace
}

var (
	outsiderAddress = netip.MustParseAddr("203.0.113.50")
	serviceAddress  = netip.MustParseAddr("20.60.1.7")
	publicAddress   = netip.MustParseAddr("20.50.1.1")
	outboundAddress = netip.MustParseAddr("20.40.0.1")
	platformPool    = netip.MustParsePrefix("100.64.0.0/16")
)

// requireLab skips where a lab cannot be: the reason says what is missing.
func requireLab(t *testing.T) {
	t.Helper()
	if err := Prerequisites(); err != nil {
		t.Skip(err)
	}
}

// newLab makes a lab that is closed, and of which nothing is left, when the test ends.
func newLab(t *testing.T) *Lab {
	t.Helper()
	requireLab(t)
	lab, err := New(model.DefaultSettings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lab.Close(); err != nil {
			t.Error(err)
		}
		if left := traces(t, namePrefix+lab.tag); len(left) > 0 {
			t.Errorf("left after close: %v", left)
		}
	})
	return lab
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{Lab: newLab(t)}
	var err error
	for i, name := range []string{"host-a", "host-b"} {
		if c.hosts[i], err = c.AddHost(testHost(i, name)); err != nil {
			t.Fatal(err)
		}
	}
	if c.gateway, err = c.AddGateway(testGateway("gateway-a", "fd00:1:2:100::/56")); err != nil {
		t.Fatal(err)
	}
	if c.edge, err = c.AddEdge(model.Node{Name: "edge-a", Role: model.RoleEdge,
		Locator: model.MustLocator("fd00:1:3:100::/56"), OutboundAddress: outboundAddress}, platformPool); err != nil {
		t.Fatal(err)
	}
	if c.outsider, err = c.AddOutsider("outsider", outsiderAddress); err != nil {
		t.Fatal(err)
	}
	return c
}

func testHost(i int, name string) model.Node {
	locators := []string{"fd00:1:1:100::/56", "fd00:1:1:200::/56"}
	return model.Node{Name: name, Role: model.RoleHost, Locator: model.MustLocator(locators[i])}
}

func testGateway(name, locator string) model.Node {
	return model.Node{Name: name, Role: model.RoleGateway, Locator: model.MustLocator(locator),
		ServiceLocator: model.MustLocator("fd00:5:1:100::/56"), PlatformLocator: model.MustLocator("fd00:5:2:100::/56")}
}

func testNIC() NIC {
	return NIC{Number: 7, Address: netip.MustParsePrefix("10.13.76.36/24"), Gateway: netip.MustParseAddr("10.13.76.1"),
		MAC: model.MAC{0x00, 0x0d, 0x3a, 0x01, 0x02, 0x03}}
}

// traces are the files and mounts whose names begin so.
func traces(t *testing.T, prefix string) []string {
	t.Helper()
	var found []string
	for _, folder := range []string{namespaceFolder, resolverFolder} {
		matches, err := filepath.Glob(filepath.Join(folder, prefix+"*"))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, matches...)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, prefix) {
			found = append(found, line)
		}
	}
	return found
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// serve accepts connections, and answers each with both addresses as the server sees them and its name: "LOCAL REMOTE
// NAME".
func serve(t *testing.T, where *Namespace, address string) net.Listener {
	t.Helper()
	listener, err := where.Listen(bounded(t), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.SetDeadline(time.Now().Add(patience))
			conn.Write([]byte(conn.LocalAddr().String() + " " + conn.RemoteAddr().String() + " " + where.Name))
			conn.Close()
		}
	}()
	t.Cleanup(func() { listener.Close(); <-done })
	return listener
}

// ask connects, and gives what serve answers, with this side's own address.
func ask(t *testing.T, from *Namespace, address string) (server, client, own netip.AddrPort) {
	t.Helper()
	answer, own := answerOf(t, from, address)
	return netip.MustParseAddrPort(answer[0]), netip.MustParseAddrPort(answer[1]), own
}

func answerOf(t *testing.T, from *Namespace, address string) (answer []string, own netip.AddrPort) {
	t.Helper()
	conn, err := from.DialContext(bounded(t), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	content, err := io.ReadAll(conn)
	if answer = strings.Fields(string(content)); err != nil || len(answer) != 3 {
		t.Fatalf("%s answered %q, %v", address, content, err)
	}
	return answer, netip.MustParseAddrPort(conn.LocalAddr().String())
}

// port is the port of a listener.
func port(listener net.Listener) string {
	_, number, _ := net.SplitHostPort(listener.Addr().String())
	return number
}
