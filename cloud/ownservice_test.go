package cloud

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	servers "postern/demo/backend"
	"postern/firewall"
	"postern/gateway"
)

// The operator's own services of this story. Their documents are what docs/services.md shows.
const (
	ownWeb = `{type: Postern.Services/services, name: minio, location: westeurope, properties: {endpoint: Contoso.MinIO,
  ports: [{port: 9000, protocol: http}, {port: 443, protocol: https}], backends: ["%s"], names: [minio.contoso.example],
  networkAcls: {defaultAction: Deny, virtualNetworkRules: [{id: virtualNetworks/vnet/subnets/app}]}}}`
	ownTLS = `{type: Postern.Services/services, name: vault, location: westeurope, properties: {
  ports: [{port: 8200, protocol: tls}], backends: ["%s"], proxyProtocol: V2,
  networkAcls: {defaultAction: Deny, virtualNetworkRules: [{id: virtualNetworks/vnet/subnets/app}]}}}`
	ownTCP = `{type: Postern.Services/services, name: redis, location: westeurope, properties: {endpoint: Contoso.Redis,
  addressPrefixes: [192.0.2.128/28], ports: [{port: 6379}], backends: ["127.0.0.1:1", "%s weight=3"],
  networkAcls: {defaultAction: Deny, virtualNetworkRules: [{id: virtualNetworks/vnet/subnets/app}]}}}`

	withOwn = "serviceEndpoints: [{service: Contoso.MinIO}, {service: Postern.vault}, {service: Contoso.Redis}]"
)

// A service that an operator declares in ten lines has what Azure's have: an endpoint, rules, policies, names, a log.
func TestOwnService(t *testing.T) {
	onBothDataPaths(t, func(t *testing.T, dataPath string) {
		s := start(t, dataPath, "", application...)
		app, far := s.machine("nic-app"), s.machine("nic-far")
		web, vault, redis := s.backend("web", "198.51.100.61"), s.backend("vault", "198.51.100.62"), s.backend("redis", "198.51.100.63")
		site := servers.HTTP(web, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, r.Method+" "+r.URL.Path)
		}))
		defer site.Close()
		pool := serveVault(t, vault)
		go servers.Each(redis, servers.Redis)
		// In a change of its own, since rules and endpoints refer to each other: FW-6 wants the endpoint first.
		s.apply(open(ownWeb, web), open(ownTLS, vault), open(ownTCP, redis))
		s.apply(subnet("vnet/app", "10.13.76.0/24", withOwn), subnet("vnet/other", "10.13.77.0/24", withOwn))
		s.apply(fmt.Sprintf(ownWeb, web.Addr()), fmt.Sprintf(ownTLS, vault.Addr()), fmt.Sprintf(ownTCP, redis.Addr()))

		t.Run("SE-2 FW-6 http: a subnet of the rules gets in, by its private address", func(t *testing.T) {
			s := s.in(t)
			for _, host := range []string{"minio.services.internal", "minio.contoso.example"} {
				if status, body := s.get(app, "http://"+host+":9000/bucket"); status != 200 || body != "GET /bucket" {
					t.Errorf("%s: got %d %q", host, status, body)
				}
			}
			s.wantLogged("minio", "200 Success http", "10.13.76.36")
		})
		t.Run("FW-6 FW-12 http: another subnet is told so", func(t *testing.T) {
			s := s.in(t)
			if status, body := s.get(far, "http://minio.services.internal:9000/"); status != 403 || !strings.Contains(body, `"code":"Forbidden"`) {
				t.Errorf("got %d %q", status, body)
			}
			s.wantLogged("minio", "403 Forbidden http", "10.13.77.")
		})
		t.Run("https: the cloud's certificate is for its name", func(t *testing.T) {
			s := s.in(t)
			if status, body := s.get(app, "https://minio.services.internal/"); status != 200 {
				t.Errorf("got %d %q", status, body)
			}
		})
		t.Run("tls: passed through to the backend's own certificate, which is told who calls", func(t *testing.T) {
			s := s.in(t)
			if got, err := s.greet(app, "vault.services.internal", pool); err != nil || !strings.HasPrefix(got, "10.13.76.36 ") || !strings.HasSuffix(got, "/virtualNetworks/vnet/subnets/app") {
				t.Errorf("got %q, %v", got, err)
			}
			s.wantLogged("vault", "0 Success tls", "10.13.76.36")
		})
		t.Run("FW-12 tls: a denial is an alert", func(t *testing.T) {
			s := s.in(t)
			if _, err := s.greet(far, "vault.services.internal", pool); err == nil || !strings.Contains(err.Error(), "access denied") {
				t.Errorf("got %v", err)
			}
			s.wantLogged("vault", "0 Forbidden tls", "10.13.77.")
		})
		t.Run("FW-3 tls: who hides the name is not let in", func(t *testing.T) {
			s := s.in(t)
			if _, err := s.greet(app, "", pool); err == nil || !strings.Contains(err.Error(), "access denied") {
				t.Errorf("got %v", err)
			}
		})
		t.Run("tcp: by its address, past a backend that is dead", func(t *testing.T) {
			s := s.in(t)
			for range 4 {
				if got, err := s.ping(app); err != nil || got != "+PONG" {
					t.Errorf("got %q, %v", got, err)
				}
			}
			s.wantLogged("redis", "0 Success tcp", "10.13.76.36")
			if got, err := s.ping(far); err == nil {
				t.Errorf("another subnet got %q", got)
			}
			s.wantLogged("redis", "0 Forbidden tcp", "10.13.77.")
		})
		t.Run("SEP-1 SEP-2 a policy restricts the service that it names, and no other", func(t *testing.T) {
			s := s.in(t)
			s.apply(`{type: serviceEndpointPolicies, name: policy, location: westeurope, properties: {serviceEndpointPolicyDefinitions: [
  {name: none, properties: {service: Contoso.Redis, serviceResources: [Postern.Services/services/other]}}]}}`,
				subnet("vnet/app", "10.13.76.0/24", withOwn, withPolicy))
			if got, err := s.ping(app); err == nil {
				t.Errorf("got %q in spite of the policy", got)
			}
			if status, _ := s.get(app, "http://minio.services.internal:9000/"); status != 200 {
				t.Errorf("minio: got %d", status)
			}
			s.apply(subnet("vnet/app", "10.13.76.0/24", withOwn))
		})
		t.Run("revoked: both ends of a connection are reset", func(t *testing.T) {
			s := s.in(t)
			conn := s.connect(app, "redis.services.internal:6379")
			defer conn.Close()
			if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Read(make([]byte, 16)); err != nil {
				t.Fatal(err)
			}
			s.apply(strings.Replace(fmt.Sprintf(ownTCP, redis.Addr()), "virtualNetworkRules: [{id: virtualNetworks/vnet/subnets/app}]", "virtualNetworkRules: []", 1))
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			var timeout net.Error
			if _, err := conn.Read(make([]byte, 1)); err == nil || errors.As(err, &timeout) && timeout.Timeout() {
				t.Errorf("the connection is still open: %v", err)
			}
			s.wantLogged("redis", "0 ConnectionRevoked tcp", "10.13.76.36")
		})
	})
}

// open is the document of a service without rules.
func open(document string, backend net.Listener) string {
	return strings.Replace(fmt.Sprintf(document, backend.Addr()), "defaultAction: Deny, virtualNetworkRules: [{id: virtualNetworks/vnet/subnets/app}]", "defaultAction: Allow", 1)
}

// serveVault serves TLS with a certificate of its own behind the PROXY protocol, and tells each client who it is.
func serveVault(t *testing.T, l net.Listener) *x509.CertPool {
	authority, leaf := backendIdentity(t, "vault.services.internal")
	introduced := &proxyproto.Listener{Listener: l, ReadHeaderTimeout: patience}
	go serveEach(introduced, func(conn net.Conn) {
		subnet := ""
		if header := conn.(*proxyproto.Conn).ProxyHeader(); header != nil {
			tlvs, _ := header.TLVs()
			for _, tlv := range tlvs {
				if tlv.Type == gateway.ProxySubnet {
					subnet = string(tlv.Value)
				}
			}
		}
		secured := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{*leaf}})
		host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
		_, _ = io.WriteString(secured, host+" "+subnet)
		_ = secured.Close()
	})
	return authority.Pool()
}

// get asks over HTTP as a machine, trusting the cloud.
func (s *stage) get(from Machine, url string) (status int, body string) {
	s.t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.CA())
	transport := &http.Transport{DialContext: from.DialContext, TLSClientConfig: &tls.Config{RootCAs: pool}}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport, Timeout: patience}).Get(url)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response.StatusCode, string(data)
}

func (s *stage) connect(from Machine, address string) net.Conn {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	conn, err := from.DialContext(ctx, "tcp", address)
	if err != nil {
		s.t.Fatal(err)
	}
	return conn
}

// greet takes TLS with the vault, under a server name, and answers what it says.
func (s *stage) greet(from Machine, name string, pool *x509.CertPool) (string, error) {
	s.t.Helper()
	conn := s.connect(from, "vault.services.internal:8200")
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	data, err := io.ReadAll(tls.Client(conn, &tls.Config{ServerName: name, RootCAs: pool, InsecureSkipVerify: name == ""}))
	return string(data), err
}

// ping asks the redis once.
func (s *stage) ping(from Machine) (string, error) {
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	conn, err := from.DialContext(ctx, "tcp", "redis.services.internal:6379")
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
		return "", err
	}
	buffer := make([]byte, 16)
	n, err := conn.Read(buffer)
	return strings.TrimSpace(string(buffer[:n])), err
}

// wantLogged waits for a line about an instance: "CODE TEXT PROTOCOL" of a caller whose address begins so.
func (s *stage) wantLogged(instance, want, caller string) {
	s.t.Helper()
	s.eventually("wait for the access log", func() error {
		entries, err := s.AccessLog(s.ctx)
		if err != nil {
			return err
		}
		for _, e := range entries {
			have := fmt.Sprintf("%d %s %s", e.StatusCode, e.StatusText, e.Protocol)
			if e.Account == instance && have == want && strings.HasPrefix(e.CallerIPAddress, caller) && e.CallerKind == firewall.Endpoint {
				return nil
			}
		}
		return fmt.Errorf("no line %q of %s about %s", want, caller, instance)
	})
}
