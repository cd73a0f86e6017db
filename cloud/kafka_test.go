package cloud

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
)

// How clients of Kafka sign in to a namespace: with its connection string as a password. The broker judges it.
const (
	kafkaUser     = "$ConnectionString"
	kafkaPassword = "Endpoint=sb://hub-kafka.servicebus.windows.net/;SharedAccessKeyName=" + keyName + ";SharedAccessKey=" + keyWord
)

// A broker of Kafka behind an Event Hubs namespace, asked by a client of Kafka from VMs: TLS by its server name to the
// broker's own certificate.
func TestKafka(t *testing.T) {
	const typ, name, host = "Microsoft.EventHub/namespaces", "hub-kafka", "hub-kafka.servicebus.windows.net"
	onBothDataPaths(t, func(t *testing.T, dataPath string) {
		s := start(t, dataPath, "", application...)
		backend, pool := s.startKafka(host, "events")
		app, far := s.machine("nic-app"), s.machine("nic-far")
		shut := fmt.Sprintf(ruleSet, typ, name, "")
		s.apply(fmt.Sprintf("{type: %s, name: %s, location: westeurope, tags: {postern.backend.kafka: %q}}", typ, name, backend), shut)
		s.apply(subnet("vnet/app", "10.13.76.0/24", "serviceEndpoints: [{service: Microsoft.EventHub}]"))

		t.Run("FW-1 FW-12 refused without a rule, by an alert", func(t *testing.T) {
			s := s.in(t)
			if err := s.kafkaClient(app, host, kafkaPassword, pool).Ping(s.ctx); err == nil || !strings.Contains(err.Error(), "tls: access denied") {
				t.Errorf("got %v", err)
			}
			s.wantLogged(name, "0 Forbidden kafka", "10.13.76.36")
		})
		s.apply(fmt.Sprintf(ruleSet, typ, name, fmt.Sprintf(appRule, fullSubnet())))
		t.Run("SE-2 FW-6 produce, and consume as a group", func(t *testing.T) {
			s := s.in(t)
			client := s.kafkaClient(app, host, kafkaPassword, pool, kgo.ConsumerGroup("$Default"), kgo.ConsumeTopics("events"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
			large := strings.Repeat("large", 100_000)
			if err := client.ProduceSync(s.ctx, kgo.StringRecord("an event"), kgo.StringRecord(large)).FirstErr(); err != nil {
				t.Fatal(err)
			}
			var got []string
			for len(got) < 2 {
				fetched := client.PollFetches(s.ctx)
				if err := fetched.Err0(); err != nil {
					t.Fatal(err)
				}
				for _, failed := range fetched.Errors() {
					t.Fatal(failed.Err)
				}
				fetched.EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
			}
			if got[0] != "an event" || got[1] != large {
				t.Errorf("got %d records, the first %.20q, the second of %d bytes", len(got), got[0], len(got[1]))
			}
			client.Close() // a connection is logged when it ends
			s.wantLogged(name, "0 Success kafka", "10.13.76.36")
		})
		t.Run("a key that the broker does not know is the broker's to refuse", func(t *testing.T) {
			s := s.in(t)
			if err := s.kafkaClient(app, host, "another", pool).Ping(s.ctx); err == nil || strings.Contains(err.Error(), "tls:") {
				t.Errorf("got %v", err)
			}
		})
		t.Run("FW-6 FW-12 another subnet", func(t *testing.T) {
			s := s.in(t)
			if err := s.kafkaClient(far, host, kafkaPassword, pool).Ping(s.ctx); err == nil || !strings.Contains(err.Error(), "tls: access denied") {
				t.Errorf("got %v", err)
			}
		})
		t.Run("FW-1 a consumer that waits is cut when its rule goes", func(t *testing.T) {
			s := s.in(t)
			client := s.kafkaClient(app, host, kafkaPassword, pool)
			if err := client.Ping(s.ctx); err != nil {
				t.Fatal(err)
			}
			s.apply(shut)
			s.wantLogged(name, "0 ConnectionRevoked kafka", "10.13.76.36")
			if err := client.Ping(s.ctx); err == nil {
				t.Error("it is still let in")
			}
		})
	})
}

// kafkaClient is a client on a machine, which trusts the broker's authority. It asks once: a refusal is the test's.
func (s *stage) kafkaClient(from Machine, host, password string, pool *x509.CertPool, more ...kgo.Opt) *kgo.Client {
	s.t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(host + ":9093"), kgo.DefaultProduceTopic("events"), kgo.RequestRetries(0), kgo.RetryTimeout(patience),
		kgo.SASL(plain.Auth{User: kafkaUser, Pass: password}.AsMechanism()),
		kgo.Dialer(func(ctx context.Context, network, address string) (net.Conn, error) {
			name, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			conn, err := from.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			secured := tls.Client(conn, &tls.Config{ServerName: name, RootCAs: pool})
			if err := secured.HandshakeContext(ctx); err != nil {
				conn.Close()
				return nil, err
			}
			return secured, nil
		}),
	}, more...)...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(client.Close)
	return client
}

// advertised is a listener that tells clients another address: the name by which they come through the gateway.
type advertised struct {
	net.Listener
	address advertisedAddress
}

type advertisedAddress string

func (a advertised) Addr() net.Addr        { return a.address }
func (advertisedAddress) Network() string  { return "tcp" }
func (a advertisedAddress) String() string { return string(a) }

// startKafka starts a broker with topics, and answers its address, and the authority of its certificate for the name.
func (s *stage) startKafka(name string, topics ...string) (address string, pool *x509.CertPool) {
	s.t.Helper()
	authority, leaf := backendIdentity(s.t, name)
	listener := s.backend("kafka", "198.51.100.79")
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, topics...), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{*leaf}}),
		kfake.EnableSASL(), kfake.Superuser("PLAIN", kafkaUser, kafkaPassword),
		kfake.ListenFn(func(string, string) (net.Listener, error) {
			return advertised{listener, advertisedAddress(name + ":9093")}, nil
		}))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(cluster.Close)
	return listener.Addr().String(), authority.Pool()
}
