package resource

import (
	"net/netip"
	"strings"

	"github.com/gaissmai/bart"

	"postern/model"
)

type virtualNetworkBody struct {
	header
	Properties struct {
		AddressSpace struct {
			AddressPrefixes []string `json:"addressPrefixes"`
		} `json:"addressSpace"`
		DHCPOptions *struct {
			DNSServers []string `json:"dnsServers"`
		} `json:"dhcpOptions"`
		Subnets  []child[subnetProperties]  `json:"subnets"`
		Peerings []child[peeringProperties] `json:"virtualNetworkPeerings"`
	} `json:"properties"`
}

type subnetProperties struct {
	AddressPrefix        string     `json:"addressPrefix"`
	AddressPrefixes      []string   `json:"addressPrefixes"`
	RouteTable           *reference `json:"routeTable"`
	NetworkSecurityGroup *reference `json:"networkSecurityGroup"`
	NatGateway           *reference `json:"natGateway"`
	ServiceEndpoints     []struct {
		Service string `json:"service"`
	} `json:"serviceEndpoints"`
	ServiceEndpointPolicies []reference `json:"serviceEndpointPolicies"`
	DefaultOutboundAccess   *bool       `json:"defaultOutboundAccess"`
}

type peeringProperties struct {
	RemoteVirtualNetwork      *reference `json:"remoteVirtualNetwork"`
	AllowVirtualNetworkAccess *bool      `json:"allowVirtualNetworkAccess"`
	AllowForwardedTraffic     bool       `json:"allowForwardedTraffic"`
	UseRemoteGateways         bool       `json:"useRemoteGateways"`
	PeerCompleteVNets         *bool      `json:"peerCompleteVnets"`
	EnableOnlyIPv6Peering     bool       `json:"enableOnlyIPv6Peering"`
}

func decodeVirtualNetwork(r *Record) (any, error) {
	var body virtualNetworkBody
	if err := leniently(r.Body, &body); err != nil {
		return nil, err
	}
	location, err := body.location()
	if err != nil {
		return nil, err
	}
	vnet := &model.VirtualNetwork{ID: model.ResourceID(r.ID), Number: r.Allotted.Number, Location: location}
	const field = "properties.addressSpace.addressPrefixes"
	for i, text := range body.Properties.AddressSpace.AddressPrefixes {
		prefix, err := parsePrefix(text, index(field, i))
		if err != nil {
			return nil, err
		}
		for _, other := range vnet.AddressSpace {
			if other.Overlaps(prefix) {
				return nil, refuse("NetcfgInvalidVirtualNetworkSite", index(field, i), "The address prefixes %s and %s of virtual "+
					"network '%s' overlap.", other, prefix, vnet.ID.Name())
			}
		}
		vnet.AddressSpace = append(vnet.AddressSpace, prefix)
	}
	if len(vnet.AddressSpace) == 0 {
		return nil, refuse("MissingAddressSpace", field, "Virtual network '%s' needs at least one address prefix.", vnet.ID.Name())
	}
	if options := body.Properties.DHCPOptions; options != nil {
		for i, text := range options.DNSServers {
			server, err := parseIPv4(text, index("properties.dhcpOptions.dnsServers", i))
			if err != nil {
				return nil, err
			}
			vnet.DNSServers = append(vnet.DNSServers, server)
		}
	}
	if err := decodeSubnets(r, vnet, body.Properties.Subnets); err != nil {
		return nil, err
	}
	return vnet, decodePeerings(r, vnet, body.Properties.Peerings)
}

func decodeSubnets(r *Record, vnet *model.VirtualNetwork, list []child[subnetProperties]) error {
	if err := uniqueNames(list, "properties.subnets"); err != nil {
		return err
	}
	taken := new(bart.Lite)
	for i := range list {
		at := index("properties.subnets", i) + ".properties"
		subnet, err := decodeSubnet(&list[i], childID(r.ID, "subnets", list[i].Name), at)
		if err != nil {
			return err
		}
		subnet.Identity = r.Allotted.Subnets[strings.ToLower(list[i].Name)]
		for _, prefix := range subnet.Prefixes {
			if err := subnetFits(vnet, taken, subnet.ID.Name(), prefix, at); err != nil {
				return err
			}
		}
		vnet.Subnets = append(vnet.Subnets, subnet)
	}
	return nil
}

// subnetFits compares one prefix of a new subnet with the VNet's address space and the subnets before it, whose prefixes are
// taken.
func subnetFits(vnet *model.VirtualNetwork, taken *bart.Lite, name string, prefix netip.Prefix, at string) error {
	inside := false
	for _, space := range vnet.AddressSpace {
		inside = inside || space.Bits() <= prefix.Bits() && space.Contains(prefix.Addr())
	}
	if !inside || prefix.Bits() > 29 {
		return refuse("NetcfgInvalidSubnet", at+".addressPrefix", "Subnet '%s' is not valid in virtual network '%s': %s must lie "+
			"inside its address space %v and be /29 or larger.", name, vnet.ID.Name(), prefix, vnet.AddressSpace)
	}
	if !taken.OverlapsPrefix(prefix) {
		taken.Insert(prefix)
		return nil
	}
	for _, other := range vnet.Subnets {
		for _, have := range other.Prefixes {
			if have.Overlaps(prefix) {
				return refuse("NetcfgSubnetRangesOverlap", at+".addressPrefix", "Subnet '%s' is not valid because its IP address "+
					"range %s overlaps with that of an existing subnet '%s' (%s) in virtual network '%s'.",
					name, prefix, other.ID.Name(), have, vnet.ID.Name())
			}
		}
	}
	return nil
}

func decodeSubnet(body *child[subnetProperties], id model.ResourceID, at string) (model.Subnet, error) {
	p := &body.Properties
	subnet := model.Subnet{ID: id, DefaultOutboundAccess: p.DefaultOutboundAccess == nil || *p.DefaultOutboundAccess}
	texts := p.AddressPrefixes
	if p.AddressPrefix != "" && len(texts) == 0 {
		texts = []string{p.AddressPrefix}
	} else if p.AddressPrefix != "" && (len(texts) != 1 || texts[0] != p.AddressPrefix) {
		return subnet, refuse(CodeInvalidRequestFormat, at+".addressPrefix", "Set either addressPrefix or addressPrefixes, not both.")
	}
	if len(texts) == 0 {
		return subnet, refuse("NetcfgInvalidSubnet", at+".addressPrefix", "Subnet '%s' needs an addressPrefix.", body.Name)
	}
	for _, text := range texts {
		prefix, err := parsePrefix(text, at+".addressPrefix")
		if err != nil {
			return subnet, err
		}
		for _, other := range subnet.Prefixes {
			if other.Overlaps(prefix) {
				return subnet, refuse("NetcfgSubnetRangesOverlap", at+".addressPrefixes",
					"The prefixes %s and %s of subnet '%s' overlap.", other, prefix, body.Name)
			}
		}
		subnet.Prefixes = append(subnet.Prefixes, prefix)
	}
	var err error
	if subnet.RouteTable, err = referTo(p.RouteTable, TypeRouteTable, at+".routeTable"); err != nil {
		return subnet, err
	}
	if subnet.NetworkSecurityGroup, err = referTo(p.NetworkSecurityGroup, TypeNetworkSecurityGroup, at+".networkSecurityGroup"); err != nil {
		return subnet, err
	}
	if subnet.NatGateway, err = referTo(p.NatGateway, TypeNatGateway, at+".natGateway"); err != nil {
		return subnet, err
	}
	if err := decodeEndpoints(p, &subnet, at); err != nil {
		return subnet, err
	}
	for i := range p.ServiceEndpointPolicies {
		policy, err := referTo(&p.ServiceEndpointPolicies[i], TypeServiceEndpointPolicy, index(at+".serviceEndpointPolicies", i))
		if err != nil {
			return subnet, err
		}
		subnet.ServiceEndpointPolicies = append(subnet.ServiceEndpointPolicies, policy)
	}
	return subnet, nil
}

// decodeEndpoints reads the endpoints of a subnet: known ones, each once, and one of the two forms of Storage (SE-9).
func decodeEndpoints(p *subnetProperties, subnet *model.Subnet, at string) error {
	for i, endpoint := range p.ServiceEndpoints {
		field := index(at+".serviceEndpoints", i) + ".service"
		service, ok := endpointNamed(endpoint.Service)
		if !ok {
			var names []string
			for _, known := range model.Services {
				names = append(names, known.Endpoint)
			}
			return refuse("InvalidServiceEndpoint", field, "The service endpoint '%s' is not known. Known are: %s.",
				endpoint.Service, strings.Join(names, ", "))
		}
		for _, other := range subnet.ServiceEndpoints {
			if other == service.Endpoint {
				return refuse("DuplicateServiceEndpoint", field, "The service endpoint '%s' stands twice.", other)
			}
			if one, ok := model.ServiceByEndpoint(other); ok && one.Identity == service.Identity {
				return refuse("InvalidServiceEndpoint", field, "A subnet may have %s or %s, not both: the second covers the first.",
					other, service.Endpoint)
			}
		}
		subnet.ServiceEndpoints = append(subnet.ServiceEndpoints, service.Endpoint)
	}
	return nil
}

func endpointNamed(name string) (model.Service, bool) {
	for _, service := range model.Services {
		if strings.EqualFold(service.Endpoint, name) {
			return service, true
		}
	}
	// Whether it is one of the operator's own is for the judge.
	return model.Service{Endpoint: name}, model.OwnEndpointName(name)
}

func decodePeerings(r *Record, vnet *model.VirtualNetwork, list []child[peeringProperties]) error {
	if err := uniqueNames(list, "properties.virtualNetworkPeerings"); err != nil {
		return err
	}
	for i := range list {
		field := index("properties.virtualNetworkPeerings", i) + ".properties"
		p := &list[i].Properties
		if p.RemoteVirtualNetwork == nil {
			return refuse(CodeInvalidRequestFormat, field+".remoteVirtualNetwork", "Peering '%s' needs a remoteVirtualNetwork.", list[i].Name)
		}
		remote, err := referTo(p.RemoteVirtualNetwork, TypeVirtualNetwork, field+".remoteVirtualNetwork")
		if err != nil {
			return err
		}
		if remote.Is(vnet.ID) {
			return refuse("CannotPeerVirtualNetworkToItself", field+".remoteVirtualNetwork.id", "Virtual network '%s' cannot be peered with itself.", vnet.ID.Name())
		}
		if p.AllowVirtualNetworkAccess != nil && !*p.AllowVirtualNetworkAccess {
			return refuse(CodeInvalidRequestFormat, field+".allowVirtualNetworkAccess",
				"A peering without virtual network access is not supported here: use a security rule, or remove the peering.")
		}
		if p.UseRemoteGateways {
			return refuse("RemoteVnetHasNoGateways", field+".useRemoteGateways", "Peering '%s' cannot have useRemoteGateways set to true, because "+
				"the remote virtual network %s does not have any gateways.", list[i].Name, remote)
		}
		if p.EnableOnlyIPv6Peering || p.PeerCompleteVNets != nil && !*p.PeerCompleteVNets {
			return refuse(CodeInvalidRequestFormat, field+".peerCompleteVnets", "A peering of some subnets, or of IPv6 alone, is not supported here: "+
				"leave peerCompleteVnets true and enableOnlyIPv6Peering false.")
		}
		vnet.Peerings = append(vnet.Peerings, model.Peering{ID: childID(r.ID, "virtualNetworkPeerings", list[i].Name),
			RemoteVirtualNetwork: remote, AllowForwardedTraffic: p.AllowForwardedTraffic})
	}
	return nil
}
