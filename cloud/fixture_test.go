package cloud

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postern/model"
	"postern/resource"
)

// limit bounds one test with its cloud; patience one thing that it waits for.
const (
	limit    = 120 * time.Second
	patience = 20 * time.Second
)

// program is the postern executable that the kernel data path runs its nodes with.
var program string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "postern-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "postern")
	if output, err := exec.Command("go", "build", "-o", program, "postern/cmd/postern").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build postern: %v\n%s", err, output)
		return 1
	}
	return m.Run()
}

// onBothDataPaths runs one story on both.
func onBothDataPaths(t *testing.T, story func(t *testing.T, dataPath string)) {
	for _, dataPath := range []string{Kernel, Userspace} {
		t.Run(dataPath, func(t *testing.T) {
			if dataPath == Kernel {
				needKernel(t)
			}
			story(t, dataPath)
		})
	}
}

func needKernel(t *testing.T) {
	t.Helper()
	if err := kernelSupported(); err != nil {
		t.Skipf("the kernel data path cannot run here: %v", err)
	}
}

// stage is a running cloud with a test on it.
type stage struct {
	*Cloud
	t    testing.TB
	ctx  context.Context
	rows atomic.Int64
}

// start starts a cloud on a folder, "" for one of its own. Its log is the test's.
func start(t *testing.T, dataPath, dir string, documents ...string) *stage {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	cloud, err := Start(ctx, Options{Dir: dir, DataPath: dataPath, Program: program, Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeCloud(t, cloud) })
	s := &stage{Cloud: cloud, t: t, ctx: ctx}
	if len(documents) > 0 {
		s.apply(documents...)
	}
	return s
}

// closeCloud closes a cloud and looks for what it may have left. A second time it does nothing.
func closeCloud(t testing.TB, cloud *Cloud) {
	t.Helper()
	if t.Failed() {
		logs, _ := filepath.Glob(filepath.Join(cloud.Dir(), "logs", "*.log"))
		for _, file := range logs {
			if data, err := os.ReadFile(file); err == nil && len(data) > 0 {
				t.Logf("%s:\n%s", filepath.Base(file), data[max(0, len(data)-4000):])
			}
		}
	}
	if err := cloud.Close(); err != nil {
		t.Errorf("close the cloud: %v", err)
	}
	if left := leftovers(cloud.Dir()); len(left) > 0 {
		t.Errorf("left behind: %s", strings.Join(left, ", "))
	}
}

// in is the stage for a subtest: failures are the subtest's.
func (s *stage) in(t testing.TB) *stage { return &stage{Cloud: s.Cloud, t: t, ctx: s.ctx} }

type logWriter struct{ t testing.TB }

func (w logWriter) Write(line []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(line)))
	return len(line), nil
}

// testLog takes warnings and errors into the test's output. Clouds end before their tests.
func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(logWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// apply writes resources, and waits until they are in force.
func (s *stage) apply(documents ...string) {
	s.t.Helper()
	items, err := resource.Load("test", []byte(strings.Join(documents, "\n---\n")))
	if err == nil {
		_, err = s.API().Apply(s.ctx, items, nil)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) remove(short ...string) {
	s.t.Helper()
	var ids []resource.ID
	for _, text := range short {
		ids = append(ids, idOf(s.t, text))
	}
	if _, err := s.API().Apply(s.ctx, nil, ids); err != nil {
		s.t.Fatal(err)
	}
}

func idOf(t testing.TB, short string) resource.ID {
	t.Helper()
	full, _ := resource.Expand(short)
	id, err := resource.ParseID(full)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (s *stage) machine(nic string) Machine {
	s.t.Helper()
	machine, err := s.Machine(s.ctx, nic)
	if err != nil {
		s.t.Fatal(err)
	}
	return machine
}

func (s *stage) outsider(name, address string) Machine {
	s.t.Helper()
	machine, err := s.Outsider(s.ctx, name, netip.MustParseAddr(address))
	if err != nil {
		s.t.Fatal(err)
	}
	return machine
}

// eventually asks until there is no error.
func (s *stage) eventually(what string, check func() error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	var last error
	if err := poll(ctx, what, func() (bool, error) { last = check(); return last == nil, nil }); err != nil {
		s.t.Fatalf("%v; last: %v", err, last)
	}
}

// counted is how many packets of a NIC met a reason, on its node.
func (s *stage) counted(nic string, reason model.Reason) uint64 {
	s.t.Helper()
	info, err := s.NIC(s.ctx, nic)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.countedOn(info.Node, info.Number, reason)
}

func (s *stage) countedOn(node string, nic uint32, reason model.Reason) uint64 {
	s.t.Helper()
	counters, err := s.Counters(s.ctx, node)
	if err != nil {
		s.t.Fatal(err)
	}
	var packets uint64
	for _, counter := range counters {
		if counter.NIC == nic && counter.Reason == reason {
			packets += counter.Packets
		}
	}
	return packets
}

// echo answers connections and datagrams on a port: a connection is told its peer in a line and then gets back what it
// sends; a datagram is answered by its peer's address, a space, and itself.
func (s *stage) echo(at Machine, port int) {
	s.t.Helper()
	address := fmt.Sprintf(":%d", port)
	listener, err := at.Listen(s.ctx, "tcp", address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				fmt.Fprintf(conn, "%s\n", conn.RemoteAddr())
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	datagrams := s.listenPacket(at, address)
	go func() {
		buffer := make([]byte, 2048)
		for {
			n, from, err := datagrams.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = datagrams.WriteTo(fmt.Appendf(nil, "%s %s", from, buffer[:n]), from)
		}
	}()
}

func (s *stage) listenPacket(at Machine, address string) net.PacketConn {
	s.t.Helper()
	var conn net.PacketConn
	var err error
	switch at := at.(type) {
	case interface {
		ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error)
	}:
		conn, err = at.ListenPacket(s.ctx, "udp4", address)
	case interface {
		ListenPacket(network, address string) (net.PacketConn, error)
	}:
		conn, err = at.ListenPacket("udp4", address)
	default:
		err = fmt.Errorf("%T takes no datagrams", at)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	return conn
}

// session is an open connection to an echo server. peer is who the server says it talks to.
type session struct {
	net.Conn
	peer netip.AddrPort
}

func dialEcho(ctx context.Context, from Machine, address string) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := from.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	var line []byte
	for one := make([]byte, 1); ; line = append(line, one[0]) {
		if _, err := io.ReadFull(conn, one); err != nil {
			return nil, errors.Join(fmt.Errorf("echo at %s: %w", address, err), conn.Close())
		}
		if one[0] == '\n' {
			break
		}
	}
	peer, err := netip.ParseAddrPort(string(line))
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &session{conn, netip.AddrPortFrom(peer.Addr().Unmap(), peer.Port())}, nil
}

// dial opens a connection to an echo server.
func (s *stage) dial(from Machine, address string) *session {
	s.t.Helper()
	opened, err := dialEcho(s.ctx, from, address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { opened.Close() })
	return opened
}

// roundTrip sends size bytes and compares what comes back.
func (c *session) roundTrip(size int) error {
	sent := make([]byte, size)
	for i := range sent {
		sent[i] = byte(i*7 + i>>8)
	}
	failed := make(chan error, 1)
	go func() {
		_, err := c.Write(sent)
		failed <- err
	}()
	got := make([]byte, size)
	if _, err := io.ReadFull(c, got); err != nil {
		return fmt.Errorf("read what was echoed: %w", err)
	}
	if !bytes.Equal(got, sent) {
		return fmt.Errorf("%d bytes came back changed", size)
	}
	return <-failed
}

func (s *stage) roundTrip(c *session, size int) {
	s.t.Helper()
	if err := c.roundTrip(size); err != nil {
		s.t.Fatal(err)
	}
}

// wantPeer checks from which address an echo server sees a machine.
func (s *stage) wantPeer(from Machine, address, peer string) *session {
	s.t.Helper()
	opened := s.dial(from, address)
	if opened.peer.Addr() != netip.MustParseAddr(peer) {
		s.t.Errorf("%s sees %s, want %s", address, opened.peer.Addr(), peer)
	}
	return opened
}

// datagram asks an echo server by UDP and answers who it says it talks to. Datagrams may be lost: it asks again.
func (s *stage) datagram(from Machine, address string) netip.Addr {
	s.t.Helper()
	conn, err := from.DialContext(s.ctx, "udp", address)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	buffer := make([]byte, 2048)
	for range 20 {
		if _, err := conn.Write([]byte("postern")); err != nil {
			s.t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			s.t.Fatal(err)
		}
		n, err := conn.Read(buffer)
		if err != nil {
			continue
		}
		peer, text, _ := strings.Cut(string(buffer[:n]), " ")
		if text != "postern" {
			s.t.Fatalf("datagram came back as %q", buffer[:n])
		}
		return netip.MustParseAddrPort(peer).Addr().Unmap()
	}
	s.t.Fatalf("no datagram came back from %s", address)
	return netip.Addr{}
}

// wantBlocked checks that a connection is dropped for a reason, counted for a NIC.
func (s *stage) wantBlocked(from Machine, address, nic string, reason model.Reason) {
	s.t.Helper()
	before := s.counted(nic, reason)
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		conn, err := from.DialContext(ctx, "tcp", address)
		if err == nil {
			conn.Close()
		}
		ended <- err
	}()
	s.eventually(fmt.Sprintf("wait for a packet of %s counted as %s", nic, reason), func() error {
		if s.counted(nic, reason) == before {
			return errors.New("not counted")
		}
		return nil
	})
	cancel()
	if err := <-ended; err == nil {
		s.t.Errorf("the connection to %s was made, although packets were counted as %s", address, reason)
	}
}

// client is an HTTP client on a machine that trusts the cloud's CA. With an address, all connections go there.
func (s *stage) client(from Machine, address string) *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CA())
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, to string) (net.Conn, error) {
			if address != "" {
				_, port, _ := net.SplitHostPort(to)
				to = net.JoinHostPort(address, port)
			}
			return from.DialContext(ctx, network, to)
		},
	}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// answer is what a service said.
type answer struct {
	status int
	code   string // of its error
	body   string
}

func (s *stage) ask(client *http.Client, method, url, token string, body any) (answer, error) {
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return answer{}, err
		}
		content = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(s.ctx, method, url, content)
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Accept", "application/json;odata=nometadata")
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("x-ms-version", "2023-11-03")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header.Get("x-ms-error-code"), string(text)}, err
}

// token asks for a managed-identity token for storage, as the machine.
func (s *stage) token(from Machine) string {
	s.t.Helper()
	token, err := s.askToken(from)
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

func (s *stage) askToken(from Machine) (string, error) {
	request, err := http.NewRequestWithContext(s.ctx, http.MethodGet,
		"http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fstorage.azure.com%2F", nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Metadata", "true")
	response, err := s.client(from, "").Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var granted struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&granted); err != nil || granted.AccessToken == "" {
		return "", fmt.Errorf("no token: %s %w", response.Status, err)
	}
	return granted.AccessToken, nil
}

func tableHost(account string) string { return account + ".table.core.windows.net" }

// makeTable makes the table that insert writes to.
func (s *stage) makeTable(client *http.Client, account, token string) {
	s.t.Helper()
	got, err := s.ask(client, http.MethodPost, "http://"+tableHost(account)+"/Tables", token, map[string]string{"TableName": "operations"})
	if err != nil || got.status != http.StatusCreated && got.status != http.StatusConflict {
		s.t.Fatalf("make table in %s: %+v, %v", account, got, err)
	}
}

// allRows numbers rows over all stages, so that no two have one key.
var allRows atomic.Int64

func (s *stage) insert(client *http.Client, account, token string) (answer, error) {
	return s.ask(client, http.MethodPost, "http://"+tableHost(account)+"/operations", token, map[string]any{
		"PartitionKey": "p", "RowKey": fmt.Sprint(allRows.Add(1)), "Message": "hello", "MessageNumber": 1,
	})
}

// wantInsert checks the answer to an insertion over a new connection: 201, or a status with an error code.
func (s *stage) wantInsert(from Machine, address, account, token string, status int, code string) {
	s.t.Helper()
	got, err := s.insert(s.client(from, address), account, token)
	if err != nil {
		s.t.Fatalf("insert into %s: %v", account, err)
	}
	if got.status != status || got.code != code {
		s.t.Errorf("insert into %s: %d %q %s, want %d %q", account, got.status, got.code, got.body, status, code)
	}
}

// lastCaller is the caller's address in the newest line of the access log about an account, once it has so many lines.
func (s *stage) wantCaller(account, address string) {
	s.t.Helper()
	var last string
	s.eventually("wait for caller "+address+" in the access log of "+account, func() error {
		entries, err := s.AccessLog(s.ctx)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if entry.Account == account {
				last = entry.CallerIPAddress
			}
		}
		if caller, err := netip.ParseAddrPort(last); err != nil || caller.Addr() != netip.MustParseAddr(address) {
			return fmt.Errorf("the last caller is %q", last)
		}
		return nil
	})
}
