package arm

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"postern/resource"
	"postern/servicetag"
)

type serviceAlias struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	Type         string `json:"type"`
	ResourceName string `json:"resourceName"`
}

// listServiceAliases answers the aliases that service endpoint policies take (SEP-5).
func listServiceAliases(r *request) (int, any, error) {
	if err := r.checkGroup(); err != nil {
		return 0, nil, err
	}
	value := []serviceAlias{}
	for _, alias := range resource.ServiceAliases {
		name := strings.ReplaceAll(alias, "/", "")
		value = append(value, serviceAlias{Name: name, Type: "Microsoft.Network/AvailableServiceAliases", ResourceName: alias,
			ID: "/subscriptions/" + r.at.subscription + "/providers/Microsoft.Network/AvailableServiceAliases/" + name})
	}
	return http.StatusOK, list{Value: value}, nil
}

type tagDetails struct {
	ID           string               `json:"id"`
	Name         string               `json:"name"`
	ChangeNumber string               `json:"serviceTagChangeNumber"`
	Properties   tagDetailsProperties `json:"properties"`
}

type tagDetailsProperties struct {
	ChangeNumber  string   `json:"changeNumber"`
	Region        string   `json:"region"`
	SystemService string   `json:"systemService"`
	State         string   `json:"state"`
	Prefixes      []string `json:"addressPrefixes"`
}

// listTagDetails answers service tags one by one, in pages: all, or the one called tagName and its regional ones; without their
// prefixes where noAddressPrefixes asks so.
func listTagDetails(r *request) (int, any, error) {
	catalogue, err := r.door.Catalogue(r.Context())
	if err != nil {
		return 0, nil, err
	}
	query := r.URL.Query()
	wanted, bare := query.Get("tagName"), strings.EqualFold(query.Get("noAddressPrefixes"), "true")
	var all []json.RawMessage
	for _, name := range catalogue.Names() {
		tag, ok := catalogue.Tag(name)
		if !ok || wanted != "" && !strings.EqualFold(tag.Name, wanted) && !strings.EqualFold(tag.Service(), wanted) {
			continue
		}
		one, err := json.Marshal(detailsOf(tag, strconv.Itoa(catalogue.ChangeNumber()), bare))
		if err != nil {
			return 0, nil, fmt.Errorf("service tag %s: %w", name, err)
		}
		all = append(all, one)
	}
	if all == nil {
		all = []json.RawMessage{}
	}
	return r.slice(all)
}

func detailsOf(tag servicetag.Tag, changeNumber string, bare bool) tagDetails {
	details := tagDetails{ID: tag.Name, Name: tag.Name, ChangeNumber: changeNumber, Properties: tagDetailsProperties{
		ChangeNumber: strconv.Itoa(tag.ChangeNumber), Region: tag.Region, SystemService: tag.SystemService, State: "GA", Prefixes: []string{}}}
	if !bare {
		for _, prefix := range tag.Prefixes {
			details.Properties.Prefixes = append(details.Properties.Prefixes, prefix.String())
		}
	}
	return details
}
