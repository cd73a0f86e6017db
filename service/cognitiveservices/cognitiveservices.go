// Package cognitiveservices describes Microsoft.CognitiveServices/accounts.
package cognitiveservices

import (
	"strings"

	"postern/firewall"
	"postern/model"
	"postern/service"
)

// TypeAccount is the resource type.
const TypeAccount = "Microsoft.CognitiveServices/accounts"

// PartOpenAI is the sub-service of names below openai.azure.com.
const PartOpenAI = "openai"

// Service is the description. Instances answer to their custom subdomain: without one an account has no name here, since
// the regional endpoints that all accounts share tell them apart by keys alone.
var Service = &service.Service{
	Name:     "cognitiveservices",
	Endpoint: "Microsoft.CognitiveServices",
	Zones: func(settings model.Settings) []model.Zone {
		return []model.Zone{
			{Suffix: service.ZoneName(&settings, "cognitiveservices", "cognitiveservices.azure.com"), Service: "cognitiveservices", Space: "cognitiveservices"},
			{Suffix: service.ZoneName(&settings, "openai", "openai.azure.com"), Service: "cognitiveservices", Space: "cognitiveservices", Part: PartOpenAI},
		}
	},
	ValidName: validSubdomain,
	Audiences: []string{"https://cognitiveservices.azure.com"},
	Trusted: []string{"Microsoft.CognitiveServices/accounts", "Microsoft.MachineLearningServices/workspaces", "Microsoft.Search/searchServices",
		"Microsoft.Videoindexer/accounts"},
	Actions: actions,
	HTTP:    &service.HTTP{RequestID: "Apim-Request-Id", Refuse: refuse},
	Types: []service.Type{{
		Name:      TypeAccount,
		Noun:      "Cognitive Services account",
		Model:     "cognitiveservices.Account",
		Update:    "cognitiveservices.Account",
		Versions:  []string{"2024-10-01", "2023-05-01", "2022-12-01", "2021-04-30", "2017-04-18"},
		Ours:      []string{"posternFrontAddress"},
		Keys:      true,
		Decode:    decode,
		Render:    render,
		NameTaken: nameTaken,
	}},
}

var ports = []model.ServicePort{{Number: 443, Way: model.WayHTTPS}}

// limits of an account's rules (FW-11): "Configure Azure AI services virtual networks" for the second; the first is remembered.
var limits = service.Limits{IPRules: 100, VirtualNetworkRules: 100, Code: "BadRequest",
	Message: "An account takes at most %d IP rules and %d virtual network rules."}

func validSubdomain(name string) bool { return len(name) >= 2 && service.ValidLabel(name) }

func nameTaken(name string, _ model.ResourceID) *service.Refusal {
	return service.Conflict("CustomDomainInUse", "properties.customSubDomainName", "The subdomain name '%s' is not available: another resource uses it. Pick a different name.", name)
}

func decode(b *service.Body, account *service.Instance) error {
	var body struct {
		Properties struct {
			Subdomain           string               `json:"customSubDomainName"`
			PublicNetworkAccess string               `json:"publicNetworkAccess"`
			NetworkACLs         *service.NetworkACLs `json:"networkAcls"`
		} `json:"properties"`
	}
	if err := b.Read(&body); err != nil {
		return err
	}
	p := &body.Properties
	if name := strings.ToLower(account.Name); !validSubdomain(name) {
		return service.Refuse("AccountNameInvalid", "name", "The account name '%s' is not valid: it has 2 to 63 letters, digits and hyphens.", account.Name)
	}
	switch subdomain := strings.ToLower(p.Subdomain); {
	case subdomain == "" && p.NetworkACLs != nil:
		return service.Refuse("BadRequest", "properties.customSubDomainName", "Network rules need a customSubDomainName: give the account one.")
	case subdomain == "":
		account.Space = ""
	case !validSubdomain(subdomain):
		return service.Refuse("BadRequest", "properties.customSubDomainName", "The subdomain name '%s' is not valid: it has 2 to 63 letters, digits and hyphens.", p.Subdomain)
	default:
		account.Name = subdomain
	}
	account.Ports = ports
	account.Rules = model.NetworkRules{DefaultAllow: true}
	if err := service.ReadPublicAccess(p.PublicNetworkAccess, &account.Rules); err != nil {
		return err
	}
	acls := p.NetworkACLs
	if acls == nil {
		return nil
	}
	if len(acls.ResourceAccessRules) > 0 {
		return service.Refuse(service.CodeInvalidFormat, "properties.networkAcls.resourceAccessRules", "An account has no resourceAccessRules: trusted "+
			"services come in by bypass AzureServices.")
	}
	bypass, err := service.OneOf(acls.Bypass, "properties.networkAcls.bypass", "None", "AzureServices")
	if err != nil {
		return err
	}
	acls.Bypass = bypass
	return service.ReadNetworkACLs(b, acls, "properties.networkAcls", limits, account)
}

// render answers the account's endpoints, what Azure fills in, and the state of each network rule (FW-7).
func render(a *service.Answer) {
	properties := a.Properties
	service.Fill(properties, "publicNetworkAccess", "Enabled")
	properties["posternFrontAddress"] = a.Instance.Address.String()
	delete(properties, "endpoint")
	delete(properties, "endpoints")
	if a.Instance.Space != "" {
		part := ""
		if kind, _ := a.Object[service.Member(a.Object, "kind")].(string); strings.EqualFold(kind, "OpenAI") {
			part = PartOpenAI
		}
		properties["endpoint"] = "https://" + a.Host(part) + "/"
		properties["endpoints"] = map[string]any{"Cognitive Services": "https://" + a.Host("") + "/", "OpenAI": "https://" + a.Host(PartOpenAI) + "/"}
	}
	if name := service.Member(properties, "networkAcls"); properties[name] != nil {
		acls := service.ObjectIn(properties, name)
		service.Fill(acls, service.Member(acls, "bypass"), "None")
		service.RenderNetworkACLs(a, acls)
		service.WithoutActions(acls)
	}
}

// refuse answers as an account does (FW-12): the code of a firewall's no is its status.
func refuse(d *service.Denial) service.Response {
	if d.Fault != service.Forbidden {
		return service.DefaultHTTP.Refuse(d)
	}
	if d.Decision.Reason == firewall.ReasonPublicAccessOff {
		return service.ErrorJSON(d.Fault.Status(), "403", "Public access is disabled. Please configure private endpoint.")
	}
	return service.ErrorJSON(d.Fault.Status(), "403", "Access denied due to Virtual Network/Firewall rules.")
}
