package gateway

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/firewall"
	"postern/model"
	"postern/plan"
	"postern/service/all"
)

const tableHost = "sta.table.core.windows.net"

func TestStoryOfASubnet(t *testing.T) {
	// The acts open, ip-rule, fail-closed and allowed of the main job, seen from the service's side.
	r := newRig(t, nil)
	internet, endpoint, region := r.client(byInternet("20.1.2.3")), r.client(byEndpoint(identityApp, "10.13.76.36")), r.client(byInternet("100.64.0.7"))
	insert := func(client *http.Client) int {
		response, _ := ask(t, client, "POST", tableHost, "/operations", http.Header{"User-Agent": {"app/1"}}, `{"PartitionKey":"p"}`)
		return response.StatusCode
	}
	lines := 0
	expect := func(name string, client *http.Client, status int, want Entry) {
		t.Run(name, func(t *testing.T) {
			if got := insert(client); got != status {
				t.Errorf("got %d, want %d", got, status)
			}
			lines++
			r.t = t
			got := r.last(lines)
			address, _, err := net.SplitHostPort(got.CallerIPAddress)
			if err != nil {
				t.Error(err)
			}
			want.StatusCode, want.Method, want.URI, want.Operation = status, "POST", "/operations", "InsertEntity"
			want.Service, want.Account, want.UserAgent = "table", "sta", "app/1"
			want.Protocol = "http"
			if !strings.Contains(want.MissingRule, "no plan yet") {
				want.ResourceID = string(accountID("sta"))
			}
			if status == 200 {
				want.RequestBytes = 20
			}
			if !guid.MatchString(got.RequestID) || got.DurationMs <= 0 || got.ResponseBytes == 0 || time.Since(got.Time) > time.Minute {
				t.Errorf("got %+v", got)
			}
			if !strings.Contains(got.MissingRule, want.MissingRule) || (got.MissingRule == "") != (want.MissingRule == "") {
				t.Errorf("missing rule is %q, want %q", got.MissingRule, want.MissingRule)
			}
			got.CallerIPAddress, got.MissingRule, want.MissingRule = address, "", ""
			got.Time, got.RequestID, got.DurationMs, got.ResponseBytes = want.Time, "", 0, 0
			if got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
	app := Entry{CallerKind: firewall.Endpoint, CallerIPAddress: "10.13.76.36", VirtualNetwork: string(vnet), Subnet: string(subnetID("snet-app"))}
	public := Entry{CallerKind: firewall.Public, CallerIPAddress: "20.1.2.3"}
	platform := Entry{CallerKind: firewall.Platform, CallerIPAddress: "100.64.0.7"}
	allowed := func(e Entry, rule string) Entry { e.StatusText, e.Rule = StatusSuccess, rule; return e }
	denied := func(e Entry, missing string) Entry {
		e.StatusText, e.MissingRule = "AuthorizationFailure", missing
		return e
	}

	expect("FW-3 FW-13 before the first plan", internet, 403, denied(Entry{CallerKind: firewall.Unknown, CallerIPAddress: "20.1.2.3"}, "no plan yet"))
	r.apply(cloud(storageAccount("sta", model.NetworkRules{DefaultAllow: true})))
	expect("FW-1 FW-13 open", internet, 200, allowed(public, "defaultAction Allow"))
	r.apply(cloud(storageAccount("sta", ipRules("20.1.2.3"))))
	expect("FW-4 FW-13 ip-rule", internet, 200, allowed(public, "ipRules 20.1.2.3"))
	expect("FW-5 FW-13 ip-rule in the same region", region, 403, denied(platform, "ipRules do not match clients of the same region (FW-5)"))
	expect("SE-2 SE-4 FW-13 fail-closed", endpoint, 403, denied(app, "no virtualNetworkRules entry for "+string(subnetID("snet-app"))))
	r.apply(cloud(storageAccount("sta", ruleFor("snet-app", identityApp))))
	expect("SE-2 FW-6 FW-13 allowed", endpoint, 200, allowed(app, "virtualNetworkRules "+string(subnetID("snet-app"))))
	expect("FW-6 FW-13 outsider", internet, 403, denied(public, "no ipRules entry for 20.1.2.3"))
	r.apply(cloud(disabled(storageAccount("sta", ruleFor("snet-app", identityApp)))))
	expect("FW-8 FW-13 public access disabled", endpoint, 403, denied(app, "publicNetworkAccess is Disabled"))
}

func TestEndpointPolicyIsLoggedByTheService(t *testing.T) {
	r := newRig(t, nil)
	r.apply(cloud(storageAccount("stown", model.NetworkRules{DefaultAllow: true}), storageAccount("rogue", model.NetworkRules{DefaultAllow: true})))
	client := r.client(byEndpoint(identityPolicy, "10.13.80.4"))
	t.Run("SEP-2 SEP-6 SEP-8 the rogue account is refused and logged", func(t *testing.T) {
		if response, _ := ask(t, client, "GET", "stown.table.core.windows.net", "/t", nil, ""); response.StatusCode != 200 {
			t.Errorf("own account: got %d", response.StatusCode)
		}
		if response, _ := ask(t, client, "GET", "rogue.table.core.windows.net", "/t", nil, ""); response.StatusCode != 403 {
			t.Errorf("rogue account: got %d", response.StatusCode)
		}
		got := r.last(2)
		if got.Account != "rogue" || !strings.Contains(got.MissingRule, "(SEP-2)") || !strings.Contains(got.MissingRule, "snet-policy") {
			t.Errorf("got %+v", got)
		}
	})
}

func TestServiceSideFiltersTheDataPlaneOfEveryService(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }))
	t.Cleanup(backend.Close)
	account := storageAccount("sta", ruleFor("snet-app", identityApp))
	account.Backends = backendAt(backend.Listener.Addr().String())
	r := newRig(t, nil)
	r.apply(cloud(account))
	in, out := r.client(byEndpoint(identityApp, "10.13.76.36")), r.client(byEndpoint(identityOther, "10.13.77.4"))
	for _, service := range []string{"table", "blob", "queue", "file", "dfs", "web"} {
		t.Run("FW-2 "+service, func(t *testing.T) {
			host := "sta." + service + ".core.windows.net"
			if response, _ := ask(t, in, "GET", host, "/a/b", nil, ""); response.StatusCode != 204 {
				t.Errorf("the subnet of the rule: got %d", response.StatusCode)
			}
			if response, _ := ask(t, out, "GET", host, "/a/b", nil, ""); response.StatusCode != 403 {
				t.Errorf("another subnet: got %d", response.StatusCode)
			}
		})
	}
}

func TestTLS(t *testing.T) {
	certificate, pool := selfSigned(t, tableHost, "stb.table.core.windows.net")
	r := newRig(t, func(c *Config) {
		c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate, nil }
	})
	r.apply(cloud(storageAccount("sta", ruleFor("snet-app", identityApp)), storageAccount("stb", model.NetworkRules{DefaultAllow: true})))
	client := func(w way, serverName string) *http.Client {
		address := r.listen(w, r.secure)
		transport := &http.Transport{
			ForceAttemptHTTP2: true, // which the gateway does not speak
			TLSClientConfig:   &tls.Config{RootCAs: pool, ServerName: serverName},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, address)
			}}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport, Timeout: 20 * time.Second}
	}
	get := func(t *testing.T, c *http.Client, host string) *http.Response {
		t.Helper()
		request, err := http.NewRequest("GET", "https://"+tableHost+"/t", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		response, err := c.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		return response
	}
	t.Run("SE-2 FW-6 identity and rules under TLS", func(t *testing.T) {
		response := get(t, client(byEndpoint(identityApp, "10.13.76.36"), tableHost), tableHost)
		if response.StatusCode != 200 || response.ProtoMajor != 1 {
			t.Errorf("got %d %s", response.StatusCode, response.Proto)
		}
		if got := r.last(1); got.CallerKind != firewall.Endpoint || !strings.HasPrefix(got.CallerIPAddress, "10.13.76.36:") {
			t.Errorf("got %+v", got)
		}
		if response := get(t, client(byInternet("20.1.2.3"), tableHost), tableHost); response.StatusCode != 403 {
			t.Errorf("the Internet: got %d", response.StatusCode)
		}
	})
	t.Run("server name and Host of different accounts", func(t *testing.T) {
		response := get(t, client(byEndpoint(identityApp, "10.13.76.36"), tableHost), "stb.table.core.windows.net")
		if response.StatusCode != 421 {
			t.Errorf("got %d", response.StatusCode)
		}
	})
}

func TestStalledBodyDoesNotHoldTheGateway(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.StallTimeout = 50 * time.Millisecond
		c.BuiltIn["storage/table"] = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if _, err := io.ReadAll(q.Body); err != nil {
				w.WriteHeader(400)
			}
		})
	})
	r.apply(cloud(storageAccount("sta", model.NetworkRules{DefaultAllow: true})))
	for i, w := range []way{byInternet("20.1.2.3"), byEndpoint(identityUnknown, "10.0.0.4")} {
		// Half a body, and silence: raw returns when the gateway has closed.
		raw(t, r.listen(w, r.plain), "POST /t HTTP/1.1\r\nHost: "+tableHost+"\r\nContent-Length: 100\r\n\r\nhalf")
		r.last(i + 1)
	}
	if got := r.entries()[0]; got.StatusText != StatusNetworkError || got.RequestBytes != 4 {
		t.Errorf("got %+v", got)
	}
}

func TestSlowBackendIsNotAStalledBody(t *testing.T) {
	// The deadline of the body must not end a request whose body is complete while its handler still works.
	const stall = 30 * time.Millisecond
	r := newRig(t, func(c *Config) {
		c.StallTimeout = stall
		c.BuiltIn["storage/table"] = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			_, _ = io.ReadAll(q.Body)
			select {
			case <-q.Context().Done():
				w.WriteHeader(500)
			case <-time.After(4 * stall): // the work
			}
		})
	})
	r.apply(cloud(storageAccount("sta", model.NetworkRules{DefaultAllow: true})))
	response, _ := ask(t, r.client(byInternet("20.1.2.3")), "POST", tableHost, "/t", nil, "body")
	if response.StatusCode != 200 {
		t.Errorf("got %d", response.StatusCode)
	}
}

func TestRequestFrom(t *testing.T) {
	seen := make(chan Request, 1)
	r := newRig(t, func(c *Config) {
		c.BuiltIn["storage/table"] = http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
			request, _ := RequestFrom(q.Context())
			seen <- request
		})
	})
	account := storageAccount("sta", model.NetworkRules{DefaultAllow: true})
	account.Keys = [2]string{"a2V5MQ==", "a2V5Mg=="}
	r.apply(cloud(account))
	ask(t, r.client(byEndpoint(identityApp, "10.13.76.36")), "GET", tableHost, "/t", nil, "")
	got := <-seen
	if got.Instance.Keys != account.Keys || got.Caller.Subnet != identityApp || got.Part != "table" || !got.Decision.Allow || got.ID != r.last(1).RequestID {
		t.Errorf("got %+v", got)
	}
}

func TestApplyRefusesWhatIsNoPlan(t *testing.T) {
	r := newRig(t, nil)
	good := cloud(storageAccount("sta", model.NetworkRules{DefaultAllow: true}))
	r.apply(good)
	before := r.Snapshot()
	change := func(f func(*plan.Gateway)) plan.Node {
		node := cloud(storageAccount("sta", model.NetworkRules{}))
		f(node.Gateway)
		return node
	}
	for name, node := range map[string]plan.Node{
		"no gateway":      {Node: "h1", Role: model.RoleHost},
		"no locator":      change(func(g *plan.Gateway) { g.ServiceLocator = model.Locator{} }),
		"no service":      change(func(g *plan.Gateway) { g.Instances[0].Service = "another" }),
		"account twice":   change(func(g *plan.Gateway) { g.Instances = append(g.Instances, g.Instances[0]) }),
		"account name":    change(func(g *plan.Gateway) { g.Instances[0].Name = "st-a" }),
		"identity twice":  change(func(g *plan.Gateway) { g.Subnets[1].Identity = g.Subnets[0].Identity }),
		"reserved number": change(func(g *plan.Gateway) { g.Subnets[0].Identity = 16 }),
	} {
		if err := r.Apply(node); err == nil {
			t.Errorf("%s: applied", name)
		}
		if r.Snapshot() != before {
			t.Errorf("%s: the plan in force changed", name)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("a gateway without an access log")
	}
	r := newRig(t, nil)
	registry := prometheus.NewRegistry()
	if _, err := New(Config{AccessLog: r.log, Metrics: registry}); err != nil {
		t.Error(err)
	}
	if _, err := New(Config{AccessLog: r.log, Metrics: registry}); err == nil {
		t.Error("two gateways count in one series")
	}
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	r := newRig(t, func(c *Config) { c.Metrics = registry })
	r.apply(cloud(storageAccount("sta", ipRules("20.1.2.3"))))
	in, out := r.client(byInternet("20.1.2.3")), r.client(byInternet("20.1.2.4"))
	for i := range 20 {
		ask(t, in, "GET", tableHost, "/t", nil, "")
		ask(t, out, "GET", fmt.Sprintf("name%d.example", i), "/t", nil, "")
		ask(t, out, "GET", "sta.blob.core.windows.net", "/t", nil, "")
	}
	r.last(60)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			for _, label := range metric.GetLabel() {
				name += " " + label.GetValue()
			}
			got[name] = metric.GetCounter().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"postern_gateway_requests_total allow table 2xx": 20, "postern_gateway_requests_total reject none 4xx": 20,
		"postern_gateway_requests_total deny blob 4xx": 20, "postern_gateway_connections_revoked_total": 0,
	} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s is %v, want %v; all: %v", name, value, want, got)
		}
	}
	if len(got) > 12 {
		t.Errorf("%d series for 22 names: %v", len(got), got)
	}
}

// Series are named for what a platform team knows: its own endpoints, not the word for all of them.
func TestLabels(t *testing.T) {
	snapshot := snapshotOf(t, cloud(storageAccount("sta", model.NetworkRules{})))
	mine := &Instance{Described: all.Named("own")}
	mine.Endpoint = model.Service{Endpoint: "Contoso.MinIO", Bit: model.FirstOwnBit}
	for _, test := range []struct {
		target Target
		want   string
	}{
		{target(snapshot, "sta"), "table"}, {mine.target(""), "Contoso.MinIO"}, {Target{}, "none"}, {Target{Service: all.Named("keyvault"), Name: "nobody"}, "keyvault"},
		{Target{Service: all.Named("eventhub"), Part: "amqp"}, "eventhub"}, {Target{Service: all.Named("cognitiveservices"), Part: "openai"}, "openai"},
	} {
		if got := labelOf(test.target); got != test.want {
			t.Errorf("%+v: got %q, want %q", test.target, got, test.want)
		}
	}
}

// otherAddr is an address of another stack.
type otherAddr string

func (otherAddr) Network() string  { return "tcp" }
func (a otherAddr) String() string { return string(a) }

func TestAddressOf(t *testing.T) {
	for want, address := range map[string]net.Addr{
		"20.1.2.3:5":            otherAddr("20.1.2.3:5"),
		"[2001:db8::1]:5":       &net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 5},
		"invalid AddrPort":      otherAddr("pipe"),
		"[::ffff:20.1.2.3]:443": &net.TCPAddr{IP: net.ParseIP("20.1.2.3"), Port: 443},
	} {
		if got := addressOf(address); got.String() != want {
			t.Errorf("%v: got %s, want %s", address, got, want)
		}
	}
	if got := addressOf(nil); got != (netip.AddrPort{}) {
		t.Errorf("nothing: got %s", got)
	}
}
