package arm

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"postern/servicetag"
)

type endpointService struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Type string `json:"type"`
}

// listEndpointServices answers the services that subnets of a region can enable.
func listEndpointServices(r *request) (int, any, error) {
	snapshot, err := r.snapshot(r.Context())
	if err != nil {
		return 0, nil, err
	}
	value := []endpointService{}
	for _, service := range snapshot.Services() {
		value = append(value, endpointService{Name: service.Endpoint, Type: "Microsoft.Network/virtualNetworkEndpointServices",
			ID: "/subscriptions/" + r.at.subscription + "/providers/Microsoft.Network/virtualNetworkEndpointServices/" + service.Endpoint})
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
