package resource

import (
	"encoding/json"
	"net/netip"
	"strings"

	"postern/model"
)

// TagNode is the tag of a NIC that names the host to carry it; TagBackend that of a storage account with the
// host:port that serves its data plane.
const (
	TagNode    = "postern.node"
	TagBackend = "postern.backend"
)

type interfaceBody struct {
	header
	Properties struct {
		state
		IPConfigurations            []child[ipConfigurationProperties] `json:"ipConfigurations"`
		EnableIPForwarding          bool                               `json:"enableIPForwarding"`
		EnableAcceleratedNetworking bool                               `json:"enableAcceleratedNetworking"`
		DisableTCPStateTracking     bool                               `json:"disableTcpStateTracking"`
		NetworkSecurityGroup        *reference                         `json:"networkSecurityGroup"`
		DNSSettings                 json.RawMessage                    `json:"dnsSettings"`
		VirtualMachine              json.RawMessage                    `json:"virtualMachine"` // read-only
		MACAddress                  string                             `json:"macAddress"`     // read-only
		Primary                     bool                               `json:"primary"`        // read-only
		NICType                     string                             `json:"nicType"`        // read-only
	} `json:"properties"`
}

type ipConfigurationProperties struct {
	state
	Primary                   *bool       `json:"primary"`
	PrivateIPAddress          string      `json:"privateIPAddress"`
	PrivateIPAllocationMethod string      `json:"privateIPAllocationMethod"`
	PrivateIPAddressVersion   string      `json:"privateIPAddressVersion"`
	Subnet                    *reference  `json:"subnet"`
	PublicIPAddress           *reference  `json:"publicIPAddress"`
	ASGs                      []reference `json:"applicationSecurityGroups"`
}

// networkInterface is the noun with what allotting its address and node takes.
type networkInterface struct {
	model.NetworkInterface
	static   bool   // IPv4 is the writer's own choice
	wantNode string // of TagNode
}

func decodeNetworkInterface(r *Record) (any, error) {
	var body interfaceBody
	if err := strictly(r.Body, &body); err != nil {
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
	if len(p.IPConfigurations) != 1 {
		return nil, refuse(CodeInvalidRequestFormat, "properties.ipConfigurations", "A network interface has exactly one ipConfiguration "+
			"here; this one has %d.", len(p.IPConfigurations))
	}
	if err := uniqueNames(p.IPConfigurations, "properties.ipConfigurations"); err != nil {
		return nil, err
	}
	if nic.NetworkSecurityGroup, err = referTo(p.NetworkSecurityGroup, TypeNetworkSecurityGroup, "properties.networkSecurityGroup"); err != nil {
		return nil, err
	}
	return nic, decodeIPConfiguration(nic, &p.IPConfigurations[0].Properties, "properties.ipConfigurations[0].properties")
}

func decodeIPConfiguration(nic *networkInterface, c *ipConfigurationProperties, at string) error {
	if _, err := oneOf(c.PrivateIPAddressVersion, at+".privateIPAddressVersion", "IPv4"); err != nil {
		return err
	}
	if c.Subnet == nil {
		return refuse("SubnetIsRequired", at+".subnet", "An ipConfiguration needs a subnet.")
	}
	var err error
	if nic.Subnet, err = referTo(c.Subnet, TypeVirtualNetwork+"/subnets", at+".subnet"); err != nil {
		return err
	}
	if nic.PublicIPAddress, err = referTo(c.PublicIPAddress, TypePublicIPAddress, at+".publicIPAddress"); err != nil {
		return err
	}
	for i := range c.ASGs {
		group, err := referTo(&c.ASGs[i], TypeApplicationSecurityGroup, index(at+".applicationSecurityGroups", i))
		if err != nil {
			return err
		}
		nic.ASGs = append(nic.ASGs, group)
	}
	method, err := oneOf(c.PrivateIPAllocationMethod, at+".privateIPAllocationMethod", "Dynamic", "Static")
	if err != nil {
		return err
	}
	nic.static = method == "Static"
	if nic.static {
		nic.IPv4, err = parseIPv4(c.PrivateIPAddress, at+".privateIPAddress")
	}
	return err
}

func decodePublicIPAddress(r *Record) (any, error) {
	var body struct {
		header
		SKU        json.RawMessage `json:"sku"`
		Zones      []string        `json:"zones"`
		Properties struct {
			state
			IPAddress        string          `json:"ipAddress"`
			AllocationMethod string          `json:"publicIPAllocationMethod"`
			Version          string          `json:"publicIPAddressVersion"`
			IdleTimeout      int             `json:"idleTimeoutInMinutes"`
			DNSSettings      json.RawMessage `json:"dnsSettings"`
			IPTags           json.RawMessage `json:"ipTags"`
			DDoSSettings     json.RawMessage `json:"ddosSettings"`
			IPConfiguration  json.RawMessage `json:"ipConfiguration"` // read-only
		} `json:"properties"`
	}
	if err := strictly(r.Body, &body); err != nil {
		return nil, err
	}
	location, err := body.location()
	if err != nil {
		return nil, err
	}
	if _, err := oneOf(body.Properties.AllocationMethod, "properties.publicIPAllocationMethod", "Dynamic", "Static"); err != nil {
		return nil, err
	}
	if _, err := oneOf(body.Properties.Version, "properties.publicIPAddressVersion", "IPv4"); err != nil {
		return nil, err
	}
	public := &model.PublicIPAddress{ID: model.ResourceID(r.ID), Location: location, IPv4: r.Allotted.Address}
	if text := body.Properties.IPAddress; text != "" {
		public.IPv4, err = parseIPv4(text, "properties.ipAddress")
	}
	return public, err
}

func decodeVirtualMachine(r *Record) (any, error) {
	var body struct {
		header
		Zones    []string `json:"zones"`
		Identity *struct {
			Type        string `json:"type"`
			PrincipalID string `json:"principalId"` // read-only
			TenantID    string `json:"tenantId"`    // read-only
		} `json:"identity"`
		Properties struct {
			state
			VMID            string          `json:"vmId"` // read-only
			TimeCreated     string          `json:"timeCreated"`
			HardwareProfile json.RawMessage `json:"hardwareProfile"`
			StorageProfile  json.RawMessage `json:"storageProfile"`
			OSProfile       json.RawMessage `json:"osProfile"`
			Diagnostics     json.RawMessage `json:"diagnosticsProfile"`
			Security        json.RawMessage `json:"securityProfile"`
			Priority        string          `json:"priority"`
			NetworkProfile  struct {
				NetworkInterfaces []reference `json:"networkInterfaces"`
			} `json:"networkProfile"`
		} `json:"properties"`
	}
	if err := strictly(r.Body, &body); err != nil {
		return nil, err
	}
	location, err := body.location()
	if err != nil {
		return nil, err
	}
	vm := &virtualMachine{}
	vm.VirtualMachine = model.VirtualMachine{ID: model.ResourceID(r.ID), Location: location}
	const field = "properties.networkProfile.networkInterfaces"
	for i := range body.Properties.NetworkProfile.NetworkInterfaces {
		nic, err := referTo(&body.Properties.NetworkProfile.NetworkInterfaces[i], TypeNetworkInterface, index(field, i))
		if err != nil {
			return nil, err
		}
		vm.NetworkInterfaces = append(vm.NetworkInterfaces, nic)
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
}

type nodeBody struct {
	header
	Properties struct {
		state
		Role            string `json:"role"`
		Locator         string `json:"locator"`
		ServiceLocator  string `json:"serviceLocator"`
		PlatformLocator string `json:"platformLocator"`
		OutboundAddress string `json:"outboundAddress"`
		PlatformPool    string `json:"platformPool"`
	} `json:"properties"`
}

func decodeNode(r *Record) (any, error) {
	var body nodeBody
	if err := strictly(r.Body, &body); err != nil {
		return nil, err
	}
	location, err := body.location()
	if err != nil {
		return nil, err
	}
	p := &body.Properties
	role, err := oneOf(strings.ToLower(p.Role), "properties.role", "", string(model.RoleHost), string(model.RoleGateway), string(model.RoleEdge))
	if err != nil || role == "" {
		return nil, refuse(CodeInvalidRequestFormat, "properties.role", "The role '%s' of a node is not known: use host, gateway or edge.", p.Role)
	}
	node := &model.Node{Name: model.ResourceID(r.ID).Name(), Role: model.Role(role), Location: location}
	locators := []struct {
		text, field string
		wanted      bool
		into        *model.Locator
	}{
		{p.Locator, "properties.locator", true, &node.Locator},
		{p.ServiceLocator, "properties.serviceLocator", node.Role == model.RoleGateway, &node.ServiceLocator},
		{p.PlatformLocator, "properties.platformLocator", node.Role == model.RoleGateway, &node.PlatformLocator},
	}
	for _, l := range locators {
		if (l.text != "") != l.wanted {
			return nil, refuse(CodeInvalidRequestFormat, l.field, "Every node has a locator, and gateways alone have a serviceLocator and a "+
				"platformLocator; this node is a %s.", node.Role)
		}
		if l.text == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(l.text)
		if err == nil {
			*l.into, err = model.LocatorFrom(prefix)
		}
		if err != nil || l.into.Prefix() != prefix || l.into.IsZero() {
			return nil, refuse(CodeInvalidRequestFormat, l.field, "'%s' is not a locator: want an IPv6 prefix of 56 bits, for example fd00:1:1:100::/56.", l.text)
		}
	}
	for _, f := range []struct{ field, text string }{{"properties.outboundAddress", p.OutboundAddress}, {"properties.platformPool", p.PlatformPool}} {
		if (f.text != "") != (node.Role == model.RoleEdge) {
			return nil, refuse(CodeInvalidRequestFormat, f.field, "An edge has an outboundAddress and a platformPool, and no other node has; "+
				"this node is a %s.", node.Role)
		}
	}
	if node.Role == model.RoleEdge {
		err = decodeEdge(node, p.OutboundAddress, p.PlatformPool)
	}
	return node, err
}

// sharedSpace is the range that platform pools are cut from, RFC 6598.
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

func decodeEdge(node *model.Node, outbound, pool string) (err error) {
	const field = "properties.platformPool"
	if node.OutboundAddress, err = parseIPv4(outbound, "properties.outboundAddress"); err != nil {
		return err
	}
	if node.PlatformPool, err = parsePrefix(pool, field); err != nil {
		return err
	}
	if node.PlatformPool.Bits() < sharedSpace.Bits() || !sharedSpace.Contains(node.PlatformPool.Addr()) {
		return refuse(CodeInvalidRequestFormat, field, "The platformPool %s is not a part of %s.", pool, sharedSpace)
	}
	return nil
}

func decodeSettings(r *Record) (any, error) {
	var body struct {
		header
		Properties struct {
			state
			FabricMTU        *int    `json:"fabricMTU"`
			DocumentedRoutes *bool   `json:"documentedRoutes"`
			StorageSuffix    *string `json:"storageSuffix"`
			Tenant           *string `json:"tenant"`
		} `json:"properties"`
	}
	if err := strictly(r.Body, &body); err != nil {
		return nil, err
	}
	if name := model.ResourceID(r.ID).Name(); name != "default" {
		return nil, refuse(CodeInvalidRequestFormat, "name", "The settings of a cloud have the name 'default', not '%s'.", name)
	}
	settings := model.DefaultSettings
	if mtu := body.Properties.FabricMTU; mtu != nil {
		if *mtu < 1360 || *mtu > 65535 {
			return nil, refuse(CodeInvalidRequestFormat, "properties.fabricMTU", "The fabric's MTU %d is outside 1360 to 65535.", *mtu)
		}
		settings.FabricMTU = *mtu
	}
	set(&settings.DocumentedRoutes, body.Properties.DocumentedRoutes)
	set(&settings.StorageSuffix, body.Properties.StorageSuffix)
	set(&settings.Tenant, body.Properties.Tenant)
	return &settings, nil
}

func set[T any](into *T, value *T) {
	if value != nil {
		*into = *value
	}
}
