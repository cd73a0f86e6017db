package arm

import (
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"postern/model"
	"postern/resource"
)

type topology struct {
	ID           string             `json:"id"`
	Created      time.Time          `json:"createdDateTime"`
	LastModified time.Time          `json:"lastModified"`
	Resources    []*topologyElement `json:"resources"`
}

type topologyElement struct {
	Name         string           `json:"name"`
	ID           model.ResourceID `json:"id"`
	Location     model.Location   `json:"location"`
	Associations []association    `json:"associations"`
}

type association struct {
	Name       string           `json:"name"`
	ResourceID model.ResourceID `json:"resourceId"`
	Type       string           `json:"associationType"`
}

// Kinds of an association.
const (
	contains   = "Contains"
	associated = "Associated"
)

// showTopology answers the network resources of a group, of a VNet or of a subnet, in the watcher's region, and how they hang
// together: those that the caller may read (GOV-1).
func showTopology(r *request) (int, any, error) {
	var question struct {
		Group  string    `json:"targetResourceGroupName"`
		VNet   reference `json:"targetVirtualNetwork"`
		Subnet reference `json:"targetSubnet"`
	}
	w, err := r.watch(&question)
	if err != nil {
		return 0, nil, err
	}
	within := model.ResourceID("/subscriptions/" + r.at.subscription + "/resourceGroups/" + question.Group)
	inGroup := question.Subnet.ID == "" && question.VNet.ID == ""
	switch {
	case question.Subnet.ID != "":
		within = question.Subnet.ID
	case question.VNet.ID != "":
		within = question.VNet.ID
	case question.Group == "":
		return 0, nil, badQuestion("targetResourceGroupName", "Name a resource group, a virtual network or a subnet.")
	}
	all := w.elements()
	kept := func(element *topologyElement) bool { return element.ID.Within(within) }
	if !inGroup {
		// What a network's own resources, and its NICs, are associated with belongs to it.
		member := w.members(all, within)
		kept = func(element *topologyElement) bool { return member[element.ID.Key()] }
	}
	now := time.Now().UTC()
	answer := topology{ID: uuid.NewString(), Created: now, LastModified: now, Resources: []*topologyElement{}}
	for _, element := range all {
		id, err := resource.ParseID(string(element.ID))
		if err == nil && kept(element) && strings.EqualFold(string(element.Location), w.location) && r.mayRead(id) {
			answer.Resources = append(answer.Resources, element)
		}
	}
	return http.StatusOK, answer, nil
}

// elements are the network resources of all groups, VNets first.
func (w *watch) elements() []*topologyElement {
	var all []*topologyElement
	add := func(id model.ResourceID, location model.Location) *topologyElement {
		element := &topologyElement{Name: id.Name(), ID: id, Location: location, Associations: []association{}}
		all = append(all, element)
		return element
	}
	s := w.snapshot
	for i := range s.VirtualNetworks {
		vnet := s.VirtualNetworks[i]
		whole := add(vnet.ID, vnet.Location)
		for j := range vnet.Subnets {
			subnet := &vnet.Subnets[j]
			whole.with(contains, subnet.ID)
			element := add(subnet.ID, vnet.Location)
			element.with(associated, subnet.NetworkSecurityGroup, subnet.RouteTable, subnet.NatGateway)
			element.with(associated, subnet.ServiceEndpointPolicies...)
		}
	}
	for i := range s.NetworkInterfaces {
		nic := s.NetworkInterfaces[i]
		add(nic.ID, nic.Location).with(associated, nic.NetworkSecurityGroup, nic.PublicIPAddress, nic.Subnet)
	}
	for i := range s.VirtualMachines {
		add(s.VirtualMachines[i].ID, s.VirtualMachines[i].Location).with(contains, s.VirtualMachines[i].NetworkInterfaces...)
	}
	for i := range s.NetworkSecurityGroups {
		group := add(s.NetworkSecurityGroups[i].ID, s.NetworkSecurityGroups[i].Location)
		for _, rule := range s.NetworkSecurityGroups[i].Rules {
			group.with(contains, group.ID+"/securityRules/"+model.ResourceID(rule.Name))
		}
	}
	for i := range s.RouteTables {
		table := add(s.RouteTables[i].ID, s.RouteTables[i].Location)
		for _, route := range s.RouteTables[i].Routes {
			table.with(contains, table.ID+"/routes/"+model.ResourceID(route.Name))
		}
	}
	for i := range s.PublicIPAddresses {
		add(s.PublicIPAddresses[i].ID, s.PublicIPAddresses[i].Location)
	}
	for i := range s.ServiceEndpointPolicies {
		add(s.ServiceEndpointPolicies[i].ID, s.ServiceEndpointPolicies[i].Location)
	}
	return all
}

// with adds associations; "" stands for none.
func (e *topologyElement) with(kind string, ids ...model.ResourceID) {
	for _, id := range ids {
		if id != "" {
			e.Associations = append(e.Associations, association{id.Name(), id, kind})
		}
	}
}

// members are the keys of a VNet's or a subnet's resources: its own, the NICs in it and their VMs, and what those are
// associated with.
func (w *watch) members(all []*topologyElement, within model.ResourceID) map[string]bool {
	member := map[string]bool{}
	own := func(element *topologyElement) bool {
		if element.ID.Within(within) {
			return true
		}
		for _, to := range element.Associations {
			id, err := resource.ParseID(string(element.ID))
			isNIC := err == nil && strings.EqualFold(id.Type(), resource.TypeNetworkInterface)
			if isNIC && to.ResourceID.Within(within) || to.Type == contains && member[to.ResourceID.Key()] {
				return true
			}
		}
		return false
	}
	for _, element := range all { // a NIC comes before its VM
		if !own(element) {
			continue
		}
		member[element.ID.Key()] = true
		for _, to := range element.Associations {
			if to.Type == associated && !isSubnet(to.ResourceID) {
				member[to.ResourceID.Key()] = true
			}
		}
	}
	return member
}

func isSubnet(id model.ResourceID) bool {
	parsed, err := resource.ParseID(string(id))
	return err == nil && parsed.IsChild()
}
