package cloud

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"
)

// azuriteVariable names the environment variable with the path of Azurite's executable.
const azuriteVariable = "POSTERN_AZURITE"

// An Azurite behind the gateways, asked by Azure's own clients from VMs: blob, queue and table, by name over TLS and in path
// style.
func TestAzurite(t *testing.T) {
	azurite := os.Getenv(azuriteVariable)
	if azurite == "" {
		t.Skipf("%s is not set: npm install azurite in some folder, and set it to node_modules/.bin/azurite there", azuriteVariable)
	}
	onBothDataPaths(t, func(t *testing.T, dataPath string) {
		s := start(t, dataPath, "", application...)
		app, far := s.machine("nic-app"), s.machine("nic-far")
		tags := s.startAzurite(azurite, own, s.keyOf(own))
		s.apply(subnet("vnet/app", "10.13.76.0/24", withStorage),
			fmt.Sprintf("{type: storageAccounts, name: %s, location: westeurope, tags: {%s}, properties: {networkAcls: {%s}}}", own, tags, appAlone))
		t.Run("FW-6 FW-12 FW-13 tables", func(t *testing.T) {
			s := s.in(t)
			s.useTables(s.byKey(app, own), "toazurite")
			s.wantOperation("DeleteTable", "table", "10.13.76.36", "Success")
			s.wantDenied(s.byKey(far, own))
			s.wantOperation("QueryTables", "table", "100.64.0.2", denied)
		})
		t.Run("FW-6 FW-12 FW-13 blobs", func(t *testing.T) {
			s := s.in(t)
			s.useBlobs(s.blobs(app, "https://"+own+".blob.core.windows.net"), "photos", 250)
			for _, operation := range []string{"CreateContainer", "PutBlock", "PutBlockList", "GetBlob", "ListBlobs", "DeleteBlob"} {
				s.wantOperation(operation, "blob", "10.13.76.36", "Success")
			}
			s.blobsDenied(s.blobs(far, "https://"+own+".blob.core.windows.net"), "photos")
			s.wantOperation("PutBlob", "blob", "100.64.0.2", denied)
		})
		t.Run("FW-6 FW-12 FW-13 queues", func(t *testing.T) {
			s := s.in(t)
			s.useQueue(s.queues(app, "https://"+own+".queue.core.windows.net"), "jobs")
			s.wantOperation("PutMessage", "queue", "10.13.76.36", "Success")
			s.queueDenied(s.queues(far, "https://"+own+".queue.core.windows.net"), "jobs")
			s.wantOperation("CreateQueue", "queue", "100.64.0.2", denied)
		})
		t.Run("FW-6 FW-12 FW-13 path style", func(t *testing.T) {
			s := s.in(t)
			s.useBlobs(s.blobs(app, s.byPath(own, "10000")), "bypath", 3)
			s.useQueue(s.queues(app, s.byPath(own, "10001")), "bypath")
			s.useTables(s.tablesByPath(app, own), "bypath")
			s.blobsDenied(s.blobs(far, s.byPath(own, "10000")), "bypath")
			s.queueDenied(s.queues(far, s.byPath(own, "10001")), "bypath")
			s.wantDenied(s.tablesByPath(far, own))
		})
	})
}

// wantOperation waits for a line of the access log about the account own.
func (s *stage) wantOperation(operation, service, caller, status string) {
	s.t.Helper()
	s.eventually("wait for "+operation+" in the access log", func() error {
		entries, err := s.AccessLog(s.ctx)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			host, _, _ := net.SplitHostPort(entry.CallerIPAddress)
			if entry.Account == own && entry.Service == service && entry.Operation == operation && host == caller && entry.StatusText == status {
				return nil
			}
		}
		return fmt.Errorf("none of %d lines is %s of %s by %s with %s", len(entries), operation, service, caller, status)
	})
}

// startAzurite starts an Azurite that this cloud's gateways reach, and answers the tags of an account that is in it. It is on
// a machine of the Internet where gateways are namespaces, on this computer's loopback where they are part of this process.
func (s *stage) startAzurite(program, account, key string) (tags string) {
	s.t.Helper()
	host := "127.0.0.1"
	dial := new(net.Dialer).DialContext
	command := func(name string, arguments ...string) (*exec.Cmd, func() error) {
		command := exec.CommandContext(s.ctx, name, arguments...)
		return command, command.Start
	}
	if s.DataPath() == Kernel {
		host = "198.51.100.50"
		machine := s.outsider("azurite", host)
		dial, command = machine.DialContext, commandOn(s.ctx, machine)
	}
	arguments := []string{"--silent", "--disableTelemetry", "--skipApiVersionCheck", "--inMemoryPersistence"}
	var addresses []string
	for _, service := range []string{"blob", "queue", "table"} {
		port := strconv.Itoa(freePort(s.t))
		arguments = append(arguments, "--"+service+"Host", host, "--"+service+"Port", port)
		addresses = append(addresses, net.JoinHostPort(host, port))
		if tags != "" {
			tags += ", "
		}
		tags += fmt.Sprintf("postern.backend.%s: %q", service, addresses[len(addresses)-1])
	}
	started, run := command(program, arguments...)
	started.Env = append(os.Environ(), "AZURITE_ACCOUNTS="+account+":"+key)
	started.Stderr = logWriter{s.t}
	if err := run(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = started.Process.Kill() // it may have ended with the cloud
		_ = started.Wait()
	})
	s.eventually("wait for Azurite", func() error {
		for _, address := range addresses {
			if err := reached(s.ctx, dial, address); err != nil {
				return err
			}
		}
		return nil
	})
	return tags
}

// reached connects and hangs up.
func reached(ctx context.Context, dial func(ctx context.Context, network, address string) (net.Conn, error), address string) error {
	conn, err := dial(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}
