package service

import (
	"strings"

	"postern/model"
)

// NetworkACLs is the form of network rules that most of Azure's services have: networkAcls of Storage, Key Vault and
// Cognitive Services, networkRuleSets of Event Hubs and Service Bus.
type NetworkACLs struct {
	DefaultAction string `json:"defaultAction"`
	Bypass        string `json:"bypass"`
	IPRules       []struct {
		Value  string `json:"value"`
		Action string `json:"action"`
	} `json:"ipRules"`
	VirtualNetworkRules []VirtualNetworkRule `json:"virtualNetworkRules"`
	ResourceAccessRules []struct {
		TenantID   string `json:"tenantId"`
		ResourceID string `json:"resourceId"`
	} `json:"resourceAccessRules"`
}

// VirtualNetworkRule is a rule that names a subnet. Its id stands in id or, in some services, in subnet.id.
type VirtualNetworkRule struct {
	ID     string `json:"id"`
	Subnet struct {
		ID string `json:"id"`
	} `json:"subnet"`
	Action        string `json:"action"`
	State         string `json:"state"` // read-only, but for StateDeleted
	IgnoreMissing bool   `json:"ignoreMissingVnetServiceEndpoint"`
}

// StateDeleted is the state of a rule whose subnet was deleted (FW-7).
const StateDeleted = "networkSourceDeleted"

// Limits bound an instance's rules (FW-11).
type Limits struct {
	IPRules, VirtualNetworkRules int
	ResourceAccessRules          int    // 0: as many as a body has
	SmallRanges                  bool   // IP rules may be a /31 or /32, which Storage refuses
	Code, Message                string // of the refusal; Message has a %d for each of the two
}

// ReadPublicAccess reads publicNetworkAccess: Enabled is the default.
func ReadPublicAccess(word string, rules *model.NetworkRules) error {
	access, err := OneOf(word, "properties.publicNetworkAccess", "Enabled", "Disabled", "SecuredByPerimeter")
	rules.PublicNetworkAccess = access == "Enabled"
	return err
}

// ReadNetworkACLs reads rules that stand at a path of the body.
func ReadNetworkACLs(b *Body, acls *NetworkACLs, at string, limits Limits, into *Instance) error {
	rules := &into.Rules
	action, err := OneOf(acls.DefaultAction, at+".defaultAction", "Allow", "Deny")
	if err != nil {
		return err
	}
	rules.DefaultAllow = action == "Allow"
	if rules.Bypass, err = ReadBypass(acls.Bypass, at+".bypass"); err != nil {
		return err
	}
	if len(acls.IPRules) > limits.IPRules || len(acls.VirtualNetworkRules) > limits.VirtualNetworkRules {
		return Refuse(limits.Code, at, limits.Message, limits.IPRules, limits.VirtualNetworkRules)
	}
	for i, rule := range acls.IPRules {
		if _, err := OneOf(rule.Action, Index(at+".ipRules", i)+".action", "Allow"); err != nil {
			return err
		}
		read := IPRule
		if limits.SmallRanges {
			read = PublicRange
		}
		prefix, err := read(rule.Value, Index(at+".ipRules", i)+".value")
		if err != nil {
			return err
		}
		rules.IPRules = append(rules.IPRules, prefix)
	}
	for i, rule := range acls.VirtualNetworkRules {
		if err := ReadVirtualNetworkRule(b, rule, Index(at+".virtualNetworkRules", i), into); err != nil {
			return err
		}
	}
	if most := limits.ResourceAccessRules; most > 0 && len(acls.ResourceAccessRules) > most {
		return Refuse(limits.Code, at+".resourceAccessRules", "At most %d resource access rules are taken; there are %d.", most, len(acls.ResourceAccessRules))
	}
	for i, rule := range acls.ResourceAccessRules {
		field := Index(at+".resourceAccessRules", i)
		if rule.TenantID == "" || model.ResourceID(rule.ResourceID).Type() == "" {
			return Refuse(CodeInvalidValues, field, "A resource access rule needs a tenantId and the resourceId of a resource, whose name may be '*'; "+
				"it has '%s' and '%s'.", rule.TenantID, rule.ResourceID)
		}
		rules.ResourceAccessRules = append(rules.ResourceAccessRules, model.ResourceAccessRule{Tenant: rule.TenantID, Resource: model.ResourceID(rule.ResourceID)})
	}
	return nil
}

// ReadVirtualNetworkRule reads one rule that lets a subnet in.
func ReadVirtualNetworkRule(b *Body, rule VirtualNetworkRule, field string, into *Instance) error {
	if _, err := OneOf(rule.Action, field+".action", "Allow"); err != nil {
		return err
	}
	id, at := rule.ID, field
	if id == "" && rule.Subnet.ID != "" {
		id, at = rule.Subnet.ID, field+".subnet"
	}
	subnet, err := b.Subnet(id, at)
	if err != nil {
		return err
	}
	if _, twice := into.Sources[subnet.Key()]; twice {
		return Refuse(CodeInvalidValues, at+".id", "Values for request parameters are invalid: the subnet %s stands twice.", subnet)
	}
	into.AddSource(subnet, Source{Field: at + ".id", Deleted: strings.EqualFold(rule.State, StateDeleted), IgnoreMissing: rule.IgnoreMissing})
	into.Rules.VirtualNetworkRules = append(into.Rules.VirtualNetworkRules, model.VirtualNetworkRule{Subnet: subnet})
	return nil
}

// ReadBypass reads the set that FW-9 names, written "AzureServices, Logging".
func ReadBypass(text, field string) ([]string, error) {
	if text == "" {
		return []string{"AzureServices"}, nil
	}
	var set []string
	for word := range strings.SplitSeq(text, ",") {
		word, err := OneOf(strings.TrimSpace(word), field, "None", "AzureServices", "Logging", "Metrics")
		if err != nil {
			return nil, err
		}
		if word != "None" {
			set = append(set, word)
		}
	}
	return set, nil
}

// RenderNetworkACLs completes rules in an answer: the defaults, the actions, and the state of each rule for a subnet
// (FW-7).
func RenderNetworkACLs(a *Answer, acls map[string]any) {
	action := "Deny"
	if a.Instance.Rules.DefaultAllow {
		action = "Allow"
	}
	Fill(acls, "defaultAction", action)
	Fill(acls, "bypass", "AzureServices")
	Fill(acls, "ipRules", []any{})
	Fill(acls, "virtualNetworkRules", []any{})
	for _, element := range ListIn(acls, "ipRules") {
		Fill(element.(map[string]any), "action", "Allow")
	}
	for i, element := range ListIn(acls, "virtualNetworkRules") {
		rule := element.(map[string]any)
		Fill(rule, "action", "Allow")
		rule["state"] = a.RuleState(a.Instance.Rules.VirtualNetworkRules[i].Subnet)
	}
}

// WithoutActions takes the actions out of an answer's rules, for services whose rules have none.
func WithoutActions(acls map[string]any) {
	for _, list := range []string{"ipRules", "virtualNetworkRules"} {
		for _, element := range ListIn(acls, list) {
			rule := element.(map[string]any)
			delete(rule, Member(rule, "action"))
		}
	}
}
