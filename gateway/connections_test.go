package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"postern/firewall"
	"postern/model"
	"postern/plan"
)

// keepAlive is one client connection that is used again and again.
type keepAlive struct {
	net.Conn
	reader *bufio.Reader
}

func dialKeepAlive(t *testing.T, address string, config *tls.Config) *keepAlive {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if config != nil {
		conn = tls.Client(conn, config)
	}
	return &keepAlive{conn, bufio.NewReader(conn)}
}

// get sends one request and answers its status, or 0 and why there is none.
func (k *keepAlive) get(host string) (int, error) {
	if _, err := io.WriteString(k, "GET /t HTTP/1.1\r\nHost: "+host+"\r\n\r\n"); err != nil {
		return 0, err
	}
	response, err := http.ReadResponse(k.reader, nil)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// wasReset tells whether the peer ended the connection by a TCP reset.
func (k *keepAlive) wasReset() error {
	_, err := k.reader.ReadByte()
	if !errors.Is(err, syscall.ECONNRESET) {
		return fmt.Errorf("got %v, want a reset", err)
	}
	return nil
}

func TestRevokeTwoHundredConnections(t *testing.T) {
	const connections = 200
	certificate, pool := selfSigned(t, tableHost)
	r := newRig(t, func(c *Config) {
		c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate, nil }
	})
	both := model.NetworkRules{VirtualNetworkRules: append(ruleFor("snet-app", identityApp).VirtualNetworkRules, ruleFor("snet-other", identityOther).VirtualNetworkRules...)}
	r.apply(cloud(storageAccount("sta", both)))

	plain, secured := r.listen(byEndpoint(identityApp, "10.13.76.36"), r.plain), r.listen(byEndpoint(identityApp, "10.13.76.37"), r.secure)
	stays := dialKeepAlive(t, r.listen(byEndpoint(identityOther, "10.13.77.4"), r.plain), nil)
	var clients []*keepAlive
	for i := range connections {
		if i%4 == 0 {
			clients = append(clients, dialKeepAlive(t, secured, &tls.Config{RootCAs: pool, ServerName: tableHost}))
		} else {
			clients = append(clients, dialKeepAlive(t, plain, nil))
		}
	}
	var work sync.WaitGroup
	for _, client := range append(clients, stays) {
		work.Go(func() {
			for range 2 {
				if status, err := client.get(tableHost); status != 200 {
					t.Errorf("before: got %d, %v", status, err)
				}
			}
		})
	}
	work.Wait()
	r.last(2 * (connections + 1))

	t.Run("FW-6 FW-13 all are reset and logged", func(t *testing.T) {
		start := time.Now()
		r.apply(cloud(storageAccount("sta", ruleFor("snet-other", identityOther))))
		for _, client := range clients {
			if err := client.wasReset(); err != nil {
				t.Error(err)
			}
		}
		t.Logf("%d connections reset in %s", connections, time.Since(start))
		r.last(2*(connections+1) + connections)
		revoked := Select(r.entries(), Filter{StatusText: StatusConnectionRevoked})
		callers := map[string]bool{}
		for _, entry := range revoked {
			callers[entry.CallerIPAddress] = true
			if entry.Account != "sta" || entry.Subnet != string(subnetID("snet-app")) || entry.CallerKind != firewall.Endpoint ||
				!strings.HasPrefix(entry.MissingRule, "no virtualNetworkRules entry for") || !strings.HasSuffix(entry.Rule, "snet-app") || entry.Service != "table" {
				t.Errorf("got %+v", entry)
			}
		}
		if len(revoked) != connections || len(callers) != connections {
			t.Errorf("%d lines of %d callers, want %d", len(revoked), len(callers), connections)
		}
	})
	t.Run("the other subnet's connection stays", func(t *testing.T) {
		if status, err := stays.get(tableHost); status != 200 {
			t.Errorf("got %d, %v", status, err)
		}
	})
	t.Run("a new connection is refused", func(t *testing.T) {
		if status, err := dialKeepAlive(t, plain, nil).get(tableHost); status != 403 {
			t.Errorf("got %d, %v", status, err)
		}
	})
	if open := r.connections.len(); open > 2 {
		t.Errorf("%d connections are remembered, want the one that stays and the refused one", open)
	}
}

func TestWhatRevokes(t *testing.T) {
	open := model.NetworkRules{DefaultAllow: true}
	app := byEndpoint(identityApp, "10.13.76.36")
	for _, test := range []struct {
		name   string
		way    way
		before model.NetworkRules
		change func(*model.NetworkRules, *plan.Node)
		revoke bool
	}{
		{"the same plan again", app, open, func(*model.NetworkRules, *plan.Node) {}, false},
		{"another rule admits now", app, open, func(a *model.NetworkRules, _ *plan.Node) {
			*a = ruleFor("snet-app", identityApp)
			a.PublicNetworkAccess = true
		}, false},
		{"FW-1 defaultAction turns to Deny", app, open, func(a *model.NetworkRules, _ *plan.Node) { a.DefaultAllow = false }, true},
		{"FW-4 the IP rule is gone", byInternet("20.1.2.3"), ipRules("20.1.2.3"), func(a *model.NetworkRules, _ *plan.Node) { a.IPRules = nil }, true},
		{"FW-7 the source is deleted", app, ruleFor("snet-app", identityApp), func(a *model.NetworkRules, p *plan.Node) {
			*a = ruleFor("snet-app", model.IdentityNone)
			p.Gateway.Subnets = p.Gateway.Subnets[1:]
		}, true},
		{"FW-8 publicNetworkAccess turns to Disabled", app, open, func(a *model.NetworkRules, _ *plan.Node) { a.PublicNetworkAccess = false }, true},
		{"SE-3 the endpoint is disabled", app, open, func(_ *model.NetworkRules, p *plan.Node) { p.Gateway.Subnets[0].EnabledServices = 0 }, true},
		{"SEP-2 a policy without the account", app, open, func(_ *model.NetworkRules, p *plan.Node) { p.Gateway.Subnets[0].Policy = "p1" }, true},
		{"the account is deleted", app, open, func(_ *model.NetworkRules, p *plan.Node) { p.Gateway.Instances = nil }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, nil)
			r.apply(cloud(storageAccount("sta", test.before)))
			client := dialKeepAlive(t, r.listen(test.way, r.plain), nil)
			if status, err := client.get(tableHost); status != 200 {
				t.Fatalf("got %d, %v", status, err)
			}
			acls := test.before
			acls.PublicNetworkAccess = true
			node := cloud(storageAccount("sta", acls))
			test.change(&acls, &node)
			if len(node.Gateway.Instances) > 0 {
				node.Gateway.Instances[0].Rules = acls
			}
			if err := r.Apply(node); err != nil {
				t.Fatal(err)
			}
			if test.revoke {
				if err := client.wasReset(); err != nil {
					t.Error(err)
				}
				if got := r.last(2); got.StatusText != StatusConnectionRevoked || got.MissingRule == "" {
					t.Errorf("got %+v", got)
				}
			} else if status, err := client.get(tableHost); status != 200 {
				t.Errorf("got %d, %v", status, err)
			}
		})
	}
}

func TestRevokeEndsARequestUnderWay(t *testing.T) {
	started, ended := make(chan struct{}), make(chan error, 1)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		_, _ = w.Write([]byte("first bytes"))
		_ = http.NewResponseController(w).Flush()
		close(started)
		select {
		case <-q.Context().Done():
			ended <- nil
		case <-time.After(10 * time.Second):
			ended <- errors.New("the backend still works for a revoked client")
		}
	}))
	t.Cleanup(backend.Close)
	account := storageAccount("sta", model.NetworkRules{DefaultAllow: true})
	account.Backends = backendAt(backend.Listener.Addr().String())
	r := newRig(t, nil)
	r.apply(cloud(account))
	client := dialKeepAlive(t, r.listen(byInternet("20.1.2.3"), r.plain), nil)
	result := make(chan error, 1)
	go func() {
		_, err := client.get(tableHost)
		result <- err
	}()
	<-started
	account.Rules.DefaultAllow = false
	r.apply(cloud(account))
	if err := <-result; err == nil {
		t.Error("the answer looks whole")
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	r.last(2)
	if revoked := Select(r.entries(), Filter{StatusText: StatusConnectionRevoked}); len(revoked) != 2 {
		t.Errorf("got %+v, want a line of the connection and one of its request", revoked)
	}
}

// TestNoWindowBetweenJudgingAndApply: after an Apply that denies has returned, no request that was judged by the plan
// before it is answered, however the two interleave.
func TestNoWindowBetweenJudgingAndApply(t *testing.T) {
	const clients, rounds = 8, 60
	r := newRig(t, nil)
	allow, deny := cloud(storageAccount("sta", ruleFor("snet-app", identityApp))), cloud(storageAccount("sta", ruleFor("snet-other", identityOther)))
	r.apply(deny)
	address := r.listen(byEndpoint(identityApp, "10.13.76.36"), r.plain)
	ctx, cancel := context.WithCancel(context.Background())
	var admitted atomic.Int64
	var work sync.WaitGroup
	for range clients {
		work.Go(func() {
			for ctx.Err() == nil {
				conn, err := net.Dial("tcp", address)
				if err != nil {
					t.Error(err)
					return
				}
				k := &keepAlive{conn, bufio.NewReader(conn)}
				_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
				for ctx.Err() == nil {
					status, err := k.get(tableHost)
					if err != nil {
						break // reset: the next connection
					}
					if status == 200 {
						admitted.Add(1)
					}
				}
				_ = conn.Close()
			}
		})
	}
	for round := range rounds {
		before := admitted.Load()
		r.apply(allow)
		for deadline := time.Now().Add(10 * time.Second); admitted.Load() < before+clients; {
			if time.Now().After(deadline) {
				t.Fatal("nobody is admitted")
			}
			time.Sleep(100 * time.Microsecond) // between looks; the deadline decides
		}
		r.apply(deny)
		for _, c := range r.connections.all() {
			c.mu.Lock()
			if len(c.admitted) > 0 && !c.revoked {
				t.Errorf("round %d: a connection is still admitted", round)
			}
			c.mu.Unlock()
		}
	}
	cancel()
	work.Wait()
}

// TestApplyAndAdmitWaitForEachOther is the interleaving that the test above hopes for, made by hand.
func TestApplyAndAdmitWaitForEachOther(t *testing.T) {
	allow, deny := cloud(storageAccount("sta", ruleFor("snet-app", identityApp))), cloud(storageAccount("sta", ruleFor("snet-other", identityOther)))
	t.Run("Apply waits for a request between judging and registering", func(t *testing.T) {
		r := newRig(t, nil)
		r.apply(allow)
		near, far := net.Pipe()
		t.Cleanup(func() { _ = far.Close() })
		w := byEndpoint(identityApp, "10.13.76.36")
		c := r.connections.accept(near, time.Second)
		c.local, c.peer = w.local, netip.AddrPortFrom(w.peer, 50000)

		r.admission.RLock()
		snapshot := r.Snapshot()
		caller := Identify(snapshot, c.local, c.peer)
		decision := Judge(snapshot, caller, target(snapshot, "sta"))
		applied := make(chan error, 1)
		go func() { applied <- r.Apply(deny) }()
		for deadline := time.Now().Add(10 * time.Second); r.admission.TryRLock(); { // fails once Apply waits
			r.admission.RUnlock()
			if time.Now().After(deadline) || r.Snapshot() != snapshot {
				t.Fatal("Apply did not wait")
			}
			runtime.Gosched()
		}
		if !decision.Allow || !c.remember(admission{snapshot: snapshot, caller: caller, target: target(snapshot, "sta"), decision: decision}) {
			t.Errorf("got %+v, want an admission", decision)
		}
		r.admission.RUnlock()
		if err := <-applied; err != nil {
			t.Fatal(err)
		}
		if !c.isRevoked() {
			t.Error("the connection is still open")
		}
	})
	t.Run("a request waits for Apply", func(t *testing.T) {
		r := newRig(t, nil)
		r.apply(allow)
		client := r.client(byEndpoint(identityApp, "10.13.76.36"))
		denied := snapshotOf(t, deny)
		r.admission.Lock()
		status := make(chan int, 1)
		go func() {
			response, err := client.Get("http://" + tableHost + "/t")
			if err != nil {
				t.Error(err)
				status <- 0
				return
			}
			_ = response.Body.Close()
			status <- response.StatusCode
		}()
		select {
		case got := <-status:
			t.Errorf("answered %d while a plan was being put in force", got)
			status <- 403
		case <-time.After(50 * time.Millisecond): // long enough for an answer that does not wait
		}
		r.snapshot.Store(denied)
		r.admission.Unlock()
		if got := <-status; got != 403 {
			t.Errorf("got %d, want the new plan's 403", got)
		}
	})
}

// resettable is a connection of another stack.
type resettable struct {
	net.Conn
	reset bool
}

func (c *resettable) Reset() error { c.reset = true; return c.Conn.Close() }

func TestResetOfOtherStacks(t *testing.T) {
	near, far := net.Pipe()
	var connections registry
	inner := &resettable{Conn: near}
	c := connections.accept(inner, time.Second)
	c.reset()
	if _, err := far.Read(make([]byte, 1)); !inner.reset || err != io.EOF || connections.len() != 0 {
		t.Errorf("reset %v, %v, %d remembered", inner.reset, err, connections.len())
	}
	near, far = net.Pipe() // offers neither Reset nor SetLinger
	c = connections.accept(near, time.Second)
	c.reset()
	if _, err := far.Read(make([]byte, 1)); err != io.EOF || connections.len() != 0 {
		t.Errorf("%v, %d remembered", err, connections.len())
	}
	if err := c.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

func TestARevokedConnectionAdmitsNothingMore(t *testing.T) {
	// A second request that was already in the gateway's buffer when the connection was revoked: even for an account
	// that still lets the caller in.
	reached, goOn := make(chan struct{}), make(chan struct{})
	var served atomic.Int64
	r := newRig(t, func(c *Config) {
		c.BuiltIn["storage/table"] = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			if served.Add(1) == 1 {
				close(reached)
				<-goOn
			}
		})
	})
	open := model.NetworkRules{DefaultAllow: true}
	r.apply(cloud(storageAccount("sta", open), storageAccount("stb", open)))
	client := dialKeepAlive(t, r.listen(byEndpoint(identityApp, "10.13.76.36"), r.plain), nil)
	if _, err := io.WriteString(client, "GET /t HTTP/1.1\r\nHost: "+tableHost+"\r\n\r\nGET /t HTTP/1.1\r\nHost: stb.table.core.windows.net\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-reached
	r.apply(cloud(storageAccount("sta", model.NetworkRules{}), storageAccount("stb", open)))
	close(goOn)
	if err := client.wasReset(); err != nil {
		t.Error(err)
	}
	r.last(2)
	if err := r.Shutdown(bounded(t)); err != nil { // until here every request has ended
		t.Fatal(err)
	}
	if served.Load() != 1 {
		t.Errorf("%d requests were served, want 1", served.Load())
	}
}
