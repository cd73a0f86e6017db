package arm_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	azarm "github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/appservice/armappservice/v5"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/cognitiveservices/armcognitiveservices/v2"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerregistry/armcontainerregistry/v2"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/cosmos/armcosmos/v3"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/eventhub/armeventhub"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/keyvault/armkeyvault"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/servicebus/armservicebus"
)

// steps runs calls of the SDK one after the other; each must succeed, and its answer have a text.
type steps struct {
	*testing.T
	*clients
	credential *azidentity.ClientSecretCredential
	options    *azarm.ClientOptions
	app        *string // the id of a subnet with all endpoints
}

// region is where everything in these tests is.
var region = to.Ptr("westeurope")

// polled waits for the end of an operation, and answers what it came to as JSON.
func polled[T any](poller *runtime.Poller[T], err error) (string, error) {
	if err != nil {
		return "", err
	}
	return asked(poller.PollUntilDone(context.Background(), nil))
}

func asked[T any](answer T, err error) (string, error) {
	if err != nil {
		return "", err
	}
	data, err := json.Marshal(answer)
	return string(data), err
}

// listed is the first page.
func listed[T any](pager *runtime.Pager[T]) (string, error) {
	return asked(pager.NextPage(context.Background()))
}

// has ends the test when a call failed, or has not a text in its answer.
func (s *steps) has(text string) func(answer string, err error) {
	return func(answer string, err error) {
		s.Helper()
		if err != nil || !strings.Contains(answer, text) {
			s.Fatalf("%v: the answer has no %s: %s", err, text, answer)
		}
	}
}

// TestSDKServices goes through the life of each service's resources with the clients of Azure's SDK: create, read, list, change,
// rules, delete. Their answers go through the transport that knows the models.
func TestSDKServices(t *testing.T) {
	c := startSDK(t)
	c.group(t, "lab")
	const vnet = "/subscriptions/%s/resourceGroups/lab/providers/Microsoft.Network/virtualNetworks/vnet"
	id := fmt.Sprintf(vnet, c.door.Subscription)
	endpoints := ""
	for _, name := range []string{"KeyVault", "AzureCosmosDB", "ContainerRegistry", "CognitiveServices", "Web", "AzureActiveDirectory", "ServiceBus", "EventHub", "Sql"} {
		endpoints += `,{"service":"Microsoft.` + name + `"}`
	}
	c.asker(t)(t, "PUT", id+version, `{"location":"westeurope","properties":{"addressSpace":{"addressPrefixes":["10.9.0.0/16"]},"subnets":[
	  {"name":"app","properties":{"addressPrefix":"10.9.1.0/24","serviceEndpoints":[`+endpoints[1:]+`]}}]}}`, 201)
	options := &azarm.ClientOptions{ClientOptions: c.options()}
	options.Transport = c.strict
	for name, test := range map[string]func(*steps){"Key Vault": sdkKeyVault, "Cosmos DB": sdkCosmosDB, "Container Registry": sdkRegistry, "Cognitive Services": sdkCognitive,
		"App Service": sdkAppService, "Service Bus": sdkServiceBus, "Event Hubs": sdkEventHubs, "SQL": sdkSQL, "Synapse": sdkSynapse, "PostgreSQL": sdkPostgreSQL,
		"MySQL": sdkMySQL, "MariaDB": sdkMariaDB, "Data Lake Store": sdkDataLakeStore} {
		t.Run(name, func(t *testing.T) {
			test(&steps{t, c, c.credential(t, c.door.Tenant, c.door.Secret), options, to.Ptr(id + "/subnets/app")})
		})
	}
}

func sdkKeyVault(s *steps) {
	client := must[*armkeyvault.VaultsClient](s.T)(armkeyvault.NewVaultsClient(s.door.Subscription, s.credential, s.options))
	properties := &armkeyvault.VaultProperties{TenantID: to.Ptr(s.door.Tenant), SKU: &armkeyvault.SKU{Family: to.Ptr(armkeyvault.SKUFamilyA), Name: to.Ptr(armkeyvault.SKUNameStandard)},
		AccessPolicies: []*armkeyvault.AccessPolicyEntry{}, NetworkACLs: &armkeyvault.NetworkRuleSet{DefaultAction: to.Ptr(armkeyvault.NetworkRuleActionDeny),
			Bypass: to.Ptr(armkeyvault.NetworkRuleBypassOptionsNone), VirtualNetworkRules: []*armkeyvault.VirtualNetworkRule{{ID: s.app}}}}
	s.has(`/subnets/app`)(polled(client.BeginCreateOrUpdate(s.ctx, "lab", "kv-sdk", armkeyvault.VaultCreateOrUpdateParameters{Location: region, Properties: properties}, nil)))
	s.has(`"defaultAction":"Deny"`)(asked(client.Get(s.ctx, "lab", "kv-sdk", nil)))
	s.has(`"kv-sdk"`)(listed(client.NewListByResourceGroupPager("lab", nil)))
	s.has(`20.1.2.3`)(asked(client.Update(s.ctx, "lab", "kv-sdk", armkeyvault.VaultPatchParameters{Properties: &armkeyvault.VaultPatchProperties{NetworkACLs: &armkeyvault.NetworkRuleSet{
		DefaultAction: to.Ptr(armkeyvault.NetworkRuleActionDeny), IPRules: []*armkeyvault.IPRule{{Value: to.Ptr("20.1.2.3")}}}}}, nil)))
	s.has(`"nameAvailable":false`)(asked(client.CheckNameAvailability(s.ctx, armkeyvault.VaultCheckNameAvailabilityParameters{Name: to.Ptr("kv-sdk"), Type: to.Ptr("Microsoft.KeyVault/vaults")}, nil)))
	s.has(`{}`)(asked(client.Delete(s.ctx, "lab", "kv-sdk", nil)))
	_, err := client.Get(s.ctx, "lab", "kv-sdk", nil)
	refused(s.T, err, 404, "ResourceNotFound")
}

func sdkCosmosDB(s *steps) {
	client := must[*armcosmos.DatabaseAccountsClient](s.T)(armcosmos.NewDatabaseAccountsClient(s.door.Subscription, s.credential, s.options))
	properties := &armcosmos.DatabaseAccountCreateUpdateProperties{DatabaseAccountOfferType: to.Ptr("Standard"), Locations: []*armcosmos.Location{{LocationName: region}},
		IsVirtualNetworkFilterEnabled: to.Ptr(true), VirtualNetworkRules: []*armcosmos.VirtualNetworkRule{{ID: s.app}}}
	s.has(`/subnets/app`)(polled(client.BeginCreateOrUpdate(s.ctx, "lab", "cosmos-sdk", armcosmos.DatabaseAccountCreateUpdateParameters{Location: region, Properties: properties}, nil)))
	s.has(`"isVirtualNetworkFilterEnabled":true`)(asked(client.Get(s.ctx, "lab", "cosmos-sdk", nil)))
	s.has(`"cosmos-sdk"`)(listed(client.NewListByResourceGroupPager("lab", nil)))
	s.has(`20.1.2.3`)(polled(client.BeginUpdate(s.ctx, "lab", "cosmos-sdk", armcosmos.DatabaseAccountUpdateParameters{Properties: &armcosmos.DatabaseAccountUpdateProperties{
		IPRules: []*armcosmos.IPAddressOrRange{{IPAddressOrRange: to.Ptr("20.1.2.3")}}}}, nil)))
	s.has(`"primaryReadonlyMasterKey"`)(asked(client.ListKeys(s.ctx, "lab", "cosmos-sdk", nil)))
	s.has(`{}`)(polled(client.BeginRegenerateKey(s.ctx, "lab", "cosmos-sdk", armcosmos.DatabaseAccountRegenerateKeyParameters{KeyKind: to.Ptr(armcosmos.KeyKindPrimary)}, nil)))
	s.has(`"Success":true`)(asked(client.CheckNameExists(s.ctx, "cosmos-sdk", nil)))
	s.has(`{}`)(polled(client.BeginDelete(s.ctx, "lab", "cosmos-sdk", nil)))
}

func sdkRegistry(s *steps) {
	client := must[*armcontainerregistry.RegistriesClient](s.T)(armcontainerregistry.NewRegistriesClient(s.door.Subscription, s.credential, s.options))
	registry := armcontainerregistry.Registry{Location: region, SKU: &armcontainerregistry.SKU{Name: to.Ptr(armcontainerregistry.SKUNamePremium)},
		Properties: &armcontainerregistry.RegistryProperties{AdminUserEnabled: to.Ptr(true), NetworkRuleSet: &armcontainerregistry.NetworkRuleSet{
			DefaultAction: to.Ptr(armcontainerregistry.DefaultActionDeny), IPRules: []*armcontainerregistry.IPRule{{IPAddressOrRange: to.Ptr("20.1.2.3")}}}}}
	s.has(`20.1.2.3`)(polled(client.BeginCreate(s.ctx, "lab", "registrysdk", registry, nil)))
	s.has(`"defaultAction":"Deny"`)(asked(client.Get(s.ctx, "lab", "registrysdk", nil)))
	s.has(`"registrysdk"`)(listed(client.NewListByResourceGroupPager("lab", nil)))
	s.has(`"defaultAction":"Allow"`)(polled(client.BeginUpdate(s.ctx, "lab", "registrysdk", armcontainerregistry.RegistryUpdateParameters{Properties: &armcontainerregistry.RegistryPropertiesUpdateParameters{
		NetworkRuleSet: &armcontainerregistry.NetworkRuleSet{DefaultAction: to.Ptr(armcontainerregistry.DefaultActionAllow)}}}, nil)))
	s.has(`"password2"`)(asked(client.ListCredentials(s.ctx, "lab", "registrysdk", nil)))
	s.has(`{}`)(polled(client.BeginDelete(s.ctx, "lab", "registrysdk", nil)))
}

func sdkCognitive(s *steps) {
	client := must[*armcognitiveservices.AccountsClient](s.T)(armcognitiveservices.NewAccountsClient(s.door.Subscription, s.credential, s.options))
	account := armcognitiveservices.Account{Location: region, Kind: to.Ptr("OpenAI"), SKU: &armcognitiveservices.SKU{Name: to.Ptr("S0")},
		Properties: &armcognitiveservices.AccountProperties{CustomSubDomainName: to.Ptr("openai-sdk"), NetworkACLs: &armcognitiveservices.NetworkRuleSet{
			DefaultAction: to.Ptr(armcognitiveservices.NetworkRuleActionDeny), VirtualNetworkRules: []*armcognitiveservices.VirtualNetworkRule{{ID: s.app}}}}}
	s.has(`/subnets/app`)(polled(client.BeginCreate(s.ctx, "lab", "openai", account, nil)))
	s.has(`"endpoint":"https://openai-sdk.openai.azure.com/"`)(asked(client.Get(s.ctx, "lab", "openai", nil)))
	s.has(`"openai"`)(listed(client.NewListByResourceGroupPager("lab", nil)))
	s.has(`"team":"shop"`)(polled(client.BeginUpdate(s.ctx, "lab", "openai", armcognitiveservices.Account{Tags: map[string]*string{"team": to.Ptr("shop")}}, nil)))
	s.has(`"key1"`)(asked(client.ListKeys(s.ctx, "lab", "openai", nil)))
	s.has(`{}`)(polled(client.BeginDelete(s.ctx, "lab", "openai", nil)))
}

func sdkAppService(s *steps) {
	plans := must[*armappservice.PlansClient](s.T)(armappservice.NewPlansClient(s.door.Subscription, s.credential, s.options))
	sites := must[*armappservice.WebAppsClient](s.T)(armappservice.NewWebAppsClient(s.door.Subscription, s.credential, s.options))
	s.has(`"B1"`)(polled(plans.BeginCreateOrUpdate(s.ctx, "lab", "plan", armappservice.Plan{Location: region, SKU: &armappservice.SKUDescription{Name: to.Ptr("B1")}}, nil)))
	plan := must[armappservice.PlansClientGetResponse](s.T)(plans.Get(s.ctx, "lab", "plan", nil))
	site := armappservice.Site{Location: region, Properties: &armappservice.SiteProperties{ServerFarmID: plan.ID, SiteConfig: &armappservice.SiteConfig{
		IPSecurityRestrictions: []*armappservice.IPSecurityRestriction{{Name: to.Ptr("app"), Priority: to.Ptr[int32](100), Action: to.Ptr("Allow"), VnetSubnetResourceID: s.app}}}}}
	s.has(`/subnets/app`)(polled(sites.BeginCreateOrUpdate(s.ctx, "lab", "site-sdk", site, nil)))
	s.has(`"site-sdk.azurewebsites.net"`)(asked(sites.Get(s.ctx, "lab", "site-sdk", nil)))
	s.has(`"site-sdk"`)(listed(sites.NewListByResourceGroupPager("lab", nil)))
	s.has(`"httpsOnly":true`)(asked(sites.Update(s.ctx, "lab", "site-sdk", armappservice.SitePatchResource{Properties: &armappservice.SitePatchResourceProperties{HTTPSOnly: to.Ptr(true)}}, nil)))
	s.has(`"Deny all"`)(asked(sites.GetConfiguration(s.ctx, "lab", "site-sdk", nil)))
	s.has(`20.1.2.0/24`)(asked(sites.UpdateConfiguration(s.ctx, "lab", "site-sdk", armappservice.SiteConfigResource{Properties: &armappservice.SiteConfig{
		IPSecurityRestrictions: []*armappservice.IPSecurityRestriction{{Name: to.Ptr("office"), Priority: to.Ptr[int32](200), IPAddress: to.Ptr("20.1.2.0/24")}}}}, nil)))
	s.has(`"office"`)(asked(sites.Get(s.ctx, "lab", "site-sdk", nil)))
	_, err := plans.Delete(s.ctx, "lab", "plan", nil)
	refused(s.T, err, 409, "Conflict")
	s.has(`{}`)(asked(sites.Delete(s.ctx, "lab", "site-sdk", nil)))
	s.has(`{}`)(asked(plans.Delete(s.ctx, "lab", "plan", nil)))
}

func sdkServiceBus(s *steps) {
	client := must[*armservicebus.NamespacesClient](s.T)(armservicebus.NewNamespacesClient(s.door.Subscription, s.credential, s.options))
	sku := &armservicebus.SBSKU{Name: to.Ptr(armservicebus.SKUNamePremium)}
	s.has(`"serviceBusEndpoint"`)(polled(client.BeginCreateOrUpdate(s.ctx, "lab", "messages-sdk", armservicebus.SBNamespace{Location: region, SKU: sku}, nil)))
	s.has(`"Active"`)(asked(client.Get(s.ctx, "lab", "messages-sdk", nil)))
	s.has(`"messages-sdk"`)(listed(client.NewListByResourceGroupPager("lab", nil)))
	s.has(`"team":"shop"`)(asked(client.Update(s.ctx, "lab", "messages-sdk", armservicebus.SBNamespaceUpdateParameters{Tags: map[string]*string{"team": to.Ptr("shop")}}, nil)))
	s.has(`/subnets/app`)(asked(client.CreateOrUpdateNetworkRuleSet(s.ctx, "lab", "messages-sdk", armservicebus.NetworkRuleSet{Properties: &armservicebus.NetworkRuleSetProperties{
		DefaultAction: to.Ptr(armservicebus.DefaultActionDeny), VirtualNetworkRules: []*armservicebus.NWRuleSetVirtualNetworkRules{{Subnet: &armservicebus.Subnet{ID: s.app}}}}}, nil)))
	s.has(`"defaultAction":"Deny"`)(asked(client.GetNetworkRuleSet(s.ctx, "lab", "messages-sdk", nil)))
	s.has(`"primaryConnectionString"`)(asked(client.ListKeys(s.ctx, "lab", "messages-sdk", "RootManageSharedAccessKey", nil)))
	s.has(`{}`)(polled(client.BeginDelete(s.ctx, "lab", "messages-sdk", nil)))
}

func sdkEventHubs(s *steps) {
	client := must[*armeventhub.NamespacesClient](s.T)(armeventhub.NewNamespacesClient(s.door.Subscription, s.credential, s.options))
	s.has(`"kafkaEnabled":true`)(polled(client.BeginCreateOrUpdate(s.ctx, "lab", "events-sdk", armeventhub.EHNamespace{Location: region, SKU: &armeventhub.SKU{Name: to.Ptr(armeventhub.SKUNameStandard)}}, nil)))
	s.has(`"Active"`)(asked(client.Get(s.ctx, "lab", "events-sdk", nil)))
	s.has(`"events-sdk"`)(listed(client.NewListByResourceGroupPager("lab", nil)))
	s.has(`"team":"shop"`)(asked(client.Update(s.ctx, "lab", "events-sdk", armeventhub.EHNamespace{Tags: map[string]*string{"team": to.Ptr("shop")}}, nil)))
	s.has(`20.1.2.3`)(asked(client.CreateOrUpdateNetworkRuleSet(s.ctx, "lab", "events-sdk", armeventhub.NetworkRuleSet{Properties: &armeventhub.NetworkRuleSetProperties{
		DefaultAction: to.Ptr(armeventhub.DefaultActionDeny), IPRules: []*armeventhub.NWRuleSetIPRules{{IPMask: to.Ptr("20.1.2.3")}}}}, nil)))
	s.has(`"defaultAction":"Deny"`)(asked(client.GetNetworkRuleSet(s.ctx, "lab", "events-sdk", nil)))
	s.has(`{}`)(polled(client.BeginDelete(s.ctx, "lab", "events-sdk", nil)))
}
