package gateway

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"postern/model"
)

// passing is a rig with an account that is passed through, by address on port 80 and by server name on 443, and its backend.
func passingRig(t *testing.T) (r *rig, backend net.Listener, account func(rules model.NetworkRules)) {
	t.Helper()
	backend, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { backend.Close() })
	r = newRig(t, nil)
	if r.relay == nil {
		t.Skip("no relay on this system")
	}
	account = func(rules model.NetworkRules) {
		one := storageAccount("sta", rules)
		one.Backends = backendAt(backend.Addr().String())
		one.Ports = []model.ServicePort{{Number: 80, Way: model.WayTCP}, {Number: 443, Way: model.WayTLS}}
		r.apply(cloud(one))
	}
	account(model.NetworkRules{DefaultAllow: true})
	return r, backend, account
}

func acceptOne(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return conn
}

// refused is how a connection ends that gets nothing: the reset may be there before connect has returned.
func refused(t *testing.T, address string) error {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	_, err = conn.Read(make([]byte, 1))
	return err
}

func TestPassedConnections(t *testing.T) {
	r, backend, account := passingRig(t)
	plain := r.listen(byInternet("20.1.2.3"), r.plain)
	exchange := func(t *testing.T) (client, server net.Conn) {
		t.Helper()
		client = send(t, plain, "question")
		server = acceptOne(t, backend)
		if _, err := io.ReadFull(server, make([]byte, 8)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(server, "answer"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(client, make([]byte, 6)); err != nil {
			t.Fatal(err)
		}
		return client, server
	}
	t.Run("the log has the bytes of both directions", func(t *testing.T) {
		client, server := exchange(t)
		client.Close()
		if _, err := server.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the backend reads %v", err)
		}
		server.Close()
		got := r.last(1)
		if got.StatusText != StatusSuccess || got.RequestBytes != 8 || got.ResponseBytes != 6 || got.Backend != backend.Addr().String() ||
			got.Protocol != "tcp" || got.Account != "sta" || got.Rule == "" || got.DurationMs <= 0 {
			t.Errorf("logged %+v", got)
		}
	})
	t.Run("FW-13 a rule taken away resets both ends, and is one line", func(t *testing.T) {
		client, server := exchange(t)
		account(model.NetworkRules{})
		for name, conn := range map[string]net.Conn{"client": client, "backend": server} {
			if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the %s reads %v, want a reset", name, err)
			}
		}
		if got := r.last(2); got.StatusText != StatusConnectionRevoked || got.MissingRule == "" || got.RequestBytes != 8 || got.ResponseBytes != 6 {
			t.Errorf("logged %+v", got)
		}
		if r.connections.len() != 0 {
			t.Errorf("%d connections are open", r.connections.len())
		}
	})
	t.Run("FW-1 who may not is reset, and no backend hears of it", func(t *testing.T) {
		if err := refused(t, plain); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v, want a reset", err)
		}
		if got := r.last(3); got.StatusText != "Forbidden" || got.Backend != "" || got.MissingRule == "" {
			t.Errorf("logged %+v", got)
		}
	})
	t.Run("a backend that is gone", func(t *testing.T) {
		account(model.NetworkRules{DefaultAllow: true})
		backend.Close()
		if err := refused(t, plain); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v, want a reset", err)
		}
		if got := r.last(4); got.StatusText != "BackendDown" {
			t.Errorf("logged %+v", got)
		}
	})
}

// TestIdlePassedConnections: a connection that says nothing costs neither goroutines nor pipes.
func TestIdlePassedConnections(t *testing.T) {
	r, backend, _ := passingRig(t)
	certificate, pool := selfSigned(t, tableHost)
	addresses := map[string]string{"tcp": r.listen(byInternet("20.1.2.3"), r.plain), "tls": r.listen(byInternet("20.1.2.3"), r.secure)}
	const count = 40
	for way, address := range addresses {
		t.Run(way, func(t *testing.T) {
			descriptors := func() int {
				list, err := os.ReadDir("/proc/self/fd")
				if err != nil {
					t.Fatal(err)
				}
				return len(list)
			}
			goroutines, files := runtime.NumGoroutine(), descriptors()
			for range count {
				client := send(t, address, "")
				if way == "tcp" {
					acceptOne(t, backend)
					continue
				}
				failed := make(chan error, 1)
				go func() { failed <- tls.Client(client, &tls.Config{RootCAs: pool, ServerName: tableHost}).Handshake() }()
				server := tls.Server(acceptOne(t, backend), &tls.Config{Certificates: []tls.Certificate{*certificate}})
				if err := errors.Join(server.Handshake(), <-failed); err != nil {
					t.Fatal(err)
				}
			}
			if grown := runtime.NumGoroutine() - goroutines; grown > count/2 {
				t.Errorf("%d goroutines more for %d connections", grown, count)
			}
			if grown := descriptors() - files; grown > 5*count { // client and backend are here too
				t.Errorf("%d descriptors more for %d connections", grown, count)
			}
		})
	}
}
