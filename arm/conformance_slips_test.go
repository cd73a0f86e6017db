package arm_test

import (
	"strings"

	"postern/resource/sdktest"
)

// slip is a member of a documented answer that does not follow from the example's own call, or that Azure does not
// answer so.
type slip struct {
	member string // its path, or refusal and a code
	reason string
	used   bool // by this run
}

// The reasons that several examples share.
const (
	halfPeering   = "Azure answers RemoteNotInSync while a peering is Initiated"
	noTimeout     = "the request has no timeout, and 4 minutes are Azure's default"
	stageRegion   = "these are regions of Azure's own tests, and not those of the example's VNet"
	notAskedFor   = "the request does not ask for it, and it is no default"
	otherSubnet   = "Azure refuses this too: the ipConfigurations of one NIC are in one subnet"
	sharedGateway = "two VNets of the list have one NAT gateway, which has but one sourceVirtualNetwork"
	oneWatcher    = "Azure refuses this too: a region has one network watcher"
	capitals      = "Azure answers FULL"
	notExpanded   = "Azure answers it with $expand=geoReplicationStats alone, which the call has not"
	otherAccount  = "the call is about the account sto131918"
	noTier        = "an account of the kind Storage, which the request asks for, has no tier"
	twoNames      = "the list has two resources of one name, whose ids differ"
)

// slips are by the examples' names. One that no longer shows fails the test.
var slips = map[string][]slip{
	"InterfacesClient_BeginListEffectiveNetworkSecurityGroups": {{member: "value[0].association.subnet", reason: "a group has the NIC's association or the subnet's"},
		{member: "value[0].effectiveSecurityRules", reason: "the example leaves out five of the six default rules"}},
	"WatchersClient_BeginGetNextHop":                        {{member: "nextHopIpAddress", reason: "a next hop of the type VnetLocal has no address"}},
	"WatchersClient_BeginGetNetworkConfigurationDiagnostic": {{member: "results[0].networkSecurityGroupResult.evaluatedNetworkSecurityGroups[1].appliedTo", reason: "the id is none: a network interface is in no virtual network"}},
	"WatchersClient_BeginGetVMSecurityRules": {{member: "networkInterfaces[0].securityRuleAssociations.defaultSecurityRules", reason: "the example leaves out five of the six default rules"},
		{member: "networkInterfaces[0].securityRuleAssociations.effectiveSecurityRules", reason: "the example leaves out all rules but the last"}},
	"WatchersClient_BeginVerifyIPFlow":                                                                 {{member: "ruleName", reason: "Azure answers the kind of a rule before its name"}},
	"WatchersClient_NewListPager":                                                                      {{member: refusal + "NetworkWatcherCountLimitReached", reason: oneWatcher}},
	"AccountsClient_BeginCreate_storageAccountCreateAllowedCopyScopeToAad":                             {{member: "extendedLocation", reason: notAskedFor}},
	"AccountsClient_BeginCreate_storageAccountCreateAllowedCopyScopeToPrivateLink":                     {{member: "extendedLocation", reason: notAskedFor}},
	"AccountsClient_BeginCreate_storageAccountCreateUserAssignedEncryptionIdentityWithCmk":             {{member: "properties.accessTier", reason: noTier}},
	"AccountsClient_BeginCreate_storageAccountCreateUserAssignedIdentityWithFederatedIdentityClientId": {{member: "properties.accessTier", reason: noTier}, {member: "properties.primaryEndpoints", reason: otherAccount}},
	"AccountsClient_Update_storageAccountUpdateUserAssignedIdentityWithFederatedIdentityClientId":      {{member: "properties.primaryEndpoints", reason: otherAccount}},
	"AccountsClient_GetProperties_storageAccountGetPropertiesCmkEnabled":                               {{member: "properties.geoReplicationStats", reason: notExpanded}},
	"AccountsClient_GetProperties_storageAccountGetPropertiesCmkVersionExpirationTime":                 {{member: "properties.geoReplicationStats", reason: notExpanded}},
	"AccountsClient_NewListPager":                                                                      {{member: "value[2].properties.geoReplicationStats", reason: "Azure answers it with $expand=geoReplicationStats alone, and in no list"}},
	"AccountsClient_BeginCreate_storageAccountCreatePremiumBlockBlobStorage":                           {{member: "properties.statusOfSecondary", reason: "a locally redundant account has no secondary, and the example has no secondaryLocation"}},
	"AccountsClient_GetProperties_storageAccountGetAsyncSkuConversionStatus":                           {{member: "properties.storageAccountSkuConversionStatus.skuConversionStatus", reason: "a conversion that has an endTime is not in progress"}},
	"AccountsClient_GetProperties_storageAccountGetProperties":                                         {{member: "properties.geoReplicationStats", reason: notExpanded}},
	"AccountsClient_RegenerateKey_storageAccountRegenerateKey":                                         {{member: "keys[0].permissions", reason: capitals}, {member: "keys[1].permissions", reason: capitals}},
	"AccountsClient_RegenerateKey_storageAccountRegenerateKerbKey":                                     {{member: "keys[0].permissions", reason: capitals}, {member: "keys[1].permissions", reason: capitals}, {member: "keys[2].permissions", reason: capitals}},
	"AccountsClient_ListKeys":                                                                          {{member: "keys[0].permissions", reason: capitals}, {member: "keys[1].permissions", reason: capitals}},
	"InterfacesClient_NewListPager":                                                                    {{member: refusal + "IpConfigurationsOnSameNicCannotUseDifferentSubnets", reason: otherSubnet}},
	"NatGatewaysClient_BeginCreateOrUpdate_createNatGateway":                                           {{member: "properties.idleTimeoutInMinutes", reason: noTimeout}},
	"NatGatewaysClient_BeginCreateOrUpdate_createNatGatewayWithNat64":                                  {{member: "properties.idleTimeoutInMinutes", reason: noTimeout}},
	"NatGatewaysClient_BeginCreateOrUpdate_createNatGatewayWithServiceGateway":                         {{member: "properties.idleTimeoutInMinutes", reason: noTimeout}},
	"NatGatewaysClient_BeginCreateOrUpdate_createNatGatewayWithStandardV2Sku":                          {{member: "properties.idleTimeoutInMinutes", reason: noTimeout}, {member: "properties.sourceVirtualNetwork", reason: notAskedFor}},
	"PublicIPAddressesClient_BeginCreateOrUpdate_createPublicIPAddressAllocationMethod":                {{member: "zones", reason: notAskedFor}},
	"PublicIPAddressesClient_BeginCreateOrUpdate_createPublicIPAddressDefaultsWithStandardV2Sku":       {{member: "sku.name", reason: notAskedFor}},
	"PublicIPAddressesClient_Get_getPublicIPAddressWithStandardV2Sku":                                  {{member: "properties.upgradedToV2", reason: "the address was upgraded, which is no write of its body"}},
	"PublicIPPrefixesClient_BeginCreateOrUpdate_createPublicIPPrefixAllocationMethod":                  {{member: "zones", reason: notAskedFor}},
	"PublicIPPrefixesClient_Get_getPublicIPPrefixWithStandardV2Sku":                                    {{member: "properties.upgradedToV2", reason: "the prefix was upgraded, which is no write of its body"}},
	"RouteTablesClient_BeginCreateOrUpdate_createRouteTable":                                           {{member: "properties.disableBgpRoutePropagation", reason: notAskedFor}},
	"ServiceEndpointPoliciesClient_NewListByResourceGroupPager":                                        {{member: refusal + "ServiceEndpointPolicyDefinitionResourcesInvalid", reason: "the id lacks a slash"}},
	"ServiceEndpointPoliciesClient_NewListPager":                                                       {{member: "value[1].name", reason: "the name is not that of the id"}},
	"ServiceTagsClient_List": {{member: "nextLink", reason: "the whole list is one page"}},
	"SubnetsClient_BeginCreateOrUpdate_createSubnetWithADelegation":                           {{member: "properties.delegations", reason: notAskedFor}},
	"SubnetsClient_BeginCreateOrUpdate_createSubnetWithServiceEndpoints":                      {{member: "properties.serviceEndpoints[0].locations", reason: stageRegion}},
	"SubnetsClient_BeginCreateOrUpdate_createSubnetWithServiceEndpointsWithNetworkIdentifier": {{member: "properties.serviceEndpoints[0].locations", reason: stageRegion}},
	"SubnetsClient_BeginCreateOrUpdate_createSubnetWithSharingScope":                          {{member: "properties.defaultOutboundAccess", reason: notAskedFor}, {member: "properties.sharingScope", reason: notAskedFor}},
	"SubnetsClient_NewListPager":                                                                                 {{member: refusal + "NetcfgSubnetRangesOverlap", reason: "Azure refuses this too"}},
	"UsagesClient_NewListPager_listUsages":                                                                       {{member: "value[19].name.value", reason: "the other example of the same client spells it so"}},
	"VirtualNetworkPeeringsClient_BeginCreateOrUpdate_createPeering":                                             {{member: "properties.peeringSyncLevel", reason: halfPeering}},
	"VirtualNetworkPeeringsClient_BeginCreateOrUpdate_syncPeering":                                               {{member: "properties.peeringSyncLevel", reason: halfPeering}},
	"VirtualNetworkPeeringsClient_Get_getPeering":                                                                {{member: "properties.peeringSyncLevel", reason: halfPeering}},
	"VirtualNetworkPeeringsClient_NewListPager_listPeerings":                                                     {{member: "value[0].properties.peeringSyncLevel", reason: halfPeering}, {member: "value[1].properties.peeringSyncLevel", reason: halfPeering}, {member: "value[1].name", reason: twoNames}},
	"VirtualNetworkPeeringsClient_NewListPager_listPeeringsWithRemoteVirtualNetworkEncryption":                   {{member: "value[1].name", reason: twoNames}},
	"VirtualNetworksClient_BeginCreateOrUpdate_createVirtualNetworkWithServiceEndpoints":                         {{member: "properties.subnets[0].properties.serviceEndpoints[0].locations", reason: stageRegion}},
	"VirtualNetworksClient_BeginCreateOrUpdate_createVirtualNetworkWithServiceEndpointsAndServiceEndpointPolicy": {{member: "properties.subnets[0].properties.serviceEndpoints[0].locations", reason: stageRegion}},
	"VirtualNetworksClient_NewListAllPager":                                                                      {{member: "value[0].properties.defaultPublicNatGateway", reason: sharedGateway}},
	"VirtualNetworksClient_NewListPager":                                                                         {{member: "value[0].properties.defaultPublicNatGateway", reason: sharedGateway}},
}

// refusal begins the member of a slip that is a code: what the example documents cannot be made.
const refusal = "code "

// excused parts the differences of an example: those that remain, and those that its slips explain; impossible tells that
// one of the latter is a refusal.
func excused(example sdktest.Example, differences []string) (remaining, explained []string, impossible bool) {
	for _, difference := range differences {
		kept := true
		list := slips[strings.TrimPrefix(example.Name, "Example")]
		for i := range list {
			code, isCode := strings.CutPrefix(list[i].member, refusal)
			if isCode && strings.Contains(difference, code+":") || strings.HasPrefix(difference, "`"+list[i].member+"`") || strings.HasPrefix(difference, "`"+list[i].member+"[") ||
				strings.HasPrefix(difference, "`"+list[i].member+".") {
				list[i].used, kept = true, false
				impossible = impossible || isCode
				explained = append(explained, difference+": "+list[i].reason)
				break
			}
		}
		if kept {
			remaining = append(remaining, difference)
		}
	}
	return remaining, explained, impossible
}
