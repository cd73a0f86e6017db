package resource

import (
	"strings"
	"time"

	"postern/model"
)

// accountServices are the sub-services that each kind of account has an endpoint of.
var accountServices = map[string][]string{
	"StorageV2":        {"dfs", "web", "blob", "queue", "table", "file"},
	"Storage":          {"dfs", "web", "blob", "queue", "table", "file"},
	"BlobStorage":      {"dfs", "blob", "table"},
	"BlockBlobStorage": {"dfs", "web", "blob"},
	"FileStorage":      {"file"},
}

// storageAccount answers the SKU, the endpoints, what Azure fills in, and the state of each network rule (FW-7).
func (a *answer) storageAccount(object, properties map[string]any, account *storageAccount) {
	fill(object, "kind", "StorageV2")
	sku := objectIn(object, "sku")
	fill(sku, "name", "Standard_LRS")
	name, _ := sku["name"].(string)
	sku["tier"], _, _ = strings.Cut(name, "_")
	kind, _ := object["kind"].(string)
	endpoints := make(map[string]any)
	for _, service := range accountServices[kind] {
		endpoints[service] = "https://" + account.Name + "." + service + "." + a.cloud.Snapshot().Settings.StorageSuffix + "/"
	}
	properties["primaryEndpoints"], properties["primaryLocation"], properties["statusOfPrimary"] = endpoints, string(account.Location), "available"
	properties["posternFrontAddress"] = account.Address.String()
	fill(properties, "accountMigrationInProgress", false)
	fill(properties, "isSkuConversionBlocked", false)
	// The name of a redundant SKU is kept for clients' sake; a second copy is the backend's matter, and none is made here.
	if pair := model.RegionPair(account.Location); pair != "" && strings.Contains(name, "G") {
		properties["secondaryLocation"], properties["statusOfSecondary"] = string(pair), "available"
	}
	if sku["tier"] == "Premium" {
		fill(properties, "accessTier", "Premium")
	} else if kind != "Storage" {
		fill(properties, "accessTier", "Hot")
	}
	fill(properties, "supportsHttpsTrafficOnly", true)
	fill(properties, "allowBlobPublicAccess", false)
	fill(properties, "minimumTlsVersion", "TLS1_2")
	fill(properties, "privateEndpointConnections", []any{})
	var created string
	if at := a.entry.record.Allotted.Created; !at.IsZero() {
		created = at.Format(time.RFC3339Nano)
		properties["creationTime"] = created
		properties["keyCreationTime"] = map[string]any{"key1": created, "key2": created}
	}
	encrypted(properties, created)
	a.networkRules(properties, account)
}

// encrypted answers the encryption of an account. The accounts' bytes lie in the backend, whose matter it is.
func encrypted(properties map[string]any, since string) {
	encryption := objectIn(properties, "encryption")
	fill(encryption, "keySource", "Microsoft.Storage")
	services := objectIn(encryption, "services")
	for _, name := range []string{"blob", "file"} {
		fill(objectIn(services, name), "keyType", "Account")
	}
	for name := range services {
		service := objectIn(services, name)
		fill(service, "enabled", true)
		if since != "" {
			service["lastEnabledTime"] = since
		}
	}
}

func (a *answer) networkRules(properties map[string]any, account *storageAccount) {
	acls := objectIn(properties, "networkAcls")
	action := "Deny"
	if account.NetworkACLs.DefaultAllow {
		action = "Allow"
	}
	fill(acls, "defaultAction", action)
	fill(acls, "bypass", "AzureServices")
	fill(acls, "ipRules", []any{})
	fill(acls, "virtualNetworkRules", []any{})
	for _, element := range listIn(acls, "ipRules") {
		fill(element.(map[string]any), "action", "Allow")
	}
	for i, element := range listIn(acls, "virtualNetworkRules") {
		rule := element.(map[string]any)
		fill(rule, "action", "Allow")
		rule["state"] = a.ruleState(account.NetworkACLs.VirtualNetworkRules[i])
	}
}

func (a *answer) ruleState(rule model.VirtualNetworkRule) string {
	subnet, _ := a.cloud.subnet(rule.Subnet)
	if subnet != nil && subnet.Identity == rule.Identity {
		return "Succeeded"
	}
	return stateDeleted
}
