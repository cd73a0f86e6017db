package cosmosdb

import (
	"strings"

	"postern/model"
	"postern/service"
)

// maxVirtualNetworkRules bounds the subnets of an account (FW-11).
const maxVirtualNetworkRules = 64

// datacentres is the address that stands for clients in Azure without an endpoint
// (https://learn.microsoft.com/azure/cosmos-db/how-to-configure-firewall).
const datacentres = "0.0.0.0"

type properties struct {
	PublicNetworkAccess string `json:"publicNetworkAccess"`
	IPRules             []struct {
		AddressOrRange string `json:"ipAddressOrRange"`
	} `json:"ipRules"`
	FilterEnabled       bool                         `json:"isVirtualNetworkFilterEnabled"`
	VirtualNetworkRules []service.VirtualNetworkRule `json:"virtualNetworkRules"`
	Bypass              string                       `json:"networkAclBypass"`
	BypassResources     []string                     `json:"networkAclBypassResourceIds"`
}

// decode reads an account. It is open until it has an ipRule or its filter is on; while the filter is off, its
// virtualNetworkRules are kept and let nobody in.
func decode(b *service.Body, account *service.Instance) error {
	var body struct {
		Properties properties `json:"properties"`
	}
	if err := b.Read(&body); err != nil {
		return err
	}
	p := &body.Properties
	if account.Name = strings.ToLower(account.Name); !ValidName(account.Name) {
		return service.Refuse("BadRequest", "name", "The database account name '%s' is not valid: it has 3 to 44 lower-case letters, digits and "+
			"single hyphens, and begins and ends with a letter or digit.", account.Name)
	}
	account.Ports = ports
	account.Rules = model.NetworkRules{DefaultAllow: len(p.IPRules) == 0 && !p.FilterEnabled}
	if err := service.ReadPublicAccess(p.PublicNetworkAccess, &account.Rules); err != nil {
		return err
	}
	for i, rule := range p.IPRules {
		if rule.AddressOrRange == datacentres {
			account.Rules.AllowPlatform = true
			continue
		}
		prefix, err := service.PublicRange(rule.AddressOrRange, service.Index("properties.ipRules", i)+".ipAddressOrRange")
		if err != nil {
			return err
		}
		account.Rules.IPRules = append(account.Rules.IPRules, prefix)
	}
	if len(p.VirtualNetworkRules) > maxVirtualNetworkRules {
		return service.Refuse("BadRequest", "properties.virtualNetworkRules", "An account takes at most %d virtual network rules; it has %d.",
			maxVirtualNetworkRules, len(p.VirtualNetworkRules))
	}
	if err := decodeSubnets(b, p, account); err != nil {
		return err
	}
	return decodeBypass(p, account)
}

func decodeSubnets(b *service.Body, p *properties, account *service.Instance) error {
	read := *account // what is read while the filter is off is judged, and then left out
	for i, rule := range p.VirtualNetworkRules {
		if err := service.ReadVirtualNetworkRule(b, rule, service.Index("properties.virtualNetworkRules", i), &read); err != nil {
			return err
		}
	}
	if p.FilterEnabled {
		*account = read
	}
	return nil
}

// decodeBypass reads the resources whose managed identities come in past the rules (FW-9): those of the account's list,
// and only with the bypass AzureServices.
func decodeBypass(p *properties, account *service.Instance) error {
	bypass, err := service.OneOf(p.Bypass, "properties.networkAclBypass", "None", "AzureServices")
	if err != nil {
		return err
	}
	for i, id := range p.BypassResources {
		if model.ResourceID(id).Type() == "" {
			return service.Refuse("BadRequest", service.Index("properties.networkAclBypassResourceIds", i), "'%s' is no resource's id.", id)
		}
		if bypass == "AzureServices" {
			account.Rules.ResourceAccessRules = append(account.Rules.ResourceAccessRules, model.ResourceAccessRule{Resource: model.ResourceID(id)})
		}
	}
	return nil
}

// render answers the account's endpoint, what Azure fills in, and the state of each rule that is in force (FW-7).
func render(a *service.Answer) {
	service.Fill(a.Object, "kind", "GlobalDocumentDB")
	properties, region := a.Properties, string(a.Instance.Location)
	endpoint := "https://" + a.Host("") + ":443/"
	location := []any{map[string]any{"id": a.Instance.Name + "-" + region, "locationName": region, "documentEndpoint": endpoint,
		"provisioningState": "Succeeded", "failoverPriority": 0, "isZoneRedundant": false}}
	properties["documentEndpoint"], properties["posternFrontAddress"] = endpoint, a.Instance.Address.String()
	for _, name := range []string{"locations", "readLocations", "writeLocations"} {
		properties[service.Member(properties, name)] = location
	}
	for name, value := range map[string]any{
		"databaseAccountOfferType": "Standard", "publicNetworkAccess": "Enabled", "ipRules": []any{}, "isVirtualNetworkFilterEnabled": false,
		"virtualNetworkRules": []any{}, "networkAclBypass": "None", "networkAclBypassResourceIds": []any{}, "enableAutomaticFailover": false,
		"enableMultipleWriteLocations": false, "capabilities": []any{}, "consistencyPolicy": map[string]any{"defaultConsistencyLevel": "Session",
			"maxIntervalInSeconds": 5, "maxStalenessPrefix": 100},
	} {
		service.Fill(properties, service.Member(properties, name), value)
	}
	inForce := a.Instance.Rules.VirtualNetworkRules
	for i, element := range service.ListIn(properties, "virtualNetworkRules") {
		rule := element.(map[string]any)
		service.Fill(rule, service.Member(rule, "ignoreMissingVNetServiceEndpoint"), false)
		if i < len(inForce) {
			rule["state"] = a.RuleState(inForce[i].Subnet)
		}
	}
}
