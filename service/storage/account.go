package storage

import (
	"strings"
	"time"

	"postern/model"
	"postern/service"
)

// limits of an account's rules (FW-11): "Scalability and performance targets for standard storage accounts".
var limits = service.Limits{IPRules: 400, VirtualNetworkRules: 400, ResourceAccessRules: 200, Code: "NetworkAclsLimitExceeded",
	Message: "An account takes at most %d IP rules and %d virtual network rules."}

// accountBody is what a body says that an account is made of. The rest of it is kept and answered.
type accountBody struct {
	SKU struct {
		Name string `json:"name"`
	} `json:"sku"`
	Properties struct {
		PublicNetworkAccess string               `json:"publicNetworkAccess"`
		NetworkACLs         *service.NetworkACLs `json:"networkAcls"`
		DNSEndpointType     string               `json:"dnsEndpointType"`
		RoutingPreference   struct {
			PublishInternetEndpoints  bool `json:"publishInternetEndpoints"`
			PublishMicrosoftEndpoints bool `json:"publishMicrosoftEndpoints"`
		} `json:"routingPreference"`
	} `json:"properties"`
}

func decode(b *service.Body, account *service.Instance) error {
	var body accountBody
	if err := b.Read(&body); err != nil {
		return err
	}
	if !ValidName(account.Name) {
		return service.Refuse("AccountNameInvalid", "name", "%s", InvalidName(account.Name))
	}
	if err := body.named(account); err != nil {
		return err
	}
	if account.SKU = body.SKU.Name; account.SKU == "" {
		account.SKU = defaultSKU
	}
	account.Ports = ports
	account.Rules = model.NetworkRules{DefaultAllow: true, Bypass: []string{"AzureServices"}}
	if err := service.ReadPublicAccess(body.Properties.PublicNetworkAccess, &account.Rules); err != nil {
		return err
	}
	if acls := body.Properties.NetworkACLs; acls != nil {
		return service.ReadNetworkACLs(b, acls, "properties.networkAcls", limits, account)
	}
	return nil
}

// InvalidName is the sentence about a name that no account can have.
func InvalidName(name string) string {
	return name + " is not a valid storage account name. Storage account name must be between 3 and 24 characters in length and use " +
		"numbers and lower-case letters only."
}

func nameTaken(name string, other model.ResourceID) *service.Refusal {
	return service.Conflict("StorageAccountAlreadyTaken", "name", "The storage account named %s is already taken: by %s.", name, other)
}

func endpointMissing(subnet, vnet model.ResourceID) *service.Refusal {
	return service.Refuse("NetworkAclsValidationFailure", "", "Validation of network acls failure: SubnetsHaveNoServiceEndpointsConfigured:"+
		"Subnets %s of virtual network %s do not have ServiceEndpoints for Microsoft.Storage resources configured. Add Microsoft.Storage to "+
		"subnet's ServiceEndpoints collection before trying to ACL Microsoft.Storage resources to these subnets..", subnet.Name(), vnet)
}

// kinds are the sub-services that each kind of account has an endpoint of.
var kinds = map[string][]string{
	"StorageV2":        {DFS, Web, Blob, Queue, Table, File},
	"Storage":          {DFS, Web, Blob, Queue, Table, File},
	"BlobStorage":      {DFS, Blob, Table},
	"BlockBlobStorage": {DFS, Web, Blob},
	"FileStorage":      {File},
}

// render answers the SKU, the endpoints, what Azure fills in, and the state of each network rule (FW-7).
func render(a *service.Answer) {
	object, properties, account := a.Object, a.Properties, a.Instance
	service.Fill(object, "kind", "StorageV2")
	sku := service.ObjectIn(object, "sku")
	service.Fill(sku, "name", defaultSKU)
	name, _ := sku["name"].(string)
	sku["tier"], _, _ = strings.Cut(name, "_")
	kind, _ := object["kind"].(string)
	properties["primaryEndpoints"], properties["primaryLocation"], properties["statusOfPrimary"] = endpoints(a, kind), string(account.Location), "available"
	properties["posternFrontAddress"] = account.Address.String()
	service.Fill(properties, "accountMigrationInProgress", false)
	service.Fill(properties, "isSkuConversionBlocked", false)
	// A second copy is the backend's matter, and none is made here.
	redundancy(a, name)
	if sku["tier"] == "Premium" {
		service.Fill(properties, "accessTier", "Premium")
	} else if kind != "Storage" {
		service.Fill(properties, "accessTier", "Hot")
	}
	service.Fill(properties, "supportsHttpsTrafficOnly", true)
	service.Fill(properties, "allowBlobPublicAccess", false)
	service.Fill(properties, "minimumTlsVersion", "TLS1_2")
	service.Fill(properties, "privateEndpointConnections", []any{})
	var created string
	if !a.Created.IsZero() {
		created = a.Created.Format(time.RFC3339Nano)
		properties["creationTime"] = created
		properties["keyCreationTime"] = map[string]any{"key1": created, "key2": created}
	}
	encrypted(properties, created)
	service.RenderNetworkACLs(a, service.ObjectIn(properties, "networkAcls"))
}

// encrypted answers the encryption of an account. The accounts' bytes lie in the backend, whose matter it is.
func encrypted(properties map[string]any, since string) {
	encryption := service.ObjectIn(properties, "encryption")
	service.Fill(encryption, "keySource", "Microsoft.Storage")
	services := service.ObjectIn(encryption, "services")
	for _, name := range []string{"blob", "file"} {
		service.Fill(service.ObjectIn(services, name), "keyType", "Account")
	}
	for name := range services {
		one := service.ObjectIn(services, name)
		service.Fill(one, "enabled", true)
		if since != "" {
			one["lastEnabledTime"] = since
		}
	}
}
