package resource

import (
	"encoding/json"
	"errors"
	"strings"

	"postern/resource/schema"
	"postern/service/all"
)

// models names the model of Azure's SDK that a type's or a child's body follows: see package schema. Types that are not
// among them are judged by their own decoders.
var models = map[string]string{
	TypeApplicationSecurityGroup:                "network.ApplicationSecurityGroup",
	TypeNetworkInterface:                        "network.Interface",
	TypeNatGateway:                              "network.NatGateway",
	TypeNetworkWatcher:                          "network.Watcher",
	TypePublicIPPrefix:                          "network.PublicIPPrefix",
	TypePublicIPAddress:                         "network.PublicIPAddress",
	TypeRouteTable:                              "network.RouteTable",
	TypeRouteTable + "/routes":                  "network.Route",
	TypeNetworkSecurityGroup:                    "network.SecurityGroup",
	TypeNetworkSecurityGroup + "/securityRules": "network.SecurityRule",
	TypeServiceEndpointPolicy:                   "network.ServiceEndpointPolicy",
	TypeServiceEndpointPolicy + "/serviceEndpointPolicyDefinitions": "network.ServiceEndpointPolicyDefinition",
	TypeVirtualNetwork:                             "network.VirtualNetwork",
	TypeVirtualNetwork + "/subnets":                "network.Subnet",
	TypeVirtualNetwork + "/virtualNetworkPeerings": "network.VirtualNetworkPeering",
	TypeVirtualMachine:                             "compute.VirtualMachine",
}

// normal is a body as it is kept: fields in ARM's spelling, without nulls, read-only fields and secrets. The error is a
// refusal of the first field that the type does not have or that is of another kind, or that refers to a resource of a
// type that cannot exist here.
func normal(id ID, object map[string]any) (map[string]any, error) {
	forgetOurs(id, object)
	model, ok := modelOf(id.Type())
	if _, typ := all.Type(id.Root().Type()); typ != nil || !ok {
		for _, answered := range []string{"provisioningState", "resourceGuid"} {
			forget(object, "properties", answered)
		}
	}
	if !ok {
		return object, nil
	}
	apart, err := takeApart(id, object)
	if err != nil {
		return nil, err
	}
	cleaned, references, err := schema.Azure().Clean(model, object)
	var fault *schema.Fault
	if errors.As(err, &fault) {
		return nil, refuse(CodeInvalidRequestFormat, fault.Path, "%s", fault.Message)
	} else if err != nil {
		return nil, err
	}
	for _, reference := range references {
		target, err := splitID(reference.ID)
		if err != nil {
			continue // decoding says what the field wants
		}
		if _, _, known := lookup(target.Provider, target.Types); !known {
			return nil, refuse(CodeInvalidResourceReference, reference.Path+".id", "Resource %s referenced by resource %s was not found: there are "+
				"no resources of the type %s here.", reference.ID, id, target.Type())
		}
	}
	if location, ok := cleaned["location"].(string); ok {
		cleaned["location"] = shortLocation(location)
	}
	for property, list := range apart {
		objectIn(cleaned, "properties")[property] = list
	}
	if id.Type() == TypeVirtualMachine {
		// Azure never answers them either. Nothing here boots with them, so they are not kept at all.
		for _, secret := range []string{"adminPassword", "customData"} {
			forget(cleaned, "properties", "osProfile", secret)
		}
		forget(cleaned, "properties", "userData")
	}
	return cleaned, nil
}

// takeApart takes the children that stand apart, which no model of the parent has, out of a body, as they are to be kept.
func takeApart(id ID, object map[string]any) (map[string][]any, error) {
	_, typ := all.Type(id.Type())
	if typ == nil {
		return nil, nil
	}
	apart := make(map[string][]any)
	for _, child := range typ.Children {
		properties := objectAt(object, "properties")
		list := listIn(properties, child.Property)
		if !child.Apart || list == nil {
			continue
		}
		for i, element := range list {
			one, ok := element.(map[string]any)
			if !ok || child.Model == "" {
				continue
			}
			name := one[member(one, "name")]
			forget(one, "properties", "provisioningState")
			forget(one, "etag")
			cleaned, _, err := schema.Azure().Clean(child.Model, one)
			var fault *schema.Fault
			if errors.As(err, &fault) {
				return nil, refuse(CodeInvalidRequestFormat, schema.Join(index("properties."+child.Property, i), fault.Path), "%s", fault.Message)
			}
			cleaned["name"] = name
			list[i] = cleaned
		}
		apart[child.Property] = list
		forget(properties, child.Property)
	}
	return apart, nil
}

// forget removes the member at the end of a path, whatever the case of its parts.
func forget(object map[string]any, path ...string) {
	for len(path) > 1 {
		inner, ok := object[member(object, path[0])].(map[string]any)
		if !ok {
			return
		}
		object, path = inner, path[1:]
	}
	delete(object, member(object, path[0]))
}

// shortLocation is a region's name in its short form, out of "West Europe" or "westeurope".
func shortLocation(text string) string { return strings.ToLower(strings.ReplaceAll(text, " ", "")) }

// leniently reads a body that has been through normal: what the struct does not have is kept in the body alone.
func leniently(data []byte, dst any) error {
	if err := json.Unmarshal(data, dst); err != nil {
		return refuse(CodeInvalidRequestContent, "", "The body cannot be read: %s.", describe(err))
	}
	return nil
}
