package arm_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/network/armnetwork/v11"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/resources/armresources"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/storage/armstorage"
)

// ownMembers are answered though no model of Azure's has them: docs/azure-clients.md says what they are.
var ownMembers = []string{"posternServiceTags", "posternFrontAddress"}

// modelOf are the SDK's models of answers, by path: without subscription and group, in lower case, a star for a name.
var modelOf = map[string]func() any{
	"resourcegroups":   of[armresources.ResourceGroupListResult],
	"resourcegroups/*": of[armresources.ResourceGroup],
	"resources":        of[armresources.ResourceListResult],
	"providers":        of[armresources.ProviderListResult],
	"providers/*":      of[armresources.Provider],
	"tagnames":         of[armresources.TagsListResult],

	"microsoft.network/applicationsecuritygroups":                                    of[armnetwork.ApplicationSecurityGroupListResult],
	"microsoft.network/applicationsecuritygroups/*":                                  of[armnetwork.ApplicationSecurityGroup],
	"microsoft.network/networkinterfaces":                                            of[armnetwork.InterfaceListResult],
	"microsoft.network/networkinterfaces/*":                                          of[armnetwork.Interface],
	"microsoft.network/networkinterfaces/*/effectiveroutetable":                      of[armnetwork.EffectiveRouteListResult],
	"microsoft.network/networkinterfaces/*/effectivenetworksecuritygroups":           of[armnetwork.EffectiveNetworkSecurityGroupListResult],
	"microsoft.network/networkwatchers":                                              of[armnetwork.WatcherListResult],
	"microsoft.network/networkwatchers/*":                                            of[armnetwork.Watcher],
	"microsoft.network/networkwatchers/*/nexthop":                                    of[armnetwork.NextHopResult],
	"microsoft.network/networkwatchers/*/ipflowverify":                               of[armnetwork.VerificationIPFlowResult],
	"microsoft.network/networkwatchers/*/connectivitycheck":                          of[armnetwork.ConnectivityInformation],
	"microsoft.network/networkwatchers/*/topology":                                   of[armnetwork.Topology],
	"microsoft.network/networkwatchers/*/networkconfigurationdiagnostic":             of[armnetwork.ConfigurationDiagnosticResponse],
	"microsoft.network/networkwatchers/*/securitygroupview":                          of[armnetwork.SecurityGroupViewResult],
	"microsoft.network/natgateways":                                                  of[armnetwork.NatGatewayListResult],
	"microsoft.network/natgateways/*":                                                of[armnetwork.NatGateway],
	"microsoft.network/publicipprefixes":                                             of[armnetwork.PublicIPPrefixListResult],
	"microsoft.network/publicipprefixes/*":                                           of[armnetwork.PublicIPPrefix],
	"microsoft.network/publicipaddresses":                                            of[armnetwork.PublicIPAddressListResult],
	"microsoft.network/publicipaddresses/*":                                          of[armnetwork.PublicIPAddress],
	"microsoft.network/routetables":                                                  of[armnetwork.RouteTableListResult],
	"microsoft.network/routetables/*":                                                of[armnetwork.RouteTable],
	"microsoft.network/routetables/*/routes":                                         of[armnetwork.RouteListResult],
	"microsoft.network/routetables/*/routes/*":                                       of[armnetwork.Route],
	"microsoft.network/networksecuritygroups":                                        of[armnetwork.SecurityGroupListResult],
	"microsoft.network/networksecuritygroups/*":                                      of[armnetwork.SecurityGroup],
	"microsoft.network/networksecuritygroups/*/securityrules":                        of[armnetwork.SecurityRuleListResult],
	"microsoft.network/networksecuritygroups/*/securityrules/*":                      of[armnetwork.SecurityRule],
	"microsoft.network/networksecuritygroups/*/defaultsecurityrules":                 of[armnetwork.SecurityRuleListResult],
	"microsoft.network/networksecuritygroups/*/defaultsecurityrules/*":               of[armnetwork.SecurityRule],
	"microsoft.network/serviceendpointpolicies":                                      of[armnetwork.ServiceEndpointPolicyListResult],
	"microsoft.network/serviceendpointpolicies/*":                                    of[armnetwork.ServiceEndpointPolicy],
	"microsoft.network/serviceendpointpolicies/*/serviceendpointpolicydefinitions":   of[armnetwork.ServiceEndpointPolicyDefinitionListResult],
	"microsoft.network/serviceendpointpolicies/*/serviceendpointpolicydefinitions/*": of[armnetwork.ServiceEndpointPolicyDefinition],
	"microsoft.network/virtualnetworks":                                              of[armnetwork.VirtualNetworkListResult],
	"microsoft.network/virtualnetworks/*":                                            of[armnetwork.VirtualNetwork],
	"microsoft.network/virtualnetworks/*/subnets":                                    of[armnetwork.SubnetListResult],
	"microsoft.network/virtualnetworks/*/subnets/*":                                  of[armnetwork.Subnet],
	"microsoft.network/virtualnetworks/*/virtualnetworkpeerings":                     of[armnetwork.VirtualNetworkPeeringListResult],
	"microsoft.network/virtualnetworks/*/virtualnetworkpeerings/*":                   of[armnetwork.VirtualNetworkPeering],
	"microsoft.network/virtualnetworks/*/usages":                                     of[armnetwork.VirtualNetworkListUsageResult],
	"microsoft.network/virtualnetworks/*/checkipaddressavailability":                 of[armnetwork.IPAddressAvailabilityResult],
	"microsoft.network/locations/*/usages":                                           of[armnetwork.UsagesListResult],
	"microsoft.network/locations/*/servicetags":                                      of[armnetwork.ServiceTagsListResult],
	"microsoft.network/locations/*/servicetagdetails":                                of[armnetwork.ServiceTagInformationListResult],
	"microsoft.network/locations/*/availableservicealiases":                          of[armnetwork.AvailableServiceAliasesResult],
	"microsoft.network/locations/*/virtualnetworkavailableendpointservices":          of[armnetwork.EndpointServicesListResult],
	"microsoft.storage/storageaccounts":                                              of[armstorage.AccountListResult],
	"microsoft.storage/storageaccounts/*":                                            of[armstorage.Account],
	"microsoft.storage/storageaccounts/*/accountmigrations/*":                        of[armstorage.AccountMigration],
	"microsoft.storage/storageaccounts/*/listaccountsas":                             of[armstorage.ListAccountSasResponse],
	"microsoft.storage/storageaccounts/*/listservicesas":                             of[armstorage.ListServiceSasResponse],
	"microsoft.storage/storageaccounts/*/regeneratekey":                              of[armstorage.AccountListKeysResult],
	"microsoft.storage/storageaccounts/*/listkeys":                                   of[armstorage.AccountListKeysResult],
	"microsoft.storage/storageaccounts/*/blobservices/*":                             of[armstorage.BlobServiceProperties],
	"microsoft.storage/storageaccounts/*/fileservices/*":                             of[armstorage.FileServiceProperties],
	"microsoft.storage/checknameavailability":                                        of[armstorage.CheckNameAvailabilityResult],
}

func of[T any]() any { return new(T) }

// strict is a client's transport that fails a test for members of answers that the SDK's models do not know.
type strict struct {
	inner *http.Client

	mu      sync.Mutex // guards what follows
	seen    map[string]bool
	unknown []string
}

func newStrict(t *testing.T, inner *http.Client) *strict {
	s := &strict{inner: inner, seen: make(map[string]bool)}
	t.Cleanup(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, one := range s.unknown {
			t.Errorf("answered, and unknown to the SDK's model: %s", one)
		}
	})
	return s
}

// Do sends a request and looks at its answer.
func (s *strict) Do(request *http.Request) (*http.Response, error) {
	answer, err := s.inner.Do(request)
	if err != nil || answer.StatusCode >= 300 {
		return answer, err
	}
	data, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil {
		return nil, err
	}
	answer.Body = io.NopCloser(bytes.NewReader(data))
	kind := kindOf(request.URL.Path)
	if make := modelOf[kind]; make != nil && len(data) > 0 {
		found, err := unknownMembers(data, make())
		if err != nil {
			found = []string{err.Error()}
		}
		s.note(kind, found)
	}
	return answer, nil
}

func (s *strict) note(kind string, found []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[kind] = true
	for _, one := range found {
		if one = kind + ": " + one; !slices.Contains(s.unknown, one) && !isBeyond(one) {
			s.unknown = append(s.unknown, one)
		}
	}
}

// kindOf is a path as the key of modelOf.
func kindOf(path string) string {
	parts := strings.Split(strings.Trim(strings.ToLower(path), "/"), "/")
	if parts[0] == "subscriptions" && len(parts) > 2 {
		parts = parts[2:]
		if parts[0] == "resourcegroups" && len(parts) > 2 {
			parts = parts[2:]
		}
	}
	first := 1 // the place of the first name
	if parts[0] == "providers" && len(parts) > 2 {
		parts, first = parts[1:], 2
	}
	for i := first; i < len(parts); i += 2 {
		parts[i] = "*"
	}
	return strings.Join(parts, "/")
}

// unknownMembers are the members of an answer that are lost when a model reads and writes it.
func unknownMembers(data []byte, into any) ([]string, error) {
	if err := json.Unmarshal(data, into); err != nil {
		return nil, err
	}
	again, err := json.Marshal(into)
	if err != nil {
		return nil, err
	}
	var answered, known any
	if err := json.Unmarshal(data, &answered); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(again, &known); err != nil {
		return nil, err
	}
	return lost(answered, known, ""), nil
}

func lost(answered, known any, path string) []string {
	var list []string
	switch answered := answered.(type) {
	case map[string]any:
		object, _ := known.(map[string]any)
		for name, value := range answered {
			if _, ok := object[name]; ok {
				list = append(list, lost(value, object[name], member(path, name))...)
			} else if value != nil && !slices.Contains(ownMembers, name) {
				list = append(list, member(path, name))
			}
		}
	case []any:
		elements, _ := known.([]any)
		for i := range answered {
			if i >= len(elements) {
				return append(list, fmt.Sprintf("%s[%d]", path, i))
			}
			list = append(list, lost(answered[i], elements[i], path+"[]")...)
		}
	}
	return list
}

// TestUnknownMembers shows that the check above finds what it is for.
func TestUnknownMembers(t *testing.T) {
	found, err := unknownMembers([]byte(`{"id":"x","properties":{"subnets":[{"name":"s","properties":{"addressPrefix":"10.0.0.0/24","odd":1}}]},"odd":{}}`), new(armnetwork.VirtualNetwork))
	slices.Sort(found)
	if want := []string{"odd", "properties.subnets[].properties.odd"}; err != nil || !slices.Equal(found, want) {
		t.Errorf("%v %v, want %v", found, err, want)
	}
	for path, want := range map[string]string{
		"/subscriptions/S/resourceGroups/G/providers/Microsoft.Network/virtualNetworks/v/subnets/s": "microsoft.network/virtualnetworks/*/subnets/*",
		"/subscriptions/S/providers/Microsoft.Network/locations/l/usages":                           "microsoft.network/locations/*/usages",
		"/subscriptions/S/resourcegroups/G":                                                         "resourcegroups/*", "/subscriptions/S": "subscriptions/*", "/tenants": "tenants",
		"/subscriptions/S/resourceGroups/G/resources": "resources", "/subscriptions/S/providers/Microsoft.Network": "providers/*",
	} {
		if have := kindOf(path); have != want {
			t.Errorf("%s is %s, want %s", path, have, want)
		}
	}
}
