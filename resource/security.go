package resource

import (
	"net/netip"
	"strconv"
	"strings"

	"postern/model"
)

// ApplicationSecurityGroup is Microsoft.Network/applicationSecurityGroups: a name that NICs and security rules share.
type ApplicationSecurityGroup struct {
	ID       model.ResourceID
	Location model.Location
}

func decodeApplicationSecurityGroup(r *Record) (any, error) {
	var body struct{ header }
	if err := leniently(r.Body, &body); err != nil {
		return nil, err
	}
	location, err := body.location()
	return &ApplicationSecurityGroup{model.ResourceID(r.ID), location}, err
}

type securityGroupBody struct {
	header
	Properties struct {
		SecurityRules []child[securityRuleProperties] `json:"securityRules"`
	} `json:"properties"`
}

type securityRuleProperties struct {
	Priority  int    `json:"priority"`
	Direction string `json:"direction"`
	Access    string `json:"access"`
	Protocol  string `json:"protocol"`

	SourceAddressPrefix        string      `json:"sourceAddressPrefix"`
	SourceAddressPrefixes      []string    `json:"sourceAddressPrefixes"`
	SourceASGs                 []reference `json:"sourceApplicationSecurityGroups"`
	SourcePortRange            string      `json:"sourcePortRange"`
	SourcePortRanges           []string    `json:"sourcePortRanges"`
	DestinationAddressPrefix   string      `json:"destinationAddressPrefix"`
	DestinationAddressPrefixes []string    `json:"destinationAddressPrefixes"`
	DestinationASGs            []reference `json:"destinationApplicationSecurityGroups"`
	DestinationPortRange       string      `json:"destinationPortRange"`
	DestinationPortRanges      []string    `json:"destinationPortRanges"`
}

var protocols = map[string]model.Protocol{"*": model.ProtocolAny, "tcp": model.ProtocolTCP, "udp": model.ProtocolUDP,
	"icmp": model.ProtocolICMP, "esp": 50, "ah": 51}

func decodeNetworkSecurityGroup(r *Record) (any, error) {
	var body securityGroupBody
	if err := leniently(r.Body, &body); err != nil {
		return nil, err
	}
	location, err := body.location()
	if err != nil {
		return nil, err
	}
	group := &model.NetworkSecurityGroup{ID: model.ResourceID(r.ID), Location: location}
	if err := uniqueNames(body.Properties.SecurityRules, "properties.securityRules"); err != nil {
		return nil, err
	}
	type place struct {
		inbound  bool
		priority int
	}
	taken := make(map[place]string)
	for i := range body.Properties.SecurityRules {
		at := index("properties.securityRules", i) + ".properties"
		rule, err := decodeSecurityRule(&body.Properties.SecurityRules[i], at)
		if err != nil {
			return nil, err
		}
		key := place{rule.Inbound, rule.Priority}
		if other, ok := taken[key]; ok {
			return nil, refuse("SecurityRuleConflict", at+".priority", "Security rule %s conflicts with rule %s. Rules cannot have the "+
				"same Priority and Direction.", rule.Name, other)
		}
		taken[key] = rule.Name
		group.Rules = append(group.Rules, rule)
	}
	return group, nil
}

func decodeSecurityRule(body *child[securityRuleProperties], at string) (model.SecurityRule, error) {
	p := &body.Properties
	rule := model.SecurityRule{Name: body.Name, Priority: p.Priority}
	if p.Priority < 100 || p.Priority > 4096 {
		return rule, refuse("SecurityRuleInvalidPriority", at+".priority", "Security rule has invalid Priority. Value provided: %d. "+
			"Allowed range 100-4096.", p.Priority)
	}
	if p.Direction == "" || p.Access == "" || p.Protocol == "" {
		return rule, refuse(CodeInvalidRequestFormat, at, "Security rule '%s' needs direction, access and protocol.", body.Name)
	}
	direction, err := oneOf(p.Direction, at+".direction", "Inbound", "Outbound")
	if err != nil {
		return rule, err
	}
	access, err := oneOf(p.Access, at+".access", "Allow", "Deny")
	if err != nil {
		return rule, err
	}
	rule.Inbound, rule.Allow = direction == "Inbound", access == "Allow"
	protocol, ok := protocols[strings.ToLower(p.Protocol)]
	if !ok {
		return rule, refuse(CodeInvalidRequestFormat, at+".protocol", "The protocol '%s' is not known: use Tcp, Udp, Icmp, Esp, Ah or *.", p.Protocol)
	}
	rule.Protocol = protocol
	if rule.Source, err = peers(p.SourceAddressPrefix, p.SourceAddressPrefixes, p.SourceASGs, at+".source"); err != nil {
		return rule, err
	}
	if rule.Destination, err = peers(p.DestinationAddressPrefix, p.DestinationAddressPrefixes, p.DestinationASGs, at+".destination"); err != nil {
		return rule, err
	}
	if rule.SourcePorts, err = ports(p.SourcePortRange, p.SourcePortRanges, at+".sourcePortRange"); err != nil {
		return rule, err
	}
	rule.DestinationPorts, err = ports(p.DestinationPortRange, p.DestinationPortRanges, at+".destinationPortRange")
	return rule, err
}

// peers reads one side of a rule; at is the field's name without AddressPrefix. At most one tag a side (NSG-4).
func peers(one string, many []string, groups []reference, at string) (model.SecurityPeers, error) {
	var side model.SecurityPeers
	texts, field := many, at+"AddressPrefixes"
	if one != "" {
		if len(many) > 0 {
			return side, refuse(CodeInvalidRequestFormat, field, "Set either AddressPrefix or AddressPrefixes of a side, not both.")
		}
		texts, field = []string{one}, at+"AddressPrefix"
	}
	for _, text := range texts {
		switch {
		case text == "*":
			side.Any = true
		case isServiceTag(text):
			if side.Tag != "" {
				return side, refuse("SecurityRuleParameterContainsUnsupportedValue", field,
					"One side of a security rule takes at most one service tag; it has %s and %s.", side.Tag, text)
			}
			side.Tag = text
		default:
			prefix, err := addressOf(text, field)
			if err != nil {
				return side, err
			}
			side.Prefixes = append(side.Prefixes, prefix...)
		}
	}
	for i := range groups {
		id, err := referTo(&groups[i], TypeApplicationSecurityGroup, index(at+"ApplicationSecurityGroups", i))
		if err != nil {
			return side, err
		}
		side.ASGs = append(side.ASGs, id)
	}
	if len(side.ASGs) > 0 && len(texts) > 0 {
		return side, refuse("SecurityRuleParameterContainsUnsupportedValue", field, "One side of a security rule takes addresses or "+
			"application security groups, not both.")
	}
	if len(side.ASGs) == 0 && len(texts) == 0 {
		return side, refuse("SecurityRuleAddressPrefixMissing", at+"AddressPrefix", "Each side of a security rule needs an address prefix, "+
			"a service tag, '*' or application security groups.")
	}
	return side, nil
}

func addressOf(text, field string) ([]netip.Prefix, error) {
	prefix, err := parsePrefixOrAddress(text, field)
	if err != nil {
		return nil, refuse("SecurityRuleInvalidAddressPrefix", field, "Security rule has invalid Address prefix. Value provided: %s. "+
			"Use an IPv4 address, a prefix without host bits, a service tag or '*'.", text)
	}
	return []netip.Prefix{prefix}, nil
}

// ports reads the ports of one side: "*", "80" or "80-90".
func ports(one string, many []string, field string) ([]model.PortRange, error) {
	texts := many
	if one != "" {
		if len(many) > 0 {
			return nil, refuse(CodeInvalidRequestFormat, field, "Set either PortRange or PortRanges of a side, not both.")
		}
		texts = []string{one}
	}
	if len(texts) == 0 {
		return nil, refuse("SecurityRulePortRangeMissing", field, "Each side of a security rule needs a port, a range of ports or '*'.")
	}
	var list []model.PortRange
	for _, text := range texts {
		if text == "*" {
			list = append(list, model.AllPorts)
			continue
		}
		first, last, isRange := strings.Cut(text, "-")
		if !isRange {
			last = first
		}
		low, err1 := strconv.ParseUint(first, 10, 16)
		high, err2 := strconv.ParseUint(last, 10, 16)
		if err1 != nil || err2 != nil || low > high {
			return nil, refuse("SecurityRuleInvalidPortRange", field, "Security rule has invalid Port range. Value provided: %s. "+
				"Value should be an integer OR integer range with '-' delimiter. Valid range 0-65535.", text)
		}
		list = append(list, model.PortRange{First: uint16(low), Last: uint16(high)})
	}
	return list, nil
}
