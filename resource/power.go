package resource

import (
	"encoding/json"
	"strings"
	"time"
)

// Power states of a VM. One that is not running keeps its NICs and their addresses, and sends and receives nothing: no
// host carries its NICs. On the wire the two ways not to run are the same.
const (
	PowerRunning     = "running"
	PowerStopped     = "stopped"     // powered off; Azure keeps its place on a host
	PowerDeallocated = "deallocated" // powered off; Azure gives its place on a host to others
)

// SetPower notes a VM's power state, one of those above.
func (c *Change) SetPower(id ID, state string) error {
	record := c.record(id.Root().Key())
	if record == nil || record.Type != TypeVirtualMachine || id.IsChild() {
		return NotFound(id)
	}
	if record.Allotted.Power = state; state == PowerRunning {
		record.Allotted.Power = ""
	}
	c.written[record.Key()] = record
	return nil
}

// InstanceView is ARM's answer about how a VM is doing: its provisioning state and its power state.
func (c *Cloud) InstanceView(id ID, state string) (json.RawMessage, error) {
	e := c.entries.find(id.Root().Key())
	if e == nil || e.record.Type != TypeVirtualMachine || id.IsChild() {
		return nil, NotFound(id)
	}
	power := e.record.Allotted.Power
	if power == "" {
		power = PowerRunning
	}
	provisioned := map[string]any{"code": "ProvisioningState/" + strings.ToLower(state), "level": "Info", "displayStatus": "Provisioning " + strings.ToLower(state)}
	if state == "Updating" {
		provisioned["displayStatus"] = state
	}
	if created := e.record.Allotted.Created; !created.IsZero() {
		provisioned["time"] = created.Format(time.RFC3339Nano)
	}
	return json.Marshal(map[string]any{"statuses": []any{provisioned,
		map[string]any{"code": "PowerState/" + power, "level": "Info", "displayStatus": "VM " + power}}})
}
