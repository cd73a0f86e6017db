// Package datalakestore describes Microsoft.DataLakeStore/accounts: Data Lake Storage Gen1, files over WebHDFS. Subnets
// reach it by the endpoint Microsoft.AzureActiveDirectory
// (https://learn.microsoft.com/azure/data-lake-store/data-lake-store-network-security).
package datalakestore

import (
	"net/http"
	"slices"
	"strings"

	"postern/model"
	"postern/service"
)

// TypeAccount is the resource type.
const TypeAccount = "Microsoft.DataLakeStore/accounts"

// Service is the description.
var Service = &service.Service{
	Name:     "datalakestore",
	Endpoint: "Microsoft.AzureActiveDirectory",
	Zones: func(settings model.Settings) []model.Zone {
		return []model.Zone{{Suffix: service.ZoneName(&settings, "datalakestore", "azuredatalakestore.net"), Service: "datalakestore", Space: "datalakestore"}}
	},
	ValidName: ValidName,
	Audiences: []string{"https://datalake.azure.net"},
	Actions: []service.Action{service.CheckName("Microsoft.DataLakeStore/locations/*/checkNameAvailability", "", TypeAccount, refuseName, nameTaken,
		service.UsualName("Invalid", "AlreadyExists"))},
	HTTP: &service.HTTP{RequestID: "X-Ms-Request-Id", Operation: operation, Refuse: refuse},
	Types: []service.Type{{
		Name:   TypeAccount,
		Noun:   "Data Lake Store account",
		Model:  "datalakestore.CreateDataLakeStoreAccountParameters",
		Update: "datalakestore.UpdateDataLakeStoreAccountParameters",
		Children: []service.Child{{Collection: "firewallRules", Property: "firewallRules", Model: "datalakestore.CreateOrUpdateFirewallRuleParameters", Patched: true, Manners: childManners},
			{Collection: "virtualNetworkRules", Property: "virtualNetworkRules", Model: "datalakestore.CreateOrUpdateVirtualNetworkRuleParameters", Patched: true, Manners: childManners, Render: renderRule}},
		Versions:  []string{"2016-11-01"},
		Ours:      []string{"posternFrontAddress"},
		Decode:    decode,
		Render:    render,
		NameTaken: nameTaken,
	}},
}

// childManners is what clients of the children take for an answer.
var childManners = service.Manners{Created: http.StatusOK, Patient: []string{http.MethodPut, http.MethodDelete}}

var ports = []model.ServicePort{{Number: 443, Way: model.WayHTTPS}}

// ValidName tells whether a text can be the name of an account: 3 to 24 lower-case letters and digits.
func ValidName(name string) bool {
	return len(name) >= 3 && len(name) <= 24 && service.ValidLabel(name) && !strings.Contains(name, "-")
}

func refuseName(name string) *service.Refusal {
	if ValidName(name) {
		return nil
	}
	return service.Refuse("InvalidAccountName", "name", "The account name '%.80s' is not valid: it has 3 to 24 lower-case letters and digits.", name)
}

func nameTaken(name string, _ model.ResourceID) *service.Refusal {
	return service.Conflict("AccountAlreadyExists", "name", "The account name '%s' is already taken.", name)
}

// maxFirewallRules bounds the ranges of an account (FW-11).
const maxFirewallRules = 1000

func decode(b *service.Body, account *service.Instance) error {
	var body struct {
		Properties struct {
			FirewallState string `json:"firewallState"`
			AllowAzureIPs string `json:"firewallAllowAzureIps"`
			FirewallRules []struct {
				Name       string `json:"name"`
				Properties struct {
					Start string `json:"startIpAddress"`
					End   string `json:"endIpAddress"`
				} `json:"properties"`
			} `json:"firewallRules"`
			VirtualNetworkRules []struct {
				Name       string `json:"name"`
				Properties struct {
					SubnetID string `json:"subnetId"`
					State    string `json:"state"`
				} `json:"properties"`
			} `json:"virtualNetworkRules"`
		} `json:"properties"`
	}
	if err := b.Read(&body); err != nil {
		return err
	}
	p := &body.Properties
	account.Name = strings.ToLower(account.Name)
	if refusal := refuseName(account.Name); refusal != nil {
		return refusal
	}
	account.Ports = ports
	state, err := service.OneOf(p.FirewallState, "properties.firewallState", "Disabled", "Enabled")
	if err != nil {
		return err
	}
	azure, err := service.OneOf(p.AllowAzureIPs, "properties.firewallAllowAzureIps", "Disabled", "Enabled")
	if err != nil {
		return err
	}
	account.Rules = model.NetworkRules{PublicNetworkAccess: true, DefaultAllow: state == "Disabled", AllowPlatform: azure == "Enabled"}
	if len(p.FirewallRules) > maxFirewallRules {
		return service.Refuse(service.CodeInvalidValues, "properties.firewallRules", "An account takes at most %d firewall rules; it has %d.", maxFirewallRules, len(p.FirewallRules))
	}
	for i, rule := range p.FirewallRules {
		prefixes, err := service.ReadRange(rule.Properties.Start, rule.Properties.End, service.Index("properties.firewallRules", i))
		if err != nil {
			return err
		}
		account.Rules.Filters = append(account.Rules.Filters, model.Filter{Name: "firewallRules " + rule.Name, Allow: true, Prefixes: prefixes})
	}
	for i, rule := range p.VirtualNetworkRules {
		plain := service.VirtualNetworkRule{ID: rule.Properties.SubnetID, State: rule.Properties.State}
		if err := service.ReadVirtualNetworkRule(b, plain, service.Index("properties.virtualNetworkRules", i), account); err != nil {
			return err
		}
	}
	return nil
}

// render answers the account's endpoint, what Azure fills in, and the state of each rule for a subnet (FW-7).
func render(a *service.Answer) {
	properties := a.Properties
	properties["endpoint"], properties["posternFrontAddress"] = a.Host(""), a.Instance.Address.String()
	properties["state"] = "Active"
	for name, value := range map[string]any{"firewallState": "Disabled", "firewallAllowAzureIps": "Disabled", "firewallRules": []any{}, "virtualNetworkRules": []any{},
		"encryptionState": "Enabled", "currentTier": "Consumption", "newTier": "Consumption"} {
		service.Fill(properties, service.Member(properties, name), value)
	}
	for _, element := range service.ListIn(properties, "virtualNetworkRules") {
		renderRule(a, service.ObjectIn(element.(map[string]any), "properties"))
	}
}

func renderRule(a *service.Answer, properties map[string]any) {
	if subnet, _ := properties[service.Member(properties, "subnetId")].(string); subnet != "" {
		properties["state"] = a.RuleState(model.ResourceID(subnet))
	}
}

// operations are those of WebHDFS that the service knows (https://learn.microsoft.com/rest/api/datalakestore/webhdfs-filesystem-apis).
var operations = []string{"APPEND", "CHECKACCESS", "CONCAT", "CREATE", "DELETE", "GETACLSTATUS", "GETCONTENTSUMMARY", "GETFILESTATUS", "LISTSTATUS", "LISTSTATUS_BATCH", "MKDIRS",
	"MODIFYACLENTRIES", "MSAPPEND", "MSCONCAT", "MSGETACLSTATUS", "MSGETFILESTATUS", "MSLISTSTATUS", "OPEN", "REMOVEACL", "REMOVEACLENTRIES", "RENAME", "SETACL",
	"SETEXPIRY", "SETOWNER", "SETPERMISSION"}

func operation(_ string, r *http.Request) string {
	name := strings.ToUpper(r.URL.Query().Get("op"))
	if _, known := slices.BinarySearch(operations, name); !known {
		return "Unknown"
	}
	return name
}

// refuse answers in WebHDFS's form of errors, with the service's sentence (FW-12).
func refuse(d *service.Denial) service.Response {
	type exception struct {
		Exception string `json:"exception"`
		Message   string `json:"message"`
		Class     string `json:"javaClassName"`
	}
	answer := exception{d.Fault.String(), service.Sentence(d), "java.io.IOException"}
	if d.Fault == service.Forbidden {
		answer = exception{"AccessDeniedByFirewall", "The client IP '" + d.Address() + "' is not allowed, meanwhile the request doesn't originate from an allowed " +
			"virtual network, based on the configuration of the Azure Data Lake account '" + d.Instance + "'.", "org.apache.hadoop.security.AccessControlException"}
	}
	return service.JSON(d.Fault.Status(), map[string]exception{"RemoteException": answer})
}
