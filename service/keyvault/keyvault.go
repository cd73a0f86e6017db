// Package keyvault describes Microsoft.KeyVault/vaults.
package keyvault

import (
	"net/http"
	"strings"

	"postern/model"
	"postern/service"
)

// TypeVault is the resource type.
const TypeVault = "Microsoft.KeyVault/vaults"

// Service is the description.
var Service = &service.Service{
	Name:     "keyvault",
	Endpoint: "Microsoft.KeyVault",
	Zones: func(settings model.Settings) []model.Zone {
		return []model.Zone{{Suffix: service.ZoneName(&settings, "vault", "vault.azure.net"), Service: "keyvault", Space: "keyvault"}}
	},
	ValidName: ValidName,
	Audiences: []string{"https://vault.azure.net"},
	Trusted:   trusted,
	Actions:   actions,
	HTTP:      &service.HTTP{RequestID: "X-Ms-Request-Id", Operation: operation, Refuse: refuse},
	Types: []service.Type{{
		Name:      TypeVault,
		Noun:      "key vault",
		Model:     "keyvault.VaultCreateOrUpdateParameters",
		Update:    "keyvault.VaultPatchParameters",
		Versions:  []string{"2024-11-01", "2023-07-01", "2023-02-01", "2022-07-01", "2021-10-01", "2019-09-01"},
		Ours:      []string{"posternFrontAddress"},
		Manners:   service.Manners{Patient: []string{http.MethodPatch, http.MethodDelete}},
		Decode:    decode,
		Render:    render,
		NameTaken: nameTaken,
	}},
}

// ports are the same for every vault: no vault speaks plain HTTP.
var ports = []model.ServicePort{{Number: 443, Way: model.WayHTTPS}}

// limits of a vault's rules (FW-11): "Configure Azure Key Vault firewalls and virtual networks", a note on limitations.
var limits = service.Limits{IPRules: 1000, VirtualNetworkRules: 200, SmallRanges: true, Code: "VaultNetworkRuleLimitExceeded",
	Message: "A key vault takes at most %d IP rules and %d virtual network rules."}

// trusted are services that a vault lets in by the managed identity of one of their resources ("Virtual network service endpoints
// for Azure Key Vault", Trusted services, of 30 January 2024). App Service is on that list for its own certificates alone, not for
// the apps: so sites are not here.
var trusted = []string{
	"Microsoft.ApiManagement/service", "Microsoft.Batch/batchAccounts", "Microsoft.BotService/botServices", "Microsoft.Cdn/profiles",
	"Microsoft.Compute/diskEncryptionSets", "Microsoft.ContainerRegistry/registries", "Microsoft.DataFactory/factories",
	"Microsoft.DataLakeStore/accounts", "Microsoft.Databricks/workspaces", "Microsoft.DBforMySQL/flexibleServers", "Microsoft.DBforMySQL/servers",
	"Microsoft.DBforPostgreSQL/flexibleServers", "Microsoft.DBforPostgreSQL/servers", "Microsoft.EventHub/namespaces",
	"Microsoft.ImportExport/jobs", "Microsoft.MachineLearningServices/workspaces", "Microsoft.Network/applicationGateways",
	"Microsoft.Network/firewallPolicies", "Microsoft.Network/frontDoors", "Microsoft.Purview/accounts", "Microsoft.RecoveryServices/vaults",
	"Microsoft.ServiceBus/namespaces", "Microsoft.Sql/servers", "Microsoft.Storage/storageAccounts", "Microsoft.Synapse/workspaces",
}

// ValidName tells whether a text, in lower case, can be the name of a vault: 3 to 24 letters, digits and hyphens, which
// begin with a letter, do not end with a hyphen, and have no two hyphens side by side
// (https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules).
func ValidName(name string) bool {
	return len(name) >= 3 && len(name) <= 24 && service.ValidLabel(name) && 'a' <= name[0] && name[0] <= 'z' && !strings.Contains(name, "--")
}

func nameTaken(name string, _ model.ResourceID) *service.Refusal {
	return service.Conflict("VaultAlreadyExists", "name", "The vault name '%s' is already in use. Vault names are unique in the cloud: use another one.", name)
}

// operations name requests by method and collection, in the words of the service's log
// (https://learn.microsoft.com/azure/key-vault/general/logging). The key is "METHOD collection" for the collection,
// "METHOD collection/" for one of it, and "METHOD collection//VERB" for a verb on a key.
var operations = map[string]string{
	"GET secrets": "SecretList", "GET secrets/": "SecretGet", "PUT secrets/": "SecretSet", "PATCH secrets/": "SecretUpdate", "DELETE secrets/": "SecretDelete",
	"GET keys": "KeyList", "GET keys/": "KeyGet", "PUT keys/": "KeyImport", "PATCH keys/": "KeyUpdate", "DELETE keys/": "KeyDelete",
	"POST keys//create": "KeyCreate", "POST keys//sign": "KeySign", "POST keys//verify": "KeyVerify", "POST keys//encrypt": "KeyEncrypt",
	"POST keys//decrypt": "KeyDecrypt", "POST keys//wrapkey": "KeyWrap", "POST keys//unwrapkey": "KeyUnwrap",
	"GET certificates": "CertificateList", "GET certificates/": "CertificateGet", "DELETE certificates/": "CertificateDelete",
	"POST certificates//create": "CertificateCreate", "POST certificates//import": "CertificateImport",
}

func operation(_ string, r *http.Request) string {
	segments := strings.Split(strings.Trim(strings.ToLower(r.URL.Path), "/"), "/")
	key := r.Method + " " + segments[0]
	if len(segments) > 1 {
		key += "/"
	}
	if r.Method == http.MethodPost && len(segments) > 2 {
		key += "/" + segments[len(segments)-1]
	}
	if name, ok := operations[key]; ok {
		return name
	}
	return "Unknown"
}
