//go:build linux

package kernel

import (
	"net/netip"
	"path/filepath"
	"testing"

	"postern/model"
	"postern/plan"
)

// newDirect makes a network namespace with a gateway's interfaces, and the driver inside it.
func newDirect(t testing.TB, maxConnections uint32) *Direct {
	t.Helper()
	if err := Supported(); err != nil {
		t.Skip(err)
	}
	inNewNamespace(t)
	addLinks(t, "fabric0", "inet0")
	pins := filepath.Join(bpffs(t), "gateway")
	driver, err := OpenDirect(DirectOptions{Pins: pins, Fabric: "fabric0", Internet: "inet0", MaxConnections: maxConnections})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() {
		if err := driver.Close(); err != nil {
			t.Error(err)
		}
		if err := Remove(pins); err != nil {
			t.Error(err)
		}
	})
	return driver
}

func TestDirectComesAndGoes(t *testing.T) {
	driver := newDirect(t, 0)
	callers := plan.Callers{Subnets: []model.Identity{1024}}
	wanted := plan.Direct{Callers: map[plan.Ref]plan.Callers{plan.RefOf("callers", callers): callers},
		Ports: []plan.DirectPort{{Address: netip.MustParseAddr("192.0.2.1"), Port: 9000, Service: 70, Callers: plan.RefOf("callers", callers)}}}
	for _, ports := range []int{1, 1, 0, 1} {
		next := wanted
		next.Ports = next.Ports[:ports]
		if err := driver.Apply(next); err != nil {
			t.Fatal(err)
		}
		if len(driver.attachments) != 4*ports {
			t.Errorf("%d attachments for %d ports", len(driver.attachments), ports)
		}
	}
}
