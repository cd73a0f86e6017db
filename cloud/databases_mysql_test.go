package cloud

import (
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A real MariaDB behind a gateway, asked by its client from VMs, as a server of MySQL and of MariaDB.
func TestMySQL(t *testing.T) {
	client, program, install := need(t, "mariadb", "mariadb-client"), need(t, "mariadbd", "mariadb-server"), need(t, "mariadb-install-db", "mariadb-server")
	dir := ordinaryDir(t)
	data := filepath.Join(dir, "data")
	if output, err := ordinary(dir, exec.CommandContext(t.Context(), install, "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal",
		"--skip-test-db", "--skip-name-resolve")).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", install, err, output)
	}
	authority := writeIdentity(t, dir, "shop.mysql.database.azure.com")
	writeOrdinary(t, filepath.Join(dir, "init.sql"), "CREATE USER IF NOT EXISTS root@'%';\nGRANT ALL ON *.* TO root@'%';\n")
	onBothDataPaths(t, func(t *testing.T, dataPath string) {
		s := start(t, dataPath, "", application...)
		at, port := s.place("mariadb", "198.51.100.75"), freePort(t)
		backend := at.run(ordinary(dir, exec.Command(program, "--no-defaults", "--datadir="+data, "--port="+strconv.Itoa(port), "--bind-address="+at.address, "--socket="+filepath.Join(dir, "s"),
			"--ssl-cert="+filepath.Join(dir, "server.crt"), "--ssl-key="+filepath.Join(dir, "server.key"), "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M", "--skip-name-resolve", "--init-file="+filepath.Join(dir, "init.sql"),
			"--pid-file="+filepath.Join(dir, "pid"))), port)
		s.apply(subnet("vnet/app", "10.13.76.0/24", withSQL))
		outsider := s.outsider("office", "198.51.100.7")
		for _, one := range []struct{ typ, host, product string }{
			{"Microsoft.DBforMySQL/servers", "shop.mysql.database.azure.com", "MySQL"},
			{"Microsoft.DBforMariaDB/servers", "shop.mariadb.database.azure.com", "MariaDB"},
		} {
			t.Run(one.product, func(t *testing.T) {
				s := s.in(t)
				s.apply(server(one.typ, "shop", backend, "administratorLogin: root"), subnetRule(t, one.typ, "shop", "app"))
				app, far := s.machine("nic-app"), s.machine("nic-far")
				var front string
				for _, found := range s.snapshot().Instances {
					if strings.EqualFold(found.ID.Type(), one.typ) {
						front = found.Address.String()
					}
				}
				askAt := func(from Machine, host string, more ...string) (string, error) {
					return s.run(nil, client, append([]string{"--no-defaults", "-h127.0.0.1", "-P" + s.forwarded(from, net.JoinHostPort(host, "3306")), "-uroot", "-N", "-B",
						"-e", "select concat(substring_index(user(), '@', 1), ' over ', (select if(variable_value = '', 'nothing', 'TLS') from information_schema.session_status where variable_name = 'Ssl_version'))"}, more...)...)
				}
				ask := func(from Machine, more ...string) (string, error) { return askAt(from, one.host, more...) }
				t.Run("SE-2 SE-10 FW-6 a subnet of the rules gets in, with and without TLS of the backend's", func(t *testing.T) {
					s := s.in(t)
					if got, err := ask(app, "--ssl-ca="+authority); err != nil || got != "root over TLS" {
						t.Errorf("got %q, %v", got, err)
					}
					if got, err := ask(app, "--skip-ssl"); err != nil || got != "root over nothing" {
						t.Errorf("got %q, %v", got, err)
					}
					s.wantCaller("shop", "10.13.76.36")
				})
				t.Run("FW-5 FW-12 a VM without the endpoint is told so", func(t *testing.T) {
					text := "Client with IP address '100.64.0.2' is not allowed to connect to this " + one.product + " server."
					if got, err := ask(far, "--skip-ssl"); err == nil || got != "ERROR 9000 (HY000): "+text {
						t.Errorf("got %q, %v", got, err)
					}
					// Before TLS nobody can prove who says it: a client that wants TLS says so, too.
					if got, err := ask(far); err == nil || !strings.Contains(got, "9000 - "+text) {
						t.Errorf("got %q, %v", got, err)
					}
				})
				t.Run("FW-4 FW-12 an outsider by its address", func(t *testing.T) {
					s := s.in(t)
					if got, err := askAt(outsider, front); err == nil || !strings.Contains(got, "Client with IP address '198.51.100.7'") {
						t.Errorf("got %q, %v", got, err)
					}
					s.apply(addressRule(one.typ, "shop", "198.51.100.0", "198.51.100.255"))
					if got, err := askAt(outsider, front); err != nil || got != "root over TLS" && got != "root over nothing" {
						t.Errorf("got %q, %v", got, err)
					}
				})
				t.Run("FW-6 FW-12 another subnet with the endpoint is told so", func(t *testing.T) {
					s := s.in(t)
					s.apply(subnet("vnet/other", "10.13.77.0/24", withSQL))
					if got, err := ask(far, "--skip-ssl"); err == nil || !strings.Contains(got, "ERROR 9000 (HY000): Client from Azure Virtual Networks is not allowed to access the server.") {
						t.Errorf("got %q, %v", got, err)
					}
					s.apply(subnet("vnet/other", "10.13.77.0/24"))
				})
				t.Run("a backend that is down is said so at once", func(t *testing.T) {
					s := s.in(t)
					s.apply(server(one.typ, "shop", "127.0.0.1:1", "administratorLogin: root"))
					if got, err := ask(app, "--skip-ssl"); err == nil || !strings.Contains(got, "ERROR 1053") || !strings.Contains(got, "backend does not answer") {
						t.Errorf("got %q, %v", got, err)
					}
				})
			})
		}
	})
}
