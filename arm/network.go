package arm

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"

	"postern/model"
	"postern/resource"
	"postern/servicetag"
)

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
	at := slices.IndexFunc(snapshot.NetworkInterfaces, func(nic *model.NetworkInterface) bool { return nic.ID.Is(id.Model()) })
	if at < 0 {
		return nil, nil, nil, r.missing(resource.NotFound(id))
	}
	catalogue, err := r.door.Catalogue(r.Context())
	return snapshot.NetworkInterfaces[at], snapshot, catalogue, err
}

// virtualNetwork finds the VNet that an action is about.
func (r *request) virtualNetwork() (*model.VirtualNetwork, *model.Snapshot, error) {
	id, snapshot, err := r.subject()
	if err != nil {
		return nil, nil, err
	}
	at := slices.IndexFunc(snapshot.VirtualNetworks, func(vnet *model.VirtualNetwork) bool { return vnet.ID.Is(id.Model()) })
	if at < 0 {
		return nil, nil, r.missing(resource.NotFound(id))
	}
	return snapshot.VirtualNetworks[at], snapshot, nil
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
	Reserved  bool         `json:"isPlatformReserved"`
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
		if nic := snapshot.NetworkInterfaces[i]; nic.Subnet.Is(subnet.ID) {
			addresses[nic.IPv4] = true
			for _, block := range nic.Secondary {
				for address := block.Addr(); block.Contains(address); address = address.Next() {
					addresses[address] = true
				}
			}
		}
	}
	return addresses
}
