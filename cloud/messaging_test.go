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

	azureamqp "github.com/Azure/go-amqp"

	servers "postern/demo/backend"
)

// namespace is a document with backends of its own for each protocol; rules is one of its rule set.
const (
	namespace = `{type: %[1]s, name: %[2]s, location: westeurope, tags: {postern.backend: "%[3]s", postern.backend.amqp: "%[4]s", postern.backend.kafka: "%[5]s"}}`
	ruleSet   = `{type: %s/networkRuleSets, name: %s/default, properties: {defaultAction: Deny, virtualNetworkRules: [%s]}}`
	appRule   = "{subnet: {id: %q}}"
)

// Service Bus and Event Hubs: a VM is refused in each protocol's words until the rules name its subnet.
func TestMessaging(t *testing.T) {
	onBothDataPaths(t, func(t *testing.T, dataPath string) {
		s := start(t, dataPath, "", application...)
		app, far := s.machine("nic-app"), s.machine("nic-far")
		web := s.serveHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "a queue") }))
		broker, kafka := s.backend("amqp", "198.51.100.71"), s.backend("kafka", "198.51.100.72")
		go servers.Each(broker, servers.AMQP())
		pool := serveKafka(t, kafka)
		for _, c := range []struct{ typ, endpoint, name string }{
			{"Microsoft.ServiceBus/namespaces", "Microsoft.ServiceBus", "bus-shop"}, {"Microsoft.EventHub/namespaces", "Microsoft.EventHub", "hub-shop"},
		} {
			t.Run(c.endpoint, func(t *testing.T) {
				s, host := s.in(t), c.name+".servicebus.windows.net"
				s.apply(fmt.Sprintf(namespace, c.typ, c.name, web, broker.Addr(), kafka.Addr()), fmt.Sprintf(ruleSet, c.typ, c.name, ""))
				s.apply(subnet("vnet/app", "10.13.76.0/24", "serviceEndpoints: [{service: "+c.endpoint+"}]"))
				refused := func(from Machine, why string) {
					t.Helper()
					var gone *azureamqp.ConnError
					err := s.session(from, host)
					if !errors.As(err, &gone) || gone.RemoteErr == nil || gone.RemoteErr.Condition != azureamqp.ErrCondUnauthorizedAccess ||
						!strings.HasPrefix(gone.RemoteErr.Description, "Ip has been prevented to connect to the endpoint. TrackingId:") {
						t.Errorf("%s: AMQP: got %v", why, err)
					}
					if status, body := s.get(from, "https://"+host+"/queue"); status != 401 || !strings.Contains(body, "<Code>401</Code><Detail>Ip has been prevented") {
						t.Errorf("%s: HTTP: got %d %q", why, status, body)
					}
				}
				refused(app, "FW-1 FW-12 no rule")
				s.wantLogged(c.name, "0 Forbidden amqp", "10.13.76.36")
				s.apply(fmt.Sprintf(ruleSet, c.typ, c.name, fmt.Sprintf(appRule, fullSubnet())))
				if err := s.session(app, host); err != nil {
					t.Errorf("FW-6 AMQP: %v", err)
				}
				s.wantLogged(c.name, "0 Success amqp", "10.13.76.36")
				if status, body := s.get(app, "https://"+host+"/queue"); status != 200 || body != "a queue" {
					t.Errorf("FW-6 HTTP: got %d %q", status, body)
				}
				refused(far, "FW-6 another subnet")
				if c.endpoint == "Microsoft.EventHub" {
					if got, err := s.kafka(app, host, pool); err != nil || got != "a broker" {
						t.Errorf("FW-6 Kafka: got %q, %v", got, err)
					}
					if _, err := s.kafka(far, host, pool); err == nil || !strings.Contains(err.Error(), "access denied") {
						t.Errorf("FW-12 Kafka: got %v", err)
					}
				}
				// FW-7: a write of the namespace leaves its rules as they are.
				s.apply(fmt.Sprintf(namespace, c.typ, c.name, web, broker.Addr(), kafka.Addr()))
				if err := s.session(app, host); err != nil {
					t.Errorf("FW-7 after a write of the namespace: %v", err)
				}
				refused(far, "FW-7 after a write of the namespace")
			})
		}
	})
}

// session opens a session of AMQP as Azure's clients do: TLS, SASL, open, begin. So far a client gets with the answers of a
// namespace alone.
func (s *stage) session(from Machine, host string) error {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.CA())
	secured := tls.Client(s.connect(from, host+":5671"), &tls.Config{ServerName: host, RootCAs: pool})
	conn, err := azureamqp.NewConn(ctx, secured, &azureamqp.ConnOptions{HostName: host, SASLType: azureamqp.SASLTypeAnonymous()})
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.NewSession(ctx, nil)
	return err
}

// serveKafka is a broker as far as TLS, with a certificate of its own.
func serveKafka(t *testing.T, l net.Listener) *x509.CertPool {
	t.Helper()
	authority, leaf := backendIdentity(t, "hub-shop.servicebus.windows.net")
	go serveEach(l, func(conn net.Conn) {
		_ = conn.SetDeadline(time.Now().Add(patience))
		secured := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{*leaf}})
		_, _ = io.WriteString(secured, "a broker")
		_ = secured.Close()
	})
	return authority.Pool()
}

func (s *stage) kafka(from Machine, host string, pool *x509.CertPool) (string, error) {
	s.t.Helper()
	conn := s.connect(from, host+":9093")
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	data, err := io.ReadAll(tls.Client(conn, &tls.Config{ServerName: host, RootCAs: pool}))
	return string(data), err
}
