package resource

import (
	"net/netip"
	"strings"

	"postern/model"
)

type ipConfigurationProperties struct {
	Primary                   *bool       `json:"primary"`
	PrivateIPAddress          string      `json:"privateIPAddress"`
	PrefixLength              *int        `json:"privateIPAddressPrefixLength"`
	PrivateIPAllocationMethod string      `json:"privateIPAllocationMethod"`
	PrivateIPAddressVersion   string      `json:"privateIPAddressVersion"`
	Subnet                    *reference  `json:"subnet"`
	PublicIPAddress           *reference  `json:"publicIPAddress"`
	ASGs                      []reference `json:"applicationSecurityGroups"`
}

// ipConfiguration is one of a NIC's. The primary one's address carries packets; the others have theirs for the API alone.
type ipConfiguration struct {
	id     model.ResourceID
	subnet model.ResourceID // the same for all of a NIC
	public model.ResourceID // "" for none
	asgs   []model.ResourceID
	static bool         // address is the writer's own choice
	bits   int          // 32, or blockBits for a block of addresses
	block  netip.Prefix // of bits; none while nothing is allotted
}

// blockBits is the one length of a block of addresses that an ipConfiguration can have instead of one address.
const blockBits = 28

// decodeIPConfigurations reads all of a NIC's: one or more, one of them primary, all in one subnet.
func decodeIPConfigurations(nic *networkInterface, r *Record, list []child[ipConfigurationProperties]) error {
	const field = "properties.ipConfigurations"
	if len(list) == 0 {
		return refuse(CodeInvalidRequestFormat, field, "A network interface needs an ipConfiguration.")
	}
	if err := uniqueNames(list, field); err != nil {
		return err
	}
	marked := 0
	for i := range list {
		if primary := list[i].Properties.Primary; primary != nil && *primary {
			nic.first = i
			marked++
		}
	}
	if marked > 1 {
		return refuse("NetworkInterfaceMustHaveOneOneIPConfigAsPrimary", field, "Network interface %s marks %d of its ipConfigurations as primary; one of "+
			"them must be.", nic.ID.Name(), marked)
	}
	for i := range list {
		allotted := r.Allotted.Secondary[strings.ToLower(list[i].Name)]
		if i == nic.first && nic.IPv4.IsValid() {
			allotted = netip.PrefixFrom(nic.IPv4, 32)
		}
		at := index(field, i) + ".properties"
		configuration, err := decodeIPConfiguration(&list[i].Properties, allotted, i == nic.first, at)
		if err != nil {
			return err
		}
		configuration.id = childID(r.ID, "ipConfigurations", list[i].Name)
		nic.configurations = append(nic.configurations, configuration)
	}
	first := &nic.configurations[nic.first]
	nic.Subnet, nic.PublicIPAddress, nic.ASGs, nic.static = first.subnet, first.public, first.asgs, first.static
	if first.static {
		nic.IPv4 = first.block.Addr()
	}
	for i := range nic.configurations {
		one := &nic.configurations[i]
		if one.subnet == "" {
			one.subnet = nic.Subnet
		}
		if !one.subnet.Is(nic.Subnet) {
			return refuse("IpConfigurationsOnSameNicCannotUseDifferentSubnets", index(field, i)+".properties.subnet.id", "IpConfigurations %s and %s on network "+
				"interface %s belong to different subnets; they must be in one.", first.id.Name(), one.id.Name(), nic.ID.Name())
		}
		if i != nic.first && one.block.IsValid() {
			nic.Secondary = append(nic.Secondary, one.block)
		}
	}
	return nil
}

func decodeIPConfiguration(c *ipConfigurationProperties, allotted netip.Prefix, primary bool, at string) (ipConfiguration, error) {
	one := ipConfiguration{bits: 32, block: allotted}
	if _, err := oneOf(c.PrivateIPAddressVersion, at+".privateIPAddressVersion", "IPv4"); err != nil {
		return one, err
	}
	if c.Subnet == nil && primary {
		return one, refuse("SubnetIsRequired", at+".subnet", "An ipConfiguration needs a subnet.")
	}
	var err error
	if one.subnet, err = referTo(c.Subnet, TypeVirtualNetwork+"/subnets", at+".subnet"); err != nil {
		return one, err
	}
	if one.public, err = referTo(c.PublicIPAddress, TypePublicIPAddress, at+".publicIPAddress"); err != nil {
		return one, err
	}
	for i := range c.ASGs {
		group, err := referTo(&c.ASGs[i], TypeApplicationSecurityGroup, index(at+".applicationSecurityGroups", i))
		if err != nil {
			return one, err
		}
		one.asgs = append(one.asgs, group)
	}
	if c.PrefixLength != nil {
		if *c.PrefixLength != blockBits || primary {
			return one, refuse(CodeInvalidRequestFormat, at+".privateIPAddressPrefixLength", "A block of addresses has the length %d and stands in a "+
				"secondary ipConfiguration.", blockBits)
		}
		one.bits = blockBits
	}
	method, err := oneOf(c.PrivateIPAllocationMethod, at+".privateIPAllocationMethod", "Dynamic", "Static")
	if err != nil {
		return one, err
	}
	if one.static = method == "Static"; !one.static {
		if one.block.Bits() != one.bits {
			one.block = netip.Prefix{}
		}
		return one, nil
	}
	text, length, cut := strings.Cut(c.PrivateIPAddress, "/") // a block is answered with its length
	address, err := parseIPv4(text, at+".privateIPAddress")
	if err != nil {
		return one, err
	}
	if one.block = netip.PrefixFrom(address, one.bits); one.block != one.block.Masked() || cut && (one.bits == 32 || length != "28") {
		return one, refuse("InvalidIPAddressFormat", at+".privateIPAddress", "'%s' is not an address, nor the beginning of a block of /%d.", c.PrivateIPAddress, one.bits)
	}
	return one, nil
}

// secondary judges the addresses that a NIC's other ipConfigurations want, or finds the lowest free ones.
func (j *judge) secondary(e *entry, nic *networkInterface, subnet *model.Subnet, x *nicIndex) error {
	taken := x.taken[nic.Subnet.Key()]
	own := map[netip.Addr]bool{nic.IPv4: true}
	nic.Secondary = nil
	allotted := make(map[string]netip.Prefix)
	for i := range nic.configurations {
		one := &nic.configurations[i]
		if i == nic.first {
			continue
		}
		field := index("properties.ipConfigurations", i) + ".properties.privateIPAddress"
		if err := usable(subnet, one.block, taken, nic, own, field); err != nil {
			if one.static || j.checkOnly {
				return err
			}
			if one.block = freeBlock(subnet, one.bits, taken, own); !one.block.IsValid() {
				return refuse("SubnetIsFull", index("properties.ipConfigurations", i)+".properties.subnet.id", "Subnet %s with address prefix %v does not have "+
					"enough capacity for %d IP addresses.", subnet.ID.Name(), subnet.Prefixes, 1<<(32-one.bits))
			}
		}
		for address := one.block.Addr(); one.block.Contains(address); address = address.Next() {
			own[address] = true
			taken[address] = nic
		}
		nic.Secondary = append(nic.Secondary, one.block)
		allotted[strings.ToLower(one.id.Name())] = one.block
	}
	if !j.checkOnly {
		e.record.Allotted.Secondary = nil
		if len(allotted) > 0 {
			e.record.Allotted.Secondary = allotted
		}
	}
	return nil
}

// usable refuses a block that is not wholly in a subnet, or has a reserved address or one of another's.
func usable(subnet *model.Subnet, block netip.Prefix, taken map[netip.Addr]*networkInterface, nic *networkInterface, own map[netip.Addr]bool, field string) error {
	if !block.IsValid() {
		return refuse("PrivateIPAddressNotAllocated", field, "Network interface '%s' has no address for this ipConfiguration.", nic.ID.Name())
	}
	for address := block.Addr(); block.Contains(address); address = address.Next() {
		if err := assignable(subnet, address, field); err != nil {
			return err
		}
		if user := taken[address]; own[address] || user != nil && user != nic {
			return allocated(address, user, nic, field)
		}
	}
	return nil
}

// freeBlock is the lowest block of a length that is free in a subnet; none if there is none.
func freeBlock(subnet *model.Subnet, bits int, taken map[netip.Addr]*networkInterface, own map[netip.Addr]bool) netip.Prefix {
	for _, prefix := range subnet.Prefixes {
		address := prefix.Addr()
		for prefix.Contains(address) {
			block, ok := netip.PrefixFrom(address, bits), true
			for ; block.Contains(address); address = address.Next() {
				ok = ok && prefix.Contains(address) && !reserved(subnet, address) && taken[address] == nil && !own[address]
			}
			if ok {
				return block
			}
		}
	}
	return netip.Prefix{}
}

// assignable refuses an address that no NIC of a subnet can have.
func assignable(subnet *model.Subnet, address netip.Addr, field string) error {
	switch {
	case !contains(subnet.Prefixes, address):
		return refuse("PrivateIPAddressNotInSubnet", field, "Private static IP address %s does not belong to the range of subnet prefix %v.",
			address, subnet.Prefixes)
	case reserved(subnet, address):
		return refuse("PrivateIPAddressInReservedRange", field, "Private static IP address %s falls within reserved IP range of subnet "+
			"prefix %v: the first four addresses and the last.", address, subnet.Prefixes)
	}
	return nil
}

// allocated refuses an address that is another's, or stands twice in one NIC.
func allocated(address netip.Addr, user, nic *networkInterface, field string) error {
	if user == nil {
		user = nic
	}
	return refuse("PrivateIPAddressIsAllocated", field, "IP configuration is using the private IP address %s which is already allocated to resource %s.",
		address, user.ID)
}
