package cloud

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"postern/protocol/tds"
	"postern/service"
)

// sqlBackend is a server of TDS 7 and 8 that lets everybody log in, and answers every batch with nothing. TLS is its own.
type sqlBackend struct{ config *tls.Config }

// login and the answers of a server that has nothing but done: [MS-TDS] sections 2.2.7.14 and 2.2.7.6.
func (b sqlBackend) serve(raw net.Conn) error {
	defer raw.Close()
	_ = raw.SetDeadline(time.Now().Add(patience))
	first, err := service.Peek(raw)
	if err != nil {
		return err
	}
	version := []byte{0x74, 0, 0, 4}
	conn := net.Conn(first)
	config := b.config.Clone()
	if first.IsTLS() {
		version, config.NextProtos = []byte{8, 0, 0, 0}, []string{"tds/8.0"}
		conn = tls.Server(first, config)
	}
	message, err := tds.Read(conn, tds.PreLogin)
	if err != nil {
		return err
	}
	encryption, err := tds.ReadPreLogin(message.Content)
	if err != nil {
		return err
	}
	if encryption != tds.EncryptionNotSupported {
		encryption = tds.EncryptionOn
	}
	if _, err := conn.Write(tds.Packet(tds.Reply, tds.MarshalPreLogin(encryption))); err != nil {
		return err
	}
	if encryption == tds.EncryptionOn && !first.IsTLS() {
		if _, already := conn.(*tls.Conn); !already {
			config.MaxVersion, config.SessionTicketsDisabled = tls.VersionTLS12, true
			wrapped := tds.Wrap(conn)
			secured := tls.Server(wrapped, config)
			if err := secured.Handshake(); err != nil {
				return err
			}
			wrapped.HandshakeDone()
			conn = secured
		}
	}
	if _, err := tds.Read(conn, tds.Login); err != nil {
		return err
	}
	done := append([]byte{0xfd}, make([]byte, 12)...)
	ack := append([]byte{0xad, 12, 0, 1}, version...)
	ack = append(ack, 1, 'S', 0, 12, 0, 7, 208)
	if _, err := conn.Write(tds.Packet(tds.Reply, append(ack, done...))); err != nil {
		return err
	}
	for {
		if _, err := tds.Read(conn, 1); err != nil { // SQL batch
			return err
		}
		if _, err := conn.Write(tds.Packet(tds.Reply, done)); err != nil {
			return err
		}
	}
}

// machineDialer makes Microsoft's client connect from a machine, where names are resolved, too.
type machineDialer struct {
	from Machine
	host string
}

func (d machineDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return d.from.DialContext(ctx, network, address)
}

// HostName implements mssql.HostDialer.
func (d machineDialer) HostName() string { return d.host }

// Microsoft's client for Go, from VMs, against servers and workspaces.
func TestSQL(t *testing.T) {
	s := start(t, Userspace, "", application...)
	dir := ordinaryDir(t)
	hosts := []string{"shop.database.windows.net", "shop.sql.azuresynapse.net", "shop-ondemand.sql.azuresynapse.net"}
	authority := writeIdentity(t, dir, hosts...)
	leaf, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key"))
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(authority)
	if err != nil || !x509.NewCertPool().AppendCertsFromPEM(data) {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	backend := sqlBackend{&tls.Config{Certificates: []tls.Certificate{leaf}}}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _ = backend.serve(conn) }() // an end is the client's, who is asked
		}
	}()
	s.apply(subnet("vnet/app", "10.13.76.0/24", withSQL))
	app, far := s.machine("nic-app"), s.machine("nic-far")
	outsider := s.outsider("office", "198.51.100.7")
	// A client that is refused in TLS sees the cloud's certificate; this one trusts only the backend's unless it is told to
	// trust any.
	const anyCertificate = "true&TrustServerCertificate=true"
	ask := func(from Machine, host, encrypt string) error {
		target := host
		if from.(stackMachine).send == nil { // outsiders have no names
			target = s.lookup("shop").String()
		}
		dsn := fmt.Sprintf("sqlserver://bob:secret@%s?encrypt=%s&hostNameInCertificate=%s&dial+timeout=10&connection+timeout=10", target, encrypt, host)
		if encrypt != anyCertificate {
			dsn += "&certificate=" + authority
		}
		connector, err := mssql.NewConnector(dsn)
		if err != nil {
			return err
		}
		connector.Dialer = machineDialer{from, target}
		db := sql.OpenDB(connector)
		defer db.Close()
		return db.PingContext(s.ctx)
	}
	refused := func(err error, number int32, text string) bool {
		var refusal mssql.Error
		return errors.As(err, &refusal) && refusal.Number == number && strings.Contains(refusal.Message, text)
	}
	for _, one := range []struct {
		typ, login string
		hosts      []string
	}{{"Microsoft.Sql/servers", "administratorLogin: bob", hosts[:1]}, {"Microsoft.Synapse/workspaces", "sqlAdministratorLogin: bob", hosts[1:]}} {
		t.Run(one.typ, func(t *testing.T) {
			s := s.in(t)
			s.apply(server(one.typ, "shop", listener.Addr().String(), one.login), subnetRule(t, one.typ, "shop", "app"))
			t.Run("SE-2 FW-6 a subnet of the rules gets in, to the backend's own certificate", func(t *testing.T) {
				s := s.in(t)
				for _, host := range one.hosts {
					for _, encrypt := range []string{"true", "strict", "false", "disable"} {
						if err := ask(app, host, encrypt); err != nil {
							t.Errorf("%s encrypt=%s: %v", host, encrypt, err)
						}
					}
				}
				s.wantCaller("shop", "10.13.76.36")
			})
			t.Run("FW-5 FW-12 a VM without the endpoint gets 40615", func(t *testing.T) {
				for _, encrypt := range []string{anyCertificate, "disable"} {
					if err := ask(far, one.hosts[0], encrypt); !refused(err, 40615, "Client with IP address '100.64.0.2' is not allowed") {
						t.Errorf("encrypt=%s: got %v", encrypt, err)
					}
				}
			})
			t.Run("FW-6 FW-12 another subnet with the endpoint gets 40914", func(t *testing.T) {
				s := s.in(t)
				s.apply(subnet("vnet/other", "10.13.77.0/24", withSQL))
				for _, encrypt := range []string{anyCertificate, "disable"} {
					if err := ask(far, one.hosts[0], encrypt); !refused(err, 40914, "Cannot open server 'shop' requested by the login. Client is not allowed to access the server.") {
						t.Errorf("encrypt=%s: got %v", encrypt, err)
					}
				}
				s.apply(subnet("vnet/other", "10.13.77.0/24"))
			})
			t.Run("FW-8 public access that is off gets 47073", func(t *testing.T) {
				s := s.in(t)
				s.apply(server(one.typ, "shop", listener.Addr().String(), "publicNetworkAccess: Disabled"))
				if err := ask(app, one.hosts[0], anyCertificate); !refused(err, 47073, "Deny Public Network Access") {
					t.Errorf("got %v", err)
				}
			})
			t.Run("a backend that is down", func(t *testing.T) {
				s := s.in(t)
				s.apply(server(one.typ, "shop", "127.0.0.1:1", ""))
				if err := ask(app, one.hosts[0], anyCertificate); !refused(err, 40613, "not currently available") {
					t.Errorf("got %v", err)
				}
			})
			if one.typ != "Microsoft.Sql/servers" {
				return
			}
			t.Run("FW-4 an outsider by its address", func(t *testing.T) {
				s := s.in(t)
				s.apply(server(one.typ, "shop", listener.Addr().String(), ""))
				if err := ask(outsider, one.hosts[0], anyCertificate); !refused(err, 40615, "'198.51.100.7'") {
					t.Errorf("got %v", err)
				}
				s.apply(addressRule(one.typ, "shop", "198.51.100.7", "198.51.100.7"))
				if err := ask(outsider, one.hosts[0], "true"); err != nil {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}
