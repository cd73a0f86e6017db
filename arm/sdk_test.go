package arm_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azarm "github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/network/armnetwork/v11"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/resources/armresources"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/storage/armstorage"
)

// clients are the SDK's, signed in at a fixture's door as postern env go says.
type clients struct {
	*fixture
	network   *armnetwork.ClientFactory
	storage   *armstorage.ClientFactory
	resources *armresources.ClientFactory
	strict    *strict // every answer that they get goes through it
}

func (f *fixture) options() azcore.ClientOptions {
	return azcore.ClientOptions{
		Transport: f.client, Retry: policy.RetryOptions{MaxRetries: -1},
		Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: f.door.URL, Services: map[cloud.ServiceName]cloud.ServiceConfiguration{
			cloud.ResourceManager: {Endpoint: f.door.URL, Audience: f.door.URL}}},
	}
}

func (f *fixture) credential(t *testing.T, tenant, secret string) *azidentity.ClientSecretCredential {
	t.Helper()
	credential, err := azidentity.NewClientSecretCredential(tenant, f.door.ClientID, secret,
		&azidentity.ClientSecretCredentialOptions{ClientOptions: f.options(), DisableInstanceDiscovery: true})
	if err != nil {
		t.Fatal(err)
	}
	return credential
}

// token is a bearer token as the SDK gets it.
func (f *fixture) token(t *testing.T) string {
	t.Helper()
	given, err := f.credential(t, f.door.Tenant, f.door.Secret).GetToken(f.ctx, policy.TokenRequestOptions{Scopes: []string{f.door.URL + "/.default"}})
	if err != nil {
		t.Fatal(err)
	}
	return given.Token
}

func startSDK(t *testing.T) *clients {
	t.Helper()
	return signInSDK(t, start(t))
}

func signInSDK(t *testing.T, f *fixture) *clients {
	t.Helper()
	c := &clients{fixture: f}
	credential := f.credential(t, f.door.Tenant, f.door.Secret)
	options := &azarm.ClientOptions{ClientOptions: f.options()}
	c.strict = newStrict(t, f.client)
	options.Transport = c.strict
	var err error
	if c.network, err = armnetwork.NewClientFactory(f.door.Subscription, credential, options); err != nil {
		t.Fatal(err)
	}
	if c.storage, err = armstorage.NewClientFactory(f.door.Subscription, credential, options); err != nil {
		t.Fatal(err)
	}
	if c.resources, err = armresources.NewClientFactory(f.door.Subscription, credential, options); err != nil {
		t.Fatal(err)
	}
	return c
}

// must ends the test on an error of a client.
func must[T any](t *testing.T) func(T, error) T {
	return func(answer T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
}

// done waits for a long-running operation.
func done[T any](t *testing.T, c *clients) func(*runtime.Poller[T], error) T {
	return func(poller *runtime.Poller[T], err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		answer, err := poller.PollUntilDone(c.ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
}

func refused(t *testing.T, err error, status int, code string) {
	t.Helper()
	var response *azcore.ResponseError
	if !errors.As(err, &response) || response.StatusCode != status || response.ErrorCode != code {
		t.Errorf("got %v, want %d %s", err, status, code)
	}
}

func (c *clients) group(t *testing.T, name string) {
	t.Helper()
	must[armresources.ResourceGroupsClientCreateOrUpdateResponse](t)(c.resources.NewResourceGroupsClient().CreateOrUpdate(c.ctx, name,
		armresources.ResourceGroup{Location: to.Ptr("westeurope"), Tags: map[string]*string{"purpose": to.Ptr("test")}}, nil))
}

func TestSDKNetwork(t *testing.T) {
	c := startSDK(t)
	c.group(t, "rg")
	vnets, subnets := c.network.NewVirtualNetworksClient(), c.network.NewSubnetsClient()
	created := done[armnetwork.VirtualNetworksClientCreateOrUpdateResponse](t, c)(vnets.BeginCreateOrUpdate(c.ctx, "rg", "vnet", armnetwork.VirtualNetwork{
		Location: to.Ptr("westeurope"), Properties: &armnetwork.VirtualNetworkPropertiesFormat{
			AddressSpace: &armnetwork.AddressSpace{AddressPrefixes: []*string{to.Ptr("10.1.0.0/16")}},
			Subnets: []*armnetwork.Subnet{{Name: to.Ptr("app"), Properties: &armnetwork.SubnetPropertiesFormat{AddressPrefix: to.Ptr("10.1.0.0/24"),
				ServiceEndpoints: []*armnetwork.ServiceEndpointPropertiesFormat{{Service: to.Ptr("Microsoft.Storage.Global")}}}}},
		}}, nil))
	if *created.Properties.ProvisioningState != armnetwork.ProvisioningStateSucceeded || created.Etag == nil || len(created.Properties.Subnets) != 1 {
		t.Errorf("created %+v", created)
	}
	subnet := must[armnetwork.SubnetsClientGetResponse](t)(subnets.Get(c.ctx, "rg", "vnet", "app", nil))
	if endpoints := subnet.Properties.ServiceEndpoints; len(endpoints) != 1 || *endpoints[0].ProvisioningState != armnetwork.ProvisioningStateSucceeded {
		t.Errorf("SE-11 endpoints: %+v", endpoints)
	}
	nics := c.network.NewInterfacesClient()
	nic := done[armnetwork.InterfacesClientCreateOrUpdateResponse](t, c)(nics.BeginCreateOrUpdate(c.ctx, "rg", "nic", armnetwork.Interface{
		Location: to.Ptr("westeurope"), Properties: &armnetwork.InterfacePropertiesFormat{IPConfigurations: []*armnetwork.InterfaceIPConfiguration{{
			Name: to.Ptr("one"), Properties: &armnetwork.InterfaceIPConfigurationPropertiesFormat{Subnet: &armnetwork.Subnet{ID: subnet.ID}}}}}}, nil))
	if *nic.Properties.IPConfigurations[0].Properties.PrivateIPAddress != "10.1.0.4" {
		t.Errorf("NIC %+v", nic)
	}
	t.Run("ROUTE-18 effective routes", func(t *testing.T) {
		routes := done[armnetwork.InterfacesClientGetEffectiveRouteTableResponse](t, c)(nics.BeginGetEffectiveRouteTable(c.ctx, "rg", "nic", nil))
		at := slices.IndexFunc(routes.Value, func(route *armnetwork.EffectiveRoute) bool {
			return *route.NextHopType == armnetwork.RouteNextHopType("VirtualNetworkServiceEndpoint")
		})
		if at < 0 || len(routes.Value[at].AddressPrefix) < 2 || *routes.Value[at].State != armnetwork.EffectiveRouteStateActive {
			t.Errorf("no endpoint's route among %d", len(routes.Value))
		}
	})
	t.Run("ARM-1 a subnet in use stays", func(t *testing.T) {
		_, err := subnets.BeginDelete(c.ctx, "rg", "vnet", "app", nil)
		refused(t, err, http.StatusBadRequest, "InUseSubnetCannotBeDeleted")
	})
	t.Run("ARM-2 a VNet without its subnets removes them", func(t *testing.T) {
		_, err := vnets.BeginCreateOrUpdate(c.ctx, "rg", "vnet", armnetwork.VirtualNetwork{Location: to.Ptr("westeurope"),
			Properties: &armnetwork.VirtualNetworkPropertiesFormat{AddressSpace: &armnetwork.AddressSpace{AddressPrefixes: []*string{to.Ptr("10.1.0.0/16")}},
				Subnets: []*armnetwork.Subnet{}}}, nil)
		refused(t, err, http.StatusBadRequest, "InUseSubnetCannotBeDeleted")
	})
	t.Run("endpoint services", func(t *testing.T) {
		var names []string
		pager := c.network.NewAvailableEndpointServicesClient().NewListPager("westeurope", nil)
		for pager.More() {
			for _, service := range must[armnetwork.AvailableEndpointServicesClientListResponse](t)(pager.NextPage(c.ctx)).Value {
				names = append(names, *service.Name)
			}
		}
		if !slices.Contains(names, "Microsoft.Storage.Global") {
			t.Errorf("SE-16 services: %v", names)
		}
	})
	t.Run("service tags", func(t *testing.T) {
		tags := must[armnetwork.ServiceTagsClientListResponse](t)(c.network.NewServiceTagsClient().List(c.ctx, "westeurope", nil))
		if !slices.ContainsFunc(tags.Values, func(tag *armnetwork.ServiceTagInformation) bool {
			return *tag.Name == "Storage.WestEurope" && len(tag.Properties.AddressPrefixes) > 0
		}) {
			t.Errorf("%d tags without Storage.WestEurope", len(tags.Values))
		}
	})
	t.Run("what is not there", func(t *testing.T) {
		_, err := vnets.Get(c.ctx, "rg", "nope", nil)
		refused(t, err, http.StatusNotFound, "ResourceNotFound")
		_, err = vnets.Get(c.ctx, "nope", "vnet", nil)
		refused(t, err, http.StatusNotFound, "ResourceGroupNotFound")
		_, err = c.network.NewLoadBalancersClient().Get(c.ctx, "rg", "lb", nil)
		refused(t, err, http.StatusNotFound, "InvalidResourceType")
	})
	done[armnetwork.InterfacesClientDeleteResponse](t, c)(nics.BeginDelete(c.ctx, "rg", "nic", nil))
	done[armnetwork.VirtualNetworksClientDeleteResponse](t, c)(vnets.BeginDelete(c.ctx, "rg", "vnet", nil))
	_, err := vnets.Get(c.ctx, "rg", "vnet", nil)
	refused(t, err, http.StatusNotFound, "ResourceNotFound")
}

func TestSDKStorage(t *testing.T) {
	c := startSDK(t)
	c.group(t, "rg")
	accounts := c.storage.NewAccountsClient()
	free := must[armstorage.AccountsClientCheckNameAvailabilityResponse](t)(accounts.CheckNameAvailability(c.ctx,
		armstorage.AccountCheckNameAvailabilityParameters{Name: to.Ptr("stpostern"), Type: to.Ptr("Microsoft.Storage/storageAccounts")}, nil))
	if !*free.NameAvailable {
		t.Errorf("%+v", free)
	}
	created := done[armstorage.AccountsClientCreateResponse](t, c)(accounts.BeginCreate(c.ctx, "rg", "stpostern", armstorage.AccountCreateParameters{
		Kind: to.Ptr(armstorage.KindStorageV2), Location: to.Ptr("westeurope"), SKU: &armstorage.SKU{Name: to.Ptr(armstorage.SKUNameStandardLRS)},
		Properties: &armstorage.AccountPropertiesCreateParameters{NetworkRuleSet: &armstorage.NetworkRuleSet{DefaultAction: to.Ptr(armstorage.DefaultActionDeny)}},
	}, nil))
	if *created.Properties.ProvisioningState != armstorage.ProvisioningStateSucceeded || *created.Properties.NetworkRuleSet.DefaultAction != armstorage.DefaultActionDeny {
		t.Errorf("created %+v", created.Properties)
	}
	keys := must[armstorage.AccountsClientListKeysResponse](t)(accounts.ListKeys(c.ctx, "rg", "stpostern", nil))
	if len(keys.Keys) != 2 || *keys.Keys[0].Value == *keys.Keys[1].Value || len(*keys.Keys[0].Value) != 88 {
		t.Errorf("%d keys", len(keys.Keys))
	}
	updated := must[armstorage.AccountsClientUpdateResponse](t)(accounts.Update(c.ctx, "rg", "stpostern", armstorage.AccountUpdateParameters{
		Properties: &armstorage.AccountPropertiesUpdateParameters{NetworkRuleSet: &armstorage.NetworkRuleSet{DefaultAction: to.Ptr(armstorage.DefaultActionAllow)}}}, nil))
	if *updated.Properties.NetworkRuleSet.DefaultAction != armstorage.DefaultActionAllow || *updated.SKU.Name != armstorage.SKUNameStandardLRS {
		t.Errorf("updated %+v", updated.Properties)
	}
	must[armstorage.AccountsClientDeleteResponse](t)(accounts.Delete(c.ctx, "rg", "stpostern", nil))
	_, err := accounts.GetProperties(c.ctx, "rg", "stpostern", nil)
	refused(t, err, http.StatusNotFound, "ResourceNotFound")
}

func TestSDKResources(t *testing.T) {
	c := startSDK(t)
	groups := c.resources.NewResourceGroupsClient()
	if exists := must[armresources.ResourceGroupsClientCheckExistenceResponse](t)(groups.CheckExistence(c.ctx, "rg", nil)); exists.Success {
		t.Error("the group is there before it is made")
	}
	c.group(t, "rg")
	if exists := must[armresources.ResourceGroupsClientCheckExistenceResponse](t)(groups.CheckExistence(c.ctx, "RG", nil)); !exists.Success {
		t.Error("the group is not there")
	}
	patched := must[armresources.ResourceGroupsClientUpdateResponse](t)(groups.Update(c.ctx, "rg",
		armresources.ResourceGroupPatchable{Tags: map[string]*string{"purpose": to.Ptr("other")}}, nil))
	if *patched.Tags["purpose"] != "other" || *patched.Location != "westeurope" {
		t.Errorf("patched %+v", patched)
	}
	tables := c.network.NewRouteTablesClient()
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		done[armnetwork.RouteTablesClientCreateOrUpdateResponse](t, c)(tables.BeginCreateOrUpdate(c.ctx, "rg", name,
			armnetwork.RouteTable{Location: to.Ptr("westeurope"), Tags: map[string]*string{"name": to.Ptr(name)}}, nil))
	}
	t.Run("pages", func(t *testing.T) {
		var names []string
		pages := 0
		for pager := c.resources.NewClient().NewListByResourceGroupPager("rg", &armresources.ClientListByResourceGroupOptions{Top: to.Ptr[int32](2)}); pager.More(); pages++ {
			for _, found := range must[armresources.ClientListByResourceGroupResponse](t)(pager.NextPage(c.ctx)).Value {
				names = append(names, *found.Name)
			}
		}
		if strings.Join(names, "") != "abcde" || pages != 3 {
			t.Errorf("%v in %d pages", names, pages)
		}
	})
	t.Run("filter by tag", func(t *testing.T) {
		pager := c.resources.NewClient().NewListPager(&armresources.ClientListOptions{Filter: to.Ptr("tagName eq 'name' and tagValue eq 'c'")})
		page := must[armresources.ClientListResponse](t)(pager.NextPage(c.ctx))
		if len(page.Value) != 1 || *page.Value[0].Name != "c" {
			t.Errorf("%+v", page.Value)
		}
	})
	t.Run("providers", func(t *testing.T) {
		provider := must[armresources.ProvidersClientGetResponse](t)(c.resources.NewProvidersClient().Get(c.ctx, "microsoft.network", nil))
		if *provider.Namespace != "Microsoft.Network" || !slices.ContainsFunc(provider.ResourceTypes, func(typ *armresources.ProviderResourceType) bool {
			return *typ.ResourceType == "virtualNetworks/subnets"
		}) {
			t.Errorf("%+v", provider)
		}
		_, err := c.resources.NewProvidersClient().Get(c.ctx, "Microsoft.Nothing", nil)
		refused(t, err, http.StatusNotFound, "InvalidResourceNamespace")
	})
	done[armresources.ResourceGroupsClientDeleteResponse](t, c)(groups.BeginDelete(c.ctx, "rg", nil))
	if exists := must[armresources.ResourceGroupsClientCheckExistenceResponse](t)(groups.CheckExistence(c.ctx, "rg", nil)); exists.Success {
		t.Error("the group is there still")
	}
	_, err := tables.Get(c.ctx, "rg", "a", nil)
	refused(t, err, http.StatusNotFound, "ResourceGroupNotFound")
}

func TestSDKSignIn(t *testing.T) {
	c := startSDK(t)
	for _, tenant := range []string{"adfs", c.door.Tenant} {
		given, err := c.credential(t, tenant, c.door.Secret).GetToken(c.ctx, policy.TokenRequestOptions{Scopes: []string{c.door.URL + "//.default"}})
		if err != nil || given.Token == "" {
			t.Errorf("tenant %s: %v", tenant, err)
		}
	}
	_, err := c.credential(t, c.door.Tenant, "wrong").GetToken(c.ctx, policy.TokenRequestOptions{Scopes: []string{c.door.URL + "/.default"}})
	var failed *azidentity.AuthenticationFailedError
	if !errors.As(err, &failed) || failed.RawResponse.StatusCode != http.StatusUnauthorized {
		t.Errorf("a wrong secret: %v", err)
	}
}
