package cloud

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"postern/datapath/userspace/splice"
)

const withSQL = "serviceEndpoints: [{service: Microsoft.Sql}]"

// forwarded is an address on loopback whose connections a machine makes in a program's stead.
func (s *stage) forwarded(from Machine, to string) (port string) {
	s.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { listener.Close() })
	go serveEach(listener, func(conn net.Conn) {
		if far, err := from.DialContext(s.ctx, "tcp", to); err == nil {
			splice.Both(s.ctx, conn, far)
		}
	})
	_, port, _ = net.SplitHostPort(listener.Addr().String())
	return port
}

// run runs a client and answers all that it says.
func (s *stage) run(environment []string, name string, arguments ...string) (string, error) {
	command := exec.CommandContext(s.ctx, name, arguments...)
	command.Env = append(os.Environ(), environment...)
	output, err := command.CombinedOutput()
	return strings.TrimSpace(string(output)), err
}

// writeIdentity writes a certificate for names and its key, as server.crt and server.key, and answers the authority's file.
func writeIdentity(t *testing.T, dir string, names ...string) (authority string) {
	t.Helper()
	made, leaf := backendIdentity(t, names...)
	key, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	authority = filepath.Join(dir, "ca.pem")
	for path, data := range map[string][]byte{authority: made.CertificatePEM(), filepath.Join(dir, "server.key"): pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		filepath.Join(dir, "server.crt"): pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Certificate[0]})} {
		writeOrdinary(t, path, string(data))
	}
	return authority
}

func server(typ, name, backend, properties string) string {
	return fmt.Sprintf("{type: %s, name: %s, location: westeurope, tags: {postern.backend: %q}, properties: {%s}}", typ, name, backend, properties)
}

func subnetRule(t *testing.T, typ, server, subnet string) string {
	return fmt.Sprintf("{type: %s/virtualNetworkRules, name: %s/from-%s, properties: {virtualNetworkSubnetId: %q}}", typ, server, subnet,
		idOf(t, "virtualNetworks/vnet/subnets/"+subnet).String())
}

func addressRule(typ, server, first, last string) string {
	return fmt.Sprintf("{type: %s/firewallRules, name: %s/by-address, properties: {startIpAddress: %s, endIpAddress: %s}}", typ, server, first, last)
}

// A real PostgreSQL behind a gateway, asked by psql from VMs.
func TestPostgreSQL(t *testing.T) {
	const typ, host = "Microsoft.DBforPostgreSQL/servers", "pgshop.postgres.database.azure.com"
	psql, initdb, program := need(t, "psql", "postgresql"), need(t, "initdb", "postgresql"), need(t, "postgres", "postgresql")
	onBothDataPaths(t, func(t *testing.T, dataPath string) {
		s := start(t, dataPath, "", application...)
		dir, port := ordinaryDir(t), freePort(t)
		at, data := s.place("postgres", "198.51.100.74"), filepath.Join(dir, "data")
		if output, err := ordinary(dir, exec.CommandContext(s.ctx, initdb, "-D", data, "--auth=trust", "-U", "bob", "-E", "UTF8", "--locale=C", "--no-sync")).CombinedOutput(); err != nil {
			t.Fatalf("initdb: %v\n%s", err, output)
		}
		writeOrdinary(t, filepath.Join(data, "pg_hba.conf"), "host all all 0.0.0.0/0 trust\n")
		authority := writeIdentity(t, dir, host)
		backend := at.run(ordinary(dir, exec.Command(program, "-D", data, "-p", strconv.Itoa(port), "-c", "listen_addresses="+at.address, "-c", "unix_socket_directories=", "-c", "fsync=off",
			"-c", "ssl=on", "-c", "ssl_cert_file="+filepath.Join(dir, "server.crt"), "-c", "ssl_key_file="+filepath.Join(dir, "server.key"))), port)
		s.apply(subnet("vnet/app", "10.13.76.0/24", withSQL))
		s.apply(server(typ, "pgshop", backend, "administratorLogin: bob, administratorLoginPassword: secret"), subnetRule(t, typ, "pgshop", "app"))
		app, far := s.machine("nic-app"), s.machine("nic-far")
		fromApp, fromFar := s.forwarded(app, host+":5432"), s.forwarded(far, host+":5432")
		ask := func(port, more string) (string, error) {
			return s.run(nil, psql, "-XAtc", "select current_user || ' over ' || coalesce((select version from pg_stat_ssl where pid = pg_backend_pid() and ssl), 'nothing')",
				"host="+host+" hostaddr=127.0.0.1 dbname=postgres connect_timeout=10 port="+port+" "+more)
		}
		t.Run("SE-2 SE-10 FW-6 a subnet of the rules gets in, to the backend's own certificate", func(t *testing.T) {
			s := s.in(t)
			if got, err := ask(fromApp, "user=bob sslmode=verify-full sslrootcert="+authority); err != nil || got != "bob over TLSv1.3" {
				t.Errorf("got %q, %v", got, err)
			}
			s.wantCaller("pgshop", "10.13.76.36")
		})
		t.Run("user@server without TLS", func(t *testing.T) {
			if got, err := ask(fromApp, "user=bob@pgshop sslmode=disable"); err != nil || got != "bob over nothing" {
				t.Errorf("got %q, %v", got, err)
			}
			if got, err := ask(fromApp, "user=bob@pgother sslmode=disable"); err == nil || !strings.Contains(got, `There is no server "pgother`) {
				t.Errorf("another server: got %q, %v", got, err)
			}
		})
		t.Run("by its address, where the client names nobody", func(t *testing.T) {
			if got, err := ask(fromApp, "user=bob sslmode=require sslsni=0"); err != nil || got != "bob over TLSv1.3" {
				t.Errorf("got %q, %v", got, err)
			}
		})
		t.Run("FW-5 FW-12 a VM without the endpoint is told so", func(t *testing.T) {
			s := s.in(t)
			for mode, word := range map[string]string{"disable": "off", "require": "on"} {
				got, err := ask(fromFar, "user=bob sslmode="+mode)
				if err == nil || !strings.Contains(got, `FATAL:  no pg_hba.conf entry for host "100.64.0.2", user "bob", database "postgres", SSL `+word) {
					t.Errorf("sslmode=%s: got %q, %v", mode, got, err)
				}
			}
			s.wantCaller("pgshop", "100.64.0.2")
		})
		t.Run("FW-5 the rule 0.0.0.0 lets Azure's own addresses in", func(t *testing.T) {
			s := s.in(t)
			s.apply(addressRule(typ, "pgshop", "100.64.0.2", "100.64.0.2"))
			if got, err := ask(fromFar, "user=bob sslmode=require"); err == nil {
				t.Errorf("an address rule matches a client of the region: %q", got)
			}
			s.apply(addressRule(typ, "pgshop", "0.0.0.0", "0.0.0.0"))
			if got, err := ask(fromFar, "user=bob sslmode=require"); err != nil || got != "bob over TLSv1.3" {
				t.Errorf("got %q, %v", got, err)
			}
			s.remove(typ + "/pgshop/firewallRules/by-address")
		})
		t.Run("FW-4 FW-12 an outsider by its address", func(t *testing.T) {
			s := s.in(t)
			fromOutside := s.forwarded(s.outsider("office", "198.51.100.7"), net.JoinHostPort(s.lookup("pgshop").String(), "5432"))
			if got, err := ask(fromOutside, "user=bob sslmode=require"); err == nil || !strings.Contains(got, `no pg_hba.conf entry for host "198.51.100.7"`) {
				t.Errorf("got %q, %v", got, err)
			}
			s.apply(addressRule(typ, "pgshop", "198.51.100.1", "198.51.100.9"))
			if got, err := ask(fromOutside, "user=bob sslmode=require"); err != nil || got != "bob over TLSv1.3" {
				t.Errorf("got %q, %v", got, err)
			}
			s.remove(typ + "/pgshop/firewallRules/by-address")
		})
		t.Run("FW-6 FW-12 another subnet with the endpoint is told so", func(t *testing.T) {
			s := s.in(t)
			s.apply(subnet("vnet/other", "10.13.77.0/24", withSQL))
			for _, mode := range []string{"disable", "require"} {
				got, err := ask(fromFar, "user=bob sslmode="+mode)
				if err == nil || !strings.Contains(got, "FATAL:  Client from Azure Virtual Networks is not allowed to access the server.") {
					t.Errorf("sslmode=%s: got %q, %v", mode, got, err)
				}
			}
			s.wantCaller("pgshop", "10.13.77.5")
		})
		t.Run("FW-7 a rule is for the subnet that it was written for, whatever else is written", func(t *testing.T) {
			s := s.in(t)
			s.apply(subnetRule(t, typ, "pgshop", "other"))
			if got, err := ask(fromFar, "user=bob sslmode=require"); err != nil {
				t.Fatalf("got %q, %v", got, err)
			}
			s.remove("virtualMachines/vm-far", "networkInterfaces/nic-far", "virtualNetworks/vnet/subnets/other")
			s.apply(addressRule(typ, "pgshop", "192.0.2.1", "192.0.2.1")) // with a rule whose subnet is gone
			s.apply(subnet("vnet/other", "10.13.77.0/24", withSQL), vm("far", "host-we2", "vnet/other", "10.13.77.5", ""))
			s.apply(server(typ, "pgshop", backend, "administratorLogin: bob"), addressRule(typ, "pgshop", "192.0.2.1", "192.0.2.2"))
			again := s.forwarded(s.machine("nic-far"), host+":5432")
			if got, err := ask(again, "user=bob sslmode=require"); err == nil || !strings.Contains(got, "Azure Virtual Networks") {
				t.Errorf("a new subnet of the name: got %q, %v", got, err)
			}
			s.apply(subnetRule(t, typ, "pgshop", "other"))
			if got, err := ask(again, "user=bob sslmode=require"); err != nil || got != "bob over TLSv1.3" {
				t.Errorf("the rule written anew: got %q, %v", got, err)
			}
		})
		t.Run("the password of the administrator is not kept", func(t *testing.T) {
			body, err := s.API().Get(s.ctx, idOf(t, typ+"/pgshop"))
			if err != nil || bytes.Contains(body, []byte("secret")) || !bytes.Contains(body, []byte(host)) {
				t.Errorf("got %s, %v", body, err)
			}
		})
	})
}
