package authorization

import "time"

// Names of the roles that others speak of.
const (
	Owner  = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
	Reader = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
)

// builtIn are Azure's own roles that are about what there is here, with Azure's names and actions (Microsoft's "Azure built-in
// roles"). By name.
var builtIn = index([]Role{
	{Name: Owner, RoleName: "Owner",
		Description: "Grants full access to manage all resources, including the ability to assign roles in Azure RBAC.",
		Permissions: only("*")},
	{Name: "b24988ac-6180-42a0-ab88-20f7382dd24c", RoleName: "Contributor",
		Description: "Grants full access to manage all resources, but does not allow you to assign roles in Azure RBAC, manage assignments in " +
			"Azure Blueprints, or share image galleries.",
		Permissions: []Permission{{Actions: []string{"*"}, NotActions: []string{"Microsoft.Authorization/*/Delete", "Microsoft.Authorization/*/Write",
			"Microsoft.Authorization/elevateAccess/Action", "Microsoft.Blueprint/blueprintAssignments/write", "Microsoft.Blueprint/blueprintAssignments/delete",
			"Microsoft.Compute/galleries/share/action", "Microsoft.Purview/consents/write", "Microsoft.Purview/consents/delete",
			"Microsoft.Resources/deploymentStacks/manageDenySetting/action"}}}},
	{Name: Reader, RoleName: "Reader", Description: "View all resources, but does not allow you to make any changes.", Permissions: only("*/read")},
	{Name: "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9", RoleName: "User Access Administrator",
		Description: "Lets you manage user access to Azure resources.",
		Permissions: only("*/read", "Microsoft.Authorization/*", "Microsoft.Support/*")},
	{Name: "f58310d9-a9f6-439a-9e8d-f62e7b41a168", RoleName: "Role Based Access Control Administrator",
		Description: "Manage access to Azure resources by assigning roles using Azure RBAC.",
		Permissions: only("Microsoft.Authorization/roleAssignments/write", "Microsoft.Authorization/roleAssignments/delete", "*/read", "Microsoft.Support/*")},
	{Name: "4d97b98b-1d4f-4787-a291-c67834d212e7", RoleName: "Network Contributor",
		Description: "Lets you manage networks, but not access to them.",
		Permissions: with("Microsoft.Network/*")},
	{Name: "b12aa53e-6015-4669-85d0-8515ebb3ae7f", RoleName: "Private DNS Zone Contributor",
		Description: "Lets you manage private DNS zone resources, but not the virtual networks they are linked to.",
		Permissions: with("Microsoft.Network/privateDnsZones/*", "Microsoft.Network/privateDnsOperationResults/*",
			"Microsoft.Network/privateDnsOperationStatuses/*", "Microsoft.Network/virtualNetworks/read", "Microsoft.Network/virtualNetworks/join/action")},
	{Name: "17d1049b-9a84-46fb-8f53-869881c3d3ab", RoleName: "Storage Account Contributor",
		Description: "Lets you manage storage accounts, including accessing storage account keys which provide full access to storage account data.",
		Permissions: with("Microsoft.Insights/diagnosticSettings/*", joinViaServiceEndpoint, "Microsoft.Storage/storageAccounts/*")},
	{Name: "81a9662b-bebf-436f-a333-f67b29880f12", RoleName: "Storage Account Key Operator Service Role",
		Description: "Storage Account Key Operators are allowed to list and regenerate keys on Storage Accounts",
		Permissions: only("Microsoft.Storage/storageAccounts/listkeys/action", "Microsoft.Storage/storageAccounts/regeneratekey/action")},
	{Name: "c12c1c16-33a1-487b-954d-41c89c60f349", RoleName: "Reader and Data Access",
		Description: "Lets you view everything but will not let you delete or create a storage account or contained resource. It will also allow " +
			"read/write access to all data contained in a storage account via access to storage account keys.",
		Permissions: only("Microsoft.Storage/storageAccounts/listKeys/action", "Microsoft.Storage/storageAccounts/ListAccountSas/action", "Microsoft.Storage/storageAccounts/read")},
	{Name: "9980e02c-c2be-4d73-94e8-173b1dc7cf3c", RoleName: "Virtual Machine Contributor",
		Description: "Lets you manage virtual machines, but not access to them, and not the virtual network or storage account they're connected to.",
		Permissions: with("Microsoft.Compute/availabilitySets/*", "Microsoft.Compute/locations/*", "Microsoft.Compute/virtualMachines/*",
			"Microsoft.Compute/virtualMachineScaleSets/*", "Microsoft.Compute/cloudServices/*", "Microsoft.Compute/disks/write", "Microsoft.Compute/disks/read",
			"Microsoft.Compute/disks/delete", "Microsoft.DevTestLab/schedules/*", "Microsoft.Network/applicationGateways/backendAddressPools/join/action",
			"Microsoft.Network/loadBalancers/backendAddressPools/join/action", "Microsoft.Network/loadBalancers/inboundNatPools/join/action",
			"Microsoft.Network/loadBalancers/inboundNatRules/join/action", "Microsoft.Network/loadBalancers/probes/join/action",
			"Microsoft.Network/loadBalancers/read", "Microsoft.Network/locations/*", "Microsoft.Network/networkInterfaces/*",
			"Microsoft.Network/networkSecurityGroups/join/action", "Microsoft.Network/networkSecurityGroups/read",
			"Microsoft.Network/publicIPAddresses/join/action", "Microsoft.Network/publicIPAddresses/read", "Microsoft.Network/virtualNetworks/read",
			"Microsoft.Network/virtualNetworks/subnets/join/action", "Microsoft.RecoveryServices/locations/*",
			"Microsoft.RecoveryServices/Vaults/read", "Microsoft.RecoveryServices/Vaults/write", "Microsoft.SerialConsole/serialPorts/connect/action",
			"Microsoft.SqlVirtualMachine/*", "Microsoft.Storage/storageAccounts/listKeys/action", "Microsoft.Storage/storageAccounts/read")},
	{Name: "43d0d8ad-25c7-4714-9337-8ba259a9fe05", RoleName: "Monitoring Reader", Description: "Can read all monitoring data.",
		Permissions: only("*/read", "Microsoft.OperationalInsights/workspaces/search/action", "Microsoft.Support/*")},
	{Name: "6d8ee4ec-f05a-4a1d-8b00-a9b17e38b437", RoleName: "SQL Server Contributor",
		Description: "Lets you manage SQL servers and databases, but not access to them, and not their security-related policies.",
		Permissions: with(joinViaServiceEndpoint, "Microsoft.Sql/locations/*/read", "Microsoft.Sql/servers/*")},
	{Name: "5bd9cd88-fe45-4216-938b-f97437e15450", RoleName: "DocumentDB Account Contributor",
		Description: "Lets you manage DocumentDB accounts, but not access to them.",
		Permissions: with("Microsoft.DocumentDb/databaseAccounts/*", joinViaServiceEndpoint)},
	{Name: "f25e0fa2-a7c8-4377-a976-54943a77a395", RoleName: "Key Vault Contributor",
		Description: "Lets you manage key vaults, but not access to them.",
		Permissions: func() []Permission {
			list := with("Microsoft.KeyVault/*")
			list[0].NotActions = []string{"Microsoft.KeyVault/locations/deletedVaults/purge/action", "Microsoft.KeyVault/hsmPools/*", "Microsoft.KeyVault/managedHsms/*"}
			return list
		}()},
})

func only(actions ...string) []Permission { return []Permission{{Actions: actions}} }

// with adds what nearly every role of one service has.
func with(actions ...string) []Permission {
	return only(append([]string{"Microsoft.Authorization/*/read", "Microsoft.Insights/alertRules/*", "Microsoft.ResourceHealth/availabilityStatuses/read",
		"Microsoft.Resources/deployments/*", "Microsoft.Resources/subscriptions/resourceGroups/read", "Microsoft.Support/*"}, actions...)...)
}

func index(roles []Role) map[string]*Role {
	since := time.Date(2015, 2, 2, 21, 55, 9, 0, time.UTC)
	byName := make(map[string]*Role, len(roles))
	for i := range roles {
		role := &roles[i]
		role.Type, role.AssignableScopes, role.CreatedOn, role.UpdatedOn = BuiltIn, []string{Root}, since, since
		byName[role.Name] = role
	}
	return byName
}
