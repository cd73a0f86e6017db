package platform

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"postern/model"
	"postern/plan"
	"postern/service/all"
	"postern/token"
	"postern/wire"
)

// The test's cloud: two VMs with the same private address in two subnets, a VM without an identity, a NIC without a VM.
const (
	subnetApp   model.Identity = 4096
	subnetOther model.Identity = 4097
	account                    = "stvnetstorageendpoints"
	tenant                     = "7e57ab1e-0000-4000-8000-000000000001"
	vnet                       = model.ResourceID(group + "Microsoft.Network/virtualNetworks/vnet")
	group                      = "/subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/demo/providers/"
)

var (
	platformLocator = model.MustLocator("fd00:ffff:1:400::/56")
	hostLocator     = model.MustLocator("fd00:1:1:100::/56")
	app             = netip.MustParseAddr("10.13.76.36")
	plain           = netip.MustParseAddr("10.13.76.37")
	bare            = netip.MustParseAddr("10.13.76.38")
	accountAddress  = netip.MustParseAddr("20.60.1.4")
)

func vm(name string) model.ResourceID {
	return model.ResourceID(group + "Microsoft.Compute/virtualMachines/" + name)
}

func nic(name string) model.ResourceID {
	return model.ResourceID(group + "Microsoft.Network/networkInterfaces/" + name)
}

func node() plan.Node {
	return plan.Node{Node: "gw1", Role: model.RoleGateway, Location: "westeurope", Gateway: &plan.Gateway{
		PlatformLocator: platformLocator, Zones: all.Zones(model.DefaultSettings), Tenant: tenant,
		Subnets: []plan.Subnet{{Identity: subnetApp, EnabledServices: 1}, {Identity: subnetOther}},
		Machines: []plan.Machine{
			{Subnet: subnetApp, IPv4: app, NIC: nic("nic-app"), VM: vm("vm-app"), VNet: vnet, PrincipalID: "11111111-2222-4333-8444-555555555555"},
			{Subnet: subnetOther, IPv4: app, NIC: nic("nic-twin"), VM: vm("vm-twin"), VNet: vnet + "-other", PrincipalID: "66666666-7777-4888-8999-aaaaaaaaaaaa"},
			{Subnet: subnetApp, IPv4: plain, NIC: nic("nic-plain"), VM: vm("vm-plain"), VNet: vnet},
			{Subnet: subnetApp, IPv4: bare, NIC: nic("nic-bare")},
		},
		Names: map[string]string{"storage/" + account: accountAddress.String(), "storage/rogue": "20.60.1.9", "SSH.Example": "203.0.113.22"},
	}}
}

// from is the fabric address of a NIC.
func from(subnet model.Identity, ipv4 netip.Addr) netip.Addr {
	return wire.Parts{Locator: hostLocator, Function: model.FunctionNIC, Identity: subnet, IPv4: ipv4}.Address()
}

// to is the fabric address of a platform address.
func to(ipv4 netip.Addr) netip.Addr {
	return wire.Parts{Locator: platformLocator, Function: model.FunctionPlatform, Identity: model.IdentityPlatform, IPv4: ipv4}.Address()
}

// issuerOf makes one key set for all tests of the package: making keys is slow.
var issuerOf = sync.OnceValue(func() token.Issuer {
	keys, err := token.NewKeySet(time.Now())
	if err != nil {
		panic(err)
	}
	return token.Issuer{URL: "http://169.254.169.254", Tenant: tenant, Keys: keys}
})

func newService(t testing.TB, upstream Upstream) *Service {
	t.Helper()
	service, err := New(Options{Issuer: issuerOf, Upstream: upstream})
	if err != nil {
		t.Fatal(err)
	}
	if err := service.Apply(node()); err != nil {
		t.Fatal(err)
	}
	return service
}

// wrapped is a loopback connection that pretends to be between two fabric addresses.
type wrapped struct {
	net.Conn
	local, remote netip.Addr
}

func (w wrapped) LocalAddr() net.Addr  { return &net.TCPAddr{IP: w.local.AsSlice(), Port: 80} }
func (w wrapped) RemoteAddr() net.Addr { return &net.TCPAddr{IP: w.remote.AsSlice(), Port: 40000} }

// fabric is a listener on ::1 whose connections get the addresses that the test's dialler announces.
type fabric struct {
	net.Listener
	mu        sync.Mutex
	announced map[string][2]netip.Addr // by the dialler's own address
}

func newFabric(t *testing.T) *fabric {
	t.Helper()
	listener, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return &fabric{Listener: listener, announced: map[string][2]netip.Addr{}}
}

func (f *fabric) Accept() (net.Conn, error) {
	connection, err := f.Listener.Accept()
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	pair := f.announced[connection.RemoteAddr().String()]
	return wrapped{connection, pair[1], pair[0]}, nil
}

// dial connects as if from one fabric address to another.
func (f *fabric) dial(t *testing.T, remote, local netip.Addr) net.Conn {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock() // Accept waits for the announcement
	connection, err := (&net.Dialer{Timeout: 5 * time.Second}).Dial("tcp6", f.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	f.announced[connection.LocalAddr().String()] = [2]netip.Addr{remote, local}
	return connection
}

// client gives an HTTP client whose every connection comes from one fabric address.
func (f *fabric) client(t *testing.T, remote, local netip.Addr) *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) { return f.dial(t, remote, local), nil }}}
}

// serve runs a server until the test ends, and checks that it ends well.
func serve(t *testing.T, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("server: %v", err)
			}
		case <-time.After(5 * time.Second):
			t.Error("the server did not end")
		}
	})
}
