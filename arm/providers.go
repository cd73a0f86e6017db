package arm

import (
	"net/http"
	"slices"
	"strings"

	"postern/deployment"
	"postern/model"
	"postern/resource"
	"postern/service/all"
)

// provider is a namespace of types.
type provider struct {
	namespace string
	types     []string // without the namespace: "virtualNetworks", "virtualNetworks/subnets"
}

// providers are those of the types that package resource knows, and of deployments.
func providers() []provider {
	var list []provider
	for _, name := range append(resource.TypeNames(), deployment.Type) {
		namespace, typ, _ := strings.Cut(name, "/")
		at := slices.IndexFunc(list, func(p provider) bool { return p.namespace == namespace })
		if at < 0 {
			at, list = len(list), append(list, provider{namespace: namespace})
		}
		list[at].types = append(list[at].types, typ)
		for _, child := range resource.ChildTypes(name) {
			list[at].types = append(list[at].types, typ+"/"+child)
		}
	}
	return list
}

func providerNamed(namespace string) (provider, bool) {
	for _, p := range providers() {
		if strings.EqualFold(p.namespace, namespace) {
			return p, true
		}
	}
	return provider{}, false
}

// The versions that are told to clients that ask which there are, newest first: those that Azure's clients send.
var (
	networkVersions  = []string{"2025-09-01", "2025-05-01", "2025-03-01", "2024-10-01", "2024-07-01", "2024-05-01", "2024-01-01", "2023-11-01", "2023-09-01", "2022-01-01", "2021-08-01"}
	resourceVersions = []string{"2024-11-01", "2024-07-01", "2022-09-01", "2021-04-01", "2020-06-01", "2019-11-01"}
)

func versionsOf(namespace string) []string {
	switch namespace {
	case "Microsoft.Resources":
		return resourceVersions
	}
	for _, described := range all.Services() {
		for _, typ := range described.Types {
			if provider, _, _ := strings.Cut(typ.Name, "/"); strings.EqualFold(provider, namespace) && len(typ.Versions) > 0 {
				return typ.Versions
			}
		}
	}
	return networkVersions
}

type providerAnswer struct {
	ID        string         `json:"id"`
	Namespace string         `json:"namespace"`
	Policy    string         `json:"registrationPolicy"`
	State     string         `json:"registrationState"`
	Types     []providerType `json:"resourceTypes"`
	Consent   string         `json:"providerAuthorizationConsentState,omitempty"`
}

type providerType struct {
	Type           string   `json:"resourceType"`
	Locations      []string `json:"locations"`
	APIVersions    []string `json:"apiVersions"`
	DefaultVersion string   `json:"defaultApiVersion"`
	Capabilities   string   `json:"capabilities"`
}

func (r *request) provider(p provider, regions []model.Location) providerAnswer {
	answer := providerAnswer{Namespace: p.namespace, Policy: "RegistrationFree", State: "Registered", ID: "/providers/" + p.namespace}
	if r.at.subscription != "" {
		answer.ID = "/subscriptions/" + r.at.subscription + answer.ID
	}
	names := make([]string, len(regions))
	for i, region := range regions {
		names[i] = string(region)
	}
	versions := versionsOf(p.namespace)
	for _, typ := range p.types {
		answer.Types = append(answer.Types, providerType{Type: typ, Locations: names, APIVersions: versions, DefaultVersion: versions[0],
			Capabilities: "CrossResourceGroupResourceMove, SupportsTags, SupportsLocation"})
	}
	return answer
}

func listProviders(r *request) (int, any, error) {
	regions, err := r.locations()
	if err != nil {
		return 0, nil, err
	}
	value := []providerAnswer{}
	for _, p := range providers() {
		value = append(value, r.provider(p, regions))
	}
	return http.StatusOK, list{Value: value}, nil
}

// getProvider answers for register too: all providers are registered always.
func getProvider(r *request) (int, any, error) {
	p, ok := providerNamed(r.at.provider)
	if !ok {
		return 0, nil, r.at.known()
	}
	regions, err := r.locations()
	return http.StatusOK, r.provider(p, regions), err
}
