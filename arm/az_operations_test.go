package arm_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"postern/arm/aztest"
	"postern/control"
)

// TestAzOperations runs az on a cloud with nodes that are silent for a while: az follows the operations by itself (ARM-1),
// and shows which node lags when one fails.
func TestAzOperations(t *testing.T) {
	f := startNetwork(t, control.Options{Wait: 200 * time.Millisecond, Bound: 10 * time.Second})
	az := aztest.New(t, f.ca)
	az.SignIn(f.ctx, f.door.Door, f.door.Secret)
	// whileSilent runs a command with a node that comes back when an operation waits for it.
	whileSilent := func(node, command string) (answer struct {
		ProvisioningState string
		ServiceEndpoints  []struct{ ProvisioningState string }
	}) {
		t.Helper()
		f.plane.Nodes.Silence(node)
		ended := make(chan bool)
		healed := make(chan bool)
		go func() {
			defer close(healed)
			for waits := false; !waits; {
				records, err := f.plane.Store.Operations(f.ctx)
				if err != nil {
					return // the test has ended
				}
				for _, record := range records {
					operation := f.plane.API.Operation(record.ID)
					waits = waits || operation != nil && operation.Ended.IsZero()
				}
				select {
				case <-ended:
					return
				case <-time.After(20 * time.Millisecond): // the pause of a bounded wait
				}
			}
			f.plane.Nodes.Heal(f.ctx, node)
		}()
		out, problem, code := az.Run(f.ctx, strings.Fields(command+" -o json")...)
		close(ended)
		<-healed
		if code != 0 {
			t.Errorf("ARM-1 az %s: %d %s", command, code, problem)
		}
		if len(out) > 0 {
			if err := json.Unmarshal(out, &answer); err != nil {
				t.Errorf("az %s: %s: %v", command, out, err)
			}
		}
		f.plane.Nodes.Heal(f.ctx, node)
		return answer
	}
	subnet := whileSilent("host-a", "network vnet subnet update -g demo --vnet-name vnet -n app --service-endpoints Microsoft.Storage")
	if subnet.ProvisioningState != "Succeeded" || len(subnet.ServiceEndpoints) != 1 || subnet.ServiceEndpoints[0].ProvisioningState != "Succeeded" {
		t.Errorf("SE-11 %+v", subnet)
	}
	if account := whileSilent("gateway-we", "storage account create -g demo -n stazop -l westeurope --sku Standard_LRS"); account.ProvisioningState != "Succeeded" {
		t.Errorf("%+v", account)
	}
	whileSilent("gateway-we", "storage account delete -g demo -n stazop -y")
	whileSilent("host-a", "network nic delete -g demo -n nic")

	made := f.send(t, "PUT", nics+"/nic"+version, f.token(t), nicBody)
	if made.status != 201 {
		t.Fatalf("%d %s", made.status, made.body)
	}
	f.plane.Nodes.Silence("host-a")
	_, problem, code := az.Run(f.ctx, strings.Fields("network vnet subnet update -g demo --vnet-name vnet -n app --service-endpoints Microsoft.Sql")...)
	if code != 1 || !strings.Contains(problem, "(NotEnforced)") || !strings.Contains(problem, "host-a") {
		t.Errorf("ARM-1 a node that stays silent: %d %s", code, problem)
	}
}
