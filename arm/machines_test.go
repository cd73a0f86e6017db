package arm_test

import (
	"net/http"
	"slices"
	"testing"

	azarm "github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/compute/armcompute/v7"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/network/armnetwork/v11"
)

// TestSDKMachine is the life of a VM by the SDK's client.
func TestSDKMachine(t *testing.T) {
	c := startWatched(t)
	machines := c.machines(t)
	nics := c.network.NewInterfacesClient()
	prefix := "/subscriptions/" + c.door.Subscription + "/resourceGroups/demo/providers/Microsoft.Network/"
	nic := done[armnetwork.InterfacesClientCreateOrUpdateResponse](t, c)(nics.BeginCreateOrUpdate(c.ctx, "demo", "nic-x", armnetwork.Interface{
		Location: to.Ptr("westeurope"), Properties: &armnetwork.InterfacePropertiesFormat{IPConfigurations: []*armnetwork.InterfaceIPConfiguration{{Name: to.Ptr("one"),
			Properties: &armnetwork.InterfaceIPConfigurationPropertiesFormat{Subnet: &armnetwork.Subnet{ID: to.Ptr(prefix + "virtualNetworks/vnet/subnets/data")}}}}}}, nil))
	created := done[armcompute.VirtualMachinesClientCreateOrUpdateResponse](t, c)(machines.BeginCreateOrUpdate(c.ctx, "demo", "x", armcompute.VirtualMachine{
		Location: to.Ptr("westeurope"), Identity: &armcompute.VirtualMachineIdentity{Type: to.Ptr(armcompute.ResourceIdentityTypeSystemAssigned)},
		Properties: &armcompute.VirtualMachineProperties{
			HardwareProfile: &armcompute.HardwareProfile{VMSize: to.Ptr(armcompute.VirtualMachineSizeTypesStandardB1S)},
			OSProfile:       &armcompute.OSProfile{ComputerName: to.Ptr("x"), AdminUsername: to.Ptr("azureuser"), AdminPassword: to.Ptr("not-kept-1234")},
			StorageProfile: &armcompute.StorageProfile{ImageReference: &armcompute.ImageReference{Publisher: to.Ptr("Canonical"), Offer: to.Ptr("server"), SKU: to.Ptr("22"), Version: to.Ptr("latest")},
				OSDisk: &armcompute.OSDisk{CreateOption: to.Ptr(armcompute.DiskCreateOptionTypesFromImage)}},
			NetworkProfile: &armcompute.NetworkProfile{NetworkInterfaces: []*armcompute.NetworkInterfaceReference{{ID: nic.ID}}}}}, nil))
	if created.Identity == nil || created.Identity.PrincipalID == nil || *created.Properties.ProvisioningState != "Succeeded" || created.Properties.VMID == nil ||
		created.Properties.OSProfile.AdminPassword != nil || *created.Properties.HardwareProfile.VMSize != armcompute.VirtualMachineSizeTypesStandardB1S {
		t.Errorf("created %+v", created)
	}
	state := func() string {
		t.Helper()
		got := must[armcompute.VirtualMachinesClientGetResponse](t)(machines.Get(c.ctx, "demo", "x", &armcompute.VirtualMachinesClientGetOptions{
			Expand: to.Ptr(armcompute.InstanceViewTypesInstanceView)}))
		view := must[armcompute.VirtualMachinesClientInstanceViewResponse](t)(machines.InstanceView(c.ctx, "demo", "x", nil))
		code := func(statuses []*armcompute.InstanceViewStatus) string {
			at := slices.IndexFunc(statuses, func(status *armcompute.InstanceViewStatus) bool { return (*status.Code)[:5] == "Power" })
			return *statuses[at].Code
		}
		if code(got.Properties.InstanceView.Statuses) != code(view.Statuses) {
			t.Errorf("two views: %v and %v", got.Properties.InstanceView.Statuses, view.Statuses)
		}
		return code(view.Statuses)
	}
	if got := state(); got != "PowerState/running" {
		t.Errorf("new: %s", got)
	}
	done[armcompute.VirtualMachinesClientPowerOffResponse](t, c)(machines.BeginPowerOff(c.ctx, "demo", "x", nil))
	if got := state(); got != "PowerState/stopped" {
		t.Errorf("powered off: %s", got)
	}
	done[armcompute.VirtualMachinesClientUpdateResponse](t, c)(machines.BeginUpdate(c.ctx, "demo", "x", armcompute.VirtualMachineUpdate{Tags: map[string]*string{"a": to.Ptr("b")}}, nil))
	done[armcompute.VirtualMachinesClientDeallocateResponse](t, c)(machines.BeginDeallocate(c.ctx, "demo", "x", nil))
	if got := state(); got != "PowerState/deallocated" {
		t.Errorf("deallocated: %s", got)
	}
	done[armcompute.VirtualMachinesClientStartResponse](t, c)(machines.BeginStart(c.ctx, "demo", "x", nil))
	done[armcompute.VirtualMachinesClientRestartResponse](t, c)(machines.BeginRestart(c.ctx, "demo", "x", nil))
	if got := state(); got != "PowerState/running" {
		t.Errorf("started and restarted: %s", got)
	}
	_, err := machines.BeginStart(c.ctx, "demo", "nobody", nil)
	refused(t, err, http.StatusNotFound, "ResourceNotFound")
	bare := must[armcompute.VirtualMachinesClientGetResponse](t)(machines.Get(c.ctx, "demo", "x", nil))
	if bare.Properties.InstanceView != nil || *bare.Tags["a"] != "b" || *bare.Identity.PrincipalID != *created.Identity.PrincipalID {
		t.Errorf("read again %+v", bare)
	}
	done[armcompute.VirtualMachinesClientDeleteResponse](t, c)(machines.BeginDelete(c.ctx, "demo", "x", nil))
}

func TestSDKConnectivity(t *testing.T) {
	c := startWatched(t)
	check := func(address string, port int32) armnetwork.ConnectivityInformation {
		t.Helper()
		return done[armnetwork.WatchersClientCheckConnectivityResponse](t, c)(c.network.NewWatchersClient().BeginCheckConnectivity(c.ctx, "demo", "watcher",
			armnetwork.ConnectivityParameters{Source: &armnetwork.ConnectivitySource{ResourceID: c.machineID("vm-app")},
				Destination: &armnetwork.ConnectivityDestination{Address: &address, Port: &port}}, nil)).ConnectivityInformation
	}
	for _, want := range []struct {
		name, address string
		port          int32
		status        armnetwork.ConnectionStatus
		hop           string
		issue         armnetwork.IssueType // of the source; "" for none
	}{
		{"another VM", "10.1.1.4", 443, armnetwork.ConnectionStatusConnected, "VirtualNetwork", ""},
		{"NSG-1 a rule", "10.1.1.4", 25, armnetwork.ConnectionStatusDisconnected, "Internet", armnetwork.IssueTypeNetworkSecurityRule},
		{"ROUTE-2 a route to nowhere", "192.0.2.1", 443, armnetwork.ConnectionStatusDisconnected, "None", armnetwork.IssueTypeUserDefinedRoute},
		{"ROUTE-14 an appliance that nobody has", "198.51.100.7", 443, armnetwork.ConnectionStatusDisconnected, "VirtualAppliance", armnetwork.IssueTypeUserDefinedRoute},
		{"an address that nobody has", "10.1.1.99", 443, armnetwork.ConnectionStatusDisconnected, "VnetLocal", armnetwork.IssueTypePlatform},
	} {
		t.Run(want.name, func(t *testing.T) {
			got := check(want.address, want.port)
			last := got.Hops[len(got.Hops)-1]
			if *got.ConnectionStatus != want.status || *got.ProbesSent != 0 || *last.Type != want.hop || *got.Hops[0].NextHopIDs[0] != *last.ID {
				t.Errorf("%s, %s", *got.ConnectionStatus, *last.Type)
			}
			issues := got.Hops[0].Issues
			if (len(issues) == 0) != (want.issue == "") || len(issues) > 0 && *issues[0].Type != want.issue {
				t.Errorf("issues %+v", issues)
			}
		})
	}
	got := check("10.1.1.4", 25)
	if rule := got.Hops[0].Issues[0].Context[0]; *rule["key"] != "RuleName" || *rule["value"] != "UserRule_no-smtp" {
		t.Errorf("the rule: %v", rule)
	}
}

// TestSDKImages covers what az vm create asks about the image that it was given.
func TestSDKImages(t *testing.T) {
	c := startSDK(t)
	images := must[*armcompute.VirtualMachineImagesClient](t)(armcompute.NewVirtualMachineImagesClient(c.door.Subscription, c.credential(t, c.door.Tenant, c.door.Secret),
		&azarm.ClientOptions{ClientOptions: c.options()}))
	versions := must[armcompute.VirtualMachineImagesClientListResponse](t)(images.List(c.ctx, "westeurope", "Canonical", "server", "22", nil))
	if len(versions.VirtualMachineImageResourceArray) != 1 {
		t.Fatalf("%d versions", len(versions.VirtualMachineImageResourceArray))
	}
	version := *versions.VirtualMachineImageResourceArray[0].Name
	image := must[armcompute.VirtualMachineImagesClientGetResponse](t)(images.Get(c.ctx, "westeurope", "Canonical", "server", "22", version, nil))
	if *image.Name != version || image.Properties.Plan != nil || *image.Properties.OSDiskImage.OperatingSystem != armcompute.OperatingSystemTypesLinux {
		t.Errorf("image %+v", image)
	}
}
