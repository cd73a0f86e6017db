// Package own describes Postern.Services/services: a service that an operator declares, such as MinIO, Vault, Redis or
// PostgreSQL on hosts of their own. It gets what Azure's services have: an endpoint that subnets enable, a service tag,
// names, network rules, endpoint policies, a log.
package own

import (
	"net/netip"
	"slices"
	"strings"

	"postern/model"
	"postern/service"
)

// TypeService is the resource type.
const TypeService = "Postern.Services/services"

// Zone is the DNS zone of the names that every service has: NAME.services.internal.
const Zone = "services.internal"

// Service is the description.
var Service = &service.Service{
	Name: "own",
	Zones: func(model.Settings) []model.Zone {
		return []model.Zone{{Suffix: Zone, Service: "own", Space: "own"}}
	},
	Audiences: []string{"https://services.internal"},
	Types: []service.Type{{
		Name:     TypeService,
		Noun:     "service",
		Versions: []string{"2026-01-01"},
		Ours:     []string{"posternFrontAddress", "hostNames"},
		Decode:   decode,
		Render:   render,
	}},
}

// limits of a service's rules.
var limits = service.Limits{IPRules: 400, VirtualNetworkRules: 400, Code: "NetworkAclsLimitExceeded",
	Message: "A service takes at most %d IP rules and %d virtual network rules."}

type properties struct {
	Endpoint            string               `json:"endpoint"`        // that subnets enable; "Postern.NAME" where it is left out
	ServiceTag          string               `json:"serviceTag"`      // of the tag file, whose prefixes it has
	AddressPrefixes     []string             `json:"addressPrefixes"` // that its own tag has, and its address comes from
	Names               []string             `json:"names"`           // full names beside NAME.services.internal
	Ports               []port               `json:"ports"`
	Backends            []string             `json:"backends"` // "HOST:PORT", "HOST:PORT weight=3"
	ProxyProtocol       string               `json:"proxyProtocol"`
	HealthPath          string               `json:"healthPath"`
	PublicNetworkAccess string               `json:"publicNetworkAccess"`
	NetworkACLs         *service.NetworkACLs `json:"networkAcls"`
}

type port struct {
	Port     int    `json:"port"`
	Protocol string `json:"protocol"`
}

// maxPorts bounds the ports of a service: each is a listener on every gateway of the region.
const maxPorts = 16

func decode(b *service.Body, into *service.Instance) error {
	var body struct {
		Properties properties `json:"properties"`
	}
	if err := b.Read(&body); err != nil {
		return err
	}
	p := &body.Properties
	into.Name = strings.ToLower(into.Name)
	if !service.ValidLabel(into.Name) {
		return service.Refuse(service.CodeInvalidFormat, "name", "The name '%s' must be a label of a DNS name: letters, digits and '-', at most 63.", into.Name)
	}
	if err := decodeEndpoint(p, into); err != nil {
		return err
	}
	if err := decodePorts(p.Ports, into); err != nil {
		return err
	}
	for i, name := range p.Names {
		if err := validHost(name, service.Index("properties.names", i)); err != nil {
			return err
		}
		into.Hosts = append(into.Hosts, strings.ToLower(name))
	}
	for i, text := range p.Backends {
		backend, err := service.ReadBackend(text, service.Index("properties.backends", i))
		if err != nil {
			return err
		}
		into.Backends = append(into.Backends, backend)
	}
	if err := decodeDelivery(p, into); err != nil {
		return err
	}
	if err := checkDirect(into); err != nil {
		return err
	}
	into.Rules = model.NetworkRules{DefaultAllow: true, Bypass: []string{"AzureServices"}}
	if err := service.ReadPublicAccess(p.PublicNetworkAccess, &into.Rules); err != nil {
		return err
	}
	if p.NetworkACLs != nil {
		return service.ReadNetworkACLs(b, p.NetworkACLs, "properties.networkAcls", limits, into)
	}
	return nil
}

// reserved are the ranges that no service can have addresses in.
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("168.63.129.16/32"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("224.0.0.0/3"),
}

func decodeEndpoint(p *properties, into *service.Instance) error {
	name := p.Endpoint
	if name == "" {
		name = "Postern." + into.Name
	}
	if provider, own, ok := strings.Cut(name, "."); !ok || !model.OwnEndpointName(name) || provider == "" || own == "" {
		return service.Refuse(service.CodeInvalidFormat, "properties.endpoint", "The endpoint '%s' must be like Contoso.Redis: letters, digits and "+
			"'-' in parts with dots between, and none of Microsoft's.", name)
	}
	into.Endpoint.Endpoint, into.Endpoint.Scope = name, model.ScopeGlobal
	if into.Endpoint.Tag = p.ServiceTag; p.ServiceTag != "" {
		if len(p.AddressPrefixes) > 0 {
			return service.Refuse(service.CodeInvalidFormat, "properties.serviceTag", "A service has a serviceTag of the tag file, or addressPrefixes of its own; not both.")
		}
		return nil
	}
	into.Endpoint.Tag = strings.ReplaceAll(name, ".", "-")
	for i, text := range p.AddressPrefixes {
		field := service.Index("properties.addressPrefixes", i)
		prefix, err := netip.ParsePrefix(text)
		if err != nil || !prefix.Addr().Is4() || prefix != prefix.Masked() || prefix.Bits() < 16 || slices.ContainsFunc(reserved, prefix.Overlaps) {
			return service.Refuse(service.CodeInvalidFormat, field, "'%s' must be an IPv4 prefix of 16 to 32 bits without host bits, such as 192.0.2.0/28, "+
				"outside the reserved ranges.", text)
		}
		into.Prefixes = append(into.Prefixes, prefix)
	}
	return nil
}

func decodePorts(ports []port, into *service.Instance) error {
	const at = "properties.ports"
	if len(ports) == 0 || len(ports) > maxPorts {
		return service.Refuse(service.CodeInvalidFormat, at, "A service has 1 to %d ports, such as {port: 443, protocol: https}; it has %d.", maxPorts, len(ports))
	}
	for i, one := range ports {
		field := service.Index(at, i)
		if one.Port < 1 || one.Port > 65535 || one.Port == 53 {
			return service.Refuse(service.CodeInvalidFormat, field+".port", "The port %d is outside 1 to 65535, or 53, where the platform resolves names.", one.Port)
		}
		word, err := service.OneOf(one.Protocol, field+".protocol", string(model.WayTCP), string(model.WayDirect), string(model.WayTLS),
			string(model.WayHTTP), string(model.WayHTTPS))
		if err != nil {
			return err
		}
		number := uint16(one.Port)
		if slices.ContainsFunc(into.Ports, func(p model.ServicePort) bool { return p.Number == number }) {
			return service.Refuse(service.CodeInvalidFormat, field+".port", "The port %d stands twice.", number)
		}
		into.Ports = append(into.Ports, model.ServicePort{Number: number, Way: model.Way(word)})
	}
	return nil
}

func decodeDelivery(p *properties, into *service.Instance) error {
	version, err := service.OneOf(p.ProxyProtocol, "properties.proxyProtocol", "None", "V2")
	if err != nil {
		return err
	}
	if p.HealthPath != "" && p.HealthPath[0] != '/' {
		return service.Refuse(service.CodeInvalidFormat, "properties.healthPath", "The health path '%s' must begin with a slash.", p.HealthPath)
	}
	into.Delivery = model.Delivery{ProxyProtocol: version == "V2", HealthPath: p.HealthPath}
	return nil
}

// validHost refuses what is no full host name, and names in the zones of Azure's services.
func validHost(name, field string) error {
	labels := strings.Split(strings.ToLower(name), ".")
	bad := len(name) > 253 || len(labels) < 2
	for _, label := range labels {
		bad = bad || !service.ValidLabel(label)
	}
	for _, suffix := range []string{".windows.net", ".azure.com", ".azure.net", ".azurecr.io", ".azurewebsites.net", "." + Zone} {
		bad = bad || strings.HasSuffix("."+strings.ToLower(name), suffix)
	}
	if bad {
		return service.Refuse(service.CodeInvalidFormat, field, "'%s' must be a full host name of your own, such as minio.contoso.example.", name)
	}
	return nil
}

// render answers what was allotted.
func render(a *service.Answer) {
	p, own := a.Properties, a.Instance
	service.Fill(p, "endpoint", own.Endpoint.Endpoint)
	service.Fill(p, "serviceTag", own.Endpoint.Tag)
	hosts := []any{a.Host("")}
	for _, host := range own.Hosts {
		hosts = append(hosts, host)
	}
	p["hostNames"] = hosts
	p["posternFrontAddress"] = own.Address.String()
	service.Fill(p, "publicNetworkAccess", "Enabled")
	service.RenderNetworkACLs(a, service.ObjectIn(p, "networkAcls"))
}
