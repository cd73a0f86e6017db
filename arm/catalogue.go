package arm

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"postern/model"
	"postern/resource"
	"postern/servicetag"
)

type endpointService struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Type string `json:"type"`
}

// listEndpointServices answers the services that subnets of a region can enable.
func listEndpointServices(r *request) (int, any, error) {
	value := []endpointService{}
	for _, service := range model.Services {
		value = append(value, endpointService{Name: service.Endpoint, Type: "Microsoft.Network/virtualNetworkEndpointServices",
			ID: "/subscriptions/" + r.at.subscription + "/providers/Microsoft.Network/virtualNetworkEndpointServices/" + service.Endpoint})
	}
	return http.StatusOK, list{Value: value}, nil
}

type serviceAlias struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	Type         string `json:"type"`
	ResourceName string `json:"resourceName"`
}

// listServiceAliases answers the aliases that an endpoint policy's definition of service Global may list (SEP-5).
func listServiceAliases(r *request) (int, any, error) {
	const typ = "Microsoft.Network/AvailableServiceAliases"
	value := []serviceAlias{}
	for _, alias := range resource.ServiceAliases() {
		name := "services" + strings.ReplaceAll(strings.TrimPrefix(alias, "/services/"), "/", "")
		value = append(value, serviceAlias{ID: "/subscriptions/" + r.at.subscription + "/providers/" + typ + "/" + name, Name: name, Type: typ, ResourceName: alias})
	}
	return http.StatusOK, list{Value: value}, nil
}

type serviceTags struct {
	ID           string       `json:"id"`
	Name         string       `json:"name"`
	Type         string       `json:"type"`
	ChangeNumber string       `json:"changeNumber"`
	Cloud        string       `json:"cloud"`
	Values       []serviceTag `json:"values"`
}

type serviceTag struct {
	ID         string               `json:"id"`
	Name       string               `json:"name"`
	Properties serviceTagProperties `json:"properties"`
}

type serviceTagProperties struct {
	ChangeNumber  string         `json:"changeNumber"`
	Region        string         `json:"region"`
	SystemService string         `json:"systemService"`
	Prefixes      []netip.Prefix `json:"addressPrefixes"`
}

// listServiceTags answers the whole catalogue.
func listServiceTags(r *request) (int, any, error) {
	catalogue, err := r.door.Catalogue(r.Context())
	if err != nil {
		return 0, nil, err
	}
	name := strings.ToLower(catalogue.Cloud()) // the resource is "public" and the cloud "Public"
	answer := serviceTags{Name: name, Type: "Microsoft.Network/serviceTags", ChangeNumber: strconv.Itoa(catalogue.ChangeNumber()), Cloud: catalogue.Cloud(),
		ID: "/subscriptions/" + r.at.subscription + "/providers/Microsoft.Network/serviceTags/" + name, Values: []serviceTag{}}
	for _, name := range catalogue.Names() {
		if tag, ok := catalogue.Tag(name); ok {
			answer.Values = append(answer.Values, answeredTag(tag))
		}
	}
	return http.StatusOK, answer, nil
}

func answeredTag(tag servicetag.Tag) serviceTag {
	return serviceTag{ID: tag.Name, Name: tag.Name, Properties: serviceTagProperties{ChangeNumber: strconv.Itoa(tag.ChangeNumber), Region: tag.Region,
		SystemService: tag.SystemService, Prefixes: tag.Prefixes}}
}

// listServiceTagDetails answers the tags one by one: all or the one of tagName, with their prefixes or without.
func listServiceTagDetails(r *request) (int, any, error) {
	catalogue, err := r.door.Catalogue(r.Context())
	if err != nil {
		return 0, nil, err
	}
	query := r.URL.Query()
	bare := false
	if text := query.Get("noAddressPrefixes"); text != "" {
		if bare, err = strconv.ParseBool(text); err != nil {
			return 0, nil, &resource.Error{Code: "InvalidQueryParameterValue", Status: http.StatusBadRequest, Target: "noAddressPrefixes",
				Message: fmt.Sprintf("The noAddressPrefixes '%.20s' must be true or false.", text)}
		}
	}
	value := []json.RawMessage{}
	for _, name := range catalogue.Names() {
		tag, ok := catalogue.Tag(name)
		if wanted := query.Get("tagName"); !ok || wanted != "" && !strings.EqualFold(wanted, name) {
			continue
		}
		answer := answeredTag(tag)
		if bare {
			answer.Properties.Prefixes = []netip.Prefix{}
		}
		one, err := json.Marshal(answer)
		if err != nil {
			return 0, nil, err
		}
		value = append(value, one)
	}
	return r.slice(value)
}

// defaultRules answers the rules that every network security group has (NSG-1), all or the one that is named.
func defaultRules(r *request) (int, any, error) {
	group := r.at
	group.types, group.names = group.types[:1], group.names[:1]
	id, err := group.id()
	if err != nil {
		return 0, nil, err
	}
	answer, err := r.door.API.Get(r.Context(), id)
	if err != nil {
		return 0, nil, r.missing(err)
	}
	var body struct {
		Properties struct {
			Rules []json.RawMessage `json:"defaultSecurityRules"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(answer, &body); err != nil {
		return 0, nil, err
	}
	if len(r.at.names) == 1 {
		return r.slice(body.Properties.Rules)
	}
	for _, rule := range body.Properties.Rules {
		var named struct{ Name string }
		if err := json.Unmarshal(rule, &named); err != nil {
			return 0, nil, err
		}
		if strings.EqualFold(named.Name, r.at.names[1]) {
			return http.StatusOK, rule, nil
		}
	}
	return 0, nil, &resource.Error{Code: resource.CodeResourceNotFound, Status: http.StatusNotFound, Target: r.at.scope(),
		Message: fmt.Sprintf("The default security rule '%s' was not found in network security group '%s'.", r.at.names[1], r.at.names[0])}
}
