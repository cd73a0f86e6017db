package resource

import (
	"net/netip"
	"strings"

	"postern/model"
	"postern/service"
)

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
			ServiceSuffix    *string `json:"serviceSuffix"`
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
	set(&settings.ServiceSuffix, body.Properties.ServiceSuffix)
	for label := range strings.SplitSeq(settings.ServiceSuffix, ".") {
		if settings.ServiceSuffix != "" && !service.ValidLabel(label) {
			return nil, refuse(CodeInvalidRequestFormat, "properties.serviceSuffix", "The serviceSuffix '%s' must be a DNS name in lower case.", settings.ServiceSuffix)
		}
	}
	set(&settings.Tenant, body.Properties.Tenant)
	return &settings, nil
}

func set[T any](into *T, value *T) {
	if value != nil {
		*into = *value
	}
}
