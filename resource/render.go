package resource

import (
	"encoding/json"
	"fmt"
	"strings"

	"postern/model"
)

// Render is ARM's answer about a resource or a child: the body as written with id, name, type, etag, the
// provisioning state and what was allotted. The state is "Succeeded" when every node has applied the resource,
// "Updating" before.
func (c *Cloud) Render(id ID, state string) (json.RawMessage, error) {
	record, ok := c.Record(id)
	if !ok {
		return nil, NotFound(id)
	}
	object, err := readObject(record.Body)
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", id, err)
	}
	c.decorate(object, c.entries[record.Key()], state)
	if !id.IsChild() {
		return json.Marshal(object)
	}
	spec, childSpec, _ := lookup(id.Provider, id.Types)
	properties, _ := object[member(object, "properties")].(map[string]any)
	list, _ := properties[member(properties, childSpec.property)].([]any)
	for _, child := range list {
		if nameOf(child, id.Name()) {
			child.(map[string]any)["type"] = spec.name + "/" + childSpec.collection
			return json.Marshal(child)
		}
	}
	return nil, NotFound(id)
}

// decorate adds to a body what ARM answers besides.
func (c *Cloud) decorate(object map[string]any, e *entry, state string) {
	id, etag := model.ResourceID(e.record.ID), e.record.ETag()
	object["id"], object["name"], object["type"], object["etag"] = e.record.ID, id.Name(), e.record.Type, etag
	properties := objectIn(object, "properties")
	properties["provisioningState"] = state
	spec, _, _ := lookupName(e.record.Type)
	for i := range spec.children {
		list, _ := properties[member(properties, spec.children[i].property)].([]any)
		for _, element := range list {
			child := element.(map[string]any)
			name, _ := child[member(child, "name")].(string)
			child["id"], child["etag"] = string(childID(e.record.ID, spec.children[i].collection, name)), etag
			objectIn(child, "properties")["provisioningState"] = state
		}
	}
	switch noun := e.noun.(type) {
	case *model.VirtualNetwork:
		decorateEndpoints(properties, noun.Location, state)
		c.decoratePeerings(properties, noun, state)
	case *networkInterface:
		decorateInterface(properties, noun, e.record.ID, etag, state)
	case *model.PublicIPAddress:
		properties["ipAddress"] = noun.IPv4.String()
	case *virtualMachine:
		properties["vmId"] = e.record.Allotted.VMID
		if noun.PrincipalID != "" {
			identity := objectIn(object, "identity")
			identity["principalId"], identity["tenantId"] = noun.PrincipalID, c.Snapshot().Settings.Tenant
		}
	case *storageAccount:
		c.decorateAccount(properties, noun)
	}
}

// decorateEndpoints answers each service endpoint's state and regions (SE-11).
func decorateEndpoints(properties map[string]any, region model.Location, state string) {
	subnets, _ := properties[member(properties, "subnets")].([]any)
	for _, subnet := range subnets {
		inner := objectIn(subnet.(map[string]any), "properties")
		endpoints, _ := inner[member(inner, "serviceEndpoints")].([]any)
		for _, element := range endpoints {
			endpoint := element.(map[string]any)
			name, _ := endpoint[member(endpoint, "service")].(string)
			service, _ := endpointNamed(name)
			locations := []string{"*"}
			if service.Scope != model.ScopeGlobal {
				locations = []string{string(region)}
			}
			if pair := model.RegionPair(region); service.Scope == model.ScopeRegionPair && pair != "" {
				locations = append(locations, string(pair))
			}
			endpoint["provisioningState"], endpoint["locations"] = state, locations
		}
	}
}

// decoratePeerings answers each half's state: Connected when the other half exists, Initiated while it does not,
// Disconnected when the other VNet is gone.
func (c *Cloud) decoratePeerings(properties map[string]any, vnet *model.VirtualNetwork, state string) {
	list, _ := properties[member(properties, "virtualNetworkPeerings")].([]any)
	for i, element := range list {
		inner := objectIn(element.(map[string]any), "properties")
		switch remote := c.vnet(vnet.Peerings[i].RemoteVirtualNetwork); {
		case remote == nil:
			inner["peeringState"] = "Disconnected"
		case peered(remote, vnet):
			inner["peeringState"] = "Connected"
		default:
			inner["peeringState"] = "Initiated"
		}
	}
}

func decorateInterface(properties map[string]any, nic *networkInterface, id, etag, state string) {
	properties["macAddress"] = strings.ToUpper(strings.ReplaceAll(nic.MAC.String(), ":", "-"))
	list, _ := properties[member(properties, "ipConfigurations")].([]any)
	for _, element := range list {
		configuration := element.(map[string]any)
		name, _ := configuration[member(configuration, "name")].(string)
		configuration["id"], configuration["etag"] = string(childID(id, "ipConfigurations", name)), etag
		inner := objectIn(configuration, "properties")
		inner["privateIPAddress"], inner["provisioningState"], inner["primary"] = nic.IPv4.String(), state, true
	}
}

// decorateAccount answers the address, the endpoints and the state of each network rule (FW-7).
func (c *Cloud) decorateAccount(properties map[string]any, account *storageAccount) {
	endpoints := make(map[string]string)
	for _, service := range []string{"blob", "queue", "table", "file", "dfs", "web"} {
		endpoints[service] = "https://" + account.Name + "." + service + "." + c.Snapshot().Settings.StorageSuffix + "/"
	}
	properties["primaryEndpoints"], properties["primaryLocation"] = endpoints, string(account.Location)
	properties["posternFrontAddress"] = account.Address.String()
	acls, ok := properties[member(properties, "networkAcls")].(map[string]any)
	if !ok {
		return
	}
	rules, _ := acls[member(acls, "virtualNetworkRules")].([]any)
	for i, element := range rules {
		rule := account.NetworkACLs.VirtualNetworkRules[i]
		state := stateDeleted
		if subnet, _ := c.subnet(rule.Subnet); subnet != nil && subnet.Identity == rule.Identity {
			state = "Succeeded"
		}
		element.(map[string]any)["state"] = state
	}
}

// objectIn is a member that is an object; it is made where there is none.
func objectIn(object map[string]any, name string) map[string]any {
	name = member(object, name)
	inner, ok := object[name].(map[string]any)
	if !ok {
		inner = make(map[string]any)
		object[name] = inner
	}
	return inner
}

func lookupName(typ string) (*typeSpec, *childSpec, bool) {
	provider, name, _ := strings.Cut(typ, "/")
	return lookup(provider, []string{name})
}
