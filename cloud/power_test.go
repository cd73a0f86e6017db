package cloud

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"postern/model"
	"postern/resource"
)

// power sets the power state of a VM and waits until it is in force.
func (s *stage) power(vm, state string) {
	s.t.Helper()
	api := s.Control().API
	made, err := api.SetPower(s.ctx, idOf(s.t, "Microsoft.Compute/virtualMachines/"+vm), state)
	if err == nil {
		err = api.Await(s.ctx, made.Operation)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// TestPower covers that a VM that is powered off sends and receives nothing, and comes back with what it had.
func TestPower(t *testing.T) {
	onBothDataPaths(t, func(t *testing.T, dataPath string) {
		s := start(t, dataPath, "", machines...)
		app, far := s.machine("nic-app"), s.machine("nic-far")
		s.echo(far, 7000)
		open := s.dial(app, "10.13.77.5:7000")
		before, err := s.NIC(s.ctx, "nic-far")
		if err != nil {
			t.Fatal(err)
		}
		for _, state := range []string{resource.PowerStopped, resource.PowerDeallocated} {
			s.power("vm-far", state)
			s.wantBlocked(app, "10.13.77.5:7000", "nic-app", model.ReasonNoSuchAddress)
			if _, err := s.Machine(s.ctx, "nic-far"); err == nil || !strings.Contains(err.Error(), "powered off") {
				t.Errorf("%s: the machine is given out: %v", state, err)
			}
			if err := open.SetDeadline(time.Now().Add(time.Second)); err != nil {
				t.Fatal(err)
			}
			if open.roundTrip(1) == nil {
				t.Errorf("%s: an open connection goes on", state)
			}
			ctx, cancel := context.WithTimeout(s.ctx, time.Second)
			if conn, err := far.DialContext(ctx, "tcp", "10.13.76.36:22"); err == nil {
				conn.Close()
				t.Errorf("%s: the VM sends", state)
			}
			cancel()
		}
		s.power("vm-far", resource.PowerRunning)
		if after, err := s.NIC(s.ctx, "nic-far"); err != nil || after != before {
			t.Errorf("started again it has %+v, %v; before %+v", after, err, before)
		}
		s.echo(s.machine("nic-far"), 7000)
		s.roundTrip(s.dial(app, "10.13.77.5:7000"), 1000)
	})
}

// TestRegenerateKey covers that a key made anew is in force when that is answered, and the former one no longer.
func TestRegenerateKey(t *testing.T) {
	s := start(t, Userspace, "", application...)
	app := s.machine("nic-app")
	former := s.byKey(app, own)
	create := func(client *aztables.ServiceClient, table string) error {
		_, err := client.CreateTable(s.ctx, table, nil)
		return err
	}
	if err := create(former, "before"); err != nil {
		t.Fatal(err)
	}
	made, err := s.Control().API.RegenerateKey(s.ctx, idOf(t, "Microsoft.Storage/storageAccounts/"+own), 0)
	if err != nil || s.Control().API.Await(s.ctx, made.Operation) != nil {
		t.Fatal(made.Operation, err)
	}
	if err := create(former, "after"); err == nil || !strings.Contains(err.Error(), "AuthenticationFailed") {
		t.Errorf("the former key: %v", err)
	}
	if err := create(s.byKey(app, own), "after"); err != nil {
		t.Errorf("the new key: %v", err)
	}
}
