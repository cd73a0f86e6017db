package cloud

import (
	"net"
	"testing"

	"postern/lab"
)

// Nodes go with their resources, and the fabric has the MTU that the settings say: a write is answered when it is so.
func TestNodesChange(t *testing.T) {
	needKernel(t)
	s := start(t, Kernel, "", application...)
	world := s.world.(*kernelWorld)
	inside := world.nodes["host-we1"].host.Namespace
	s.apply(`{type: settings, name: default, properties: {fabricMTU: 1700}}`)
	if err := inside.Do(func() error {
		link, err := net.InterfaceByName(lab.FabricLink)
		if err == nil && link.MTU != 1700 {
			t.Errorf("MTU of the fabric's link is %d, want 1700", link.MTU)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	s.remove("nodes/edge-gwc")
	world.mu.Lock()
	_, still := world.nodes["edge-gwc"]
	world.mu.Unlock()
	if still {
		t.Error("a deleted node still runs")
	}
}
