// Package containerregistry describes Microsoft.ContainerRegistry/registries: registries of container images.
package containerregistry

import (
	"net/http"
	"strings"
	"time"

	"postern/model"
	"postern/service"
)

// TypeRegistry is the resource type.
const TypeRegistry = "Microsoft.ContainerRegistry/registries"

// Service is the description.
var Service = &service.Service{
	Name:     "containerregistry",
	Endpoint: "Microsoft.ContainerRegistry",
	Zones: func(settings model.Settings) []model.Zone {
		return []model.Zone{{Suffix: service.ZoneName(&settings, "registry", "azurecr.io"), Service: "containerregistry", Space: "containerregistry"}}
	},
	ValidName: ValidName,
	Audiences: []string{"https://containerregistry.azure.net", "https://management.azure.com"},
	// "Allow trusted services to securely access a network-restricted container registry", Trusted services.
	Trusted: []string{"Microsoft.ContainerInstance/containerGroups", "Microsoft.ContainerRegistry/registries", "Microsoft.MachineLearningServices/workspaces",
		"Microsoft.Security/pricings"},
	Actions: actions,
	HTTP:    &service.HTTP{RequestID: "X-Ms-Correlation-Request-Id", Operation: operation, Refuse: refuse},
	Types: []service.Type{{
		Name:      TypeRegistry,
		Noun:      "container registry",
		Model:     "containerregistry.Registry",
		Update:    "containerregistry.RegistryUpdateParameters",
		Versions:  []string{"2023-07-01", "2022-12-01", "2021-09-01", "2019-05-01"},
		Ours:      []string{"posternFrontAddress"},
		Keys:      true,
		Decode:    decode,
		Render:    render,
		NameTaken: nameTaken,
	}},
}

var ports = []model.ServicePort{{Number: 443, Way: model.WayHTTPS}}

// limits of a registry's rules (FW-11): "Configure public IP network rules" and "Restrict access to a container registry using a service
// endpoint in an Azure virtual network". The latter are a preview of Azure's, which stable versions of the API do not have.
var limits = service.Limits{IPRules: 100, VirtualNetworkRules: 100, SmallRanges: true, Code: "BadRequest",
	Message: "A registry takes at most %d IP rules and %d virtual network rules."}

// ValidName tells whether a text, in lower case, can be the name of a registry: 5 to 50 letters and digits.
func ValidName(name string) bool {
	return len(name) >= 5 && len(name) <= 50 && service.ValidLabel(name) && !strings.Contains(name, "-")
}

func nameTaken(name string, _ model.ResourceID) *service.Refusal {
	return service.Conflict("AlreadyInUse", "name", "The registry DNS name %s is already in use. Use another name.", name)
}

func decode(b *service.Body, registry *service.Instance) error {
	var body struct {
		SKU struct {
			Name string `json:"name"`
		} `json:"sku"`
		Properties struct {
			PublicNetworkAccess string               `json:"publicNetworkAccess"`
			Bypass              string               `json:"networkRuleBypassOptions"`
			RuleSet             *service.NetworkACLs `json:"networkRuleSet"`
		} `json:"properties"`
	}
	if err := b.Read(&body); err != nil {
		return err
	}
	registry.Name = strings.ToLower(registry.Name)
	if refusal := refuseName(registry.Name); refusal != nil {
		return refusal
	}
	sku, err := service.OneOf(body.SKU.Name, "sku.name", "", "Basic", "Standard", "Premium")
	if err != nil {
		return err
	}
	if sku == "" {
		return service.Refuse(service.CodeInvalidContent, "sku.name", "A registry needs a SKU: Basic, Standard or Premium.")
	}
	registry.Ports = ports
	registry.Rules = model.NetworkRules{DefaultAllow: true}
	if err := service.ReadPublicAccess(body.Properties.PublicNetworkAccess, &registry.Rules); err != nil {
		return err
	}
	bypass, err := service.OneOf(body.Properties.Bypass, "properties.networkRuleBypassOptions", "AzureServices", "None")
	if err != nil {
		return err
	}
	rules := body.Properties.RuleSet
	if rules == nil {
		rules = new(service.NetworkACLs)
	}
	if sku != "Premium" && (strings.EqualFold(rules.DefaultAction, "Deny") || len(rules.IPRules)+len(rules.VirtualNetworkRules) > 0) {
		return service.Refuse("BadRequest", "properties.networkRuleSet", "Network rules are a feature of the SKU Premium; the registry has %s.", sku)
	}
	if rules.Bypass != "" || len(rules.ResourceAccessRules) > 0 {
		return service.Refuse(service.CodeInvalidFormat, "properties.networkRuleSet", "A networkRuleSet has neither bypass nor resourceAccessRules: use networkRuleBypassOptions.")
	}
	rules.Bypass = bypass
	return service.ReadNetworkACLs(b, rules, "properties.networkRuleSet", limits, registry)
}

// render answers the name to log in at, what Azure fills in, and the state of each network rule (FW-7).
func render(a *service.Answer) {
	properties, sku := a.Properties, service.ObjectIn(a.Object, "sku")
	sku["tier"] = sku[service.Member(sku, "name")]
	properties["loginServer"], properties["posternFrontAddress"] = a.Host(""), a.Instance.Address.String()
	if !a.Created.IsZero() {
		properties["creationDate"] = a.Created.Format(time.RFC3339Nano)
	}
	for name, value := range map[string]any{"adminUserEnabled": false, "publicNetworkAccess": "Enabled", "networkRuleBypassOptions": "AzureServices",
		"dataEndpointEnabled": false, "zoneRedundancy": "Disabled", "anonymousPullEnabled": false} {
		service.Fill(properties, service.Member(properties, name), value)
	}
	properties["dataEndpointHostNames"] = []any{}
	if sku["tier"] == "Premium" {
		rules := service.ObjectIn(properties, "networkRuleSet")
		service.RenderNetworkACLs(a, rules)
		delete(rules, "bypass") // it stands beside the set
	}
}

// operation names a request to the API of registries
// (https://github.com/opencontainers/distribution-spec/blob/main/spec.md, endpoints).
func operation(_ string, r *http.Request) string {
	segments := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if segments[0] == "oauth2" {
		return "Authenticate"
	}
	if segments[0] != "v2" {
		return "Unknown"
	}
	if len(segments) == 1 {
		return "Ping"
	}
	for at := len(segments) - 1; at > 1; at-- {
		kind := map[string]string{"manifests": "Manifest", "blobs": "Blob", "tags": "Tags", "referrers": "Referrers"}[segments[at]]
		verb := map[string]string{http.MethodGet: "Pull", http.MethodHead: "Head", http.MethodPut: "Push", http.MethodPost: "Push", http.MethodPatch: "Push", http.MethodDelete: "Delete"}[r.Method]
		if kind != "" && verb != "" {
			return verb + kind
		}
	}
	return "Unknown"
}

// refuse answers in the error form of registries (distribution-spec, error codes), with Azure's sentence (FW-12).
func refuse(d *service.Denial) service.Response {
	code := map[service.Fault]string{service.Forbidden: "DENIED", service.NoSuchName: "NAME_INVALID", service.NoSuchInstance: "NAME_UNKNOWN",
		service.Misdirected: "NAME_INVALID", service.BadMethod: "UNSUPPORTED", service.NotServed: "UNSUPPORTED", service.BackendDown: "UNAVAILABLE"}[d.Fault]
	message := service.Sentence(d)
	if d.Fault == service.Forbidden {
		message = "client with IP '" + d.Address() + "' is not allowed access. Refer https://aka.ms/acr/firewall to grant access."
	}
	type fault struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	response := service.JSON(d.Fault.Status(), map[string][]fault{"errors": {{code, message}}})
	response.Header.Set("Docker-Distribution-Api-Version", "registry/2.0")
	return response
}
