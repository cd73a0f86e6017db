package resource

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/uuid"

	"postern/model"
)

// nicIndex is what the judging of NICs, public IPs and VMs needs of all the others.
type nicIndex struct {
	taken   map[string]map[netip.Addr]*networkInterface // by the subnet's key
	load    map[string]int                              // NICs by the host's name, lower case
	public  map[string]*networkInterface                // the NIC that has a public IP, by the IP's key
	machine map[string]*virtualMachine                  // the VM that has a NIC, by the NIC's key
	pool    map[netip.Addr]*model.PublicIPAddress       // public IPs by address
	blocks  []*publicIPPrefix
}

func (j *judge) nicsIndex() *nicIndex {
	if j.nics != nil {
		return j.nics
	}
	x := &nicIndex{make(map[string]map[netip.Addr]*networkInterface), make(map[string]int),
		make(map[string]*networkInterface), make(map[string]*virtualMachine), make(map[netip.Addr]*model.PublicIPAddress), nil}
	for _, e := range j.claimants(TypeNetworkInterface, TypeVirtualMachine, TypePublicIPPrefix, TypePublicIPAddress) {
		switch noun := e.noun.(type) {
		case *networkInterface:
			x.load[strings.ToLower(noun.Node)]++
			for _, one := range noun.configurations {
				if one.public != "" && x.public[one.public.Key()] == nil {
					x.public[one.public.Key()] = noun
				}
			}
			x.take(noun)
		case *virtualMachine:
			for _, nic := range noun.NetworkInterfaces {
				if x.machine[nic.Key()] == nil {
					x.machine[nic.Key()] = noun
				}
			}
		case *publicIPPrefix:
			x.blocks = append(x.blocks, noun)
		case *model.PublicIPAddress:
			if noun.IPv4.IsValid() && x.pool[noun.IPv4] == nil {
				x.pool[noun.IPv4] = noun
			}
		}
	}
	j.nics = x
	return x
}

// claimants lists the entries of some types in the order in which they have what only one can have: those that the change
// leaves alone before those that it writes. The latter are judged, and the one that comes too late is refused.
func (j *judge) claimants(types ...string) []*entry {
	var stay, written []*entry
	for _, typ := range types {
		for _, e := range j.after.entries.of(typ) {
			if j.before.entries.find(e.key) == e {
				stay = append(stay, e)
			} else {
				written = append(written, e)
			}
		}
	}
	return append(stay, written...)
}

// take notes that a NIC has its address, unless another has it.
func (x *nicIndex) take(nic *networkInterface) {
	key := nic.Subnet.Key()
	if x.taken[key] == nil {
		x.taken[key] = make(map[netip.Addr]*networkInterface)
	}
	for _, block := range append([]netip.Prefix{netip.PrefixFrom(nic.IPv4, 32)}, nic.Secondary...) {
		for address := block.Addr(); block.IsValid() && block.Contains(address); address = address.Next() {
			if x.taken[key][address] == nil {
				x.taken[key][address] = nic
			}
		}
	}
}

// networkInterface allots number, MAC, address and node, and judges the address and the public IP.
func (j *judge) networkInterface(e *entry, nic *networkInterface) error {
	x := j.nicsIndex()
	subnet, _ := j.after.subnet(nic.Subnet)
	if err := j.publicAddresses(nic, x); err != nil {
		return err
	}
	allotted := &e.record.Allotted
	if old := j.before.entries.find(e.key); old != nil && !j.checkOnly && !old.noun.(*networkInterface).Subnet.Is(nic.Subnet) {
		// A NIC that moves is another one to the data paths: nothing of its flows may go on.
		allotted.Number, allotted.Address, allotted.Secondary = 0, netip.Addr{}, nil
		if !nic.static {
			nic.IPv4 = netip.Addr{}
		}
	}
	if !j.checkOnly && allotted.Number == 0 {
		allotted.Number = j.counters.NIC
		j.counters.NIC++
		allotted.MAC = model.MAC{0x02, 0x50}
		binary.BigEndian.PutUint32(allotted.MAC[2:], allotted.Number)
	}
	if !j.checkOnly {
		nic.Number, nic.MAC = allotted.Number, allotted.MAC
	}
	if err := j.address(nic, subnet, x); err != nil {
		return err
	}
	if err := j.secondary(e, nic, subnet, x); err != nil {
		return err
	}
	if !j.checkOnly {
		allotted.Address = nic.IPv4
	}
	return j.place(e, nic, x)
}

// publicAddresses judges that the public addresses of a NIC are nobody else's.
func (j *judge) publicAddresses(nic *networkInterface, x *nicIndex) error {
	for i, one := range nic.configurations {
		if one.public == "" {
			continue
		}
		field := index("properties.ipConfigurations", i) + ".properties.publicIPAddress.id"
		taken := slices.ContainsFunc(nic.configurations[:i], func(other ipConfiguration) bool { return other.public.Is(one.public) })
		if user := x.public[one.public.Key()]; user != nic || taken {
			return refuse("PublicIPAddressInUse", field, "Public IP address %s is already allocated to resource %s.", one.public, user.ID)
		}
		for _, e := range j.after.entries.of(TypeNatGateway) {
			gateway := e.noun.(*model.NatGateway)
			if slices.ContainsFunc(gateway.PublicIPAddresses, one.public.Is) {
				return refuse("PublicIPAddressInUse", field, "Public IP address %s is already allocated to resource %s.", one.public, gateway.ID)
			}
		}
	}
	return nil
}

// address judges the address that a NIC wants, or finds it the lowest free one.
func (j *judge) address(nic *networkInterface, subnet *model.Subnet, x *nicIndex) error {
	at := index("properties.ipConfigurations", nic.first) + ".properties"
	field := at + ".privateIPAddress"
	taken := x.taken[nic.Subnet.Key()]
	if nic.static || nic.IPv4.IsValid() {
		usable := contains(subnet.Prefixes, nic.IPv4) && !reserved(subnet, nic.IPv4) && (taken[nic.IPv4] == nic || taken[nic.IPv4] == nil)
		switch {
		case usable:
			x.take(nic)
			return nil
		case !nic.static: // a dynamic address that no longer fits is replaced
		default:
			if err := assignable(subnet, nic.IPv4, field); err != nil {
				return err
			}
			return allocated(nic.IPv4, taken[nic.IPv4], nic, field)
		}
	}
	if j.checkOnly {
		return refuse("PrivateIPAddressNotAllocated", field, "Network interface '%s' has no address.", nic.ID.Name())
	}
	for _, prefix := range subnet.Prefixes {
		for address := prefix.Addr(); prefix.Contains(address); address = address.Next() {
			if !reserved(subnet, address) && taken[address] == nil {
				nic.IPv4 = address
				x.take(nic)
				return nil
			}
		}
	}
	return refuse("SubnetIsFull", at+".subnet.id", "Subnet %s with address prefix %v does not have enough capacity for 1 IP address.",
		subnet.ID.Name(), subnet.Prefixes)
}

// reserved tells whether an address is one of the first four or the last of a prefix: Azure keeps those.
func reserved(subnet *model.Subnet, address netip.Addr) bool {
	for _, prefix := range subnet.Prefixes {
		if prefix.Contains(address) {
			first, at := prefix.Addr().As4(), address.As4()
			offset := binary.BigEndian.Uint32(at[:]) - binary.BigEndian.Uint32(first[:])
			return offset < 4 || uint64(offset) == uint64(1)<<(32-prefix.Bits())-1
		}
	}
	return false
}

// place finds the host of a NIC: the one that its tag names, the one that it has, or the region's least loaded.
func (j *judge) place(e *entry, nic *networkInterface, x *nicIndex) error {
	var chosen *model.Node
	for _, other := range j.after.entries.of(TypeNode) {
		node := other.noun.(*model.Node)
		if node.Role != model.RoleHost || node.Location != nic.Location {
			continue
		}
		switch {
		case nic.wantNode != "" && !strings.EqualFold(node.Name, nic.wantNode):
		case nic.wantNode == "" && strings.EqualFold(node.Name, e.record.Allotted.Node):
			nic.Node = node.Name
			return nil
		case chosen == nil || x.load[strings.ToLower(node.Name)] < x.load[strings.ToLower(chosen.Name)]:
			chosen = node
		}
	}
	if chosen == nil && nic.wantNode != "" {
		return refuse(CodeInvalidResourceReference, "tags."+TagNode, "There is no host '%s' in region %s: create it as %s, or name another.",
			nic.wantNode, nic.Location, TypeNode)
	}
	if chosen == nil {
		return conflict("AllocationFailed", "location", "There is no host in region %s to carry network interface '%s': create a %s of role host there first.",
			nic.Location, nic.ID.Name(), TypeNode)
	}
	if j.checkOnly {
		return nil
	}
	x.load[strings.ToLower(nic.Node)]--
	x.load[strings.ToLower(chosen.Name)]++
	e.record.Allotted.Node, nic.Node = chosen.Name, chosen.Name
	return nil
}

func (j *judge) virtualMachine(e *entry, vm *virtualMachine) error {
	for i, id := range vm.NetworkInterfaces {
		field := index("properties.networkProfile.networkInterfaces", i) + ".id"
		if slices.ContainsFunc(vm.NetworkInterfaces[:i], id.Is) {
			return refuse("NicInUse", field, "Network interface %s stands twice.", id)
		}
		if user := j.nicsIndex().machine[id.Key()]; user != vm {
			return refuse("NicInUse", field, "Network Interface %s is used by existing resource %s.", id, user.ID)
		}
	}
	allotted := &e.record.Allotted
	if j.checkOnly {
		return nil
	}
	j.date(e)
	if err := j.guid(true, &allotted.VMID); err != nil {
		return err
	}
	if err := j.guid(vm.hasIdentity, &allotted.PrincipalID); err != nil {
		return err
	}
	vm.PrincipalID = allotted.PrincipalID
	return nil
}

// guid allots a GUID that is wanted, and forgets one that no longer is.
func (j *judge) guid(wanted bool, into *string) error {
	if *into != "" && wanted {
		return nil
	}
	*into = ""
	if wanted {
		id, err := uuid.NewRandomFromReader(j.options.Random)
		if err != nil {
			return fmt.Errorf("make a GUID: %w", err)
		}
		*into = id.String()
	}
	return nil
}
