package gateway

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"postern/firewall"
	"postern/model"
	"postern/plan"
)

// told is a backend that wants a PROXY header, and answers requests with what stood in it.
type told struct {
	net.Listener
	accepted chan net.Conn
}

func newTold(t *testing.T) *told {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &told{l, make(chan net.Conn, 16)}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(60 * time.Second))
			b.accepted <- conn
			go func() {
				reader := bufio.NewReader(conn)
				header, err := proxyproto.Read(reader)
				if err != nil {
					return
				}
				for {
					if _, err := http.ReadRequest(reader); err != nil {
						b.accepted <- ended{conn, err}
						return
					}
					source := header.SourceAddr.String()
					fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(source), source)
				}
			}()
		}
	}()
	return b
}

// ended is how a backend's connection ended.
type ended struct {
	net.Conn
	err error
}

// TestPoolOfOneClient keeps a connection to a backend that is told who calls as long as the client has its own, and gives it
// to nobody else.
func TestPoolOfOneClient(t *testing.T) {
	backend := newTold(t)
	account := storageAccount("sta", ruleFor("snet-app", identityApp))
	account.Backends, account.Delivery.ProxyProtocol = backendAt(backend.Addr().String()), true
	r := newRig(t, nil)
	r.apply(cloud(account))
	address := r.listen(byEndpoint(identityApp, "10.13.76.36"), r.plain)
	first, second := dialKeepAlive(t, address, nil), dialKeepAlive(t, address, nil)
	for _, client := range []*keepAlive{first, second} {
		for range 3 {
			if status, err := client.get(tableHost); status != 200 {
				t.Fatalf("got %d, %v", status, err)
			}
		}
	}
	if got := len(backend.accepted); got != 2 {
		t.Fatalf("two clients' six requests came on %d connections", got)
	}
	<-backend.accepted
	<-backend.accepted
	first.Close()
	if end := (<-backend.accepted).(ended); !errors.Is(end.err, io.EOF) {
		t.Errorf("the client is gone, and its backend's connection ended with %v", end.err)
	}
	if status, err := second.get(tableHost); status != 200 {
		t.Errorf("the other client: got %d, %v", status, err)
	}
	account.Rules = ruleFor("snet-other", identityOther)
	account.Rules.PublicNetworkAccess = true
	r.apply(cloud(account))
	if end := (<-backend.accepted).(ended); !errors.Is(end.err, syscall.ECONNRESET) {
		t.Errorf("FW-6 the client is out, and its idle backend's connection ended with %v", end.err)
	}
	if err := second.wasReset(); err != nil {
		t.Error(err)
	}
}

// TestJudgementsAreShared holds the decisions that many connections share against those of each alone.
func TestJudgementsAreShared(t *testing.T) {
	managed := firewall.Managed{Tenant: "t", Resource: "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm"}
	mixed := ruleFor("snet-app", identityApp)
	mixed.IPRules = ipRules("20.1.2.3").IPRules
	mixed.ResourceAccessRules = []model.ResourceAccessRule{{Tenant: "t", Resource: managed.Resource}}
	snapshot := snapshotOf(t, cloud(storageAccount("sta", mixed), storageAccount("stown", ruleFor("snet-policy", identityPolicy)), storageAccount("stb", model.NetworkRules{DefaultAllow: true})))
	judged := judgements{snapshot: snapshot, known: make(map[question]Decision)}
	ways := []way{byInternet("20.1.2.3"), byInternet("20.1.2.4"), byInternet("100.64.0.9"), byInternet("10.0.0.1")}
	for _, identity := range []model.Identity{identityApp, identityOther, identityPlain, identityGlobal, identityPolicy, identityUnknown} {
		ways = append(ways, byEndpoint(identity, "10.13.76.36"), byEndpoint(identity, "20.1.2.3"))
	}
	asked := 0
	for range 2 {
		for _, w := range ways {
			for _, name := range []string{"sta", "stb", "stown", "stnobody", "stelsewhere"} {
				for _, who := range []firewall.Managed{{}, managed} {
					caller, target := callerOf(snapshot, w), target(snapshot, name)
					caller.Managed = who
					if got, want := judged.judge(caller, target), Judge(snapshot, caller, target); got != want {
						t.Errorf("%+v to %s: got %+v, want %+v", caller, name, got, want)
					}
					asked++
				}
			}
		}
	}
	if len(judged.known) >= asked/2 {
		t.Errorf("%d of %d questions were judged", len(judged.known), asked)
	}
}

// TestManyLinesAtOnce loses none of thousands of lines that a revocation makes, however few may wait.
func TestManyLinesAtOnce(t *testing.T) {
	var out bytes.Buffer
	log := newAccessLog(1)
	log.recordAll(slices.Repeat([]Entry{{StatusText: StatusConnectionRevoked}}, 20_000))
	go log.run(&out, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	for range 3 {
		log.recordWaiting(Entry{StatusText: StatusConnectionRevoked})
	}
	if err := log.Close(ctx); err != nil {
		t.Fatal(err)
	}
	entries, err := ReadLog(&out)
	if err != nil || len(entries) != 20_003 || log.Lost() != 0 {
		t.Errorf("%d lines, %d lost, %v", len(entries), log.Lost(), err)
	}
	log.recordWaiting(Entry{}) // after its end, at once
	log.recordAll([]Entry{{}, {}})
	if log.Lost() != 3 {
		t.Errorf("%d lost, want 3", log.Lost())
	}
}

// A connection that is passed through is reset at both ends while nobody reads.
func TestRevokeResetsTheBackendToo(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	account := storageAccount("sta", ruleFor("snet-app", identityApp))
	account.Backends, account.Ports = backendAt(l.Addr().String()), []model.ServicePort{{Number: 80, Way: model.WayTCP}}
	r := newRig(t, nil)
	r.apply(cloud(account))
	client := dialKeepAlive(t, r.listen(byEndpoint(identityApp, "10.13.76.36"), r.plain), nil)
	behind, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer behind.Close()
	_ = behind.SetDeadline(time.Now().Add(60 * time.Second))
	if _, err := io.WriteString(client, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(behind, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	denied := account
	denied.Rules = model.NetworkRules{PublicNetworkAccess: true}
	r.apply(plan.Node{Node: "gw", Role: model.RoleGateway, Gateway: cloud(denied).Gateway})
	if err := client.wasReset(); err != nil {
		t.Error(err)
	}
	if _, err := behind.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the backend read %v, want a reset", err)
	}
	if got := r.last(1); got.StatusText != StatusConnectionRevoked || got.RequestBytes != 1 {
		t.Errorf("got %+v", got)
	}
}
