//go:build linux

package kernel_test

import (
	"errors"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"postern/lab"
	"postern/model"
	"postern/plan"
)

// TestRestart ends a host's driver in the middle of things and starts another: packets flow while there is none, flows
// live on, links are adopted.
func TestRestart(t *testing.T) {
	c := newCloud(t, 1600)
	client, server := connect(t, c.app.Namespace, c.gateway.Namespace, serviceAddress)
	peer, peerServer := connect(t, c.app.Namespace, c.far.Namespace, c.far.nic.IPv4)
	resolver := listenUDP(t, c.gateway.Namespace, 53)
	question := dialUDP(t, c.app, netip.AddrPortFrom(model.PlatformDNS, 53))
	if _, err := question.Write([]byte("who?")); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 100)
	_, asker, err := resolver.ReadFromUDPAddrPort(buffer)
	if err != nil {
		t.Fatal(err)
	}
	before := c.links(t, 0)

	if err := c.drivers[0].Close(); err != nil {
		t.Fatal(err)
	}
	echo(t, client, server) // without any process
	echo(t, peer, peerServer)
	c.open(t, 0)
	if got := c.drivers[0].AttachedTo(); got != 0 {
		t.Errorf("attached to %d interfaces before the first plan", got)
	}
	echo(t, client, server)
	c.apply(t, 0, c.plan(0))
	if got := c.drivers[0].AttachedTo(); got != 3 {
		t.Errorf("attached to %d interfaces, want those of two NICs and the fabric", got)
	}
	after := c.links(t, 0)
	for name, id := range before {
		if after[name] != id {
			t.Errorf("link of %s is a new one", name)
		}
	}
	// The answer to a question from before the restart needs the question's flow.
	if err := resolver.send([]byte("you."), platformAddress(model.PlatformDNS), asker); err != nil {
		t.Fatal(err)
	}
	if n, err := question.Read(buffer); err != nil || string(buffer[:n]) != "you." {
		t.Errorf("the answer is %q, %v", buffer[:n], err)
	}
	echo(t, client, server)
	echo(t, peer, peerServer)
}

// links are the ids of a host's pinned links, by interface.
func (c *cloud) links(t *testing.T, host int) map[string]link.ID {
	t.Helper()
	ids := map[string]link.ID{}
	for _, name := range []string{lab.FabricLink, "nic1", "nic2"} {
		pinned, err := link.LoadPinnedLink(filepath.Join(c.pins[host], "link-"+name), nil)
		if err != nil {
			t.Fatal(err)
		}
		info, err := pinned.Info()
		if err != nil {
			t.Fatal(err)
		}
		ids[name] = info.ID
		if err := pinned.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return ids
}

// TestUnsynced takes the plan away from a node whose programs are attached: nothing passes until the next one.
func TestUnsynced(t *testing.T) {
	c := newCloud(t, 1600)
	client, server := connect(t, c.app.Namespace, c.gateway.Namespace, serviceAddress)
	echo(t, client, server)
	nodes, err := ebpf.LoadPinnedMap(filepath.Join(c.pins[0], "nodes"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer nodes.Close()
	if err := nodes.Put(uint32(0), make([]byte, nodes.ValueSize())); err != nil {
		t.Fatal(err)
	}
	for _, end := range []interface{ Write([]byte) (int, error) }{client, server} {
		before := c.packets(t, 0, 0, model.ReasonUnsynced)
		if _, err := end.Write([]byte("lost")); err != nil {
			t.Fatal(err)
		}
		await(t, "a packet is counted as unsynced", func() bool { return c.packets(t, 0, 0, model.ReasonUnsynced) > before })
	}
	c.apply(t, 0, c.plan(0))
	got := make([]byte, 4)
	for _, end := range []interface{ Read([]byte) (int, error) }{client, server} {
		if n, err := end.Read(got); err != nil || string(got[:n]) != "lost" {
			t.Errorf("after the plan came: %q, %v", got[:n], err)
		}
	}
}

// TestEnableResets follows an open connection while its subnet's endpoint is switched off and on.
func TestEnableResets(t *testing.T) {
	c := newCloud(t, 1600)
	for _, change := range []struct {
		name    string
		enabled uint64
	}{{"SE-3 disable", 0}, {"SE-3 change of services", 2}} {
		t.Run(change.name, func(t *testing.T) {
			c.apply(t, 0, c.plan(0))
			client, server := connect(t, c.app.Namespace, c.gateway.Namespace, serviceAddress)
			echo(t, client, server)
			node := c.plan(0)
			node.Host.Egress = c.hosts[1].Node.Locator // somewhere: what leaves there is not looked at
			for i := range node.Host.NICs {
				node.Host.NICs[i].EnabledServices = change.enabled
				node.Host.NICs[i].Outbound = true
			}
			c.apply(t, 0, node)
			if _, err := client.Write([]byte("which way?")); err != nil {
				t.Fatal(err)
			}
			if _, err := client.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
				t.Errorf("the open connection ended with %v, want a reset", err)
			}
		})
	}
	t.Run("SEP-2 an instance that no policy lists", func(t *testing.T) {
		node := c.plan(0)
		node.Host.Policies = map[plan.Ref][]netip.Addr{"0000000000000003": {netip.MustParseAddr("20.60.1.8")}}
		for i := range node.Host.NICs {
			node.Host.NICs[i].Policy = "0000000000000003"
		}
		c.apply(t, 0, node)
		_, err := c.app.DialContext(bounded(t), "tcp", netip.AddrPortFrom(serviceAddress, 443).String())
		if !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("connecting ended with %v, want refused", err)
		}
	})
}
