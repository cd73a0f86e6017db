package arm_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/network/armnetwork/v11"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/resources/armresources"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/storage/armstorage"

	"postern/api"
	"postern/api/client"
	"postern/control"
	"postern/resource"
)

// hasty are planes whose writes are operations as soon as a node does not answer.
var hasty = control.Options{Wait: 100 * time.Millisecond}

const (
	vnets    = group + "/providers/Microsoft.Network/virtualNetworks"
	nics     = group + "/providers/Microsoft.Network/networkInterfaces"
	accounts = group + "/providers/Microsoft.Storage/storageAccounts"

	vnetBody = `{"location":"westeurope","properties":{"addressSpace":{"addressPrefixes":["10.1.0.0/16"]},"subnets":[{"name":"app","properties":{"addressPrefix":"10.1.0.0/24"}}]}}`
	nicBody  = `{"location":"westeurope","properties":{"ipConfigurations":[{"name":"c","properties":{"subnet":{"id":"` + vnets + `/vnet/subnets/app"}}}]}}`
)

// startNetwork starts a plane with a NIC on host-a, so that changes of its subnet concern that node.
func startNetwork(t *testing.T, options control.Options) *fixture {
	t.Helper()
	f := startWith(t, options)
	token := f.token(t)
	for _, made := range [][2]string{{vnets + "/vnet", vnetBody}, {nics + "/nic", nicBody}} {
		if answer := f.send(t, "PUT", made[0]+version, token, made[1]); answer.status != http.StatusCreated {
			t.Fatalf("%d %s", answer.status, answer.body)
		}
	}
	return f
}

func endpoint() armnetwork.Subnet {
	return armnetwork.Subnet{Properties: &armnetwork.SubnetPropertiesFormat{AddressPrefix: to.Ptr("10.1.0.0/24"),
		ServiceEndpoints: []*armnetwork.ServiceEndpointPropertiesFormat{{Service: to.Ptr("Microsoft.Storage")}}}}
}

// inProgress asks once: the operation must go on.
func inProgress[T any](t *testing.T, c *clients) func(*runtime.Poller[T], error) *runtime.Poller[T] {
	return func(poller *runtime.Poller[T], err error) *runtime.Poller[T] {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := poller.Poll(c.ctx); err != nil || poller.Done() {
			t.Fatalf("ARM-1 the operation is over while the node is silent: %v", err)
		}
		return poller
	}
}

// The SDK follows operations on a cloud with a node that does not report.
func TestSDKOperations(t *testing.T) {
	c := signInSDK(t, startNetwork(t, hasty))
	subnets := c.network.NewSubnetsClient()
	c.plane.Nodes.Silence("host-a")
	changing := inProgress[armnetwork.SubnetsClientCreateOrUpdateResponse](t, c)(subnets.BeginCreateOrUpdate(c.ctx, "demo", "vnet", "app", endpoint(), nil))

	t.Run("SE-11 endpoints are Updating", func(t *testing.T) {
		subnet := must[armnetwork.SubnetsClientGetResponse](t)(subnets.Get(c.ctx, "demo", "vnet", "app", nil))
		if *subnet.Properties.ProvisioningState != "Updating" || *subnet.Properties.ServiceEndpoints[0].ProvisioningState != "Updating" ||
			len(subnet.Properties.ServiceEndpoints[0].Locations) != 2 {
			t.Errorf("%+v", subnet.Properties)
		}
	})
	t.Run("ARM-1 another operation on the VNet is refused", func(t *testing.T) {
		_, err := subnets.BeginDelete(c.ctx, "demo", "vnet", "app", nil)
		refused(t, err, http.StatusConflict, "AnotherOperationInProgress")
		_, err = c.network.NewVirtualNetworksClient().UpdateTags(c.ctx, "demo", "vnet", armnetwork.TagsObject{}, nil)
		refused(t, err, http.StatusConflict, "AnotherOperationInProgress")
	})
	c.plane.Nodes.Heal(c.ctx, "host-a")
	t.Run("SE-11 endpoints are Succeeded when the node has applied them", func(t *testing.T) {
		subnet := must[armnetwork.SubnetsClientCreateOrUpdateResponse](t)(changing.PollUntilDone(c.ctx, nil))
		if *subnet.Properties.ProvisioningState != "Succeeded" || *subnet.Properties.ServiceEndpoints[0].ProvisioningState != "Succeeded" {
			t.Errorf("%+v", subnet.Properties)
		}
	})
	t.Run("DELETE", func(t *testing.T) {
		c.plane.Nodes.Silence("host-a")
		deleting := inProgress[armnetwork.InterfacesClientDeleteResponse](t, c)(c.network.NewInterfacesClient().BeginDelete(c.ctx, "demo", "nic", nil))
		_, err := c.network.NewInterfacesClient().BeginCreateOrUpdate(c.ctx, "demo", "nic", armnetwork.Interface{Location: to.Ptr("westeurope")}, nil)
		refused(t, err, http.StatusConflict, "AnotherOperationInProgress")
		c.plane.Nodes.Heal(c.ctx, "host-a")
		must[armnetwork.InterfacesClientDeleteResponse](t)(deleting.PollUntilDone(c.ctx, nil))
	})
}

// Accounts have other status codes, and clients that follow no operation but the creation.
func TestSDKAccountOperations(t *testing.T) {
	c := signInSDK(t, startWith(t, hasty))
	storage := c.storage.NewAccountsClient()
	c.plane.Nodes.Silence("gateway-we")
	making := inProgress[armstorage.AccountsClientCreateResponse](t, c)(storage.BeginCreate(c.ctx, "demo", "stops", armstorage.AccountCreateParameters{
		Kind: to.Ptr(armstorage.KindStorageV2), Location: to.Ptr("westeurope"), SKU: &armstorage.SKU{Name: to.Ptr(armstorage.SKUNameStandardLRS)}}, nil))
	denied := armstorage.AccountUpdateParameters{Properties: &armstorage.AccountPropertiesUpdateParameters{
		NetworkRuleSet: &armstorage.NetworkRuleSet{DefaultAction: to.Ptr(armstorage.DefaultActionDeny)}}}
	_, err := storage.Update(c.ctx, "demo", "stops", denied, nil)
	refused(t, err, http.StatusConflict, "StorageAccountOperationInProgress")
	c.plane.Nodes.Heal(c.ctx, "gateway-we")
	made := must[armstorage.AccountsClientCreateResponse](t)(making.PollUntilDone(c.ctx, nil))
	if *made.Properties.ProvisioningState != armstorage.ProvisioningStateSucceeded {
		t.Errorf("%+v", made.Properties)
	}
	id, err := resource.ParseID(*made.ID)
	if err != nil {
		t.Fatal(err)
	}
	// healWhenUpdating heals the gateway once a write has come to wait for it.
	healWhenUpdating := func(gone bool) chan error {
		healed := make(chan error, 1)
		go func() {
			for {
				body, err := c.plane.API.Get(c.ctx, id)
				if gone && err != nil || err == nil && strings.Contains(string(body), `"provisioningState":"Updating"`) {
					break
				}
				if c.ctx.Err() != nil {
					healed <- c.ctx.Err()
					return
				}
				time.Sleep(5 * time.Millisecond) // the pause of a bounded wait
			}
			c.plane.Nodes.Heal(c.ctx, "gateway-we")
			healed <- nil
		}()
		return healed
	}
	t.Run("PATCH is answered when it is enforced", func(t *testing.T) {
		c.plane.Nodes.Silence("gateway-we")
		healed := healWhenUpdating(false)
		updated := must[armstorage.AccountsClientUpdateResponse](t)(storage.Update(c.ctx, "demo", "stops", denied, nil))
		if err := <-healed; err != nil || *updated.Properties.ProvisioningState != armstorage.ProvisioningStateSucceeded {
			t.Errorf("%+v, %v", updated.Properties, err)
		}
	})
	t.Run("DELETE is answered when it is enforced", func(t *testing.T) {
		c.plane.Nodes.Silence("gateway-we")
		healed := healWhenUpdating(true)
		must[armstorage.AccountsClientDeleteResponse](t)(storage.Delete(c.ctx, "demo", "stops", nil))
		if err := <-healed; err != nil {
			t.Error(err)
		}
	})
}

func TestSDKGroupOperation(t *testing.T) {
	c := signInSDK(t, startNetwork(t, hasty))
	groups := c.resources.NewResourceGroupsClient()
	c.plane.Nodes.Silence("host-a")
	must[armresources.ResourceGroupsClientCreateOrUpdateResponse](t)(groups.CreateOrUpdate(c.ctx, "rg", armresources.ResourceGroup{Location: to.Ptr("westeurope")}, nil))
	nic := strings.Replace(nics, "/demo/", "/rg/", 1) + "/nic"
	making := c.send(t, "PUT", nic+version, c.token(t), nicBody)
	if making.status != http.StatusCreated || making.header.Get("Retry-After") != "1" {
		t.Fatalf("%d %v %s", making.status, making.header, making.body)
	}
	_, err := groups.BeginDelete(c.ctx, "rg", nil)
	refused(t, err, http.StatusConflict, "AnotherOperationInProgress")
	c.plane.Nodes.Heal(c.ctx, "host-a")
	c.ended(t, making, c.token(t))
	c.plane.Nodes.Silence("host-a")
	deleting := inProgress[armresources.ResourceGroupsClientDeleteResponse](t, c)(groups.BeginDelete(c.ctx, "rg", nil))
	c.plane.Nodes.Heal(c.ctx, "host-a")
	must[armresources.ResourceGroupsClientDeleteResponse](t)(deleting.PollUntilDone(c.ctx, nil))
}

// ended follows the operation of an answer by hand and gives its last status.
func (f *fixture) ended(t *testing.T, answer answered, token string) (last struct {
	Status string
	Error  *resource.Error
}) {
	t.Helper()
	path := strings.TrimPrefix(answer.header.Get("Azure-AsyncOperation"), f.door.URL)
	if path == "" {
		t.Fatalf("no operation: %d %s", answer.status, answer.body)
	}
	for {
		status := f.send(t, "GET", path, token, "")
		if err := json.Unmarshal([]byte(status.body), &last); err != nil || status.status != http.StatusOK {
			t.Fatalf("%d %s, %v", status.status, status.body, err)
		}
		if last.Status != api.InProgress {
			return last
		}
		if after := status.header.Get("Retry-After"); after != "1" {
			t.Errorf("Retry-After is %q", after)
		}
		time.Sleep(10 * time.Millisecond) // the pause of a bounded wait
	}
}

// A node that is down does not block for ever, and the operation names it.
func TestOperationsThatFail(t *testing.T) {
	c := signInSDK(t, startNetwork(t, control.Options{Wait: 50 * time.Millisecond, Bound: 300 * time.Millisecond}))
	c.plane.Nodes.Silence("host-a")
	poller, err := c.network.NewSubnetsClient().BeginCreateOrUpdate(c.ctx, "demo", "vnet", "app", endpoint(), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = poller.PollUntilDone(c.ctx, nil)
	var failed *azcore.ResponseError
	if !errors.As(err, &failed) || failed.ErrorCode != "NotEnforced" || !strings.Contains(err.Error(), "host-a") {
		t.Errorf("got %v", err)
	}
	local := client.New(c.plane.Dir)
	t.Cleanup(local.Close)
	subnet, err := resource.ParseID(vnets + "/vnet/subnets/app")
	if err != nil {
		t.Fatal(err)
	}
	body, err := local.Get(c.ctx, subnet)
	if err != nil || strings.Count(string(body), `"provisioningState":"Failed"`) != 2 {
		t.Errorf("%s, %v", body, err)
	}
	t.Run("postern's own client tells it too", func(t *testing.T) {
		_, err := local.Put(c.ctx, subnet, json.RawMessage(`{"properties":{"addressPrefix":"10.1.0.0/24"}}`))
		var refused *resource.Error
		if !errors.As(err, &refused) || refused.Code != "NotEnforced" || !strings.Contains(refused.Message, "host-a") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a deletion that clients do not follow", func(t *testing.T) {
		token := c.token(t)
		account := `{"location":"westeurope","kind":"StorageV2","sku":{"name":"Standard_LRS"}}`
		if made := c.send(t, "PUT", accounts+"/stfails"+version, token, account); made.status != http.StatusOK {
			t.Fatalf("%d %s", made.status, made.body)
		}
		c.plane.Nodes.Silence("gateway-we")
		gone := c.send(t, "DELETE", accounts+"/stfails"+version, token, "")
		if gone.status != http.StatusConflict || !strings.Contains(gone.body, "NotEnforced") || !strings.Contains(gone.body, "gateway-we") {
			t.Errorf("%d %s", gone.status, gone.body)
		}
	})
	t.Run("a batch", func(t *testing.T) {
		root, err := local.CreatePrincipal(c.ctx, client.NewPrincipal{Name: "root", Role: "Owner", Scope: "/"})
		if err != nil {
			t.Fatal(err)
		}
		token := c.tokenOf(t, root)
		batch := fmt.Sprintf(`{"resources":[{"id":"%s/two","body":%s}]}`, nics, nicBody)
		applied := c.send(t, "POST", "/postern/apply"+version, token, batch)
		if applied.status != http.StatusAccepted || !strings.Contains(applied.body, `"provisioningState":"Updating"`) {
			t.Fatalf("%d %s", applied.status, applied.body)
		}
		if last := c.ended(t, applied, token); last.Status != api.Failed || last.Error.Code != "NotEnforced" {
			t.Errorf("%+v", last)
		}
		result := c.send(t, "GET", strings.TrimPrefix(applied.header.Get("Location"), c.door.URL), token, "")
		if result.status != http.StatusConflict || !strings.Contains(result.body, "NotEnforced") {
			t.Errorf("%d %s", result.status, result.body)
		}
	})
	t.Run("GOV-1 who may not read what it writes may not follow it", func(t *testing.T) {
		reader, err := local.CreatePrincipal(c.ctx, client.NewPrincipal{Name: "reader", Role: "Reader", Scope: nics + "/nic"})
		if err != nil {
			t.Fatal(err)
		}
		made := c.send(t, "PUT", vnets+"/vnet/subnets/app"+version, c.token(t), `{"properties":{"addressPrefix":"10.1.0.0/24","serviceEndpoints":[{"service":"Microsoft.Sql"}]}}`)
		path := strings.TrimPrefix(made.header.Get("Azure-AsyncOperation"), c.door.URL)
		if made.status != http.StatusOK || path == "" {
			t.Fatalf("%d %s", made.status, made.body)
		}
		if answer := c.send(t, "GET", path, c.tokenOf(t, reader), ""); answer.status != http.StatusForbidden || !strings.Contains(answer.body, "subnets/read") {
			t.Errorf("%d %s", answer.status, answer.body)
		}
		c.ended(t, made, c.token(t))
	})
	t.Run("it is Succeeded when the node comes back", func(t *testing.T) {
		c.plane.Nodes.Heal(c.ctx, "host-a", "gateway-we")
		for {
			body, err := local.Get(c.ctx, subnet)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(body), `"provisioningState":"Succeeded"`) {
				return
			}
			time.Sleep(10 * time.Millisecond) // the pause of a bounded wait
		}
	})
	t.Run("no such operation", func(t *testing.T) {
		answer := c.send(t, "GET", "/subscriptions/"+c.door.Subscription+"/providers/Microsoft.Network/locations/westeurope/operations/nope"+version, c.token(t), "")
		if answer.status != http.StatusNotFound || !strings.Contains(answer.body, "OperationNotFound") {
			t.Errorf("%d %s", answer.status, answer.body)
		}
	})
}
