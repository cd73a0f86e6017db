package gateway

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"postern/firewall"
	"postern/model"
)

// at is a way to another port of the same address.
func at(port uint16, w way) way {
	w.local = netip.AddrPortFrom(w.local.Addr(), port)
	return w
}

func TestPathStyle(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.WriteString(w, q.Host+" "+q.URL.EscapedPath())
	}))
	t.Cleanup(backend.Close)
	sta, stb := storageAccount("sta", ruleFor("snet-app", identityApp)), storageAccount("stb", model.NetworkRules{DefaultAllow: true})
	sta.Backends, stb.Backends = backendAt(backend.Listener.Addr().String()), backendAt(backend.Listener.Addr().String())
	r := newRig(t, nil)
	r.apply(cloud(sta, stb))
	inside, outside := byEndpoint(identityApp, "10.13.76.36"), byInternet("20.1.2.3")
	lines := 0
	for _, test := range []struct {
		name         string
		way          way
		port         uint16
		host, target string
		status       int
		body         string // its beginning
		want         Entry  // account, service, operation, status text
	}{
		{"FW-6 FW-13 the path names the account, the port the sub-service", inside, 10000, "20.60.1.1:10000", "/sta/photos/a%2Fb.jpg?x=1", 200,
			"20.60.1.1:10000 /sta/photos/a%2Fb.jpg", Entry{Account: "sta", Service: "blob", Operation: "GetBlob", StatusText: StatusSuccess}},
		{"FW-13 operations are those below the account", inside, 10001, "20.60.1.1:10001", "/sta/jobs/messages", 200, "", Entry{Account: "sta", Service: "queue", Operation: "GetMessages", StatusText: StatusSuccess}},
		{"FW-13 the whole account", inside, 80, "20.60.1.1", "/sta?comp=list", 200, "", Entry{Account: "sta", Service: "blob", Operation: "ListContainers", StatusText: StatusSuccess}},
		{"any address, by whose forwarding it came", inside, 10000, "127.0.0.1:9000", "/sta/photos/a", 200, "", Entry{Account: "sta", Service: "blob", Operation: "GetBlob", StatusText: StatusSuccess}},
		{"an address of IPv6", inside, 10000, "[::1]:9000", "/sta/photos/a", 200, "", Entry{Account: "sta", Service: "blob", Operation: "GetBlob", StatusText: StatusSuccess}},
		{"a single label", inside, 10000, "azurite:10000", "/sta/photos/a", 200, "", Entry{Account: "sta", Service: "blob", Operation: "GetBlob", StatusText: StatusSuccess}},
		{"FW-12 refused in the form of blobs", outside, 10000, "20.60.1.1:10000", "/sta/photos/a", 403, "<?xml", Entry{Account: "sta", Service: "blob", Operation: "GetBlob", StatusText: "AuthorizationFailure"}},
		{"FW-12 refused in the form of tables", outside, 10002, "20.60.1.1:10002", "/sta/Tables", 403, `{"odata.error"`, Entry{Account: "sta", Service: "table", Operation: "QueryTables", StatusText: "AuthorizationFailure"}},
		{"the path is judged, not the address", outside, 10000, "20.60.1.1:10000", "/stb/photos/a", 200, "", Entry{Account: "stb", Service: "blob", Operation: "GetBlob", StatusText: StatusSuccess}},
		{"a Host that names an account is not outvoted", outside, 10000, "sta.blob.core.windows.net:10000", "/stb/photos/a", 403, "<?xml", Entry{Account: "sta", Service: "blob", Operation: "GetBlob", StatusText: "AuthorizationFailure"}},
		{"nor one that could", inside, 10000, "sta.blobs.core.windows.net", "/sta/photos/a", 400, "", Entry{StatusText: "InvalidUri"}},
		{"nor one with dots", inside, 10000, "gateway.example", "/sta/photos/a", 400, "", Entry{StatusText: "InvalidUri"}},
		{"nobody's account", inside, 10000, "20.60.1.1:10000", "/stc/photos/a", 404, "<?xml", Entry{Account: "stc", Service: "blob", Operation: "GetBlob", StatusText: "ResourceNotFound"}},
		{"another region's", inside, 10000, "20.60.1.1:10000", "/stelsewhere/photos/a", 421, "<?xml", Entry{Account: "stelsewhere", Service: "blob", Operation: "GetBlob", StatusText: "InvalidUri"}},
		{"a path that climbs into another account", inside, 10002, "20.60.1.1:10002", "/stb/%2e%2e/sta/Tables", 400, `{"odata.error"`, Entry{Service: "table", StatusText: "InvalidUri"}},
		{"no account", inside, 10000, "20.60.1.1:10000", "/", 400, "<?xml", Entry{Service: "blob", StatusText: "InvalidUri"}},
		{"SEP-2 SEP-6 a policy that does not list it", byEndpoint(identityPolicy, "10.13.80.4"), 10000, "20.60.1.1:10000", "/stb/photos/a", 403, "<?xml", Entry{Account: "stb", Service: "blob", Operation: "GetBlob", StatusText: "AuthorizationFailure"}},
		{"FW-3 an unknown identity", byEndpoint(identityUnknown, "10.0.0.4"), 10000, "20.60.1.1:10000", "/stb/photos/a", 403, "<?xml", Entry{Account: "stb", Service: "blob", Operation: "GetBlob", StatusText: "AuthorizationFailure"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r.t = t
			response, body := askHost(t, r.client(at(test.port, test.way)), test.host, test.target)
			if response.StatusCode != test.status || !strings.HasPrefix(body, test.body) {
				t.Errorf("got %d %s, want %d %s", response.StatusCode, body, test.status, test.body)
			}
			lines++
			got := r.last(lines)
			path, _, _ := strings.Cut(test.target, "?")
			if got.URI != path {
				t.Errorf("the log has path %q", got.URI)
			}
			if test.want.Operation == "" {
				got.Operation = ""
			}
			if test.want.Service == "" {
				got.Service = ""
			}
			if got.Account != test.want.Account || got.Service != test.want.Service || got.Operation != test.want.Operation || got.StatusText != test.want.StatusText {
				t.Errorf("the log has %+v", got)
			}
		})
	}
	r.t = t
	t.Run("FW-12 what is revoked closes a connection in path style", func(t *testing.T) {
		r.t = t
		client := r.client(at(10000, inside))
		if response, _ := askHost(t, client, "20.60.1.1:10000", "/sta/photos/a"); response.StatusCode != 200 {
			t.Fatalf("got %d", response.StatusCode)
		}
		sta.Rules = model.NetworkRules{PublicNetworkAccess: true}
		r.apply(cloud(sta, stb))
		if got := r.last(lines + 2); got.StatusText != StatusConnectionRevoked || got.Account != "sta" {
			t.Errorf("got %+v", got)
		}
	})
	r.t = t
}

// askHost asks with a Host that its address does not follow.
func askHost(t *testing.T, client *http.Client, host, target string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, "http://"+accountAddress.String()+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(data)
}

func TestPathStyleAndServerName(t *testing.T) {
	snapshot := snapshotOf(t, cloud(storageAccount("sta", model.NetworkRules{}), storageAccount("stb", model.NetworkRules{})))
	caller := callerOf(snapshot, byEndpoint(identityApp, "10.13.76.36"))
	for target, want := range map[string]error{"/sta/photos": nil, "/stb/photos": errMisdirected} {
		address, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		request := &http.Request{Host: "20.60.1.1", URL: address, TLS: &tls.ConnectionState{ServerName: "sta.queue.core.windows.net"}}
		if _, _, err := snapshot.askedBy(request, caller); err != want {
			t.Errorf("%s under sta's server name: got %v, want %v", target, err, want)
		}
	}
}

// An address that no service answers on has nobody behind it, whatever the path.
func TestPathStyleIsForTheServicesAddresses(t *testing.T) {
	snapshot := snapshotOf(t, cloud(storageAccount("sta", model.NetworkRules{})))
	caller := Caller{Kind: firewall.Public, Dialled: netip.MustParseAddr("20.60.1.99"), Port: 10000}
	if target, root, err := snapshot.askedBy(&http.Request{Host: "20.60.1.99", URL: &url.URL{Path: "/sta/photos"}}, caller); err == nil {
		t.Errorf("got %+v below %q", target, root)
	}
	var unsynced *Snapshot
	if _, _, err := unsynced.askedBy(&http.Request{Host: "20.60.1.1", URL: &url.URL{Path: "/sta/photos"}}, caller); err == nil {
		t.Error("FW-3: a gateway without a plan knows somebody")
	}
}
