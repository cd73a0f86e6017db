package arm_test

import (
	"maps"
	"slices"
	"strings"

	"postern/model"
	"postern/resource"
)

// use makes the NICs and subnets that a documented answer says a resource is used by, and answers whether there are any.
func (w *world) use(id resource.ID, answer map[string]any) (bool, error) {
	properties := objectAt(answer, "properties")
	switch id.Type() {
	case resource.TypePublicIPAddress:
		subnet := required(resource.TypeVirtualNetwork+"/subnets", "required", "default")
		return w.attach(objectAt(properties, "ipConfiguration"), subnet, id)
	case resource.TypePublicIPPrefix:
		return w.split(properties, id)
	case resource.TypeVirtualNetwork + "/subnets":
		return w.attachAll(properties, id)
	case resource.TypeNatGateway:
		return w.bind(properties, "natGateway", id)
	case resource.TypeRouteTable:
		return w.bind(properties, "routeTable", id)
	case resource.TypeServiceEndpointPolicy:
		return w.bind(properties, "serviceEndpointPolicies", id)
	case resource.TypeNetworkSecurityGroup:
		return w.bind(properties, "networkSecurityGroup", id)
	case resource.TypeNetworkInterface:
		return w.run(id, properties)
	case resource.TypeVirtualNetwork:
		used, err := w.route(id, properties)
		if err != nil {
			return used, err
		}
		for _, element := range listAt(properties, "subnets") {
			subnet := element.(map[string]any)
			name, _ := subnet["name"].(string)
			some, err := w.attachAll(objectAt(subnet, "properties"), childOf(id, "subnets", name))
			if used = used || some; err != nil {
				return used, err
			}
		}
		return used, nil
	}
	return false, nil
}

// split makes the public IPs that are documented to be out of a prefix.
func (w *world) split(properties map[string]any, prefix resource.ID) (bool, error) {
	used := false
	for _, element := range listAt(properties, "publicIPAddresses") {
		text, _ := element.(map[string]any)["id"].(string)
		public, ok := parse(text)
		if !ok {
			continue
		}
		used = true
		if err := w.remove(public); err != nil { // it was made as what the documented answer refers to
			return used, err
		}
		if err := w.needed(public, map[string]any{"location": w.region, "sku": map[string]any{"name": "Standard"},
			"properties": map[string]any{"publicIPAllocationMethod": "Static", "publicIPPrefix": map[string]any{"id": prefix.String()}}}); err != nil {
			return used, err
		}
	}
	return used, nil
}

// run makes the VM that a NIC is documented to be of.
func (w *world) run(id resource.ID, properties map[string]any) (bool, error) {
	text, _ := objectAt(properties, "virtualMachine")["id"].(string)
	vm, ok := parse(text)
	if !ok {
		return false, nil
	}
	return true, w.needed(vm, map[string]any{"location": w.region, "properties": map[string]any{
		"networkProfile": map[string]any{"networkInterfaces": []any{map[string]any{"id": id.String()}}}}})
}

// route makes the NAT gateway that a VNet is documented to leave by.
func (w *world) route(id resource.ID, properties map[string]any) (bool, error) {
	text, _ := objectAt(properties, "defaultPublicNatGateway")["id"].(string)
	gateway, ok := parse(text)
	if !ok {
		return false, nil
	}
	return true, w.needed(gateway, map[string]any{"location": w.region, "sku": map[string]any{"name": "StandardV2"},
		"properties": map[string]any{"sourceVirtualNetwork": map[string]any{"id": id.String()}}})
}

// guard makes a NIC with the security group whose own rules are documented as effective.
func (w *world) guard(id resource.ID, answer map[string]any) error {
	if err := w.require(id); err != nil {
		return err
	}
	for _, element := range listAt(answer, "value") {
		told := element.(map[string]any)
		text, _ := objectAt(told, "networkSecurityGroup")["id"].(string)
		group, ok := parse(text)
		if !ok {
			continue
		}
		var rules []any
		for _, element := range listAt(told, "effectiveSecurityRules") {
			rule := maps.Clone(element.(map[string]any))
			name, own := strings.CutPrefix(rule["name"].(string), "securityRules/")
			delete(rule, "name")
			if own {
				rules = append(rules, map[string]any{"name": name, "properties": rule})
			}
		}
		if err := w.needed(group, map[string]any{"location": w.region, "properties": map[string]any{"securityRules": rules}}); err != nil {
			return err
		}
		subnet := required(resource.TypeVirtualNetwork+"/subnets", "required", "default")
		return w.needed(id, map[string]any{"location": w.region, "properties": map[string]any{"networkSecurityGroup": map[string]any{"id": group.String()},
			"ipConfigurations": []any{map[string]any{"name": "one", "properties": map[string]any{"subnet": map[string]any{"id": subnet.String()}}}}}})
	}
	return nil
}

func childOf(id resource.ID, collection, name string) resource.ID {
	id.Types, id.Names = append(slices.Clone(id.Types), collection), append(slices.Clone(id.Names), name)
	return id
}

// bind makes the subnets that a resource is documented to be used by.
func (w *world) bind(properties map[string]any, member string, id resource.ID) (bool, error) {
	used := false
	for _, element := range listAt(properties, "subnets") {
		text, _ := element.(map[string]any)["id"].(string)
		subnet, ok := parse(text)
		if !ok {
			continue
		}
		if err := w.require(subnet); err != nil {
			return used, err
		}
		vnet, err := w.vnet(subnet.Root())
		if err != nil {
			return used, err
		}
		at := slices.IndexFunc(vnet.Subnets, func(have model.Subnet) bool { return have.ID.Is(subnet.Model()) })
		reference := any(map[string]any{"id": id.String()})
		if member == "serviceEndpointPolicies" {
			reference = []any{reference}
		}
		used = true
		if err := w.put(subnet, map[string]any{"properties": map[string]any{"addressPrefix": vnet.Subnets[at].Prefixes[0].String(), member: reference,
			"serviceEndpoints": []any{map[string]any{"service": "Microsoft.Storage"}}}}); err != nil {
			return used, err
		}
	}
	return used, nil
}

func (w *world) attachAll(subnet map[string]any, id resource.ID) (bool, error) {
	used := false
	for _, element := range listAt(subnet, "ipConfigurations") {
		some, err := w.attach(element.(map[string]any), id, resource.ID{})
		if used = used || some; err != nil {
			return used, err
		}
	}
	return used, nil
}

// attach makes a NIC with a documented ipConfiguration in a subnet, if it is a NIC's.
func (w *world) attach(configuration map[string]any, subnet, public resource.ID) (bool, error) {
	text, _ := configuration["id"].(string)
	text, name, ok := cutLast(text, "/ipConfigurations/")
	nic, known := parse(text)
	if !ok || !known || nic.Type() != resource.TypeNetworkInterface {
		return false, nil
	}
	if err := w.require(subnet); err != nil {
		return false, err
	}
	inner := map[string]any{"subnet": map[string]any{"id": subnet.String()}}
	if public.Provider != "" {
		inner["publicIPAddress"] = map[string]any{"id": public.String()}
	}
	return true, w.put(nic, map[string]any{"location": w.region, "properties": map[string]any{
		"ipConfigurations": []any{map[string]any{"name": name, "properties": inner}}}})
}

// cutLast cuts a text at the last place of a separator.
func cutLast(text, separator string) (before, after string, found bool) {
	at := strings.LastIndex(text, separator)
	if at < 0 {
		return text, "", false
	}
	return text[:at], text[at+len(separator):], true
}
