package cloud

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"postern/certificate"
	servers "postern/demo/backend"
)

// place is a machine for a server that gateways reach: one of the Internet where they are namespaces, this computer where
// they are part of this process.
type place struct {
	Machine
	stage   *stage
	address string
}

// place makes one. In user space every place is this computer.
func (s *stage) place(name, address string) place {
	s.t.Helper()
	machine, at, err := s.Backend(s.ctx, name, netip.MustParseAddr(address))
	if err != nil {
		s.t.Fatal(err)
	}
	return place{machine, s, at.String()}
}

// local is the place's own loopback, which is another's in every namespace.
func (p place) local() place { return place{p.Machine, p.stage, loopback.String()} }

// backend listens where the gateways reach it.
func (s *stage) backend(name, address string) net.Listener {
	s.t.Helper()
	at := s.place(name, address)
	listener, err := at.Listen(s.ctx, "tcp", net.JoinHostPort(at.address, "0"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = listener.Close() }) // the server may have closed it
	return listener
}

// websites numbers the web servers of all stages.
var websites atomic.Int64

// serveHTTP serves where the gateways reach it, and answers the address.
func (s *stage) serveHTTP(handler http.Handler) string {
	s.t.Helper()
	number := websites.Add(1)
	listener := s.backend(fmt.Sprintf("web-%d", number), fmt.Sprintf("198.51.100.%d", 100+number%100))
	server := servers.HTTP(listener, handler)
	s.t.Cleanup(func() { server.Close() })
	return listener.Addr().String()
}

// serveEach serves every connection of a listener, in a goroutine of its own, until the listener is closed.
func serveEach(l net.Listener, serve func(net.Conn)) {
	servers.Each(l, func(conn net.Conn) error { serve(conn); return nil })
}

// backendIdentity is a certificate of a backend's own, for names, and the authority that clients are to trust for it.
func backendIdentity(t testing.TB, names ...string) (*certificate.Authority, *tls.Certificate) {
	t.Helper()
	authority, err := certificate.NewAuthority("backend", nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := authority.Issue(names, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return authority, leaf
}

// need finds a program, or skips the test.
func need(t testing.TB, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name) // where Debian has PostgreSQL's own
		if len(found) == 0 {
			t.Skipf("there is no %s here: apt-get install %s", name, debian)
		}
		path = found[len(found)-1]
	}
	return path
}

const nobody = 65534

// ordinary makes a command one of an ordinary user, in a folder of that user's: database servers refuse to be root.
func ordinary(dir string, command *exec.Cmd) *exec.Cmd {
	command.Dir, command.Env = dir, append(os.Environ(), "TMPDIR="+dir, "HOME="+dir)
	if os.Getuid() == 0 {
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	return command
}

// ordinaryDir is a folder of the ordinary user's.
func ordinaryDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "postern-database-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if os.Getuid() == 0 {
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// writeOrdinary writes a file of the ordinary user's.
func writeOrdinary(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(path, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
}

// run runs a server at the place until the test ends, waits until its port takes connections, and answers its address.
func (p place) run(command *exec.Cmd, port int) string {
	s, address := p.stage, net.JoinHostPort(p.address, strconv.Itoa(port))
	s.t.Helper()
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := startOn(p.Machine, command); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM) // MariaDB's shutdown, and PostgreSQL's, which it makes
		_ = command.Process.Signal(syscall.SIGINT)  // a fast one, so that it waits for no client
		timer := time.AfterFunc(patience/2, func() { _ = command.Process.Kill() })
		_ = command.Wait()
		timer.Stop()
		if s.t.Failed() {
			s.t.Logf("%s:\n%s", filepath.Base(command.Path), output.Bytes())
		}
	})
	s.eventually("wait for "+filepath.Base(command.Path), func() error {
		conn, err := p.DialContext(s.ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	return address
}
