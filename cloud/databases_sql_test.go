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

	mssql "github.com/microsoft/go-mssqldb"

	servers "postern/demo/backend"
)

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
	onBothDataPaths(t, func(t *testing.T, dataPath string) {
		s := start(t, dataPath, "", application...)
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
		listener := s.backend("sql", "198.51.100.76")
		go servers.Each(listener, servers.SQL(&tls.Config{Certificates: []tls.Certificate{leaf}}))
		s.apply(subnet("vnet/app", "10.13.76.0/24", withSQL))
		app, far := s.machine("nic-app"), s.machine("nic-far")
		outsider := s.outsider("office", "198.51.100.7")
		// A client that is refused in TLS sees the cloud's certificate; this one trusts only the backend's unless it is told to
		// trust any.
		const anyCertificate = "true&TrustServerCertificate=true"
		askAt := func(from Machine, target, host, encrypt string) error {
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
		ask := func(from Machine, host, encrypt string) error { return askAt(from, host, host, encrypt) }
		refused := func(err error, number int32, text string) bool {
			var refusal mssql.Error
			return errors.As(err, &refusal) && refusal.Number == number && strings.Contains(refusal.Message, text)
		}
		for _, one := range []struct {
			typ, login string // the member that names the administrator
			hosts      []string
		}{{"Microsoft.Sql/servers", "administratorLogin", hosts[:1]}, {"Microsoft.Synapse/workspaces", "sqlAdministratorLogin", hosts[1:]}} {
			t.Run(one.typ, func(t *testing.T) {
				s := s.in(t)
				s.apply(server(one.typ, "shop", listener.Addr().String(), one.login+": bob"), subnetRule(t, one.typ, "shop", "app"))
				t.Run("SE-2 SE-10 FW-6 a subnet of the rules gets in, to the backend's own certificate", func(t *testing.T) {
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
					if err := askAt(outsider, s.lookup("shop").String(), one.hosts[0], anyCertificate); !refused(err, 40615, "'198.51.100.7'") {
						t.Errorf("got %v", err)
					}
					s.apply(addressRule(one.typ, "shop", "198.51.100.7", "198.51.100.7"))
					if err := askAt(outsider, s.lookup("shop").String(), one.hosts[0], "true"); err != nil {
						t.Errorf("got %v", err)
					}
				})
			})
		}
	})
}
