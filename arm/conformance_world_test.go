package arm_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"postern/api"
	"postern/model"
	"postern/resource"
)

// world is the cloud of one example, with what the example refers to. It is made without HTTP.
type world struct {
	*clients
	region string
	main   resource.ID
	listed map[string]bool // keys of the resources of a list's documented answer
	spaces []string        // address space of the remote VNet of a peering, from the documented answer
	own    []string        // address space of the VNet that the example is in
	remote map[string]any  // more about that VNet
	count  int

	machineIn resource.ID // the subnet of a network watcher's VM, where a documented answer tells it
}

func newWorld(c *clients, id resource.ID, body, answer map[string]any) *world {
	w := &world{clients: c, region: "eastus", main: id, listed: make(map[string]bool)}
	for _, element := range listAt(answer, "value") {
		text, _ := element.(map[string]any)["id"].(string)
		if id, ok := parse(text); ok {
			w.listed[id.Root().Key()] = true
		}
		if prefix, ok := objectAt(element.(map[string]any), "properties")["addressPrefix"].(string); ok {
			w.own = append(w.own, prefix) // the VNet of a list of subnets must hold them all
		}
	}
	w.learn(body, answer)
	return w
}

// learn reads out of a request and a documented answer what the resources around must be like.
func (w *world) learn(body, answer map[string]any) {
	w.spaces, w.remote = nil, make(map[string]any)
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
}

// isMain tells whether a top-level resource is the one that the call is about, or in.
func (w *world) isMain(id resource.ID) bool {
	return len(w.main.Names) > 0 && id.Key() == w.main.Root().Key()
}

// clear removes everything but the fabric.
func (c *clients) clear() error {
	cloud, err := c.plane.Cache.Current(c.ctx)
	if err != nil {
		return err
	}
	var gone []resource.ID
	for _, record := range cloud.Records("") {
		id, err := resource.ParseID(record.ID)
		if err != nil {
			return err
		}
		if record.Type != resource.TypeNode && record.Type != resource.TypeSettings {
			gone = append(gone, id)
		}
	}
	_, err = c.plane.API.Apply(c.ctx, api.Batch{Delete: gone})
	return err
}

func objectAt(object map[string]any, name string) map[string]any {
	inner, _ := object[name].(map[string]any)
	return inner
}

func listAt(object map[string]any, name string) []any {
	list, _ := object[name].([]any)
	return list
}

func words(value any) []string {
	var list []string
	elements, _ := value.([]any)
	for _, element := range elements {
		list = append(list, element.(string))
	}
	return list
}

// parse reads an id of a resource of a known type in a group.
func parse(text string) (resource.ID, bool) {
	id, err := resource.ParseID(text)
	return id, err == nil && !id.IsGroup()
}

// requireAll makes what a body refers to, if it can exist.
func (w *world) requireAll(value any) error {
	switch value := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			text, _ := value[name].(string)
			if id, ok := parse(text); ok && name == "id" && !w.isMain(id.Root()) && !w.listed[id.Root().Key()] {
				if err := w.require(id); err != nil {
					return err
				}
			}
			if err := w.requireAll(value[name]); err != nil {
				return err
			}
		}
	case []any:
		for _, element := range value {
			if err := w.requireAll(element); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *world) has(id resource.ID) bool {
	_, err := w.plane.API.Get(w.ctx, id)
	return err == nil
}

// required is the id of a resource that no example names.
func required(typ string, names ...string) resource.ID {
	provider, rest, _ := strings.Cut(typ, "/")
	return resource.ID{Subscription: resource.DefaultSubscription, ResourceGroup: "required", Provider: provider, Types: strings.Split(rest, "/"), Names: names}
}

// require makes the least that a resource can be, unless it is there.
func (w *world) require(id resource.ID) error {
	if w.has(id) {
		return nil
	}
	if id.IsChild() {
		if err := w.require(id.Root()); err != nil {
			return err
		}
		least, err := w.leastChild(id)
		if err != nil {
			return err
		}
		return w.needed(id, map[string]any{"properties": least})
	}
	body := map[string]any{"location": w.region}
	switch id.Type() {
	case resource.TypeVirtualNetwork:
		spaces := []string{fmt.Sprintf("10.%d.0.0/16", 100+w.count)}
		if w.isMain(id) && len(w.own) > 0 {
			spaces = w.own
		} else if !w.isMain(id) && len(w.spaces) > 0 {
			spaces, w.spaces = w.spaces, nil
		}
		w.count++
		properties := map[string]any{"addressSpace": map[string]any{"addressPrefixes": spaces}}
		if !w.isMain(id) {
			maps.Copy(properties, w.remote)
		}
		body["properties"] = properties
	case resource.TypePublicIPPrefix:
		body["properties"] = map[string]any{"prefixLength": 30}
	case resource.TypeNetworkInterface:
		subnet := required(resource.TypeVirtualNetwork+"/subnets", "required", "default")
		if err := w.require(subnet); err != nil {
			return err
		}
		body["properties"] = map[string]any{"ipConfigurations": []any{map[string]any{"name": "ipconfig1",
			"properties": map[string]any{"subnet": map[string]any{"id": subnet.String()}}}}}
	case resource.TypePublicIPAddress: // as NAT gateways take it
		body["sku"], body["properties"] = map[string]any{"name": "Standard"}, map[string]any{"publicIPAllocationMethod": "Static"}
	case resource.TypeVirtualMachine:
		return nil // made with its NIC: see use
	}
	return w.needed(id, body)
}

// leastChild is the least that a child can be.
func (w *world) leastChild(id resource.ID) (map[string]any, error) {
	switch id.Types[1] {
	case "subnets":
		vnet, err := w.vnet(id.Root())
		if err != nil {
			return nil, err
		}
		address := vnet.AddressSpace[0].Addr()
		for range 256 * len(vnet.Subnets) {
			address = address.Next()
		}
		bits := max(24, vnet.AddressSpace[0].Bits())
		return map[string]any{"addressPrefix": fmt.Sprintf("%s/%d", address, bits), "serviceEndpoints": []any{map[string]any{"service": "Microsoft.Storage"}}}, nil
	case "routes":
		return map[string]any{"addressPrefix": "192.0.2.0/24", "nextHopType": "None"}, nil
	case "securityRules":
		return map[string]any{"priority": 4096, "direction": "Inbound", "access": "Deny", "protocol": "*", "sourceAddressPrefix": "*", "sourcePortRange": "*",
			"destinationAddressPrefix": "*", "destinationPortRange": "*"}, nil
	case "serviceEndpointPolicyDefinitions":
		return map[string]any{"service": "Microsoft.Storage", "serviceResources": []any{"/subscriptions/" + resource.DefaultSubscription}}, nil
	case "virtualNetworkPeerings":
		remote := required(resource.TypeVirtualNetwork, "remote")
		return map[string]any{"remoteVirtualNetwork": map[string]any{"id": remote.String()}}, w.require(remote)
	}
	return nil, fmt.Errorf("no least %s is known", id.Type())
}

func (w *world) vnet(id resource.ID) (*model.VirtualNetwork, error) {
	cloud, err := w.plane.Cache.Current(w.ctx)
	if err != nil {
		return nil, err
	}
	for _, vnet := range cloud.Snapshot().VirtualNetworks {
		if vnet.ID.Is(id.Model()) {
			return vnet, nil
		}
	}
	return nil, resource.NotFound(id)
}

// needed writes what the example needs. That it cannot be made is the example's outcome.
func (w *world) needed(id resource.ID, body map[string]any) error {
	if err := w.put(id, body); err != nil {
		return fmt.Errorf("what it refers to cannot be made: %w", err)
	}
	return nil
}

func (w *world) put(id resource.ID, body map[string]any) error {
	body = maps.Clone(body)
	for _, name := range []string{"id", "name", "type"} { // the examples' own ids do not always agree with their calls
		delete(body, name)
	}
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	_, err = w.plane.API.Apply(w.ctx, api.Batch{Resources: []resource.Item{{ID: id, Body: data}}})
	return err
}

var subscriptions = regexp.MustCompile(`(?i)/subscriptions/[^/"]+/resourceGroups/`)

// placeholders are names that no resource and no region has: those of a pair of regions that Azure's own tests are in, and
// what the examples put in braces.
var placeholders = map[string]string{"eastus2(stage)": "eastus2", "northcentralus(stage)": "centralus", "{managed-identity-name}": "managed-identity-name"}

// rewritten is a copy of a value with its ids moved to the one subscription, and placeholders made names.
func rewritten(value any) (any, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	data = subscriptions.ReplaceAll(data, []byte("/subscriptions/"+resource.DefaultSubscription+"/resourceGroups/"))
	for from, to := range placeholders {
		data = bytes.ReplaceAll(data, []byte(from), []byte(to))
	}
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.UseNumber()
	var copied any
	return copied, decoder.Decode(&copied)
}
