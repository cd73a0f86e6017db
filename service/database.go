package service

import (
	"math/bits"
	"net/http"
	"net/netip"
	"strings"

	"postern/model"
)

// The network rules of database servers (Microsoft.Sql, Microsoft.DBforPostgreSQL, …MySQL, …MariaDB, Synapse) are
// resources of their own inside a server: ranges of addresses, and subnets. A server lets in nobody else.

// DatabaseLimits bound a server's rules (FW-11): "Azure SQL Database and Azure Synapse IP firewall rules", and "Use virtual network service
// endpoints and rules for servers in Azure SQL Database".
var DatabaseLimits = Limits{IPRules: 256, VirtualNetworkRules: 128, Code: "ServerRuleLimitExceeded",
	Message: "A server takes at most %d firewall rules and %d virtual network rules."}

// DatabaseRules are the child types of a database server. Their bodies follow the models of a section of resource/schema: those
// with the names, "" for none.
func DatabaseRules(firewallModel, subnetModel string) []Child {
	return []Child{
		{Collection: "firewallRules", Property: "firewallRules", Apart: true, Model: firewallModel, Manners: Manners{Patient: []string{http.MethodPut, http.MethodDelete}}},
		{Collection: "virtualNetworkRules", Property: "virtualNetworkRules", Apart: true, Model: subnetModel, Render: renderDatabaseSubnetRule},
	}
}

// databaseBody is what the network rules of a server stand in.
type databaseBody struct {
	Properties struct {
		PublicNetworkAccess string `json:"publicNetworkAccess"`
		CreateMode          string `json:"createMode"` // of PostgreSQL, MySQL and MariaDB
		FirewallRules       []struct {
			Name       string `json:"name"`
			Properties struct {
				Start string `json:"startIpAddress"`
				End   string `json:"endIpAddress"`
			} `json:"properties"`
		} `json:"firewallRules"`
		VirtualNetworkRules []struct {
			Name       string `json:"name"`
			Properties struct {
				Subnet        string `json:"virtualNetworkSubnetId"`
				IgnoreMissing bool   `json:"ignoreMissingVnetServiceEndpoint"`
			} `json:"properties"`
		} `json:"virtualNetworkRules"`
	} `json:"properties"`
}

// ReadDatabase reads a database server: its name and its network rules.
func ReadDatabase(b *Body, into *Instance) error {
	into.Name = strings.ToLower(into.Name)
	if refusal := refuseDatabaseName(into.Name); refusal != nil {
		return refusal
	}
	var body databaseBody
	if err := b.Read(&body); err != nil {
		return err
	}
	into.Rules = model.NetworkRules{}
	p := &body.Properties
	if err := ReadPublicAccess(p.PublicNetworkAccess, &into.Rules); err != nil {
		return err
	}
	if _, err := OneOf(p.CreateMode, "properties.createMode", "Default"); err != nil {
		return err
	}
	limits := DatabaseLimits
	if len(p.FirewallRules) > limits.IPRules || len(p.VirtualNetworkRules) > limits.VirtualNetworkRules {
		return Refuse(limits.Code, "properties", limits.Message, limits.IPRules, limits.VirtualNetworkRules)
	}
	for i, rule := range p.FirewallRules {
		field := Index("properties.firewallRules", i) + ".properties"
		first, err := databaseAddress(rule.Properties.Start, field+".startIpAddress")
		if err != nil {
			return err
		}
		last, err := databaseAddress(rule.Properties.End, field+".endIpAddress")
		if err != nil {
			return err
		}
		if last.Less(first) {
			return Refuse("InvalidFirewallRuleIpAddressRange", field, "The end address %s lies before the start address %s.", last, first)
		}
		if first == last && first.IsUnspecified() { // AllowAllWindowsAzureIps
			into.Rules.AllowPlatform = true
			continue
		}
		into.Rules.Filters = append(into.Rules.Filters, model.Filter{Name: "firewallRules " + rule.Name, Allow: true, Prefixes: prefixesOf(first, last)})
	}
	for i, rule := range p.VirtualNetworkRules {
		field := Index("properties.virtualNetworkRules", i) + ".properties.virtualNetworkSubnetId"
		subnet, err := b.Subnet(rule.Properties.Subnet, field)
		if err != nil {
			return err
		}
		if _, twice := into.Sources[subnet.Key()]; twice {
			return Conflict("VirtualNetworkRuleAlreadyExists", field, "Another virtual network rule of the server names the subnet %s.", subnet)
		}
		into.AddSource(subnet, Source{Field: field, IgnoreMissing: rule.Properties.IgnoreMissing, Apart: true})
		into.Rules.VirtualNetworkRules = append(into.Rules.VirtualNetworkRules, model.VirtualNetworkRule{Subnet: subnet})
	}
	return nil
}

// ValidDatabaseName tells whether a label, in lower case, can be a server's name
// (https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules).
func ValidDatabaseName(label string) bool { return len(label) >= 3 && ValidLabel(label) }

func refuseDatabaseName(name string) *Refusal {
	if ValidDatabaseName(name) {
		return nil
	}
	return Refuse("InvalidServerName", "name", "The server name '%.80s' is not valid: it must have 3 to 63 lower-case letters, digits and '-', "+
		"and neither begin nor end with '-'.", name)
}

// CheckDatabaseName is the action that tells whether the name of a server is free. The providers' answers differ in the
// name of one member: nameAvailable or available.
func CheckDatabaseName(typ, member string) Action {
	provider, _, _ := strings.Cut(typ, "/")
	return CheckName(provider+"/checkNameAvailability", "", typ, refuseDatabaseName, DatabaseNameTaken, func(s *NameState) any {
		answer := map[string]any{"name": s.Name, member: s.Free()}
		if !s.Free() {
			answer["reason"], answer["message"] = s.Reason("Invalid", "AlreadyExists"), s.Message
		}
		return answer
	})
}

func databaseAddress(text, field string) (netip.Addr, error) {
	address, err := netip.ParseAddr(text)
	if err != nil || !address.Is4() {
		return address, Refuse("InvalidFirewallRuleIpAddress", field, "'%s' must be an IPv4 address.", text)
	}
	return address, nil
}

// prefixesOf are the fewest prefixes that have exactly the addresses from first to last: 62 at most.
func prefixesOf(first, last netip.Addr) (list []netip.Prefix) {
	number := func(a netip.Addr) uint64 {
		b := a.As4()
		return uint64(b[0])<<24 | uint64(b[1])<<16 | uint64(b[2])<<8 | uint64(b[3])
	}
	at, end := number(first), number(last)
	for at <= end {
		size := min(bits.TrailingZeros64(at|1<<32), bits.Len64(end-at+1)-1) // what at is aligned to; what still fits
		list = append(list, netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(at >> 24), byte(at >> 16), byte(at >> 8), byte(at)}), 32-size))
		at += 1 << size
	}
	return list
}

// RenderDatabase completes the answer about a server, whose name in DNS is host.
func RenderDatabase(a *Answer, host string) {
	Fill(a.Properties, "publicNetworkAccess", "Enabled")
	Fill(a.Properties, "privateEndpointConnections", []any{})
	delete(a.Properties, Member(a.Properties, "createMode")) // no answer has it
	a.Properties["fullyQualifiedDomainName"] = host
	a.Properties["posternFrontAddress"] = a.Instance.Address.String()
}

// DatabaseOurs are the members that answers about servers have and bodies do not, and the password of the administrator,
// which the backend has and nobody here keeps.
func DatabaseOurs() []string {
	return []string{"posternFrontAddress", "fullyQualifiedDomainName", "administratorLoginPassword"}
}

// renderDatabaseSubnetRule answers the state of a rule in the words that servers have for it. There is none for a deleted
// source (FW-7): Failed stands for it.
func renderDatabaseSubnetRule(a *Answer, properties map[string]any) {
	Fill(properties, "ignoreMissingVnetServiceEndpoint", false)
	subnet, _ := properties[Member(properties, "virtualNetworkSubnetId")].(string)
	properties["state"] = "Ready"
	if a.RuleState(model.ResourceID(subnet)) == StateDeleted {
		properties["state"] = "Failed"
	}
}

// DatabaseEndpointMissing is the refusal of a rule for a subnet without the endpoint (FW-6).
func DatabaseEndpointMissing(subnet, vnet model.ResourceID) *Refusal {
	return Refuse("VirtualNetworkRuleBadRequest", "", "Virtual network rule encountered an user error: subnet %s of virtual network %s has no "+
		"service endpoint Microsoft.Sql: enable it on the subnet, or set ignoreMissingVnetServiceEndpoint.", subnet.Name(), vnet)
}

// DatabaseNameTaken is the refusal of a name that another server has.
func DatabaseNameTaken(name string, other model.ResourceID) *Refusal {
	by := ""
	if other != "" {
		by = ", by " + string(other)
	}
	return Conflict("NameAlreadyExists", "name", "Specified server name is already used: %s%s.", name, by)
}
