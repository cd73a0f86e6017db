package servicetest_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"postern/model"
	"postern/service"
)

// rules are network rules in no service's form; each subject writes them in its own.
type rules struct {
	name      string   // of the instance
	allow     bool     // what nothing matches is let in
	closed    bool     // publicNetworkAccess is Disabled
	addresses []string // of the Internet that are let in
	subnets   []string // ids of those that are let in
	ignore    bool     // subnets may lack the endpoint
	azure     bool     // the region's own addresses are let in
	trusted   bool     // trusted services are let in by their identity
	resources []string // whose identity is let in
}

// subject is one resource type with its own form of rules.
type subject struct {
	typ, name string
	body      func(r rules) (top map[string]any, children map[string]map[string]any)
	at        model.Location // "" is the region
	group     string         // "" is the usual one
	alias     string         // of endpoint policies (SEP-5)
	backend   string         // HOST:PORT
	limit     int            // rules that name a subnet (FW-11)
	ignores   bool           // takes ignoreMissingVnetServiceEndpoint (FW-6)
	single    bool           // a single address may be written as a /32 (FW-4)
	trusted   string         // a resource type that the service trusts (FW-9)
	azure     bool           // its form has the region's own addresses (FW-5)

	// lacks tells for a rule why there is nothing of it to hold: a row of docs/services.md. What is not here must hold.
	lacks map[string]string
	// notes tell of a rule that holds how far it does, where that is not all.
	notes map[string]string
}

const ownEndpoint = "Contoso.Conformance"

// items are what is written of an instance: its own body, and its rules where they are resources of their own.
func (s *subject) items(r rules) []item {
	r.name = s.name
	top, children := s.body(r)
	whole := maps.Clone(top)
	tags := object{}
	if s.alias != "" {
		tags[service.TagAlias] = s.alias
	}
	if s.backend != "" {
		tags[service.TagBackend] = s.backend
	}
	whole["location"], whole["tags"] = s.location(), tags
	items := []item{{s.id(), text(whole)}}
	for _, name := range sortedKeys(children) {
		items = append(items, item{s.id() + "/" + name, text(map[string]any{"properties": children[name]})})
	}
	return items
}

// sibling is another instance of the type.
func (s *subject) sibling(change func(*subject)) *subject {
	other := *s
	other.name += "2"
	change(&other)
	return &other
}

func (s *subject) location() model.Location { return cmp.Or(s.at, region) }

type object = map[string]any

func each[T any](list []string, one func(string) T) []T {
	out := []T{}
	for _, element := range list {
		out = append(out, one(element))
	}
	return out
}

func word(yes bool, one, other string) string {
	if yes {
		return one
	}
	return other
}

// acls is the form that most services have.
func acls(r rules) object {
	out := object{"defaultAction": word(r.allow, "Allow", "Deny"), "bypass": word(r.trusted, "AzureServices", "None"),
		"ipRules":             each(r.addresses, func(a string) object { return object{"value": a} }),
		"virtualNetworkRules": each(r.subnets, func(id string) object { return object{"id": id} })}
	if r.resources != nil {
		out["resourceAccessRules"] = each(r.resources, func(id string) object { return object{"tenantId": tenant, "resourceId": id} })
	}
	return out
}

func access(r rules) string { return word(r.closed, "Disabled", "Enabled") }

// database writes the rules of a database server, which are its children.
func database(more object) func(rules) (object, map[string]object) {
	return func(r rules) (object, map[string]object) {
		properties := object{"publicNetworkAccess": access(r), "firewallRules": []any{}, "virtualNetworkRules": []any{}}
		maps.Copy(properties, more)
		children := map[string]object{}
		addresses := r.addresses
		if r.allow { // there is no other way to let everybody in but subnets
			addresses = append([]string{"0.0.0.1-255.255.255.255"}, addresses...)
		}
		if r.azure || r.allow {
			addresses = append([]string{"0.0.0.0-0.0.0.0"}, addresses...)
		}
		for i, address := range addresses {
			first, last := ends(address)
			children[fmt.Sprintf("firewallRules/r%d", i)] = object{"startIpAddress": first, "endIpAddress": last}
		}
		subnets := r.subnets
		for i, id := range subnets {
			children[fmt.Sprintf("virtualNetworkRules/r%d", i)] = object{"virtualNetworkSubnetId": id, "ignoreMissingVnetServiceEndpoint": r.ignore}
		}
		return object{"properties": properties}, children
	}
}

// namespace writes the rule set of a namespace.
func namespace(r rules) (object, map[string]object) {
	return object{"properties": object{}}, map[string]object{"networkRuleSets/default": {
		"publicNetworkAccess": access(r), "defaultAction": word(r.allow, "Allow", "Deny"), "trustedServiceAccessEnabled": r.trusted,
		"ipRules": each(r.addresses, func(a string) object { return object{"ipMask": a} }),
		"virtualNetworkRules": each(r.subnets, func(id string) object {
			return object{"subnet": object{"id": id}, "ignoreMissingVnetServiceEndpoint": r.ignore}
		})}}
}

// What many services lack, in words that several rows of the table share.
const (
	noDefault      = "there is no default action: who is named by no rule is denied always"
	noBypass       = "its rules have no bypass"
	noResources    = "its rules have no resourceAccessRules"
	byToken        = "by a token in a request of HTTP. AMQP and Kafka show theirs when they are let in already: an identity is not known there, and opens nothing"
	anyRange       = "any IPv4 range is taken, as Azure does; a private one matches nobody (FW-5)"
	noPublicSwitch = "it has no publicNetworkAccess; firewallState is all"
)

// subjects are the types of all services.
var subjects = []*subject{
	{typ: "Microsoft.Storage/storageAccounts", name: "callee", limit: 400, trusted: "Microsoft.Sql/servers",
		body: func(r rules) (object, map[string]object) {
			return object{"kind": "StorageV2", "sku": object{"name": "Standard_LRS"}, "properties": object{"publicNetworkAccess": access(r),
				"supportsHttpsTrafficOnly": false, "networkAcls": acls(r)}}, nil
		}},
	{typ: "Microsoft.KeyVault/vaults", name: "callee", limit: 200, single: true, trusted: "Microsoft.Sql/servers",
		lacks: map[string]string{"FW-10": noResources},
		body: func(r rules) (object, map[string]object) {
			return object{"properties": object{"tenantId": tenant, "sku": object{"family": "A", "name": "standard"}, "publicNetworkAccess": access(r), "networkAcls": acls(r)}}, nil
		}},
	{typ: "Microsoft.DocumentDB/databaseAccounts", name: "callee", limit: 64, ignores: true, single: true, azure: true,
		lacks: map[string]string{"FW-9": "no service is trusted as such: networkAclBypass lets in the resources that the account lists (FW-10)"},
		body: func(r rules) (object, map[string]object) {
			addresses := r.addresses
			if r.azure {
				addresses = append([]string{"0.0.0.0"}, addresses...)
			}
			return object{"properties": object{"publicNetworkAccess": access(r), "isVirtualNetworkFilterEnabled": !r.allow,
				"ipRules": each(addresses, func(a string) object { return object{"ipAddressOrRange": a} }),
				"virtualNetworkRules": each(r.subnets, func(id string) object {
					return object{"id": id, "ignoreMissingVNetServiceEndpoint": r.ignore}
				}),
				"networkAclBypass": word(r.resources != nil, "AzureServices", "None"), "networkAclBypassResourceIds": r.resources}}, nil
		}},
	{typ: "Microsoft.ContainerRegistry/registries", name: "callee", limit: 100, single: true, trusted: "Microsoft.MachineLearningServices/workspaces",
		lacks: map[string]string{"FW-10": noResources},
		body: func(r rules) (object, map[string]object) {
			set := acls(r)
			delete(set, "bypass")
			return object{"sku": object{"name": "Premium"}, "properties": object{"publicNetworkAccess": access(r), "networkRuleSet": set,
				"networkRuleBypassOptions": word(r.trusted, "AzureServices", "None")}}, nil
		}},
	{typ: "Microsoft.CognitiveServices/accounts", name: "callee", limit: 100, trusted: "Microsoft.Search/searchServices",
		lacks: map[string]string{"FW-10": noResources},
		body: func(r rules) (object, map[string]object) {
			return object{"kind": "TextAnalytics", "sku": object{"name": "S0"}, "properties": object{"customSubDomainName": r.name,
				"publicNetworkAccess": access(r), "networkAcls": acls(r)}}, nil
		}},
	{typ: "Microsoft.Web/sites", name: "callee", limit: 512, single: true,
		lacks: map[string]string{"FW-4": anyRange, "FW-9": noBypass, "FW-10": noResources},
		body: func(r rules) (object, map[string]object) {
			list := each(r.addresses, func(a string) object { return object{"name": "address", "action": "Allow", "ipAddress": cidr(a)} })
			list = append(list, each(r.subnets, func(id string) object { return object{"name": "subnet", "action": "Allow", "vnetSubnetResourceId": id} })...)
			return object{"properties": object{"publicNetworkAccess": access(r), "siteConfig": object{"ipSecurityRestrictions": list,
				"ipSecurityRestrictionsDefaultAction": word(r.allow, "Allow", "Deny")}}}, nil
		}},
	{typ: "Microsoft.DataLakeStore/accounts", name: "callee", azure: true,
		lacks: map[string]string{"FW-4": anyRange, "FW-8": noPublicSwitch, "FW-9": noBypass, "FW-10": noResources,
			"FW-11": "Azure's bound on subnets is not published, and none is set; ranges are bounded by 1000"},
		body: func(r rules) (object, map[string]object) {
			return object{"properties": object{"firewallState": word(r.allow, "Disabled", "Enabled"), "firewallAllowAzureIps": word(r.azure, "Enabled", "Disabled"),
				"firewallRules": each(r.addresses, func(a string) object {
					first, last := ends(a)
					return object{"name": "r" + first, "properties": object{"startIpAddress": first, "endIpAddress": last}}
				}),
				"virtualNetworkRules": each(r.subnets, func(id string) object { return object{"name": "r" + last(id), "properties": object{"subnetId": id}} })}}, nil
		}},
	{typ: "Postern.Services/services", name: "callee", limit: 400,
		lacks: map[string]string{"FW-9": "Azure's list of trusted services is for Azure's services: an own one names resources (FW-10)"},
		notes: map[string]string{"FW-10": "on ports of http and https; tls and tcp pass unread, so no identity is known there"},
		body: func(r rules) (object, map[string]object) {
			return object{"properties": object{"endpoint": ownEndpoint, "publicNetworkAccess": access(r), "networkAcls": acls(r),
				"ports": []any{object{"port": 8080, "protocol": "http"}, object{"port": 8443, "protocol": "https"}, object{"port": 9443, "protocol": "tls"}, object{"port": 9000, "protocol": "tcp"}}}}, nil
		}},
	{typ: "Microsoft.DBforPostgreSQL/servers", name: "callee", limit: 128, ignores: true, single: true, azure: true, lacks: databaseLacks, body: database(nil)},
	{typ: "Microsoft.ServiceBus/namespaces", name: "callee-bus", limit: 128, ignores: true, single: true, trusted: "Microsoft.EventGrid/topics",
		lacks: map[string]string{"FW-10": noResources}, notes: map[string]string{"FW-9": byToken}, body: namespace},
	{typ: "Microsoft.EventHub/namespaces", name: "callee-hub", limit: 128, ignores: true, single: true, trusted: "Microsoft.EventGrid/topics",
		lacks: map[string]string{"FW-10": noResources}, notes: map[string]string{"FW-9": byToken}, body: namespace},
	{typ: "Microsoft.DBforMySQL/servers", name: "callee", limit: 128, ignores: true, single: true, azure: true, lacks: databaseLacks, body: database(nil)},
	{typ: "Microsoft.DBforMariaDB/servers", name: "callee", limit: 128, ignores: true, single: true, azure: true, lacks: databaseLacks, body: database(nil)},
	{typ: "Microsoft.Sql/servers", name: "callee", limit: 128, ignores: true, single: true, azure: true, lacks: databaseLacks, body: database(nil)},
	{typ: "Microsoft.Synapse/workspaces", name: "callee", limit: 128, ignores: true, single: true, azure: true, lacks: databaseLacks, body: database(nil)},
}

var databaseLacks = map[string]string{"FW-1": noDefault, "FW-4": anyRange, "FW-9": "firewallRules know addresses alone: 0.0.0.0 stands for Azure's own (FW-5)", "FW-10": noResources}

// ends are the first and the last address of "FIRST-LAST", or of an address twice.
func ends(address string) (first, last string) {
	first, last, ok := strings.Cut(address, "-")
	if !ok {
		last = first
	}
	return first, last
}

// cidr is an address, or FIRST-LAST of one, as a range of one.
func cidr(address string) string {
	if strings.Contains(address, "/") {
		return address
	}
	return address + "/32"
}

func last(id string) string { return id[strings.LastIndexByte(id, '/')+1:] }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
