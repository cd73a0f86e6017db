//go:build linux

package kernel_test

import (
	"context"
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"postern/datapath/kernel"
	"postern/lab"
	"postern/model"
	"postern/plan"
)

// patience bounds everything that a story waits for.
const patience = 20 * time.Second

// storage is the service of the stories, with its bit among those that a subnet enables.
const (
	storage    = model.Identity(16)
	storageBit = 0
)

const (
	appSubnet   = model.FirstSubnetIdentity
	otherSubnet = model.FirstSubnetIdentity + 1
)

var (
	serviceLocator  = model.MustLocator("fd00:1:f0:100::/56")
	platformLocator = model.MustLocator("fd00:1:f1:100::/56")
	serviceAddress  = netip.MustParseAddr("20.60.1.7")
)

// machine is a VM of the stories and what its host's plan says of it.
type machine struct {
	*lab.VM
	nic  plan.NIC
	host int
}

// cloud is two hosts with their data path, a gateway, and three VMs: app and near on the first host, far on the second.
type cloud struct {
	lab            *lab.Lab
	mtu            int
	hosts          [2]*lab.Host
	drivers        [2]*kernel.Driver
	pins           [2]string
	gateway        *lab.Gateway
	app, near, far machine
}

func newCloud(t *testing.T, fabricMTU int) *cloud {
	t.Helper()
	if err := lab.Prerequisites(); err != nil {
		t.Skip(err)
	}
	settings := model.DefaultSettings
	settings.FabricMTU = fabricMTU
	folder := t.TempDir() // removed after what is mounted there
	wires, err := lab.New(settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := wires.Close(); err != nil {
			t.Error(err)
		}
	})
	c := &cloud{lab: wires, mtu: fabricMTU}
	if err := wires.MountBPF(folder); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"host-a", "host-b"} {
		locator := model.MustLocator([]string{"fd00:1:1:100::/56", "fd00:1:1:200::/56"}[i])
		c.hosts[i], err = wires.AddHost(model.Node{Name: name, Role: model.RoleHost, Locator: locator})
		if err != nil {
			t.Fatal(err)
		}
		c.pins[i] = filepath.Join(folder, name)
	}
	if c.gateway, err = wires.AddGateway(model.Node{Name: "gateway", Role: model.RoleGateway,
		Locator: model.MustLocator("fd00:1:2:100::/56"), ServiceLocator: serviceLocator, PlatformLocator: platformLocator}); err != nil {
		t.Fatal(err)
	}
	c.app = c.addVM(t, "vm-app", 0, 1, appSubnet, "10.13.76.36/24")
	c.near = c.addVM(t, "vm-near", 0, 2, appSubnet, "10.13.76.37/24")
	c.far = c.addVM(t, "vm-far", 1, 3, otherSubnet, "10.13.77.4/24")
	for i := range c.hosts {
		c.open(t, i)
		c.apply(t, i, c.plan(i))
	}
	t.Cleanup(func() {
		if t.Failed() {
			c.tell(t)
		}
		for _, driver := range c.drivers {
			if err := driver.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return c
}

func (c *cloud) addVM(t *testing.T, name string, host int, number uint32, subnet model.Identity, address string) machine {
	t.Helper()
	prefix := netip.MustParsePrefix(address)
	nic := plan.NIC{Number: number, VNet: 1, Subnet: subnet, IPv4: prefix.Addr(), MAC: model.MAC{0, 0x0d, 0x3a, 0, 0, byte(number)},
		Routes: "0000000000000001", Services: "0000000000000002", EnabledServices: 1 << storageBit}
	vm, err := c.lab.AddVM(c.hosts[host], name, lab.NIC{Number: number, Address: prefix, Gateway: prefix.Masked().Addr().Next(), MAC: nic.MAC})
	if err != nil {
		t.Fatal(err)
	}
	return machine{vm, nic, host}
}

// plan is what a host must know: one VNet, one service.
func (c *cloud) plan(host int) plan.Node {
	node := plan.Node{Node: c.hosts[host].Node.Name, Role: model.RoleHost, Locator: c.hosts[host].Node.Locator, FabricMTU: c.mtu,
		Host: &plan.Host{
			Platform: platformLocator,
			Routes: map[plan.Ref][]plan.Route{"0000000000000001": {
				{Prefix: netip.MustParsePrefix("10.13.0.0/16"), Hop: plan.Hop{Type: model.NextHopVnetLocal, VNet: 1}},
				{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Hop: plan.Hop{Type: model.NextHopInternet}},
			}},
			Services: map[plan.Ref]plan.ServiceTable{"0000000000000002": {
				Targets: []plan.ServiceTarget{{Service: storage, Region: "westeurope", Locator: serviceLocator}},
				Entries: []plan.ServiceEntry{{Prefix: netip.MustParsePrefix("20.60.0.0/16"),
					Candidates: []plan.ServiceCandidate{{Bit: storageBit, Bits: 16}}}},
			}},
		}}
	for _, machine := range []machine{c.app, c.near, c.far} {
		if machine.host == host {
			node.Host.NICs = append(node.Host.NICs, machine.nic)
		}
		node.Host.Directory = append(node.Host.Directory, plan.Location{VNet: 1, IPv4: machine.nic.IPv4, Subnet: machine.nic.Subnet,
			Locator: c.hosts[machine.host].Node.Locator, Forwarding: machine.nic.Forwarding})
	}
	return node
}

func (c *cloud) open(t *testing.T, host int) {
	t.Helper()
	err := c.hosts[host].Do(func() (err error) {
		c.drivers[host], err = kernel.Open(kernel.Options{Role: model.RoleHost, Pins: c.pins[host], Fabric: lab.FabricLink})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (c *cloud) apply(t *testing.T, host int, node plan.Node) {
	t.Helper()
	if err := c.hosts[host].Do(func() error { return c.drivers[host].Apply(t.Context(), node) }); err != nil {
		t.Fatal(err)
	}
}

// tell logs what the hosts counted.
func (c *cloud) tell(t *testing.T) {
	for host, driver := range c.drivers {
		counters, err := driver.Counters()
		t.Logf("host %d: %v", host, err)
		for _, counter := range counters {
			t.Logf("  NIC %d: %6d %s", counter.NIC, counter.Packets, counter.Reason)
		}
	}
}

// packets is what a host has counted for a NIC and a reason.
func (c *cloud) packets(t *testing.T, host int, nic uint32, reason model.Reason) uint64 {
	t.Helper()
	counters, err := c.drivers[host].Counters()
	if err != nil {
		t.Fatal(err)
	}
	for _, counter := range counters {
		if counter.NIC == nic && counter.Reason == reason {
			return counter.Packets
		}
	}
	return 0
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// connect makes a TCP connection from a machine to a listener in another, whom the machine knows by address, and gives
// both ends.
func connect(t *testing.T, from, to *lab.Namespace, address netip.Addr) (client, server *net.TCPConn) {
	t.Helper()
	listener, err := to.Listen(bounded(t), "tcp", "[::]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := uint16(listener.Addr().(*net.TCPAddr).Port)
	dialled, err := from.DialContext(bounded(t), "tcp", netip.AddrPortFrom(address, port).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialled.Close() })
	listener.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { accepted.Close() })
	for _, conn := range []net.Conn{dialled, accepted} {
		conn.SetDeadline(time.Now().Add(patience))
	}
	return dialled.(*net.TCPConn), accepted.(*net.TCPConn)
}
