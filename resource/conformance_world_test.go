package resource

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
)

// world is the cloud of one example, with what the example refers to.
type world struct {
	t      *testing.T
	cloud  *Cloud
	region string
	main   ID
	spaces []string       // address space of the remote VNet of a peering, from the documented answer
	own    []string       // address space of the VNet that the example is in
	remote map[string]any // more about that VNet
	count  int
	failed error
}

func newWorld(t *testing.T, id ID, body, answer map[string]any) *world {
	t.Helper()
	cloud, err := NewCloud(nil, FirstCounters, 0)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, cloud: cloud, region: "eastus", main: id, remote: make(map[string]any)}
	for _, source := range []map[string]any{body, answer} {
		if location, ok := source["location"].(string); ok {
			w.region = shortLocation(location)
			break
		}
	}
	for _, source := range []map[string]any{answer, body} {
		properties := objectAt(source, "properties")
		w.spaces = append(w.spaces, words(objectAt(properties, "remoteAddressSpace")["addressPrefixes"])...)
		for from, to := range map[string]string{"remoteBgpCommunities": "bgpCommunities", "remoteVirtualNetworkEncryption": "encryption"} {
			if value := properties[from]; value != nil {
				w.remote[to] = value
			}
		}
		if prefix, ok := properties["addressPrefix"].(string); ok {
			w.own = append(w.own, prefix)
		}
		w.own = append(w.own, words(properties["addressPrefixes"])...)
	}
	slices.Sort(w.own)
	w.own = slices.Compact(w.own)
	slices.Sort(w.spaces)
	w.spaces = slices.Compact(w.spaces)
	w.make(mustID(t, "nodes/host"), map[string]any{"location": w.region, "properties": map[string]any{"role": "host", "locator": "fd00:1:1:100::/56"}})
	if id.IsChild() {
		w.require(id.Root())
	}
	w.requireAll(body)
	w.requireAll(answer)
	return w
}

func words(value any) []string {
	var list []string
	elements, _ := value.([]any)
	for _, element := range elements {
		list = append(list, element.(string))
	}
	return list
}

// requireAll makes what a body refers to, if it can exist.
func (w *world) requireAll(value any) {
	switch value := value.(type) {
	case map[string]any:
		for _, name := range sortedKeys(value) {
			text, _ := value[name].(string)
			if id, err := ParseID(text); name == "id" && err == nil && id.Root().Key() != w.main.Root().Key() {
				w.require(id)
			}
			w.requireAll(value[name])
		}
	case []any:
		for _, element := range value {
			w.requireAll(element)
		}
	}
}

// require makes the least that a resource can be, unless it is there.
func (w *world) require(id ID) {
	if w.cloud.has(id.Model()) {
		return
	}
	if id.IsChild() {
		w.require(id.Root())
		w.make(id, map[string]any{"properties": w.leastChild(id)})
		return
	}
	body := map[string]any{"location": w.region}
	switch id.Type() {
	case TypeVirtualNetwork:
		spaces := []string{fmt.Sprintf("10.%d.0.0/16", 100+w.count)}
		if id.Key() == w.main.Root().Key() && len(w.own) > 0 {
			spaces = w.own
		} else if id.Key() != w.main.Root().Key() && len(w.spaces) > 0 {
			spaces, w.spaces = w.spaces, nil
		}
		w.count++
		properties := map[string]any{"addressSpace": map[string]any{"addressPrefixes": spaces}}
		if id.Key() != w.main.Root().Key() {
			maps.Copy(properties, w.remote)
		}
		body["properties"] = properties
	case TypeNetworkInterface:
		subnet := mustID(w.t, "virtualNetworks/required/subnets/default")
		w.require(subnet)
		body["properties"] = map[string]any{"ipConfigurations": []any{map[string]any{"name": "ipconfig1",
			"properties": map[string]any{"subnet": map[string]any{"id": subnet.String()}}}}}
	case TypeVirtualMachine:
		return // they are never referred to in a write
	}
	w.make(id, body)
}

// leastChild is the least that a child can be.
func (w *world) leastChild(id ID) map[string]any {
	switch id.Types[1] {
	case "subnets":
		vnet := w.cloud.vnet(id.Root().Model())
		address := vnet.AddressSpace[0].Addr()
		for range 256 * len(vnet.Subnets) {
			address = address.Next()
		}
		return map[string]any{"addressPrefix": address.String() + "/24", "serviceEndpoints": []any{map[string]any{"service": "Microsoft.Storage"}}}
	case "routes":
		return map[string]any{"addressPrefix": "192.0.2.0/24", "nextHopType": "None"}
	case "securityRules":
		return map[string]any{"priority": 4096, "direction": "Inbound", "access": "Deny", "protocol": "*", "sourceAddressPrefix": "*", "sourcePortRange": "*",
			"destinationAddressPrefix": "*", "destinationPortRange": "*"}
	case "serviceEndpointPolicyDefinitions":
		return map[string]any{"service": "Microsoft.Storage", "serviceResources": []any{"/subscriptions/" + DefaultSubscription}}
	case "virtualNetworkPeerings":
		remote := mustID(w.t, "virtualNetworks/remote")
		w.require(remote)
		return map[string]any{"remoteVirtualNetwork": map[string]any{"id": remote.String()}}
	}
	w.t.Fatalf("no least %s is known", id.Type())
	return nil
}

// make writes what the example needs. That it cannot be made is the example's outcome.
func (w *world) make(id ID, body map[string]any) {
	if err := w.put(id, body); err != nil && w.failed == nil {
		w.failed = fmt.Errorf("what it refers to cannot be made: %w", err)
	}
}

func (w *world) put(id ID, body map[string]any) error {
	delete(body, "type")
	for _, name := range []string{"id", "name"} { // the examples' own ids do not always agree with their calls
		delete(body, name)
	}
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	c := NewChange(w.cloud, testOptions())
	if _, err := c.Put(id, data); err != nil {
		return err
	}
	return w.finish(c)
}

func (w *world) patch(id ID, patch map[string]any) error {
	current, err := w.cloud.Render(id, "Succeeded")
	if err != nil {
		return err
	}
	data, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	body, err := Patch(id, current, data)
	if err != nil {
		return err
	}
	c := NewChange(w.cloud, testOptions())
	if _, err := c.Put(id, body); err != nil {
		return err
	}
	return w.finish(c)
}

func (w *world) finish(c *Change) error {
	outcome, err := c.Finish()
	if err != nil {
		return err
	}
	w.cloud = outcome.After.At(w.cloud.Revision+1, outcome.Puts)
	return nil
}

// use makes the NICs that a documented answer says a resource is used by.
func (w *world) use(id ID, answer map[string]any) error {
	properties := objectAt(answer, "properties")
	switch id.Type() {
	case TypePublicIPAddress:
		subnet := mustID(w.t, "virtualNetworks/required/subnets/default")
		return w.attach(objectAt(properties, "ipConfiguration"), subnet, id)
	case TypeVirtualNetwork + "/subnets":
		return w.attachAll(properties, id)
	case TypeNatGateway:
		return w.bind(properties, "natGateway", id)
	case TypeRouteTable:
		return w.bind(properties, "routeTable", id)
	case TypeNetworkSecurityGroup:
		return w.bind(properties, "networkSecurityGroup", id)
	case TypeVirtualNetwork:
		for _, element := range listIn(properties, "subnets") {
			subnet := element.(map[string]any)
			name, _ := subnet["name"].(string)
			inside := id
			inside.Types, inside.Names = append(slices.Clone(id.Types), "subnets"), append(slices.Clone(id.Names), name)
			if err := w.attachAll(objectAt(subnet, "properties"), inside); err != nil {
				return err
			}
		}
	}
	return nil
}

// bind makes the subnets that a resource is documented to be used by.
func (w *world) bind(properties map[string]any, member string, id ID) error {
	for _, element := range listIn(properties, "subnets") {
		text, _ := element.(map[string]any)["id"].(string)
		subnet, err := ParseID(text)
		if err != nil {
			continue
		}
		w.require(subnet.Root())
		body := w.leastChild(subnet)
		if have, _ := w.cloud.subnet(subnet.Model()); have != nil {
			body["addressPrefix"] = have.Prefixes[0].String()
		}
		body[member] = map[string]any{"id": id.String()}
		if err := w.put(subnet, map[string]any{"properties": body}); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) attachAll(subnet map[string]any, id ID) error {
	for _, element := range listIn(subnet, "ipConfigurations") {
		if err := w.attach(element.(map[string]any), id, ID{}); err != nil {
			return err
		}
	}
	return nil
}

// attach makes a NIC with a documented ipConfiguration in a subnet, if it is a NIC's.
func (w *world) attach(configuration map[string]any, subnet, public ID) error {
	text, _ := configuration["id"].(string)
	parsed, err := splitID(text)
	if err != nil || len(parsed.Names) != 2 || parsed.Types[1] != "ipConfigurations" {
		return nil
	}
	nic, err := ParseID(parsed.Root().String())
	if err != nil || nic.Type() != TypeNetworkInterface {
		return nil
	}
	w.require(subnet)
	inner := map[string]any{"subnet": map[string]any{"id": subnet.String()}}
	if public.Provider != "" {
		inner["publicIPAddress"] = map[string]any{"id": public.String()}
	}
	return w.put(nic, map[string]any{"location": w.region, "properties": map[string]any{
		"ipConfigurations": []any{map[string]any{"name": parsed.Names[1], "properties": inner}}}})
}
