package arm_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"postern/api"
	"postern/resource"
	"postern/resource/sdktest"
	"postern/service"
)

// act makes what an example needs, then its call.
func (c *clients) act(typ string, example sdktest.Example, arguments []any, body, answer map[string]any) (map[string]any, error) {
	if strings.Contains(typ, "/locations/") {
		if err := c.offers(example, answer); err != nil {
			return nil, err
		}
		if names := example.Names(); len(names) > 1 { // a group and a region
			if err := newWorld(c, resource.ID{}, body, answer).groups(names[0]); err != nil {
				return nil, err
			}
		}
		have, err := c.call(example, arguments)
		return have, errors.Join(err, c.usualTags())
	}
	names := example.Names()
	id := idOf(typ, names)
	w := newWorld(c, id, body, answer)
	if len(names) > 0 {
		if err := w.groups(names[0]); err != nil {
			return nil, err
		}
	}
	if len(id.Names) > 1 || len(id.Names) < len(id.Types) && len(id.Types) > 1 {
		if err := w.require(id.Root()); err != nil {
			return nil, err
		}
	}
	if err := w.requireAll(body); err != nil {
		return nil, err
	}
	for _, object := range append([]any{body, answer}, listAt(answer, "value")...) {
		if object, ok := object.(map[string]any); ok {
			if err := w.identities(object); err != nil {
				return nil, err
			}
		}
	}
	if listAt(answer, "value") == nil {
		if err := w.requireAll(answer); err != nil {
			return nil, err
		}
	}
	if err := w.stage(id, example, body, answer); err != nil {
		_, _ = c.call(example, arguments) // whatever is answered, its members are compared with the SDK's model
		return nil, err
	}
	have, err := c.call(example, arguments)
	if err == nil && strings.HasSuffix(example.Method, "Delete") && w.has(id) {
		return nil, fmt.Errorf("%s is there after it was deleted", id)
	}
	return have, err
}

// stage makes the resource that a call is about, as the documented answer has it before the call.
func (w *world) stage(id resource.ID, example sdktest.Example, body, answer map[string]any) error {
	if len(id.Types) > 1 && !resource.IsCollection(id.Provider+"/"+id.Types[0], id.Types[1]) {
		return nil // of a type that comes with its parent
	}
	switch method := strings.TrimPrefix(example.Method, "Begin"); method {
	case "CreateOrUpdate", "Create":
		// Who uses a resource can only come after it: then the call is the second one.
		if err := w.put(id, body); err != nil {
			return nil // the call itself will say so
		}
		if used, err := w.use(id, answer); used || err != nil {
			return err
		}
		return w.remove(id)
	case "Get":
		return w.stand(id, answer)
	case "GetProperties":
		seed, err := w.account(id, example, answer)
		if err != nil {
			return err
		}
		return w.stand(id, seed)
	case "Update", "UpdateTags":
		seed := maps.Clone(answer)
		if body["tags"] != nil {
			delete(seed, "tags")
		}
		return w.stand(id, seed)
	case "NewListPager", "NewListAllPager", "NewListByResourceGroupPager":
		for _, element := range listAt(answer, "value") {
			one := element.(map[string]any)
			text, _ := one["id"].(string)
			name, _ := one["name"].(string)
			each, ok := parse(text)
			if !ok || each.Type() != id.Type() {
				each = id
				each.Names = append(each.Names[:len(each.Names):len(each.Names)], name)
			}
			if err := w.groups(each.ResourceGroup); err != nil {
				return err
			}
			w.learn(nil, one)
			if err := w.requireAll(one); err != nil {
				return err
			}
			if err := w.stand(each, one); err != nil {
				return err
			}
		}
		return nil
	case "Delete":
		return w.require(id)
	default:
		return w.scene(method, id, answer)
	}
}

// stand writes a resource as it is documented, so far as it can be, with those who use it.
func (w *world) stand(id resource.ID, body map[string]any) error {
	if id.IsChild() {
		if err := w.require(id.Root()); err != nil {
			return err
		}
	}
	if err := w.put(id, body); err != nil {
		return err
	}
	_, err := w.use(id, body)
	return err
}

// groups makes a resource group.
func (w *world) groups(name string) error {
	id, err := resource.ParseID("/subscriptions/" + resource.DefaultSubscription + "/resourceGroups/" + name)
	if err != nil {
		return err
	}
	if w.has(id) {
		return nil
	}
	return w.put(id, map[string]any{"location": w.region})
}

func (w *world) remove(id resource.ID) error {
	_, err := w.plane.API.Delete(w.ctx, id, api.Conditions{})
	return err
}

// idOf is the id that a call's names make of a type; a list's has a name less than types, or no group.
func idOf(typ string, names []string) resource.ID {
	provider, rest, _ := strings.Cut(typ, "/")
	id := resource.ID{Subscription: resource.DefaultSubscription, ResourceGroup: "rg1", Provider: provider, Types: strings.Split(rest, "/")}
	if len(names) > 0 {
		id.ResourceGroup = names[0]
		id.Names = names[1:min(len(names), len(id.Types)+1)]
	}
	return id
}

// offers makes the service tags that a documented answer lists. Counts and limits of usages are the subscription's own.
func (c *clients) offers(example sdktest.Example, answer map[string]any) error {
	if example.Client == "UsagesClient" {
		for _, element := range listAt(answer, "value") {
			delete(element.(map[string]any), "currentValue")
			delete(element.(map[string]any), "limit")
		}
	}
	if !strings.HasPrefix(example.Client, "ServiceTag") {
		return nil
	}
	values := listAt(answer, "values")
	if values == nil {
		values = listAt(answer, "value")
	}
	var tags []tag
	for _, element := range values {
		told := element.(map[string]any)
		properties := objectAt(told, "properties")
		number, _ := properties["changeNumber"].(string)
		change, _ := strconv.Atoi(number)
		region, _ := properties["region"].(string)
		service, _ := properties["systemService"].(string)
		prefixes := words(properties["addressPrefixes"])
		if len(prefixes) == 0 {
			prefixes = []string{"192.0.2.0/24"} // the call asks for none to be answered
		}
		name, _ := told["name"].(string)
		tags = append(tags, newTag(name, region, service, change, prefixes...))
	}
	return c.tags(tags)
}

// tag is one of a service-tag file.
type tag struct {
	Name       string         `json:"name"`
	ID         string         `json:"id"`
	Properties map[string]any `json:"properties"`
}

func newTag(name, region, service string, change int, prefixes ...string) tag {
	return tag{name, name, map[string]any{"changeNumber": change, "region": region, "regionId": 0, "platform": "Azure", "systemService": service,
		"addressPrefixes": prefixes, "networkFeatures": []string{"API", "NSG", "UDR", "FW", "VSE"}}}
}

// usualTags are those of most examples: Storage in each of their regions.
func (c *clients) usualTags() error {
	all := newTag("Storage", "", "AzureStorage", 1)
	tags := []tag{}
	prefixes := []string{}
	for i, region := range exampleRegions {
		prefix := fmt.Sprintf("20.%d.0.0/16", 60+i)
		prefixes = append(prefixes, prefix)
		tags = append(tags, newTag("Storage."+region, region, "AzureStorage", 1, prefix))
	}
	all.Properties["addressPrefixes"] = prefixes
	return c.tags(append(tags, all))
}

func (c *clients) tags(tags []tag) error {
	data, err := json.Marshal(map[string]any{"changeNumber": 63, "cloud": "Public", "values": tags})
	if err != nil {
		return err
	}
	return c.plane.API.PutCatalogue(c.ctx, data)
}

// scene makes what a call that is no plain reading or writing needs.
func (w *world) scene(method string, id resource.ID, answer map[string]any) error {
	switch method {
	case "GetEffectiveRouteTable":
		var spaces []any
		for _, element := range listAt(answer, "value") {
			if route := element.(map[string]any); route["nextHopType"] == "VnetLocal" {
				spaces = append(spaces, listAt(route, "addressPrefix")...)
			}
		}
		vnet := required(resource.TypeVirtualNetwork, "required")
		if err := w.needed(vnet, network(w.region, spaces, "default", spaces[0])); err != nil {
			return err
		}
		return w.require(id)
	case "ListEffectiveNetworkSecurityGroups":
		return w.guard(id, answer)
	case "GetNextHop", "VerifyIPFlow", "CheckConnectivity", "GetTopology", "GetVMSecurityRules", "GetNetworkConfigurationDiagnostic":
		return w.watched(method, id)
	case "Failover": // where to is the second region of a backend that both have
		return w.needed(id, map[string]any{"location": w.region, "sku": map[string]any{"name": "Standard_GRS"}, "tags": map[string]any{service.TagBackend: sharedBackend}})
	case "CheckIPAddressAvailability": // of 10.0.1.4
		if err := w.needed(id, network(w.region, []any{"10.0.0.0/16"}, "default", "10.0.1.0/24")); err != nil {
			return err
		}
		_, err := w.attach(map[string]any{"id": required(resource.TypeNetworkInterface, "nic").String() + "/ipConfigurations/one"}, childOf(id, "subnets", "default"), resource.ID{})
		return err
	case "NewListUsagePager": // two of three addresses are taken
		if err := w.needed(id, network(w.region, []any{"10.0.0.0/16"}, "newSubnet", "10.0.0.0/29", "GatewaySubnet", "10.0.1.0/27")); err != nil {
			return err
		}
		for _, name := range []string{"nic1", "nic2"} {
			configuration := map[string]any{"id": required(resource.TypeNetworkInterface, name).String() + "/ipConfigurations/one"}
			if _, err := w.attach(configuration, childOf(id, "subnets", "newSubnet"), resource.ID{}); err != nil {
				return err
			}
		}
		return nil
	}
	if len(id.Names) < len(id.Types) {
		return nil
	}
	return w.require(id)
}

// network is the body of a VNet with subnets: names and prefixes in turn.
func network(region string, spaces []any, subnets ...any) map[string]any {
	var list []any
	for i := 0; i+1 < len(subnets); i += 2 {
		list = append(list, map[string]any{"name": subnets[i], "properties": map[string]any{"addressPrefix": subnets[i+1]}})
	}
	return map[string]any{"location": region, "properties": map[string]any{"addressSpace": map[string]any{"addressPrefixes": spaces}, "subnets": list}}
}
