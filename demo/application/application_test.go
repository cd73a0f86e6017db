package application

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/certificate"
	"postern/gateway"
	"postern/model"
	"postern/plan"
	"postern/service/all"
	"postern/tableservice"
	"postern/token"
	"postern/wire"
)

const (
	account = "stvnetstorageendpoints"
	suffix  = "core.windows.net"
	subnet  = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/vnet/subnets/snet-app"
)

// network is a gateway, its table service and the managed identity's address, in this process, and a machine in front of
// them whose connections can be cut.
type network struct {
	t       *testing.T
	issuer  token.Issuer
	ca      []byte
	gateway *gateway.Gateway
	service net.Addr
	tokens  atomic.Int64 // asked for

	broken atomic.Bool // no new connection, and nothing on old ones
}

var (
	serviceLocator = model.MustLocator("fd00:1:1:a00::/56")
	front          = netip.MustParseAddr("20.60.0.7")
	identity       = model.FirstSubnetIdentity
)

// endpointListener makes loopback connections those of the NIC 10.13.76.36 over a service endpoint.
type endpointListener struct{ net.Listener }

type endpointConn struct {
	*net.TCPConn
	port int
}

func (l endpointListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return endpointConn{conn.(*net.TCPConn), conn.RemoteAddr().(*net.TCPAddr).Port}, nil
}

func (c endpointConn) LocalAddr() net.Addr {
	to := wire.Parts{Locator: serviceLocator, Function: model.FunctionService, Identity: 16, IPv4: front}
	return &net.TCPAddr{IP: to.Address().AsSlice(), Port: 443}
}

func (c endpointConn) RemoteAddr() net.Addr {
	from := wire.Parts{Locator: model.MustLocator("fd00:1:1:100::/56"), Identity: identity, IPv4: netip.MustParseAddr("10.13.76.36")}
	return &net.TCPAddr{IP: from.Address().AsSlice(), Port: c.port}
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	n := &network{t: t}
	keys, err := token.NewKeySet(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	n.issuer = token.Issuer{URL: "http://169.254.169.254", Tenant: model.DefaultSettings.Tenant, Keys: keys}
	authority, err := certificate.NewAuthority("test", []string{suffix}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	n.ca = authority.CertificatePEM()
	table, err := tableservice.New(tableservice.Options{Suffix: suffix, Authorizer: tableservice.Credentials{
		Keys:   func(name string) ([2]string, bool) { return [2]string{}, name == account },
		Tokens: n.issuer.Verifier, Suffix: suffix,
	}})
	if err != nil {
		t.Fatal(err)
	}
	log := gateway.NewAccessLog(new(bytes.Buffer), 0)
	n.gateway, err = gateway.New(gateway.Config{AccessLog: log, BuiltIn: map[string]http.Handler{"storage/table": table},
		GetCertificate: certificate.NewMinter(authority, []string{suffix}, nil).GetCertificate})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.service = listener.Addr()
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := n.gateway.Serve(endpointListener{listener}, 443); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		if err := n.gateway.Close(); err != nil {
			t.Error(err)
		}
		serving.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := log.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	n.allow(true)
	return n
}

// allow lets the subnet in, or nobody.
func (n *network) allow(allowed bool) {
	n.t.Helper()
	acls := model.NetworkRules{PublicNetworkAccess: true}
	if allowed {
		acls.VirtualNetworkRules = []model.VirtualNetworkRule{{Subnet: subnet, Identity: identity}}
	}
	if err := n.gateway.Apply(plan.Node{Node: "gateway", Role: model.RoleGateway, Gateway: &plan.Gateway{
		ServiceLocator: serviceLocator, Zones: all.Zones(model.DefaultSettings), Addresses: []netip.Addr{front},
		Instances: []plan.Instance{{Name: account, Address: front, Rules: acls, Service: "storage", Space: "storage", Endpoint: model.Services[0],
			Ports: []model.ServicePort{{Number: 443, Way: model.WayHTTPS}},
			ID:    "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/" + account}},
		Subnets: []plan.Subnet{{Identity: identity, ID: subnet, EnabledServices: 1}},
		Names:   map[string]string{account: front.String()},
	}}); err != nil {
		n.t.Fatal(err)
	}
}

// serveToken is the managed identity's address (ID-1).
func (n *network) serveToken(w http.ResponseWriter, r *http.Request) {
	n.tokens.Add(1)
	query := r.URL.Query()
	if r.Header.Get("Metadata") != "true" || r.URL.Path != "/metadata/identity/oauth2/token" || query.Get("api-version") != "2018-02-01" {
		http.Error(w, `{"error":"invalid_request"}`, http.StatusBadRequest)
		return
	}
	raw, claims, err := n.issuer.Issue(token.Identity{PrincipalID: "11111111-2222-4333-8444-555555555555"}, query.Get("resource"), time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintf(w, `{"access_token":%q,"expires_on":"%d","token_type":"Bearer"}`, raw, claims.Expiry)
}

// dial is the machine's.
func (n *network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	switch address {
	case account + ".table." + suffix + ":443":
	case "169.254.169.254:80":
		client, server := net.Pipe()
		go func() {
			_ = http.Serve(&onceListener{conn: server}, http.HandlerFunc(n.serveToken)) // ends with its one connection
		}()
		return client, nil
	default:
		return nil, fmt.Errorf("dial %s: nobody is there", address)
	}
	if n.broken.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", n.service.String())
	if err != nil {
		return nil, err
	}
	return &blockable{Conn: conn, broken: &n.broken}, nil
}

// blockable loses what is written while the network is broken.
type blockable struct {
	net.Conn
	broken *atomic.Bool
}

func (c *blockable) Write(p []byte) (int, error) {
	if c.broken.Load() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// onceListener gives one connection, and then ends.
type onceListener struct {
	conn net.Conn
	done bool
}

func (l *onceListener) Accept() (net.Conn, error) {
	if l.done {
		return nil, net.ErrClosed
	}
	l.done = true
	return l.conn, nil
}
func (l *onceListener) Close() error   { return nil }
func (l *onceListener) Addr() net.Addr { return l.conn.LocalAddr() }

func (n *network) client(timeout time.Duration) *Client {
	n.t.Helper()
	client, err := New(Options{Dial: n.dial, CA: n.ca, Timeout: timeout})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(client.Close)
	return client
}

func row(number int) Row {
	return Row{PartitionKey: "p", RowKey: fmt.Sprintf("%010d", number), MessageTime: time.Now().UTC().Truncate(100 * time.Nanosecond),
		Message: "hello", MessageNumber: number}
}

func TestRowsThroughTheGateway(t *testing.T) {
	n := newNetwork(t)
	client := n.client(10 * time.Second)
	for range 2 { // again is no harm
		if err := client.EnsureTable(t.Context(), account); err != nil {
			t.Fatal(err)
		}
	}
	wrote := row(1)
	for range 2 { // a row that is there counts as stored
		id, err := client.Insert(t.Context(), account, wrote)
		if err != nil || id == "" {
			t.Fatalf("insert: request %q, %v", id, err)
		}
	}
	rows, err := client.Rows(t.Context(), account, "p")
	if err != nil || len(rows) != 1 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	read := rows[0]
	if read.Stored.IsZero() || time.Since(read.Stored) > time.Minute {
		t.Errorf("stored at %v", read.Stored)
	}
	if read.Stored = (time.Time{}); !read.MessageTime.Equal(wrote.MessageTime) {
		t.Errorf("the time %v came back as %v", wrote.MessageTime, read.MessageTime)
	}
	if read.MessageTime = wrote.MessageTime; read != wrote {
		t.Errorf("%+v came back as %+v", wrote, read)
	}
	if rows, err := client.Rows(t.Context(), account, "another"); err != nil || len(rows) != 0 {
		t.Errorf("another partition has %d rows, %v", len(rows), err)
	}
	if asked := n.tokens.Load(); asked != 1 {
		t.Errorf("asked for %d tokens; want one that is kept (ID-1)", asked)
	}
}

func TestRowsAreReadInPages(t *testing.T) {
	n := newNetwork(t)
	client := n.client(10 * time.Second)
	if err := client.EnsureTable(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	const count = 1001 // a page has 1,000
	for number := 1; number <= count; number++ {
		if _, err := client.Insert(t.Context(), account, row(number)); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := client.Rows(t.Context(), account, "p")
	if err != nil || len(rows) != count || rows[count-1].MessageNumber != count {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

func TestRefusalIsTheServicesOwn(t *testing.T) {
	n := newNetwork(t)
	client := n.client(10 * time.Second)
	n.allow(false)
	id, err := client.Insert(t.Context(), account, row(1))
	var refusal *ServiceError
	if !errors.As(err, &refusal) || refusal.Status != http.StatusForbidden || refusal.Code != "AuthorizationFailure" ||
		!strings.HasPrefix(refusal.Message, "This request is not authorized") || id == "" || refusal.RequestID != id {
		t.Errorf("FW-12: %#v, request %q", err, id)
	}
	if Reason(err) != "AuthorizationFailure" {
		t.Errorf("the reason is %q", Reason(err))
	}
}

func TestNobodyElseIsTrusted(t *testing.T) {
	n := newNetwork(t)
	other, err := certificate.NewAuthority("other", nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	n.ca = other.CertificatePEM()
	if err := n.client(10*time.Second).EnsureTable(t.Context(), account); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a strange certificate: %v", err)
	}
	if _, err := New(Options{Dial: n.dial, CA: []byte("none"), Timeout: time.Second}); err == nil {
		t.Error("a client without certificates was made")
	}
}

func TestTokenIsRefusedInWords(t *testing.T) {
	n := newNetwork(t)
	client := n.client(10 * time.Second)
	n.issuer.Keys = token.KeySet{} // it cannot sign
	if _, err := client.Token(t.Context()); err == nil || !strings.Contains(err.Error(), "status 500") {
		t.Errorf("%v", err)
	}
}
