package resource

import (
	"strings"

	"postern/model"
)

type policyBody struct {
	header
	Properties struct {
		Definitions []child[policyDefinitionProperties] `json:"serviceEndpointPolicyDefinitions"`
	} `json:"properties"`
}

type policyDefinitionProperties struct {
	Service          string   `json:"service"`
	ServiceResources []string `json:"serviceResources"`
}

// Limits of a policy (SEP-7).
const (
	maxPolicies        = 500 // of a subscription
	maxPolicyResources = 200
	maxSubnetPolicies  = 100
)

func decodeServiceEndpointPolicy(r *Record) (any, error) {
	var body policyBody
	if err := leniently(r.Body, &body); err != nil {
		return nil, err
	}
	location, err := body.location()
	if err != nil {
		return nil, err
	}
	policy := &model.ServiceEndpointPolicy{ID: model.ResourceID(r.ID), Location: location}
	const field = "properties.serviceEndpointPolicyDefinitions"
	if err := uniqueNames(body.Properties.Definitions, field); err != nil {
		return nil, err
	}
	for i := range body.Properties.Definitions {
		definition, err := decodeDefinition(&body.Properties.Definitions[i], index(field, i)+".properties")
		if err != nil {
			return nil, err
		}
		policy.Definitions = append(policy.Definitions, definition)
	}
	return policy, nil
}

func decodeDefinition(body *child[policyDefinitionProperties], at string) (model.ServiceEndpointPolicyDefinition, error) {
	p := &body.Properties
	definition := model.ServiceEndpointPolicyDefinition{Name: body.Name, Service: "Global"}
	if !strings.EqualFold(p.Service, "Global") {
		service, ok := endpointNamed(p.Service)
		if !ok {
			return definition, refuse("ServiceEndpointPolicyDefinitionServiceInvalid", at+".service",
				"The service '%s' is not known: use Microsoft.Storage or another service with endpoints, or Global.", p.Service)
		}
		definition.Service = service.Endpoint
	}
	if len(p.ServiceResources) == 0 || len(p.ServiceResources) > maxPolicyResources {
		return definition, refuse("ServiceEndpointPolicyDefinitionResourcesInvalid", at+".serviceResources",
			"Definition '%s' needs 1 to %d serviceResources; it has %d.", body.Name, maxPolicyResources, len(p.ServiceResources))
	}
	for i, text := range p.ServiceResources {
		if !policyScope(text, definition.Service == "Global") {
			return definition, refuse("ServiceEndpointPolicyDefinitionResourcesInvalid", index(at+".serviceResources", i),
				"'%s' is not the id of a subscription, a resource group or an account, nor, with service Global, an alias such as %s.",
				text, ServiceAliases[0])
		}
	}
	definition.ServiceResources = p.ServiceResources
	return definition, nil
}

// policyScope tells whether text is something that a definition may list (SEP-3, SEP-5). An account may be one of
// another cloud's, so its type is not looked up.
func policyScope(text string, global bool) bool {
	segments := strings.Split(text, "/")
	if global {
		return (len(segments) == 3 || len(segments) == 4) && segments[0] == "" && strings.EqualFold(segments[1], "services") &&
			validName(segments[2]) && validName(segments[len(segments)-1])
	}
	if len(segments) < 3 || segments[0] != "" || !strings.EqualFold(segments[1], "subscriptions") || !validName(segments[2]) {
		return false
	}
	switch len(segments) {
	case 3:
		return true
	case 5:
		return strings.EqualFold(segments[3], "resourceGroups") && validName(segments[4])
	}
	_, err := splitID(text)
	return err == nil
}
