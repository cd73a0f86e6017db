package compile

import (
	"reflect"
	"slices"
	"strings"

	"postern/model"
)

// sameGround tells whether a snapshot stands on what every plan depends on as the indexed one: settings and nodes.
func (in *indexed) sameGround(next *model.Snapshot) bool {
	return in.Settings == next.Settings && reflect.DeepEqual(in.Zones, next.Zones) && slices.Equal(in.Nodes, next.Nodes)
}

// follow goes on to the next snapshot, and marks the networks that differ between the two as stale. What snapshots share is
// the same by its pointer, so that this costs little more than what has changed.
func (in *indexed) follow(next *model.Snapshot) {
	changed := map[string]bool{} // keys of resources that networks use
	for _, d := range differences(in.VirtualNetworks, next.VirtualNetworks, vnetID) {
		apply(in.vnets, d)
		in.stale[d.key] = true
		for _, vnet := range d.both() {
			for _, peering := range vnet.Peerings {
				in.stale[peering.RemoteVirtualNetwork.Key()] = true // its routes and tags have this one's address space
			}
		}
	}
	for _, d := range differences(in.RouteTables, next.RouteTables, tableID) {
		apply(in.tables, d)
		changed[d.key] = true
	}
	for _, d := range differences(in.NetworkSecurityGroups, next.NetworkSecurityGroups, groupID) {
		apply(in.groups, d)
		changed[d.key] = true
	}
	publics := differences(in.PublicIPAddresses, next.PublicIPAddresses, publicID)
	for _, d := range publics {
		apply(in.publics, d)
		changed[d.key] = true
	}
	if len(publics)+len(differences(in.NatGateways, next.NatGateways, natID)) > 0 {
		in.followNATGateways(next, changed)
	}
	for _, d := range differences(in.ServiceEndpointPolicies, next.ServiceEndpointPolicies, policyID) {
		apply(in.policies, d)
		changed[d.key] = true
	}
	in.followMachines(differences(in.VirtualMachines, next.VirtualMachines, machineID), changed)
	in.followInterfaces(differences(in.NetworkInterfaces, next.NetworkInterfaces, interfaceID), changed)
	instances := slices.ContainsFunc(differences(in.Instances, next.Instances, instanceID), func(d difference[model.ServiceInstance]) bool {
		return d.before == nil || d.after == nil || !sameToPolicies(d.before, d.after)
	})
	for key, one := range in.networks {
		if instances && one.restricted {
			in.stale[key] = true
		}
		for used := range changed {
			if one.uses[used] {
				in.stale[key] = true
			}
		}
	}
	in.Snapshot = next
}

// sameToPolicies tells whether endpoint policies see no difference between two states of an instance.
func sameToPolicies(a, b *model.ServiceInstance) bool {
	return a.ID == b.ID && a.Endpoint == b.Endpoint && a.Address == b.Address && slices.Equal(a.Aliases, b.Aliases)
}

// followMachines goes over what VMs have which NICs, and whether they run.
func (in *indexed) followMachines(list []difference[model.VirtualMachine], changed map[string]bool) {
	for _, d := range list {
		for _, vm := range d.both() {
			for _, nic := range vm.NetworkInterfaces {
				changed[nic.Key()] = true
			}
		}
		if d.before != nil {
			for _, nic := range d.before.NetworkInterfaces {
				delete(in.machines, nic.Key())
			}
		}
	}
	for _, d := range list { // a NIC may have gone from one to the other
		if d.after != nil {
			in.addMachine(d.after)
		}
	}
}

// followInterfaces moves NICs between networks and application security groups.
func (in *indexed) followInterfaces(list []difference[model.NetworkInterface], changed map[string]bool) {
	for _, d := range list {
		for _, nic := range d.both() {
			in.stale[nic.Subnet.Parent().Key()] = true
			for _, group := range nic.ASGs {
				changed[group.Key()] = true
			}
		}
		if d.before != nil {
			take(in.inside, d.before.Subnet.Parent().Key(), d.key)
			for _, group := range d.before.ASGs {
				take(in.members, group.Key(), d.key)
			}
		}
	}
	for _, d := range list {
		if d.after != nil {
			put(in.inside, d.after.Subnet.Parent().Key(), d.after)
			in.addMember(d.after)
		}
	}
}

func take(lists map[string]interfaces, key, nic string) {
	if delete(lists[key], nic); len(lists[key]) == 0 {
		delete(lists, key)
	}
}

// difference is one resource that is not the same in two snapshots: nil where it is not there.
type difference[T any] struct {
	key           string
	before, after *T
}

// both are the states that are there.
func (d difference[T]) both() []*T {
	return slices.DeleteFunc([]*T{d.before, d.after}, func(one *T) bool { return one == nil })
}

func apply[T any](to map[string]*T, d difference[T]) {
	if d.after == nil {
		delete(to, d.key)
	} else {
		to[d.key] = d.after
	}
}

// differences compares two lists that are sorted by key; those of other orders give differences where there are none, and
// miss none. The same pointer is the same resource.
func differences[T any](before, after []*T, id func(*T) model.ResourceID) (list []difference[T]) {
	at := map[string]int{} // in list
	note := func(key string, was, is *T) {
		i, known := at[key]
		if !known {
			i = len(list)
			at[key] = i
			list = append(list, difference[T]{key: key})
		}
		if was != nil {
			list[i].before = was
		}
		if is != nil {
			list[i].after = is
		}
	}
	for len(before) > 0 || len(after) > 0 {
		switch {
		case len(before) == 0:
			note(id(after[0]).Key(), nil, after[0])
			after = after[1:]
		case len(after) == 0:
			note(id(before[0]).Key(), before[0], nil)
			before = before[1:]
		case before[0] == after[0]:
			before, after = before[1:], after[1:]
		default:
			was, is := id(before[0]).Key(), id(after[0]).Key()
			order := strings.Compare(was, is)
			if order <= 0 {
				note(was, before[0], nil)
				before = before[1:]
			}
			if order >= 0 {
				note(is, nil, after[0])
				after = after[1:]
			}
		}
	}
	return list
}
