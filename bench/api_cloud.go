package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"

	"postern/cloud"
	"postern/resource"
)

const (
	region           = "westeurope"
	subscriptionPath = "/subscriptions/" + resource.DefaultSubscription
	groupPath        = subscriptionPath + "/resourceGroups/" + resource.DefaultResourceGroup
	networkPath      = groupPath + "/providers/Microsoft.Network"

	smallVNets   = 20  // that share the subnets
	maxSmallVNet = 512 // subnets of one: /25s in a /16
	machines     = 8   // VMs, in the first subnets of as many networks
	accounts     = 20
	shared       = 10   // route tables, and security groups
	batchSize    = 2500 // resources of one write while filling
)

// apiFabric are the nodes of the measured cloud.
const apiFabric = `
- {type: nodes, name: host-1, location: westeurope, properties: {role: host, locator: "fd00:1:1:100::/56"}}
- {type: nodes, name: host-2, location: westeurope, properties: {role: host, locator: "fd00:1:1:200::/56"}}
- {type: nodes, name: gateway, location: westeurope, properties: {role: gateway, locator: "fd00:1:1:300::/56", serviceLocator: "fd00:1:a:100::/56", platformLocator: "fd00:1:b:100::/56"}}
- {type: nodes, name: edge, location: westeurope, properties: {role: edge, locator: "fd00:1:1:400::/56", outboundAddress: 203.0.113.250, platformPool: 100.64.0.0/16}}
`

// apiWorld is what the measured cloud is filled with.
type apiWorld struct{ subnets int }

// resources is how many top-level resources there are beside the nodes.
func (w apiWorld) resources() int { return w.subnets + smallVNets + 2*shared + accounts + machines }

// networks are virtual networks with equally many subnets.
type networks struct {
	name       string // of each, before its number
	count      int
	perNetwork int
	first      int // second byte of the first one's addresses
	bits       int // of a subnet's prefix
}

func (w apiWorld) small() networks {
	return networks{name: "vnet", count: smallVNets, perNetwork: w.subnets / smallVNets, first: 0, bits: 25}
}

func (w apiWorld) large() networks {
	return networks{name: "large", count: 1, perNetwork: min(largestVNet, w.subnets), first: 200, bits: 28}
}

func (n networks) path(network int) string {
	return fmt.Sprintf("%s/virtualNetworks/%s-%d", networkPath, n.name, network)
}

// subnet is the path of the i-th subnet, when they are taken in turn from all the networks.
func (n networks) subnet(i int) string {
	return fmt.Sprintf("%s/subnets/subnet-%d", n.path(i%n.count), i/n.count%n.perNetwork)
}

// lists are the collections that have all the subnets.
func (n networks) lists() (paths []string) {
	for network := range n.count {
		paths = append(paths, n.path(network)+"/subnets")
	}
	return paths
}

// properties of a subnet. Every second one has an endpoint for Storage, every third a security group, every fifth a route table.
func (n networks) properties(network, subnet int) map[string]any {
	base := netip.AddrFrom4([4]byte{10, byte(n.first + network), 0, 0}).As4()
	offset := subnet << (32 - n.bits)
	base[2], base[3] = byte(offset>>8), byte(offset)
	properties := map[string]any{"addressPrefix": netip.PrefixFrom(netip.AddrFrom4(base), n.bits).String()}
	if subnet%2 == 0 {
		properties["serviceEndpoints"] = []any{endpoint("Microsoft.Storage")}
	}
	if subnet%3 == 0 {
		properties["networkSecurityGroup"] = reference("%s/networkSecurityGroups/group-%d", networkPath, subnet%shared)
	}
	if subnet%5 == 0 {
		properties["routeTable"] = reference("%s/routeTables/table-%d", networkPath, subnet%shared)
	}
	return properties
}

// toggled is the body of the i-th subnet with one endpoint more, one less with every second round of all the subnets.
func (n networks) toggled(i int) json.RawMessage {
	properties := n.properties(i%n.count, i/n.count%n.perNetwork)
	if i/(n.count*n.perNetwork)%2 == 0 {
		have, _ := properties["serviceEndpoints"].([]any)
		properties["serviceEndpoints"] = append(have, endpoint("Microsoft.Sql"))
	}
	return body(map[string]any{"properties": properties})
}

func (n networks) items() (items []resource.Item, err error) {
	for network := range n.count {
		var subnets []any
		for subnet := range n.perNetwork {
			subnets = append(subnets, map[string]any{"name": fmt.Sprintf("subnet-%d", subnet), "properties": n.properties(network, subnet)})
		}
		space := fmt.Sprintf("10.%d.0.0/16", n.first+network)
		item, err := newItem(n.path(network), body(map[string]any{"location": region, "properties": map[string]any{
			"addressSpace": map[string]any{"addressPrefixes": []any{space}}, "subnets": subnets}}))
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

func (w apiWorld) account(i int) string {
	return fmt.Sprintf("%s/providers/Microsoft.Storage/storageAccounts/account%d", groupPath, i%accounts)
}

// accountBody lets ten subnets in; another ten with every round of all the accounts.
func (w apiWorld) accountBody(i int) json.RawMessage {
	small, rules := w.small(), []any{}
	for rule := range 10 {
		subnet := (i/accounts*2 + rule/smallVNets*2) % small.perNetwork &^ 1 // an even one has the endpoint
		rules = append(rules, map[string]any{"id": fmt.Sprintf("%s/subnets/subnet-%d", small.path((i+rule)%smallVNets), subnet)})
	}
	return body(map[string]any{"location": region, "kind": "StorageV2", "sku": map[string]any{"name": "Standard_LRS"},
		"properties": map[string]any{"networkAcls": map[string]any{"defaultAction": "Deny", "virtualNetworkRules": rules}}})
}

// fill makes the nodes and all resources but the large network.
func (w apiWorld) fill(ctx context.Context, running *cloud.Cloud, progress func(string)) error {
	items, err := resource.Load("fabric", []byte(apiFabric))
	if err != nil {
		return err
	}
	add := func(path string, content json.RawMessage) {
		item, failure := newItem(path, content)
		err = errors.Join(err, failure)
		items = append(items, item)
	}
	for i := range shared {
		var routes, rules []any
		for j := range 10 {
			routes = append(routes, map[string]any{"name": fmt.Sprintf("route-%d", j), "properties": map[string]any{
				"addressPrefix": fmt.Sprintf("192.168.%d.0/24", 10*i+j), "nextHopType": "None"}})
			rules = append(rules, map[string]any{"name": fmt.Sprintf("rule-%d", j), "properties": map[string]any{
				"priority": 100 + j, "direction": "Inbound", "access": "Allow", "protocol": "Tcp", "sourceAddressPrefix": "VirtualNetwork",
				"sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": fmt.Sprint(8000 + 10*i + j)}})
		}
		add(fmt.Sprintf("%s/routeTables/table-%d", networkPath, i), body(map[string]any{"location": region, "properties": map[string]any{"routes": routes}}))
		add(fmt.Sprintf("%s/networkSecurityGroups/group-%d", networkPath, i), body(map[string]any{"location": region, "properties": map[string]any{"securityRules": rules}}))
	}
	for i := range w.subnets { // small resources: what a list of many has
		add(fmt.Sprintf("%s/applicationSecurityGroups/asg-%05d", networkPath, i), body(map[string]any{"location": region, "properties": map[string]any{}}))
	}
	vnets, failure := w.small().items()
	if failure != nil {
		return failure
	}
	items = append(items, vnets...)
	for i := range accounts {
		add(w.account(i), w.accountBody(i))
	}
	for i := range machines {
		add(fmt.Sprintf("%s/networkInterfaces/nic-%d", networkPath, i), body(map[string]any{"location": region, "properties": map[string]any{
			"ipConfigurations": []any{map[string]any{"name": "main", "properties": map[string]any{"subnet": map[string]any{"id": w.small().subnet(i)}}}}}}))
	}
	if err != nil {
		return err
	}
	return write(ctx, running, items, progress)
}

func (w apiWorld) fillLarge(ctx context.Context, running *cloud.Cloud, progress func(string)) error {
	items, err := w.large().items()
	if err != nil {
		return err
	}
	return write(ctx, running, items, progress)
}

// write makes resources in few changes, in their order.
func write(ctx context.Context, running *cloud.Cloud, items []resource.Item, progress func(string)) error {
	for done := 0; done < len(items); done += batchSize {
		progress(fmt.Sprintf("filling: %d of %d resources", done, len(items)))
		if _, err := running.API().Apply(ctx, items[done:min(done+batchSize, len(items))], nil); err != nil {
			return err
		}
	}
	return nil
}

func newItem(path string, content json.RawMessage) (resource.Item, error) {
	id, err := resource.ParseID(path)
	return resource.Item{ID: id, Body: content}, err
}

func body(content map[string]any) json.RawMessage {
	data, err := json.Marshal(content)
	if err != nil {
		panic(fmt.Sprintf("a body does not marshal: %v", err)) // plain data always does
	}
	return data
}

func endpoint(service string) map[string]any { return map[string]any{"service": service} }

func reference(format string, args ...any) map[string]any {
	return map[string]any{"id": fmt.Sprintf(format, args...)}
}
