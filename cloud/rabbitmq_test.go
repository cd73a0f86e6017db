package cloud

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	azureamqp "github.com/Azure/go-amqp"
)

// The key of the namespace, which clients have from its connection string. Here it is a user of the broker's.
const (
	keyName = "RootManageSharedAccessKey"
	keyWord = "the-key-of-the-namespace"
)

// A real RabbitMQ behind a Service Bus namespace, asked by the AMQP client that Azure's own stands on, from VMs.
func TestRabbitMQ(t *testing.T) {
	const typ, name, host = "Microsoft.ServiceBus/namespaces", "bus-rabbit", "bus-rabbit.servicebus.windows.net"
	onBothDataPaths(t, func(t *testing.T, dataPath string) {
		s := start(t, dataPath, "", application...)
		backend := s.startRabbitMQ()
		app, far := s.machine("nic-app"), s.machine("nic-far")
		shut := fmt.Sprintf(ruleSet, typ, name, "")
		open := fmt.Sprintf(ruleSet, typ, name, fmt.Sprintf(appRule, fullSubnet()))
		s.apply(fmt.Sprintf("{type: %s, name: %s, location: westeurope, tags: {postern.backend.amqp: %q}}", typ, name, backend), shut)
		s.apply(subnet("vnet/app", "10.13.76.0/24", "serviceEndpoints: [{service: Microsoft.ServiceBus}]"))

		t.Run("FW-1 FW-12 refused without a rule", func(t *testing.T) {
			s := s.in(t)
			if _, err := s.broker(app, host, keyWord); !unauthorized(err) {
				t.Errorf("got %v", err)
			}
			s.wantLogged(name, "0 Forbidden amqp", "10.13.76.36")
		})
		s.apply(open)
		t.Run("SE-2 FW-6 messages there and back", func(t *testing.T) {
			s := s.in(t)
			session, err := s.broker(app, host, keyWord)
			if err != nil {
				t.Fatal(err)
			}
			s.exchange(session, "jobs", "a job", strings.Repeat("large", 50_000))
		})
		s.wantLogged(name, "0 Success amqp", "10.13.76.36")
		t.Run("a key that the broker does not know is the broker's to refuse", func(t *testing.T) {
			s := s.in(t)
			if _, err := s.broker(app, host, "another-key"); err == nil || unauthorized(err) {
				t.Errorf("got %v", err)
			}
		})
		t.Run("FW-6 FW-12 another subnet, in the words of Azure's client", func(t *testing.T) {
			s := s.in(t)
			if _, err := s.broker(far, host, keyWord); !unauthorized(err) {
				t.Errorf("go-amqp: got %v", err)
			}
			err := s.serviceBus(far, host)
			if err == nil || !strings.Contains(err.Error(), "amqp:unauthorized-access") || !strings.Contains(err.Error(), "Ip has been prevented to connect to the endpoint.") {
				t.Errorf("azservicebus: got %v", err)
			}
		})
		t.Run("FW-1 a receiver that waits is cut when its rule goes", func(t *testing.T) {
			s := s.in(t)
			session, err := s.broker(app, host, keyWord)
			if err != nil {
				t.Fatal(err)
			}
			receiver, err := session.NewReceiver(s.ctx, "quiet", nil)
			if err != nil {
				t.Fatal(err)
			}
			cut := make(chan error, 1)
			go func() {
				_, err := receiver.Receive(s.ctx, nil)
				cut <- err
			}()
			s.apply(shut)
			var gone *azureamqp.ConnError
			if err := <-cut; !errors.As(err, &gone) {
				t.Errorf("got %v", err)
			}
			s.wantLogged(name, "0 ConnectionRevoked amqp", "10.13.76.36")
		})
	})
}

// broker opens a session with a namespace as a client with its key does: TLS, SASL, open, begin.
func (s *stage) broker(from Machine, host, key string) (*azureamqp.Session, error) {
	s.t.Helper()
	conn, err := azureamqp.NewConn(s.ctx, s.secured(from, host), &azureamqp.ConnOptions{HostName: host, SASLType: azureamqp.SASLTypePlain(keyName, key)})
	if err != nil {
		return nil, err
	}
	s.t.Cleanup(func() { conn.Close() })
	return conn.NewSession(s.ctx, nil)
}

// secured is a connection to the AMQP port of a namespace, with TLS that is verified.
func (s *stage) secured(from Machine, host string) net.Conn {
	s.t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.CA())
	return tls.Client(s.connect(from, host+":5671"), &tls.Config{ServerName: host, RootCAs: pool})
}

// unauthorized tells whether a client was refused as by a namespace's firewall.
func unauthorized(err error) bool {
	var gone *azureamqp.ConnError
	return errors.As(err, &gone) && gone.RemoteErr != nil && gone.RemoteErr.Condition == azureamqp.ErrCondUnauthorizedAccess &&
		strings.HasPrefix(gone.RemoteErr.Description, "Ip has been prevented to connect to the endpoint. TrackingId:")
}

// exchange sends messages to a queue and takes them from it.
func (s *stage) exchange(session *azureamqp.Session, queue string, bodies ...string) {
	s.t.Helper()
	fail := func(err error) {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	receiver, err := session.NewReceiver(s.ctx, queue, nil)
	fail(err)
	sender, err := session.NewSender(s.ctx, queue, nil)
	fail(err)
	for _, body := range bodies {
		fail(sender.Send(s.ctx, azureamqp.NewMessage([]byte(body)), nil))
	}
	for _, body := range bodies {
		message, err := receiver.Receive(s.ctx, nil)
		fail(err)
		if got := string(message.GetData()); got != body {
			s.t.Errorf("%d bytes came back, of %d, or others", len(got), len(body))
		}
		fail(receiver.AcceptMessage(s.ctx, message))
	}
}

// serviceBus sends a message with Azure's own client, whose connections a machine makes.
func (s *stage) serviceBus(from Machine, host string) error {
	s.t.Helper()
	client, err := azservicebus.NewClientFromConnectionString("Endpoint=sb://"+host+"/;SharedAccessKeyName="+keyName+";SharedAccessKey="+keyWord, &azservicebus.ClientOptions{
		RetryOptions: azservicebus.RetryOptions{MaxRetries: -1},
		NewWebSocketConn: func(context.Context, azservicebus.NewWebSocketConnArgs) (net.Conn, error) { // the one way to give it a connection
			return s.secured(from, host), nil
		},
	})
	if err != nil {
		return err
	}
	defer client.Close(s.ctx)
	sender, err := client.NewSender("jobs", nil)
	if err != nil {
		return err
	}
	return sender.SendMessage(s.ctx, &azservicebus.Message{Body: []byte("a job")}, nil)
}

// startRabbitMQ starts a broker in a folder of its own, with its plugin for AMQP 1.0, and answers its address. The broker, and
// the Erlang name server that it asks, take the place of no other: folder, ports and cookie are theirs alone.
func (s *stage) startRabbitMQ() (address string) {
	s.t.Helper()
	epmd, script := need(s.t, "epmd", "rabbitmq-server"), "/usr/lib/rabbitmq/bin/rabbitmq-server" // the one in PATH wants to be Debian's service
	if _, err := os.Stat(script); err != nil {
		s.t.Skipf("there is no RabbitMQ here: apt-get install rabbitmq-server")
	}
	dir, at := ordinaryDir(s.t), s.place("rabbitmq", "198.51.100.78")
	port, names, distribution := heldPort(s.t), heldPort(s.t), heldPort(s.t)
	for file, text := range map[string]string{
		"rabbitmq.conf": fmt.Sprintf("listeners.tcp.1 = %s:%d\ndefault_user = %s\ndefault_pass = %s\nloopback_users = none\n", at.address, port, keyName, keyWord),
		"plugins":       "[rabbitmq_amqp1_0].\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
	at.local().run(ordinary(dir, exec.Command(epmd, "-address", "127.0.0.1", "-port", strconv.Itoa(names))), names)
	command := ordinary(dir, exec.Command(script))
	for name, value := range map[string]string{
		"NOTIFY_SOCKET":     filepath.Join(dir, "nobody"), // as under systemd, where the script becomes the broker
		"RABBITMQ_NODENAME": "postern@localhost", "RABBITMQ_CONF_ENV_FILE": os.DevNull, "RABBITMQ_CONFIG_FILE": filepath.Join(dir, "rabbitmq.conf"),
		"RABBITMQ_ENABLED_PLUGINS_FILE": filepath.Join(dir, "plugins"), "RABBITMQ_MNESIA_BASE": filepath.Join(dir, "data"),
		"RABBITMQ_LOG_BASE": filepath.Join(dir, "log"), "RABBITMQ_LOGS": "-", "RABBITMQ_PID_FILE": filepath.Join(dir, "pid"),
		"RABBITMQ_GENERATED_CONFIG_DIR": filepath.Join(dir, "config"), "RABBITMQ_DIST_PORT": strconv.Itoa(distribution),
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
		"ERL_EPMD_PORT":                       strconv.Itoa(names), "ERL_EPMD_ADDRESS": "127.0.0.1",
	} {
		command.Env = append(command.Env, name+"="+value)
	}
	return at.run(command, port)
}

// heldPort is a port of loopback that nobody gets by chance while a program takes its time to listen on it: it is bound here,
// in a way that lets another bind it on purpose.
func heldPort(t testing.TB) int {
	t.Helper()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(socket) })
	if err := errors.Join(syscall.SetsockoptInt(socket, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1),
		syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})); err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(socket)
	bound, err := syscall.Getsockname(socket)
	if err != nil {
		t.Fatal(err)
	}
	return bound.(*syscall.SockaddrInet4).Port
}
