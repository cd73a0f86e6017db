// Package messaging is what Microsoft.ServiceBus/namespaces and Microsoft.EventHub/namespaces have in common: the names,
// the network rules, AMQP, and the words of a refusal. service/servicebus and service/eventhub describe the two.
package messaging

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"postern/model"
	"postern/service"
)

// Space is that of the namespaces' names: both services have their names in one zone.
const Space = "servicebus"

// Suffix is the zone of their names in Azure's public cloud.
const Suffix = "servicebus.windows.net"

// The sub-services that have backends of their own: tags postern.backend.amqp and postern.backend.kafka. HTTP has those for
// all.
const (
	AMQP  = "amqp"
	Kafka = "kafka"
)

// WayAMQP is AMQP over TLS, port 5671.
const WayAMQP model.Way = "amqp"

// RuleSet is the one name that the children networkRuleSets have.
const RuleSet = "default"

// limits of a namespace's rules (FW-11), as "Azure Event Hubs quotas and limits" is remembered: no copy of it could be read.
var limits = service.Limits{IPRules: 128, VirtualNetworkRules: 128, Code: "BadRequest",
	Message: "A namespace takes at most %d IP rules and %d virtual network rules."}

// Zones are the zones of one of the two services.
func Zones(name string) func(model.Settings) []model.Zone {
	return func(settings model.Settings) []model.Zone {
		return []model.Zone{{Suffix: service.ZoneName(&settings, "servicebus", Suffix), Service: name, Space: Space}}
	}
}

// ValidName tells whether a text, in lower case, can be the name of a namespace: 6 to 50 letters, digits and hyphens, which
// begin with a letter and do not end with a hyphen
// (https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules).
func ValidName(name string) bool {
	return len(name) >= 6 && len(name) <= 50 && service.ValidLabel(name) && 'a' <= name[0] && name[0] <= 'z'
}

// Models are the models in resource/schema that bodies about namespaces follow.
type Models struct{ Namespace, Update, RuleSet string }

// Type is the resource type of one of the two services, whose namespaces answer on the ports.
func Type(name, noun string, models Models, ports []model.ServicePort, render func(*service.Answer), versions ...string) service.Type {
	return service.Type{
		Name:   name,
		Noun:   noun,
		Model:  models.Namespace,
		Update: models.Update,
		Children: []service.Child{{Collection: "networkRuleSets", Property: "networkRuleSets", Apart: true, Only: RuleSet, Model: models.RuleSet, Render: renderRuleSet,
			Manners: service.Manners{Patient: []string{http.MethodPut}}}},
		Manners:  service.Manners{Patient: []string{http.MethodPatch}},
		Versions: versions,
		Ours:     []string{"posternFrontAddress", "serviceBusEndpoint", "status", "createdAt"},
		Decode: func(b *service.Body, into *service.Instance) error {
			into.Ports = ports
			return decode(b, into)
		},
		Render: func(a *service.Answer) {
			renderNamespace(a)
			if render != nil {
				render(a)
			}
		},
		NameTaken: nameTaken,
		Keys:      true,
		EndpointMissing: func(subnet, vnet model.ResourceID) *service.Refusal {
			return service.Refuse("BadRequest", "", "The subnet %s of virtual network %s has no service endpoint for the namespace: enable it on the "+
				"subnet, or set ignoreMissingVnetServiceEndpoint.", subnet.Name(), vnet)
		},
	}
}

// ruleSet are the network rules: the properties of networkRuleSets/default.
type ruleSet struct {
	DefaultAction       string `json:"defaultAction"`
	PublicNetworkAccess string `json:"publicNetworkAccess"`
	TrustedServices     bool   `json:"trustedServiceAccessEnabled"`
	IPRules             []struct {
		IPMask string `json:"ipMask"`
		Action string `json:"action"`
	} `json:"ipRules"`
	VirtualNetworkRules []service.VirtualNetworkRule `json:"virtualNetworkRules"`
}

func decode(b *service.Body, into *service.Instance) error {
	into.Name = strings.ToLower(into.Name)
	if refusal := refuseName(into.Name); refusal != nil {
		return refusal
	}
	var body struct {
		Properties struct {
			PublicNetworkAccess string `json:"publicNetworkAccess"`
			RuleSets            []struct {
				Name       string  `json:"name"`
				Properties ruleSet `json:"properties"`
			} `json:"networkRuleSets"`
		} `json:"properties"`
	}
	if err := b.Read(&body); err != nil {
		return err
	}
	into.Rules = model.NetworkRules{DefaultAllow: true}
	if err := service.ReadPublicAccess(body.Properties.PublicNetworkAccess, &into.Rules); err != nil {
		return err
	}
	for i, set := range body.Properties.RuleSets {
		at := service.Index("properties.networkRuleSets", i)
		if i > 0 || !strings.EqualFold(set.Name, RuleSet) {
			return service.Refuse("BadRequest", at+".name", "A namespace has one network rule set, with the name %s; this one is '%s'.", RuleSet, set.Name)
		}
		if err := readRuleSet(b, &set.Properties, at+".properties", into); err != nil {
			return err
		}
	}
	return nil
}

// readRuleSet reads the rules. Public access is off where either the namespace or its rules say so (FW-8).
func readRuleSet(b *service.Body, set *ruleSet, at string, into *service.Instance) error {
	rules := &into.Rules
	access, err := service.OneOf(set.PublicNetworkAccess, at+".publicNetworkAccess", "Enabled", "Disabled", "SecuredByPerimeter")
	if err != nil {
		return err
	}
	rules.PublicNetworkAccess = rules.PublicNetworkAccess && access == "Enabled"
	action, err := service.OneOf(set.DefaultAction, at+".defaultAction", "Allow", "Deny")
	if err != nil {
		return err
	}
	rules.DefaultAllow = action == "Allow"
	if set.TrustedServices {
		rules.Bypass = []string{"AzureServices"} // FW-9
	}
	if len(set.IPRules) > limits.IPRules || len(set.VirtualNetworkRules) > limits.VirtualNetworkRules {
		return service.Refuse(limits.Code, at, limits.Message, limits.IPRules, limits.VirtualNetworkRules)
	}
	for i, rule := range set.IPRules {
		field := service.Index(at+".ipRules", i)
		if _, err := service.OneOf(rule.Action, field+".action", "Allow"); err != nil {
			return err
		}
		prefix, err := service.PublicRange(rule.IPMask, field+".ipMask")
		if err != nil {
			return err
		}
		rules.IPRules = append(rules.IPRules, prefix)
	}
	for i, rule := range set.VirtualNetworkRules {
		if err := service.ReadVirtualNetworkRule(b, rule, service.Index(at+".virtualNetworkRules", i), into); err != nil {
			return err
		}
	}
	// The rules are a resource of their own: a write of the namespace does not write them anew (FW-7).
	for key, source := range into.Sources {
		source.Apart = true
		into.Sources[key] = source
	}
	return nil
}

func renderNamespace(a *service.Answer) {
	p := a.Properties
	service.Fill(p, "publicNetworkAccess", "Enabled")
	service.Fill(p, "minimumTlsVersion", "1.2")
	service.Fill(p, "disableLocalAuth", false)
	service.Fill(p, "zoneRedundant", false)
	service.Fill(a.Object, "sku", map[string]any{"name": "Standard", "tier": "Standard"})
	p["serviceBusEndpoint"] = fmt.Sprintf("https://%s:443/", a.Host(""))
	p["status"] = "Active"
	p["posternFrontAddress"] = a.Instance.Address.String()
	if !a.Created.IsZero() {
		p["createdAt"] = a.Created.Format(time.RFC3339Nano)
	}
}

// renderRuleSet fills in what a writer left out.
func renderRuleSet(_ *service.Answer, p map[string]any) {
	service.Fill(p, "publicNetworkAccess", "Enabled")
	service.Fill(p, "defaultAction", "Allow")
	service.Fill(p, "trustedServiceAccessEnabled", false)
	service.Fill(p, "ipRules", []any{})
	service.Fill(p, "virtualNetworkRules", []any{})
	for _, element := range service.ListIn(p, "ipRules") {
		service.Fill(element.(map[string]any), "action", "Allow")
	}
	for _, element := range service.ListIn(p, "virtualNetworkRules") {
		service.Fill(element.(map[string]any), "ignoreMissingVnetServiceEndpoint", false)
	}
}
