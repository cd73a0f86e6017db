package resource

import (
	"encoding/json"
	"strings"
	"time"
)

func (a *answer) networkInterface(properties map[string]any, nic *networkInterface) {
	properties["macAddress"] = strings.ToUpper(strings.ReplaceAll(nic.MAC.String(), ":", "-"))
	for _, name := range []string{"enableAcceleratedNetworking", "enableIPForwarding", "disableTcpStateTracking", "vnetEncryptionSupported"} {
		fill(properties, name, false)
	}
	fill(properties, "nicType", "Standard")
	fill(properties, "auxiliaryMode", "None")
	fill(properties, "auxiliarySku", "None")
	fill(properties, "hostedWorkloads", []any{})
	fill(properties, "tapConfigurations", []any{})
	dns := objectIn(properties, "dnsSettings")
	fill(dns, "dnsServers", []any{})
	dns["appliedDnsServers"] = dns["dnsServers"]
	for _, element := range listIn(properties, "ipConfigurations") {
		a.ipConfiguration(element.(map[string]any), nic)
	}
	if vm := a.cloud.links().machine[nic.ID.Key()]; vm != nil {
		properties["virtualMachine"] = map[string]any{"id": string(vm.ID)}
		properties["primary"] = vm.primary == "" && vm.NetworkInterfaces[0].Is(nic.ID) || vm.primary.Is(nic.ID)
	}
}

func (a *answer) ipConfiguration(configuration map[string]any, nic *networkInterface) {
	configuration["id"], configuration["etag"] = string(nic.configuration), a.etag
	configuration["type"] = TypeNetworkInterface + "/ipConfigurations"
	inner := objectIn(configuration, "properties")
	inner["privateIPAddress"], inner["provisioningState"], inner["primary"] = nic.IPv4.String(), a.state, true
	fill(inner, "privateIPAllocationMethod", "Dynamic")
	fill(inner, "privateIPAddressVersion", "IPv4")
}

func (a *answer) virtualMachine(object, properties map[string]any, vm *virtualMachine) {
	allotted := a.entry.record.Allotted
	properties["vmId"] = allotted.VMID
	if !allotted.Created.IsZero() {
		properties["timeCreated"] = allotted.Created.Format(time.RFC3339Nano)
	}
	if vm.PrincipalID != "" {
		identity := objectIn(object, "identity")
		identity["principalId"], identity["tenantId"] = vm.PrincipalID, a.cloud.Snapshot().Settings.Tenant
	}
}

// Power states of a VM. They are kept and answered; a VM that is not running keeps its NICs and addresses, and its
// packets still pass.
const (
	PowerRunning     = "running"
	PowerStopped     = "stopped"     // powered off, still allocated
	PowerDeallocated = "deallocated" //
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
