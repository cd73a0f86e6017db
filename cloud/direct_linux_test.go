package cloud

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"postern/model"
)

// A service whose connections nobody reads: its address is judged packet by packet.
const (
	ownDirect = `{type: Postern.Services/services, name: store, location: westeurope, properties: {endpoint: Contoso.Store,
  addressPrefixes: [192.0.2.64/28], ports: [{port: 6379, protocol: direct}], backends: ["[::1]:%d"],
  networkAcls: {defaultAction: %s, virtualNetworkRules: [%s], ipRules: [%s]}}}`
	withDirect = "serviceEndpoints: [{service: Contoso.Store}]"
	storeName  = "store.services.internal:6379"
	directRule = "{id: virtualNetworks/vnet/subnets/app}"
)

// An instance with an address of its own has the caller's packets judged in the kernel, and no proxy in the way: the
// server sees the caller's own address.
func TestDirect(t *testing.T) {
	onBothDataPaths(t, func(t *testing.T, dataPath string) {
		s := start(t, dataPath, "", application...)
		app, far := s.machine("nic-app"), s.machine("nic-far")
		office := s.outsider("office", "198.51.100.7")
		server := s.hostServer()
		port := server.Addr().(*net.TCPAddr).Port
		serveDirect(server)
		document := func(action, subnets, addresses string) string {
			return fmt.Sprintf(ownDirect, port, action, subnets, addresses)
		}
		s.apply(document("Allow", "", ""))
		s.apply(subnet("vnet/app", "10.13.76.0/24", withDirect), subnet("vnet/other", "10.13.77.0/24", withDirect))
		s.apply(document("Deny", directRule, `{value: 198.51.100.7}`))

		first := s.connect(app, storeName)
		address := first.RemoteAddr().String() // an outsider has no names
		first.Close()

		t.Run("SE-2 FW-6 a subnet of the rules gets in, and the server sees the private address", func(t *testing.T) {
			s := s.in(t)
			peer, err := s.whoAmI(app, storeName)
			if err != nil {
				t.Fatal(err)
			}
			if dataPath == Kernel && !strings.Contains(peer, "a0d:4c24]") { // 10.13.76.36
				t.Errorf("the server sees %s", peer)
			}
			s.wantLogged("store", "0 Success direct", "10.13.76.36")
		})
		t.Run("FW-1 FW-12 another subnet is reset", func(t *testing.T) {
			s := s.in(t)
			if got, err := s.whoAmI(far, storeName); err == nil {
				t.Errorf("got %q", got)
			}
			s.wantLogged("store", "0 Forbidden direct", "10.13.77.")
		})
		t.Run("FW-4 an address of the Internet that the rules have gets in", func(t *testing.T) {
			s := s.in(t)
			if got, err := s.whoAmI(office, address); err != nil || dataPath == Kernel && !strings.HasPrefix(got, "[::ffff:198.51.100.7]") && !strings.HasPrefix(got, "198.51.100.7:") {
				t.Errorf("got %q, %v", got, err)
			}
			s.apply(document("Deny", directRule, ""))
			if got, err := s.whoAmI(office, address); err == nil {
				t.Errorf("without the rule: got %q", got)
			}
		})
		t.Run("a large transfer arrives whole, both ways", func(t *testing.T) {
			s := s.in(t)
			conn := s.connect(app, storeName)
			defer conn.Close()
			const size = 64 << 20
			if err := exchange(conn, size); err != nil {
				t.Error(err)
			}
		})
		t.Run("revoked: a busy connection and an idle one are reset, one line each", func(t *testing.T) {
			s := s.in(t)
			idle, busy := s.connect(app, storeName), s.connect(app, storeName)
			defer idle.Close()
			defer busy.Close()
			if _, err := io.WriteString(idle, "W"); err != nil {
				t.Fatal(err)
			}
			if _, err := idle.Read(make([]byte, 100)); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- exchange(busy, 1<<40) }()
			s.apply(document("Deny", "", ""))
			for name, conn := range map[string]net.Conn{"idle": idle} {
				_ = conn.SetReadDeadline(time.Now().Add(patience))
				if _, err := conn.Read(make([]byte, 1)); err == nil || isTimeout(err) {
					t.Errorf("the %s connection is still open: %v", name, err)
				}
			}
			select {
			case err := <-ended:
				if err == nil || isTimeout(err) {
					t.Errorf("the busy connection: %v", err)
				}
			case <-time.After(patience):
				t.Error("the busy connection goes on")
			}
			s.wantLogged("store", "0 ConnectionRevoked direct", "10.13.76.36")
			s.eventually("the server's ends are reset", func() error { return server.idle() })
			s.apply(document("Deny", directRule, ""))
			if _, err := s.whoAmI(app, storeName); err != nil {
				t.Errorf("allowed again: %v", err)
			}
		})
		if dataPath == Kernel {
			t.Run("FW-3 the server is reached by no address and port but its own", func(t *testing.T) {
				s := s.in(t)
				s.apply(document("Allow", "", ""))
				vip, _, _ := net.SplitHostPort(address)
				for _, host := range []string{vip, "168.63.129.16"} {
					if got, err := s.whoAmI(app, net.JoinHostPort(host, strconv.Itoa(port))); err == nil || isTimeout(err) {
						t.Errorf("%s port %d: got %q, %v", host, port, got, err)
					}
				}
				if got, err := s.whoAmI(office, net.JoinHostPort(vip, strconv.Itoa(port))); err == nil || isTimeout(err) {
					t.Errorf("from the Internet: got %q, %v", got, err)
				}
				s.apply(document("Deny", directRule, ""))
			})
			t.Run("the gateway's process is killed: its connections go on, and the next one revokes them", func(t *testing.T) {
				s := s.in(t)
				conn := s.connect(app, storeName)
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(patience))
				ask := func() error {
					if _, err := io.WriteString(conn, "W"); err != nil {
						return err
					}
					_, err := conn.Read(make([]byte, 100))
					return err
				}
				if err := ask(); err != nil {
					t.Fatal(err)
				}
				s.killNode("gateway-we")
				if err := ask(); err != nil {
					t.Errorf("the open connection: %v", err)
				}
				if _, err := s.whoAmI(app, address); err != nil { // names come from the gateway's process
					t.Errorf("a new connection: %v", err)
				}
				s.apply(document("Deny", "", "{value: 203.0.113.77}"))
				if _, err := conn.Read(make([]byte, 1)); err == nil || isTimeout(err) {
					t.Errorf("revoked: %v", err)
				}
				s.apply(document("Deny", directRule, ""))
			})
		}
		t.Run("a dead backend is a reset, never a hang", func(t *testing.T) {
			s := s.in(t)
			if err := server.Close(); err != nil {
				t.Fatal(err)
			}
			if got, err := s.whoAmI(app, storeName); err == nil || isTimeout(err) {
				t.Errorf("got %q, %v", got, err)
			}
		})
		if dataPath == Kernel {
			t.Run("what became of packets is counted", func(t *testing.T) {
				s := s.in(t)
				for _, reason := range []model.Reason{model.ReasonOwnAddress, model.ReasonNetworkRules} {
					s.eventually(reason.String(), func() error {
						if s.countedOn("gateway-we", 0, reason) == 0 {
							return errors.New("none was counted")
						}
						return nil
					})
				}
			})
		}
	})
}

// hostServer listens on the gateway's own host: all addresses of its namespace, or of this computer's loopback.
func (s *stage) hostServer() *openConnections {
	s.t.Helper()
	listen := func() (net.Listener, error) { return net.Listen("tcp", "[::1]:0") }
	if world, ok := s.world.(*kernelWorld); ok {
		world.mu.Lock()
		gateway := world.nodes["gateway-we"].gateway
		world.mu.Unlock()
		listen = func() (net.Listener, error) { return gateway.Listen(s.ctx, "tcp", "[::]:0") }
	}
	listener, err := listen()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = listener.Close() }) // a test may have closed it
	return &openConnections{Listener: listener}
}

// openConnections is a listener that knows how many of its connections are open.
type openConnections struct {
	net.Listener
	open atomic.Int64
}

func (l *openConnections) idle() error {
	if open := l.open.Load(); open > 0 {
		return fmt.Errorf("%d connections are open at the server", open)
	}
	return nil
}

// serveDirect answers W with whom it sees, and echoes what follows an E.
func serveDirect(l *openConnections) {
	go serveEach(l, func(conn net.Conn) {
		l.open.Add(1)
		defer l.open.Add(-1)
		var word [1]byte
		for {
			if _, err := io.ReadFull(conn, word[:]); err != nil {
				return
			}
			if word[0] == 'E' {
				_, _ = io.Copy(conn, conn)
				return
			}
			if _, err := io.WriteString(conn, conn.RemoteAddr().String()); err != nil {
				return
			}
		}
	})
}

// killNode kills a node's process.
func (s *stage) killNode(node string) {
	s.t.Helper()
	for _, pid := range childrenOf(os.Getpid()) {
		line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
		if err != nil || !strings.Contains(string(line), "--node\x00"+node+"\x00") || !strings.Contains(string(line), s.Dir()) {
			continue
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			s.t.Fatal(err)
		}
		return
	}
	s.t.Fatalf("no process of %s", node)
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// whoAmI asks the server whom it sees.
func (s *stage) whoAmI(from Machine, address string) (string, error) {
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	conn, err := from.DialContext(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, "W"); err != nil {
		return "", err
	}
	buffer := make([]byte, 100)
	n, err := conn.Read(buffer)
	return string(buffer[:n]), err
}

// exchange sends bytes that are echoed, and compares.
func exchange(conn net.Conn, size int64) error {
	if _, err := io.WriteString(conn, "E"); err != nil {
		return err
	}
	sent, got := sha256.New(), sha256.New()
	failed := make(chan error, 1)
	go func() {
		_, err := io.CopyN(io.MultiWriter(conn, sent), pattern{}, size)
		failed <- err
	}()
	n, err := io.CopyN(got, conn, size)
	if err = errors.Join(err, <-failed); err != nil {
		return fmt.Errorf("after %d bytes: %w", n, err)
	}
	if string(got.Sum(nil)) != string(sent.Sum(nil)) {
		return errors.New("the bytes that came back differ")
	}
	return nil
}

// pattern is endless.
type pattern struct{}

func (pattern) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i >> 3)
	}
	return len(p), nil
}
