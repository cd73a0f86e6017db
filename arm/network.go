package arm

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"postern/model"
	"postern/resource"
	"postern/servicetag"
)

type endpointService struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Type string `json:"type"`
}

// listEndpointServices answers the services that subnets of a region can enable.
func listEndpointServices(r *request) (int, any, error) {
	snapshot, err := r.snapshot(r.Context())
	if err != nil {
		return 0, nil, err
	}
	value := []endpointService{}
	for _, service := range snapshot.Services() {
		value = append(value, endpointService{Name: service.Endpoint, Type: "Microsoft.Network/virtualNetworkEndpointServices",
			ID: "/subscriptions/" + r.at.subscription + "/providers/Microsoft.Network/virtualNetworkEndpointServices/" + service.Endpoint})
	}
	return http.StatusOK, list{Value: value}, nil
}

type serviceTags struct {
	ID           string       `json:"id"`
	Name         string       `json:"name"`
	Type         string       `json:"type"`
	ChangeNumber string       `json:"changeNumber"`
	Cloud        string       `json:"cloud"`
	Values       []serviceTag `json:"values"`
}

type serviceTag struct {
	ID         string               `json:"id"`
	Name       string               `json:"name"`
	Properties serviceTagProperties `json:"properties"`
}

type serviceTagProperties struct {
	ChangeNumber  string         `json:"changeNumber"`
	Region        string         `json:"region"`
	SystemService string         `json:"systemService"`
	Prefixes      []netip.Prefix `json:"addressPrefixes"`
}

// listServiceTags answers the whole catalogue.
func listServiceTags(r *request) (int, any, error) {
	catalogue, err := r.door.Catalogue(r.Context())
	if err != nil {
		return 0, nil, err
	}
	number := strconv.Itoa(catalogue.ChangeNumber())
	answer := serviceTags{Name: catalogue.Cloud(), Type: "Microsoft.Network/serviceTags", ChangeNumber: number, Cloud: catalogue.Cloud(), Values: []serviceTag{},
		ID: "/subscriptions/" + r.at.subscription + "/providers/Microsoft.Network/serviceTags/" + catalogue.Cloud()}
	for _, name := range catalogue.Names() {
		tag, ok := catalogue.Tag(name)
		if !ok {
			continue
		}
		answer.Values = append(answer.Values, serviceTag{ID: tag.Name, Name: tag.Name, Properties: serviceTagProperties{
			ChangeNumber: strconv.Itoa(tag.ChangeNumber), Region: tag.Region, SystemService: tag.SystemService, Prefixes: tag.Prefixes}})
	}
	return http.StatusOK, answer, nil
}

type effectiveRoute struct {
	Name                  string         `json:"name,omitempty"`
	Source                string         `json:"source"`
	State                 string         `json:"state"`
	AddressPrefix         []netip.Prefix `json:"addressPrefix"`
	NextHopType           string         `json:"nextHopType"`
	NextHopIPAddress      []netip.Addr   `json:"nextHopIpAddress"`
	DisableBGPPropagation bool           `json:"disableBgpRoutePropagation"`
	ServiceTags           []string       `json:"posternServiceTags,omitempty"` // what Azure does not tell (ROUTE-18)
}

// effectiveRoutes answers the routes of a NIC, one entry for each route (ROUTE-12, ROUTE-18).
func effectiveRoutes(r *request) (int, any, error) {
	nic, snapshot, catalogue, err := r.networkInterface()
	if err != nil {
		return 0, nil, err
	}
	table, err := r.door.Compiler.Effective(snapshot, catalogue, nic)
	if err != nil {
		return 0, nil, err
	}
	value := []effectiveRoute{}
	for _, line := range table.Effective() {
		hops := line.NextHopIPs
		if hops == nil {
			hops = []netip.Addr{}
		}
		name := ""
		if line.Source == model.SourceUser {
			name = line.Name
		}
		value = append(value, effectiveRoute{Name: name, Source: line.Source.String(), State: string(line.State), AddressPrefix: line.Prefixes,
			NextHopType: line.NextHopType.String(), NextHopIPAddress: hops, ServiceTags: line.ServiceTags})
	}
	return http.StatusOK, list{Value: value}, nil
}

// networkInterface finds the NIC that an action is about.
func (r *request) networkInterface() (*model.NetworkInterface, *model.Snapshot, *servicetag.Catalogue, error) {
	id, snapshot, err := r.subject()
	if err != nil {
		return nil, nil, nil, err
	}
	at := slices.IndexFunc(snapshot.NetworkInterfaces, func(nic model.NetworkInterface) bool { return nic.ID.Is(id.Model()) })
	if at < 0 {
		return nil, nil, nil, r.missing(resource.NotFound(id))
	}
	catalogue, err := r.door.Catalogue(r.Context())
	return &snapshot.NetworkInterfaces[at], snapshot, catalogue, err
}

// virtualNetwork finds the VNet that an action is about.
func (r *request) virtualNetwork() (*model.VirtualNetwork, *model.Snapshot, error) {
	id, snapshot, err := r.subject()
	if err != nil {
		return nil, nil, err
	}
	at := slices.IndexFunc(snapshot.VirtualNetworks, func(vnet model.VirtualNetwork) bool { return vnet.ID.Is(id.Model()) })
	if at < 0 {
		return nil, nil, r.missing(resource.NotFound(id))
	}
	return &snapshot.VirtualNetworks[at], snapshot, nil
}

// subject is the id of what an action is about, and the cloud that it is in.
func (r *request) subject() (resource.ID, *model.Snapshot, error) {
	id, err := r.at.parent()
	if err != nil {
		return id, nil, err
	}
	snapshot, err := r.snapshot(r.Context())
	return id, snapshot, err
}

func (r *request) snapshot(ctx context.Context) (*model.Snapshot, error) {
	cloud, err := r.door.Cache.Current(ctx)
	if err != nil {
		return nil, err
	}
	return cloud.Snapshot(), nil
}

type availability struct {
	Available bool         `json:"available"`
	Addresses []netip.Addr `json:"availableIPAddresses"`
	Reserved  bool         `json:"isIPAddressReserved"`
}

// suggestions is how many free addresses an answer about a taken one names.
const suggestions = 5

// checkIPAddress tells whether an address of a VNet is free, and names free ones of the same subnet when it is not.
func checkIPAddress(r *request) (int, any, error) {
	vnet, snapshot, err := r.virtualNetwork()
	if err != nil {
		return 0, nil, err
	}
	text := r.URL.Query().Get("ipAddress")
	address, err := netip.ParseAddr(text)
	if err != nil || !address.Is4() {
		return 0, nil, &resource.Error{Code: "InvalidIPAddressFormat", Status: http.StatusBadRequest, Target: "ipAddress",
			Message: fmt.Sprintf("IP address '%.40s' is not an IPv4 address.", text)}
	}
	answer := availability{Addresses: []netip.Addr{}}
	for i := range vnet.Subnets {
		subnet := &vnet.Subnets[i]
		for _, prefix := range subnet.Prefixes {
			if !prefix.Contains(address) {
				continue
			}
			taken := taken(snapshot, subnet)
			answer.Reserved = resource.Reserved(subnet, address)
			answer.Available = !answer.Reserved && !taken[address]
			for free := prefix.Addr(); !answer.Available && prefix.Contains(free) && len(answer.Addresses) < suggestions; free = free.Next() {
				if !taken[free] && !resource.Reserved(subnet, free) {
					answer.Addresses = append(answer.Addresses, free)
				}
			}
		}
	}
	return http.StatusOK, answer, nil
}

func taken(snapshot *model.Snapshot, subnet *model.Subnet) map[netip.Addr]bool {
	addresses := map[netip.Addr]bool{}
	for i := range snapshot.NetworkInterfaces {
		if nic := &snapshot.NetworkInterfaces[i]; nic.Subnet.Is(subnet.ID) {
			addresses[nic.IPv4] = true
		}
	}
	return addresses
}

type usage struct {
	ID           string    `json:"id"`
	CurrentValue int       `json:"currentValue"`
	Limit        int       `json:"limit"`
	Unit         string    `json:"unit"`
	Name         usageName `json:"name"`
}

type usageName struct {
	Value     string `json:"value"`
	Localized string `json:"localizedValue"`
}

// listSubnetUsages answers how many addresses each subnet of a VNet has, and how many of them are taken.
func listSubnetUsages(r *request) (int, any, error) {
	vnet, snapshot, err := r.virtualNetwork()
	if err != nil {
		return 0, nil, err
	}
	value := []usage{}
	for i := range vnet.Subnets {
		subnet := &vnet.Subnets[i]
		size := 0
		for _, prefix := range subnet.Prefixes {
			size += 1<<(32-prefix.Bits()) - 5 // the first four and the last are Azure's
		}
		value = append(value, usage{ID: string(subnet.ID), CurrentValue: len(taken(snapshot, subnet)), Limit: size, Unit: "Count",
			Name: usageName{"SubnetSpace", "Subnet size and usage"}})
	}
	return http.StatusOK, list{Value: value}, nil
}

// usageLimits are Azure's published limits for one subscription and region. They are told and not enforced.
var usageLimits = []struct {
	typ, name, text string
	limit           int
}{
	{resource.TypeVirtualNetwork, "VirtualNetworks", "Virtual Networks", 1000},
	{resource.TypePublicIPAddress, "PublicIPAddresses", "Public IP Addresses", 1000},
	{resource.TypeNetworkSecurityGroup, "NetworkSecurityGroups", "Network Security Groups", 5000},
	{resource.TypeNetworkInterface, "NetworkInterfaces", "Network Interfaces", 65536},
	{resource.TypeRouteTable, "RouteTables", "Route Tables", 200},
	{resource.TypeApplicationSecurityGroup, "ApplicationSecurityGroups", "Application security groups", 3000},
	{resource.TypeServiceEndpointPolicy, "ServiceEndpointPolicies", "Service Endpoint Policies", 500},
}

// listNetworkUsages counts the resources of a subscription in one region.
func listNetworkUsages(r *request) (int, any, error) {
	cloud, err := r.door.Cache.Current(r.Context())
	if err != nil {
		return 0, nil, err
	}
	region := r.at.names[0]
	value := []usage{}
	for _, one := range usageLimits {
		count := 0
		for _, record := range cloud.Records(one.typ) {
			id, err := resource.ParseID(record.ID)
			if err == nil && strings.EqualFold(id.Subscription, r.at.subscription) &&
				(filter{{"location", true, region}}).matches(id, record.Body) {
				count++
			}
		}
		value = append(value, usage{ID: r.at.scope() + "/usages/" + one.name, CurrentValue: count, Limit: one.limit, Unit: "Count",
			Name: usageName{one.name, one.text}})
	}
	return http.StatusOK, list{Value: value}, nil
}
