package arm_test

import (
	"postern/resource"
)

// watched makes what a question to a network watcher is about: VMs with NICs, their addresses, routes and rules.
func (w *world) watched(method string, id resource.ID) error {
	if method == "GetTopology" {
		w.region = "westus"
	}
	if err := w.require(id); err != nil {
		return err
	}
	for _, name := range []string{"rg1", "rg2"} {
		if err := w.groups(name); err != nil {
			return err
		}
	}
	in := func(typ string, names ...string) resource.ID {
		found := required(typ, names...)
		found.ResourceGroup = "rg2"
		return found
	}
	switch method {
	case "GetNextHop": // from 10.0.0.5 to its own VNet, by a route of rt1
		table := in(resource.TypeRouteTable, "rt1")
		if err := w.needed(table, map[string]any{"location": w.region, "properties": map[string]any{"routes": []any{
			map[string]any{"name": "own", "properties": map[string]any{"addressPrefix": "10.0.0.0/24", "nextHopType": "VnetLocal"}}}}}); err != nil {
			return err
		}
		nic := in(resource.TypeNetworkInterface, "nic1")
		nic.ResourceGroup = "rg1"
		return w.machine("vm1", "10.0.0.5", map[string]any{"routeTable": map[string]any{"id": table.String()}}, nic)
	case "GetVMSecurityRules": // in a subnet with a group of one rule
		group, err := w.group("rg2", "AppNSG", map[string]any{"name": "fe_rule", "properties": map[string]any{"description": "Allow Frontend", "priority": 100,
			"direction": "Inbound", "access": "Allow", "protocol": "Tcp", "sourceAddressPrefix": "10.1.0.0/24", "sourcePortRange": "*",
			"destinationAddressPrefix": "*", "destinationPortRange": "*"}})
		if err != nil {
			return err
		}
		w.machineIn = in(resource.TypeVirtualNetwork+"/subnets", "vnet1", "subnet1")
		return w.machine("vm1", "10.0.0.4", map[string]any{"networkSecurityGroup": group}, in(resource.TypeNetworkInterface, "nic1"))
	case "GetNetworkConfigurationDiagnostic": // of a subnet's group with five rules, of which the last lets 10.1.0.4 in at 12100, and of a NIC's with that one
		let := func(name, access, source, ports string, priority int) any {
			return map[string]any{"name": name, "properties": map[string]any{"priority": priority, "direction": "Inbound", "access": access, "protocol": "Tcp",
				"sourceAddressPrefix": source, "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": ports}}
		}
		last := let("fe_rule", "Allow", "10.1.0.0/24", "12100", 200)
		subnet, err := w.group("rg2", "nsg1", let("Cleanuptool-Allow-100", "Allow", "192.0.2.0/24", "22", 100), let("Cleanuptool-Allow-101", "Allow", "*", "443", 101),
			let("Cleanuptool-Allow-102", "Allow", "198.51.100.0/24", "22", 102), let("Cleanuptool-Deny-103", "Deny", "*", "3389", 103), last)
		if err != nil {
			return err
		}
		own, err := w.group("NwRgCentralUSEUAP_copy", "AppNSG", last)
		if err != nil {
			return err
		}
		w.machineIn = in(resource.TypeVirtualNetwork+"/subnets", "vnet", "AppSubnet")
		nic := in(resource.TypeNetworkInterface, "nic")
		if err := w.machine("vm1", "10.0.0.4", map[string]any{"networkSecurityGroup": subnet}, nic); err != nil {
			return err
		}
		return w.put(nic, map[string]any{"location": w.region, "properties": map[string]any{"networkSecurityGroup": own, "ipConfigurations": []any{
			map[string]any{"name": "ipconfig1", "properties": map[string]any{"subnet": map[string]any{"id": w.machineIn.String()}}}}}})
	case "VerifyIPFlow": // of 10.2.0.4, which Rule1 allows
		group := in(resource.TypeNetworkSecurityGroup, "nsg")
		if err := w.needed(group, map[string]any{"location": w.region, "properties": map[string]any{"securityRules": []any{
			map[string]any{"name": "Rule1", "properties": map[string]any{"priority": 100, "direction": "Outbound", "access": "Allow", "protocol": "*",
				"sourceAddressPrefix": "*", "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": "*"}}}}}); err != nil {
			return err
		}
		return w.machine("vm1", "10.2.0.4", map[string]any{"networkSecurityGroup": map[string]any{"id": group.String()}}, in(resource.TypeNetworkInterface, "nic"))
	case "CheckConnectivity": // from 10.1.1.4 to 192.168.100.4 in a peered VNet
		if err := w.machine("vm1", "10.1.1.4", nil, in(resource.TypeNetworkInterface, "nic0")); err != nil {
			return err
		}
		if err := w.machine("vm2", "192.168.100.4", nil, in(resource.TypeNetworkInterface, "nic1")); err != nil {
			return err
		}
		one, other := required(resource.TypeVirtualNetwork, "of-vm1"), required(resource.TypeVirtualNetwork, "of-vm2")
		for _, half := range [][2]resource.ID{{one, other}, {other, one}} {
			if err := w.needed(childOf(half[0], "virtualNetworkPeerings", "peer"), map[string]any{"properties": map[string]any{
				"remoteVirtualNetwork": map[string]any{"id": half[1].String()}}}); err != nil {
				return err
			}
		}
		return nil
	case "GetTopology":
		return w.machine("MultiTierApp0", "10.0.0.4", nil, in(resource.TypeNetworkInterface, "appNic0"), in(resource.TypeNetworkInterface, "appNic10"))
	}
	return nil
}

// group makes a security group with rules and answers the reference to it.
func (w *world) group(in, name string, rules ...any) (map[string]any, error) {
	id := required(resource.TypeNetworkSecurityGroup, name)
	id.ResourceGroup = in
	if err := w.groups(in); err != nil {
		return nil, err
	}
	return map[string]any{"id": id.String()}, w.needed(id, map[string]any{"location": w.region, "properties": map[string]any{"securityRules": rules}})
}

// machine makes a VM in rg2 with NICs in a subnet, machineIn or one of its own, of which the first has an address.
func (w *world) machine(name, address string, subnet map[string]any, nics ...resource.ID) error {
	subnetID := w.machineIn
	if subnetID.Provider == "" {
		subnetID = required(resource.TypeVirtualNetwork+"/subnets", "of-"+name, "default")
	}
	vnet := subnetID.Root()
	space := address[:len(address)-1] + "0/24"
	properties := map[string]any{"addressPrefix": space}
	for member, value := range subnet {
		properties[member] = value
	}
	if err := w.needed(vnet, map[string]any{"location": w.region, "properties": map[string]any{"addressSpace": map[string]any{"addressPrefixes": []any{space}},
		"subnets": []any{map[string]any{"name": subnetID.Name(), "properties": properties}}}}); err != nil {
		return err
	}
	var list []any
	for i, nic := range nics {
		configuration := map[string]any{"subnet": map[string]any{"id": subnetID.String()}}
		if i == 0 {
			configuration["privateIPAllocationMethod"], configuration["privateIPAddress"] = "Static", address
		}
		if err := w.needed(nic, map[string]any{"location": w.region, "properties": map[string]any{"ipConfigurations": []any{
			map[string]any{"name": "ipconfig1", "properties": configuration}}}}); err != nil {
			return err
		}
		list = append(list, map[string]any{"id": nic.String(), "properties": map[string]any{"primary": i == 0}})
	}
	vm := required(resource.TypeVirtualMachine, name)
	vm.ResourceGroup = "rg2"
	return w.needed(vm, map[string]any{"location": w.region, "properties": map[string]any{"networkProfile": map[string]any{"networkInterfaces": list}}})
}
