package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"postern/datapath/kernel"
	"postern/lab"
	"postern/model"
	"postern/plan"
)

// The machines of every topology here have the same addresses.
var (
	hostLocators    = [2]model.Locator{model.MustLocator("fd00:1:1:100::/56"), model.MustLocator("fd00:1:1:200::/56")}
	gatewayNode     = model.Node{Name: "gateway", Role: model.RoleGateway, Locator: model.MustLocator("fd00:1:2:100::/56"), ServiceLocator: serviceLocator, PlatformLocator: platformLocator}
	serviceLocator  = model.MustLocator("fd00:1:f0:100::/56")
	platformLocator = model.MustLocator("fd00:1:f1:100::/56")
	serviceAddress  = netip.MustParseAddr("20.60.1.7")
	subnetGateway   = netip.MustParseAddr("10.13.76.1")
	vmAddresses     = [2]netip.Prefix{netip.MustParsePrefix("10.13.76.36/24"), netip.MustParsePrefix("10.13.76.37/24")}
)

const (
	vnet       = 1
	subnet     = model.FirstSubnetIdentity
	storage    = model.Identity(16)
	routesRef  = plan.Ref("0000000000000001")
	serviceRef = plan.Ref("0000000000000002")
	policyRef  = plan.Ref("0000000000000003")
)

// wires is a lab with a number of hosts, and a VM on each.
type wires struct {
	*lab.Lab
	hosts   []*lab.Host
	vms     []*lab.VM
	gateway *lab.Gateway
}

// newWires joins hosts and a gateway by a fabric.
func newWires(hosts int) (*wires, error) {
	fresh, err := lab.New(model.DefaultSettings)
	if err != nil {
		return nil, err
	}
	w := &wires{Lab: fresh}
	if err := w.build(hosts); err != nil {
		return nil, errors.Join(err, fresh.Close())
	}
	return w, nil
}

func (w *wires) build(hosts int) (err error) {
	if w.gateway, err = w.AddGateway(gatewayNode); err != nil {
		return err
	}
	for i := range hosts {
		host, err := w.AddHost(model.Node{Name: fmt.Sprintf("host-%d", i), Role: model.RoleHost, Locator: hostLocators[i]})
		if err != nil {
			return err
		}
		vm, err := w.AddVM(host, fmt.Sprintf("vm-%d", i), lab.NIC{Number: nicNumber(i), Address: vmAddresses[i], Gateway: subnetGateway, MAC: nicMAC(i)})
		if err != nil {
			return err
		}
		w.hosts, w.vms = append(w.hosts, host), append(w.vms, vm)
	}
	return nil
}

func nicNumber(vm int) uint32 { return uint32(vm + 1) }

func nicMAC(vm int) model.MAC { return model.MAC{0x00, 0x0d, 0x3a, 0, 0, byte(vm + 1)} }

// fabric is our data path on every host of a lab.
type fabric struct {
	*wires
	folder  string // a bpffs
	drivers []*kernel.Driver
}

// newFabric has a plan with one VNet and one service in force on every host.
func newFabric(ctx context.Context, hosts int) (*fabric, error) {
	w, err := newWires(hosts)
	if err != nil {
		return nil, err
	}
	f := &fabric{wires: w}
	for i := range hosts {
		err := f.start(ctx, i, f.plan(i))
		if err != nil {
			return nil, errors.Join(err, f.close())
		}
	}
	return f, nil
}

// folderOfPins begins the names of this process's bpffs.
func folderOfPins() string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("postern-bench-%d-", os.Getpid()))
}

// start opens the driver of a host and applies a plan.
func (f *fabric) start(ctx context.Context, host int, node plan.Node) (err error) {
	if f.folder == "" {
		if f.folder, err = os.MkdirTemp("", filepath.Base(folderOfPins())); err != nil {
			return err
		}
		if err = f.MountBPF(f.folder); err != nil {
			return err
		}
	}
	return f.hosts[host].Do(func() error {
		driver, err := kernel.Open(kernel.Options{Role: model.RoleHost, Pins: filepath.Join(f.folder, node.Node), Fabric: lab.FabricLink})
		if err != nil {
			return err
		}
		f.drivers = append(f.drivers, driver)
		return driver.Apply(ctx, node)
	})
}

func (f *fabric) close() error {
	var failures []error
	for _, driver := range f.drivers {
		failures = append(failures, driver.Close())
	}
	failures = append(failures, f.Close())
	if f.folder != "" {
		failures = append(failures, os.RemoveAll(f.folder)) // unmounted by now
	}
	return errors.Join(failures...)
}

// plan is that of a host with one NIC, two routes and one service prefix.
func (f *fabric) plan(host int) plan.Node {
	node := plan.Node{
		Node: f.hosts[host].Node.Name, Role: model.RoleHost, Locator: f.hosts[host].Node.Locator,
		FabricMTU: model.DefaultSettings.FabricMTU,
		Host: &plan.Host{
			Platform: platformLocator,
			NICs: []plan.NIC{{Number: nicNumber(host), VNet: vnet, Subnet: subnet, IPv4: vmAddresses[host].Addr(), MAC: nicMAC(host),
				Routes: routesRef, Services: serviceRef, EnabledServices: 1}},
			Routes: map[plan.Ref][]plan.Route{routesRef: {
				{Prefix: netip.MustParsePrefix("10.13.0.0/16"), Hop: plan.Hop{Type: model.NextHopVnetLocal, VNet: vnet}},
				{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Hop: plan.Hop{Type: model.NextHopInternet}},
			}},
			Services: map[plan.Ref]plan.ServiceTable{serviceRef: {
				Targets: []plan.ServiceTarget{{Service: storage, Region: "westeurope", Locator: serviceLocator}},
				Entries: []plan.ServiceEntry{{Prefix: netip.MustParsePrefix("20.60.0.0/16"), Candidates: []plan.ServiceCandidate{{Bits: 16}}}},
			}},
		},
	}
	for i, other := range f.hosts {
		node.Host.Directory = append(node.Host.Directory,
			plan.Location{VNet: vnet, IPv4: vmAddresses[i].Addr(), Subnet: subnet, Locator: other.Node.Locator})
	}
	return node
}
