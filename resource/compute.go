package resource

import (
	"strings"

	"postern/model"
)

// TagNode is the tag of a NIC that names the host to carry it.
const TagNode = "postern.node"

type interfaceBody struct {
	header
	Properties struct {
		IPConfigurations     []child[ipConfigurationProperties] `json:"ipConfigurations"`
		EnableIPForwarding   bool                               `json:"enableIPForwarding"`
		NetworkSecurityGroup *reference                         `json:"networkSecurityGroup"`
	} `json:"properties"`
}

// networkInterface is the noun with what allotting its address and node takes.
type networkInterface struct {
	model.NetworkInterface
	static   bool   // IPv4 is the writer's own choice
	wantNode string // of TagNode

	configurations []ipConfiguration // as they stand in the body
	first          int               // the place of the primary one, which IPv4, Subnet, PublicIPAddress and ASGs are of
}

func decodeNetworkInterface(r *Record) (any, error) {
	var body interfaceBody
	if err := leniently(r.Body, &body); err != nil {
		return nil, err
	}
	location, err := body.location()
	if err != nil {
		return nil, err
	}
	p := &body.Properties
	nic := &networkInterface{wantNode: body.Tags[TagNode]}
	nic.NetworkInterface = model.NetworkInterface{ID: model.ResourceID(r.ID), Number: r.Allotted.Number, Location: location,
		IPv4: r.Allotted.Address, EnableIPForwarding: p.EnableIPForwarding, MAC: r.Allotted.MAC, Node: r.Allotted.Node}
	if nic.NetworkSecurityGroup, err = referTo(p.NetworkSecurityGroup, TypeNetworkSecurityGroup, "properties.networkSecurityGroup"); err != nil {
		return nil, err
	}
	return nic, decodeIPConfigurations(nic, r, p.IPConfigurations)
}

func decodePublicIPAddress(r *Record) (any, error) {
	var body struct {
		header
		SKU struct {
			Name string `json:"name"`
		} `json:"sku"`
		Properties struct {
			IPAddress        string     `json:"ipAddress"`
			AllocationMethod string     `json:"publicIPAllocationMethod"`
			Version          string     `json:"publicIPAddressVersion"`
			IdleTimeout      *int       `json:"idleTimeoutInMinutes"`
			Prefix           *reference `json:"publicIPPrefix"`
		} `json:"properties"`
	}
	if err := leniently(r.Body, &body); err != nil {
		return nil, err
	}
	location, err := body.location()
	if err != nil {
		return nil, err
	}
	if _, err := oneOf(body.Properties.AllocationMethod, "properties.publicIPAllocationMethod", "Dynamic", "Static"); err != nil {
		return nil, err
	}
	if timeout := body.Properties.IdleTimeout; timeout != nil && (*timeout < 4 || *timeout > 30) {
		return nil, refuse("InvalidIdleTimeout", "properties.idleTimeoutInMinutes", "The idle timeout of a public IP address is 4 to 30 minutes, not %d.", *timeout)
	}
	if _, err := oneOf(body.Properties.Version, "properties.publicIPAddressVersion", "IPv4"); err != nil {
		return nil, err
	}
	public := &model.PublicIPAddress{ID: model.ResourceID(r.ID), Location: location, IPv4: r.Allotted.Address,
		Standard: strings.HasPrefix(strings.ToLower(body.SKU.Name), "standard") && strings.EqualFold(body.Properties.AllocationMethod, "Static")}
	if text := body.Properties.IPAddress; text != "" {
		if public.IPv4, err = parseIPv4(text, "properties.ipAddress"); err != nil {
			return nil, err
		}
	}
	if public.Prefix, err = referTo(body.Properties.Prefix, TypePublicIPPrefix, "properties.publicIPPrefix"); err != nil {
		return nil, err
	}
	if public.Prefix != "" && (!strings.EqualFold(body.Properties.AllocationMethod, "Static") || body.SKU.Name == "" || body.SKU.Name == "Basic") {
		return nil, refuse("PublicIPPrefixNeedsStaticStandardAddress", "properties.publicIPPrefix", "Public IP address '%s' is out of a prefix: its SKU must be "+
			"Standard or StandardV2, and its publicIPAllocationMethod Static.", public.ID.Name())
	}
	return public, nil
}

func decodeVirtualMachine(r *Record) (any, error) {
	var body struct {
		header
		Identity *struct {
			Type string `json:"type"`
		} `json:"identity"`
		Properties struct {
			NetworkProfile struct {
				NetworkInterfaces []machineInterface `json:"networkInterfaces"`
			} `json:"networkProfile"`
		} `json:"properties"`
	}
	if err := leniently(r.Body, &body); err != nil {
		return nil, err
	}
	location, err := body.location()
	if err != nil {
		return nil, err
	}
	vm := &virtualMachine{}
	vm.VirtualMachine = model.VirtualMachine{ID: model.ResourceID(r.ID), Location: location, Stopped: r.Allotted.Power != ""}
	const field = "properties.networkProfile.networkInterfaces"
	for i := range body.Properties.NetworkProfile.NetworkInterfaces {
		written := body.Properties.NetworkProfile.NetworkInterfaces[i]
		nic, err := referTo(&reference{ID: written.ID}, TypeNetworkInterface, index(field, i))
		if err != nil {
			return nil, err
		}
		if written.Properties.Primary && vm.primary != "" {
			return nil, refuse("VirtualMachineMustHaveOneNetworkInterfaceAsPrimary", index(field, i)+".properties.primary", "Virtual machine %s must have "+
				"one network interface set as the primary.", vm.ID.Name())
		}
		if written.Properties.Primary {
			vm.primary = nic
		}
		vm.NetworkInterfaces = append(vm.NetworkInterfaces, nic)
	}
	if len(vm.NetworkInterfaces) == 1 {
		vm.primary = vm.NetworkInterfaces[0]
	}
	if len(vm.NetworkInterfaces) == 0 {
		return nil, refuse("NetworkInterfaceCountExceeded", field, "A virtual machine needs at least one network interface.")
	}
	if body.Identity != nil {
		kind, err := oneOf(body.Identity.Type, "identity.type", "None", "SystemAssigned")
		if err != nil {
			return nil, err
		}
		if vm.hasIdentity = kind == "SystemAssigned"; vm.hasIdentity {
			vm.PrincipalID = r.Allotted.PrincipalID
		}
	}
	return vm, nil
}

// virtualMachine is the noun with what allotting its identity takes.
type virtualMachine struct {
	model.VirtualMachine
	hasIdentity bool
	primary     model.ResourceID // the NIC that is marked so, or the only one
}

// machineInterface is a VM's word about one of its NICs.
type machineInterface struct {
	ID         string `json:"id"`
	Properties struct {
		Primary bool `json:"primary"`
	} `json:"properties"`
}
