package resource

import (
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
	if _, vnet := a.cloud.subnet(nic.Subnet); vnet != nil {
		dns["internalDomainNameSuffix"] = vnet.DomainSuffix()
	}
	for i, element := range listIn(properties, "ipConfigurations") {
		a.ipConfiguration(element.(map[string]any), nic, i)
	}
	if vm := a.cloud.links().machine[nic.ID.Key()]; vm != nil {
		properties["virtualMachine"] = map[string]any{"id": string(vm.ID)}
		properties["primary"] = vm.primary == "" && vm.NetworkInterfaces[0].Is(nic.ID) || vm.primary.Is(nic.ID)
	}
}

// ipConfiguration answers the one at a place. A block of addresses is answered with its length.
func (a *answer) ipConfiguration(configuration map[string]any, nic *networkInterface, at int) {
	one := &nic.configurations[at]
	configuration["id"], configuration["etag"] = string(one.id), a.etag
	configuration["type"] = TypeNetworkInterface + "/ipConfigurations"
	inner := objectIn(configuration, "properties")
	inner["provisioningState"], inner["primary"], inner["subnet"] = a.state, at == nic.first, map[string]any{"id": string(one.subnet)}
	switch {
	case at == nic.first:
		inner["privateIPAddress"] = nic.IPv4.String()
	case one.bits == 32:
		inner["privateIPAddress"] = one.block.Addr().String()
	default:
		inner["privateIPAddress"] = one.block.String()
	}
	fill(inner, "privateIPAllocationMethod", "Dynamic")
	fill(inner, "privateIPAddressVersion", "IPv4")
}

func (a *answer) virtualMachine(object, properties map[string]any, vm *virtualMachine) {
	allotted := a.entry.record.Allotted
	properties["vmId"] = allotted.VMID
	fill(objectIn(properties, "storageProfile"), "dataDisks", []any{}) // clients read it without asking whether it is there
	if !allotted.Created.IsZero() {
		properties["timeCreated"] = allotted.Created.Format(time.RFC3339Nano)
	}
	if vm.PrincipalID != "" {
		identity := objectIn(object, "identity")
		identity["principalId"], identity["tenantId"] = vm.PrincipalID, a.cloud.Snapshot().Settings.Tenant
	}
}
