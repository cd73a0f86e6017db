package resource

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"postern/model"
)

// refersWell refuses references to what is not there, and to what is in another region: Azure has one answer for both.
// Peerings alone reach across regions.
func (j *judge) refersWell(e *entry) error {
	own := locationOf(e.noun)
	found := make(map[model.ResourceID]bool) // what has been judged before: many subnets have one security group
	for ref := range references(e.noun) {
		if found[ref.id] {
			continue
		}
		target := j.after.entries.find(rootOf(ref.id).Key())
		ok := target != nil && j.after.has(ref.id)
		if _, isVNet := e.noun.(*model.VirtualNetwork); ok && !(isVNet && typeOf(ref.id) == TypeVirtualNetwork) {
			ok = locationOf(target.noun) == own
		}
		if !ok {
			return refuse(CodeInvalidResourceReference, ref.field, "Resource %s referenced by resource %s was not found. Please make sure "+
				"that the referenced resource exists, and that both resources are in the same region.", ref.id, e.record.ID)
		}
		found[ref.id] = true
	}
	return nil
}

// rootOf is the id of the top-level resource that holds a resource.
func rootOf(id model.ResourceID) model.ResourceID {
	parsed, err := ParseID(string(id))
	if err != nil {
		return id
	}
	return parsed.Root().Model()
}

// name gives a network resource its resourceGuid, which it keeps.
func (j *judge) name(e *entry) {
	allotted := &e.record.Allotted
	if j.checkOnly || allotted.GUID != "" || !strings.HasPrefix(e.record.Type, "Microsoft.Network/") || e.record.Type == TypeNetworkWatcher {
		return
	}
	// Not from Options.Random: an answer's GUID is no secret, and keys do not depend on how many there are.
	allotted.GUID = uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "%s@%d", e.record.Key(), j.before.Revision)).String()
}

// date notes when a resource was made.
func (j *judge) date(e *entry) {
	if e.record.Allotted.Created.IsZero() {
		e.record.Allotted.Created = j.options.Now().UTC().Truncate(time.Microsecond)
	}
}

// routeTags refuses routes with a service tag that there is not.
func (j *judge) routeTags(table *model.RouteTable) error {
	for i, route := range table.Routes {
		if route.ServiceTag != "" && j.options.KnownTag != nil && !j.options.KnownTag(route.ServiceTag) && !j.hasOwnTag(route.ServiceTag) {
			return refuse("InvalidAddressPrefixFormat", index("properties.routes", i)+".properties.addressPrefix", "Address prefix '%s' of route '%s' is "+
				"neither a prefix in CIDR form nor a known service tag.", route.ServiceTag, route.Name)
		}
	}
	return nil
}

// ownTags are the tags that security rules have without being in any tag file (NSG-4).
var ownTags = []string{"VirtualNetwork", "Internet", "AzureLoadBalancer", "AzurePlatformDNS", "AzurePlatformIMDS", "AzurePlatformLKM"}

// ruleTags refuses security rules with a service tag that there is not.
func (j *judge) ruleTags(group *model.NetworkSecurityGroup) error {
	if j.options.KnownTag == nil {
		return nil
	}
	for i, rule := range group.Rules {
		for _, side := range []struct {
			name  string
			peers model.SecurityPeers
		}{{"source", rule.Source}, {"destination", rule.Destination}} {
			tag := side.peers.Tag
			own := slices.ContainsFunc(ownTags, func(name string) bool { return strings.EqualFold(name, tag) })
			if tag != "" && !own && !j.options.KnownTag(tag) && !j.hasOwnTag(tag) {
				return refuse("SecurityRuleInvalidAddressPrefix", index("properties.securityRules", i)+".properties."+side.name+"AddressPrefix",
					"Security rule has invalid Address prefix. Value provided: %s. There is no such service tag.", tag)
			}
		}
	}
	return nil
}

// natGateway judges that the public addresses of a gateway are static, of the SKU Standard and nobody else's, and that no
// other serves its VNet.
func (j *judge) natGateway(gateway *model.NatGateway) error {
	for _, e := range j.after.entries.of(TypeNatGateway) {
		other := e.noun.(*model.NatGateway)
		if other != gateway && gateway.SourceVirtualNetwork != "" && other.SourceVirtualNetwork.Is(gateway.SourceVirtualNetwork) {
			return refuse(CodeInvalidRequestFormat, "properties.sourceVirtualNetwork.id", "Virtual network %s has the NAT gateway %s already.", gateway.SourceVirtualNetwork, other.ID)
		}
	}
	for i, id := range gateway.PublicIPPrefixes {
		for _, e := range j.after.entries.of(TypeNatGateway) {
			if other := e.noun.(*model.NatGateway); other != gateway && slices.ContainsFunc(other.PublicIPPrefixes, id.Is) {
				return refuse("PublicIPPrefixInUse", index("properties.publicIpPrefixes", i)+".id", "Public IP prefix %s is already that of %s.", id, other.ID)
			}
		}
	}
	for i, id := range gateway.PublicIPAddresses {
		field := index("properties.publicIpAddresses", i) + ".id"
		if slices.ContainsFunc(gateway.PublicIPAddresses[:i], id.Is) {
			return refuse("PublicIPAddressInUse", field, "Public IP address %s stands twice.", id)
		}
		if nic := j.nicsIndex().public[id.Key()]; nic != nil {
			return refuse("PublicIPAddressInUse", field, "Public IP address %s is already allocated to resource %s.", id, nic.ID)
		}
		for _, e := range j.after.entries.of(TypeNatGateway) {
			other := e.noun.(*model.NatGateway)
			if other != gateway && slices.ContainsFunc(other.PublicIPAddresses, id.Is) {
				return refuse("PublicIPAddressInUse", field, "Public IP address %s is already allocated to resource %s.", id, other.ID)
			}
		}
		if e := j.after.entries.find(id.Key()); e != nil && !e.noun.(*model.PublicIPAddress).Standard {
			return refuse("NatGatewayPublicIPMustBeStandard", field, "NAT gateway %s cannot have public IP address %s: its SKU must be Standard and its "+
				"publicIPAllocationMethod Static.", gateway.ID, id)
		}
	}
	return nil
}

// policyCount bounds the policies of a subscription (SEP-7).
func (j *judge) policyCount(policy *model.ServiceEndpointPolicy) error {
	if j.before.entries.find(policy.ID.Key()) != nil {
		return nil
	}
	own, err := ParseID(string(policy.ID))
	if err != nil {
		return err
	}
	prefix, count := "/subscriptions/"+strings.ToLower(own.Subscription)+"/", 0
	for _, e := range j.after.entries.of(TypeServiceEndpointPolicy) {
		if strings.HasPrefix(e.key, prefix) {
			count++
		}
	}
	if count > maxPolicies {
		return refuse("ServiceEndpointPolicyCountLimitReached", "", "Cannot create more than %d service endpoint policies for this "+
			"subscription in this region.", maxPolicies)
	}
	return nil
}
