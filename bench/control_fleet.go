package bench

import (
	"encoding/json"
	"errors"
	"fmt"

	"postern/resource"
)

// The networks of a fleet: 100 NICs in ten subnets, on ten hosts.
const (
	nicsOfNetwork    = 100
	hostsOfNetwork   = 10
	subnetsOfNetwork = 10
)

// fleet is a cloud of many hosts. Networks have all the same addresses, since none is peered, and the same security group.
type fleet struct{ nodes, nics int }

func (f fleet) networks() int { return f.nics / nicsOfNetwork }

func (f fleet) nodeNames() []string {
	names := []string{"gateway", "edge"}
	for i := range f.nodes {
		names = append(names, fmt.Sprintf("host-%d", i))
	}
	return names
}

func fleetNetwork(i int) string { return fmt.Sprintf("%s/virtualNetworks/vnet-%d", networkPath, i) }

func fleetSubnet(i int) string {
	return fmt.Sprintf("%s/subnets/subnet-%d", fleetNetwork(i/subnetsOfNetwork), i%subnetsOfNetwork)
}

func (f fleet) items() (items []resource.Item, err error) {
	add := func(path string, content json.RawMessage) {
		item, failure := newItem(path, content)
		err = errors.Join(err, failure)
		items = append(items, item)
	}
	node := func(name string, properties map[string]any) {
		add(groupPath+"/providers/Postern.Fabric/nodes/"+name, body(map[string]any{"location": region, "properties": properties}))
	}
	node("gateway", map[string]any{"role": "gateway", "locator": "fd00:2:1:100::/56", "serviceLocator": "fd00:2:2:100::/56", "platformLocator": "fd00:2:3:100::/56"})
	node("edge", map[string]any{"role": "edge", "locator": "fd00:2:4:100::/56", "outboundAddress": "203.0.113.250", "platformPool": "100.64.0.0/10"})
	for i := range f.nodes {
		node(fmt.Sprintf("host-%d", i), map[string]any{"role": "host", "locator": fmt.Sprintf("fd00:1:%x:100::/56", i+1)})
	}
	group, failure := f.changedGroup(1)
	err = errors.Join(err, failure)
	items = append(items, group)
	for i := range f.networks() {
		var subnets []any
		for j := range subnetsOfNetwork {
			subnets = append(subnets, map[string]any{"name": fmt.Sprintf("subnet-%d", j), "properties": f.subnet(j, 1)})
		}
		add(fleetNetwork(i), body(map[string]any{"location": region, "properties": map[string]any{
			"addressSpace": map[string]any{"addressPrefixes": []any{"10.0.0.0/16"}}, "subnets": subnets}}))
	}
	for i := range f.networks() * nicsOfNetwork {
		item, failure := f.nic(i, false)
		err = errors.Join(err, failure)
		items = append(items, item)
	}
	return items, err
}

// subnet has an endpoint for Storage; with an even round one for Sql too.
func (f fleet) subnet(i, round int) map[string]any {
	endpoints := []any{endpoint("Microsoft.Storage")}
	if round%2 == 0 {
		endpoints = append(endpoints, endpoint("Microsoft.Sql"))
	}
	return map[string]any{"addressPrefix": fmt.Sprintf("10.0.%d.0/24", i%subnetsOfNetwork), "serviceEndpoints": endpoints,
		"networkSecurityGroup": reference("%s/networkSecurityGroups/group", networkPath)}
}

func (f fleet) nic(i int, forwards bool) (resource.Item, error) {
	network, within := i/nicsOfNetwork, i%nicsOfNetwork
	subnet, host := network*subnetsOfNetwork+within/hostsOfNetwork, (network*hostsOfNetwork+within%hostsOfNetwork)%f.nodes
	return newItem(fmt.Sprintf("%s/networkInterfaces/nic-%d", networkPath, i), body(map[string]any{"location": region,
		"tags": map[string]any{resource.TagNode: fmt.Sprintf("host-%d", host)},
		"properties": map[string]any{"enableIPForwarding": forwards, "ipConfigurations": []any{map[string]any{"name": "main", "properties": map[string]any{
			"subnet": map[string]any{"id": fleetSubnet(subnet)}}}}}}))
}

// changedSubnet, changedNIC and changedGroup are a resource that is another one with every i.
func (f fleet) changedSubnet(i int) (resource.Item, error) {
	subnet := i / 2 % (f.networks() * subnetsOfNetwork)
	return newItem(fleetSubnet(subnet), body(map[string]any{"properties": f.subnet(subnet, i)}))
}

func (f fleet) changedNIC(i int) (resource.Item, error) {
	return f.nic(i/2*nicsOfNetwork%(f.networks()*nicsOfNetwork), i%2 == 0)
}

func (f fleet) changedGroup(i int) (resource.Item, error) {
	rule := map[string]any{"name": "ssh", "properties": map[string]any{"priority": 100 + i%2, "direction": "Inbound", "access": "Allow", "protocol": "Tcp",
		"sourceAddressPrefix": "Internet", "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": "22"}}
	return newItem(networkPath+"/networkSecurityGroups/group", body(map[string]any{"location": region, "properties": map[string]any{"securityRules": []any{rule}}}))
}
