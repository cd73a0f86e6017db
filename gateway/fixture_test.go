package gateway

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"postern/gateway/relay"
	"postern/model"
	"postern/plan"
	"postern/service/all"
	"postern/wire"
)

// The cloud of these tests: two subnets with the endpoint and one without, on a host; a gateway in front of a few
// accounts.
var (
	hostLocator    = model.MustLocator("fd00:1:1:100::/56")
	serviceLocator = model.MustLocator("fd00:1:1:f100::/56")

	accountAddress = netip.MustParseAddr("20.60.1.1")
	vnet           = model.ResourceID("/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/vnet-app")
)

const (
	identityStorage model.Identity = 16

	identityApp     model.Identity = 4101 // snet-app, has the endpoint
	identityOther   model.Identity = 4102 // snet-other, has the endpoint
	identityPlain   model.Identity = 4103 // snet-plain, has no endpoint
	identityGlobal  model.Identity = 4104 // snet-global, has Microsoft.Storage.Global
	identityPolicy  model.Identity = 4105 // snet-policy, may reach stown alone
	identityUnknown model.Identity = 4999
)

func subnetID(name string) model.ResourceID { return vnet + "/subnets/" + model.ResourceID(name) }

func accountID(name string) model.ResourceID {
	return model.ResourceID("/subscriptions/s/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/" + name)
}

func storageAccount(name string, acls model.NetworkRules) plan.Instance {
	acls.PublicNetworkAccess = true
	return plan.Instance{ID: accountID(name), Service: "storage", Space: "storage", Endpoint: model.Services[0], Name: name,
		Address: accountAddress, Rules: acls, Ports: []model.ServicePort{{Number: 80, Way: model.WayHTTP}, {Number: 443, Way: model.WayHTTPS}}}
}

func backendAt(address string) []model.Backend { return []model.Backend{{Address: address, Weight: 1}} }

// target is an account by its name.
func target(snapshot *Snapshot, name string) Target {
	found, err := snapshot.Find(name + ".table.core.windows.net")
	if err != nil {
		panic(err)
	}
	return found
}

func ruleFor(name string, identity model.Identity) model.NetworkRules {
	return model.NetworkRules{VirtualNetworkRules: []model.VirtualNetworkRule{{Subnet: subnetID(name), Identity: identity}}}
}

func cloud(accounts ...plan.Instance) plan.Node {
	names := map[string]string{"storage/stelsewhere": "20.60.9.9"}
	for _, a := range accounts {
		names["storage/"+a.Name] = a.Address.String()
	}
	return plan.Node{Node: "gw", Role: model.RoleGateway, Gateway: &plan.Gateway{
		ServiceLocator: serviceLocator,
		Addresses:      []netip.Addr{accountAddress},
		Zones:          all.Zones(model.DefaultSettings),
		Instances:      accounts,
		Subnets: []plan.Subnet{
			{Identity: identityApp, ID: subnetID("snet-app"), VNet: vnet, EnabledServices: 1 << 0},
			{Identity: identityOther, ID: subnetID("snet-other"), VNet: vnet, EnabledServices: 1 << 0},
			{Identity: identityPlain, ID: subnetID("snet-plain"), VNet: vnet, EnabledServices: 1 << 2},
			{Identity: identityGlobal, ID: subnetID("snet-global"), VNet: vnet, EnabledServices: 1 << 1},
			{Identity: identityPolicy, ID: subnetID("snet-policy"), VNet: vnet, EnabledServices: 1 << 0, Policy: "p1"},
		},
		Policies: map[plan.Ref][]string{"p1": {accountID("stown").Key()}},
		Names:    names,
	}}
}

func snapshotOf(t testing.TB, node plan.Node) *Snapshot {
	t.Helper()
	snapshot, err := NewSnapshot(node)
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
}

// serviceAddress is where an endpoint caller's packets arrive.
var serviceAddress = netip.AddrPortFrom(wire.Parts{
	Locator: serviceLocator, Function: model.FunctionService, Identity: identityStorage, IPv4: accountAddress,
}.Address(), 443)

// publicAddress is where everybody else's arrive.
var publicAddress = netip.AddrPortFrom(accountAddress, 443)

// nicAddress is the fabric address of a NIC.
func nicAddress(identity model.Identity, ipv4 string) netip.Addr {
	return wire.Parts{Locator: hostLocator, Function: model.FunctionNIC, Identity: identity, IPv4: netip.MustParseAddr(ipv4)}.Address()
}

// way is the two addresses of a connection, without the peer's port.
type way struct {
	local netip.AddrPort
	peer  netip.Addr
}

func byEndpoint(identity model.Identity, ipv4 string) way {
	return way{serviceAddress, nicAddress(identity, ipv4)}
}
func byInternet(ipv4 string) way { return way{publicAddress, netip.MustParseAddr(ipv4)} }

func callerOf(snapshot *Snapshot, w way) Caller {
	return Identify(snapshot, w.local, netip.AddrPortFrom(w.peer, 50000))
}

// fabricListener is a loopback listener whose connections claim to be on the fabric.
type fabricListener struct {
	net.Listener
	way way
}

type fabricConn struct {
	*net.TCPConn
	local, peer netip.AddrPort
}

func (c fabricConn) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(c.local) }
func (c fabricConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.peer) }

func (l fabricListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	port := conn.RemoteAddr().(*net.TCPAddr).AddrPort().Port()
	return fabricConn{conn.(*net.TCPConn), l.way.local, netip.AddrPortFrom(l.way.peer, port)}, nil
}

// Saying implements saying.
func (l fabricListener) Saying() (net.Listener, say) {
	return l.Listener, func(_, peer netip.AddrPort) (netip.AddrPort, netip.AddrPort) {
		return l.way.local, netip.AddrPortFrom(l.way.peer, peer.Port())
	}
}

// rig is a running gateway with a log that can be read.
type rig struct {
	*Gateway
	t   testing.TB
	log *AccessLog

	mu     sync.Mutex
	buffer bytes.Buffer

	serving sync.WaitGroup
}

func (r *rig) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buffer.Write(p)
}

func newRig(t testing.TB, change func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t}
	r.log = NewAccessLog(r, 0)
	config := Config{AccessLog: r.log, Logger: slog.New(slog.DiscardHandler)}
	config.BuiltIn = map[string]http.Handler{}
	config.BuiltIn["storage/table"] = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if _, err := io.Copy(io.Discard, q.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"value":[]}`))
	})
	if change != nil {
		change(&config)
	}
	var err error
	if r.Gateway, err = New(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		r.serving.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := r.log.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *rig) apply(node plan.Node) {
	r.t.Helper()
	if err := r.Apply(node); err != nil {
		r.t.Fatal(err)
	}
}

// listen serves one way on loopback and answers the real address.
func (r *rig) listen(w way, serve func(net.Listener) error) string {
	r.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	l = relay.Listen(l) // as node.KernelSockets does
	r.serving.Go(func() {
		if err := serve(fabricListener{l, w}); err != nil && !errors.Is(err, net.ErrClosed) {
			r.t.Error(err)
		}
	})
	return l.Addr().String()
}

func (r *rig) plain(l net.Listener) error { return r.Serve(l, 80) }

func (r *rig) secure(l net.Listener) error { return r.Serve(l, 443) }

// client is an HTTP client whose every connection goes one way over plain HTTP.
func (r *rig) client(w way) *http.Client {
	address := r.listen(w, r.plain)
	transport := &http.Transport{
		DisableCompression: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		}}
	r.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

// entries is the log so far.
func (r *rig) entries() []Entry {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := r.log.Sync(ctx); err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	entries, err := ReadLog(bytes.NewReader(r.buffer.Bytes()))
	if err != nil {
		r.t.Fatal(err)
	}
	return entries
}

// last waits for the log to have n entries and answers the last: a line is written after its answer, so the client may
// be faster.
func (r *rig) last(n int) Entry {
	r.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		if entries := r.entries(); len(entries) >= n {
			return entries[len(entries)-1]
		}
		time.Sleep(time.Millisecond) // between looks; the deadline decides
	}
	r.t.Fatalf("the log has %d entries, want %d", len(r.entries()), n)
	return Entry{}
}

// selfSigned is a certificate for every name, and the pool that trusts it.
func selfSigned(t *testing.T, names ...string) (*tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

func decode[T any](t *testing.T, data []byte) T {
	t.Helper()
	var value T
	if err := json.Unmarshal(data, &value); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	return value
}
