package sdktest

import (
	"fmt"
	"go/ast"
	"maps"
	"slices"
	"strings"
)

// Roots are the models that the table begins with, by section.
var Roots = map[string][]string{
	"network": {"ApplicationSecurityGroup", "Interface", "NatGateway", "PublicIPAddress", "PublicIPPrefix", "Route", "RouteTable", "SecurityGroup",
		"SecurityRule", "ServiceEndpointPolicy", "ServiceEndpointPolicyDefinition", "Subnet", "VirtualNetwork", "VirtualNetworkPeering", "Watcher"},
	"storage": {"Account", "AccountCreateParameters", "AccountUpdateParameters"},
	"compute": {"VirtualMachine", "VirtualMachineUpdate"},

	"keyvault":          {"VaultCreateOrUpdateParameters", "VaultPatchParameters"},
	"cosmosdb":          {"DatabaseAccountCreateUpdateParameters", "DatabaseAccountUpdateParameters"},
	"containerregistry": {"Registry", "RegistryUpdateParameters"},
	"cognitiveservices": {"Account"},
	"appservice":        {"Plan", "PlanPatchResource", "Site", "SitePatchResource"},
	"servicebus":        {"NetworkRuleSet", "SBNamespace", "SBNamespaceUpdateParameters"},
	"eventhub":          {"EHNamespace", "NetworkRuleSet"},
	"sql":               {"FirewallRule", "Server", "ServerUpdate", "VirtualNetworkRule"},
	"synapse":           {"IPFirewallRuleInfo", "Workspace", "WorkspacePatchInfo"},
	"postgresql":        database,
	"mysql":             database,
	"mariadb":           database,
	"datalakestore": {"CreateDataLakeStoreAccountParameters", "CreateOrUpdateFirewallRuleParameters", "CreateOrUpdateVirtualNetworkRuleParameters",
		"UpdateDataLakeStoreAccountParameters"},
}

var database = []string{"FirewallRule", "ServerForCreate", "ServerUpdateParameters", "VirtualNetworkRule"}

// answers are, for models that a writer sends, the ones that the service answers in their place: what only an answer has
// is read-only in a write, since clients write back what they read.
var answers = map[string]string{
	"AccountCreateParameters":                       "Account",
	"AccountPropertiesCreateParameters":             "AccountProperties",
	"VaultCreateOrUpdateParameters":                 "Vault",
	"DatabaseAccountCreateUpdateParameters":         "DatabaseAccountGetResults",
	"DatabaseAccountCreateUpdateProperties":         "DatabaseAccountGetProperties",
	"ServerForCreate":                               "Server",
	"ServerPropertiesForDefaultCreate":              "ServerProperties",
	"CreateDataLakeStoreAccountParameters":          "Account",
	"CreateDataLakeStoreAccountProperties":          "AccountProperties",
	"CreateFirewallRuleWithAccountParameters":       "FirewallRule",
	"CreateOrUpdateFirewallRuleParameters":          "FirewallRule",
	"CreateOrUpdateFirewallRuleProperties":          "FirewallRuleProperties",
	"CreateVirtualNetworkRuleWithAccountParameters": "VirtualNetworkRule",
	"CreateOrUpdateVirtualNetworkRuleParameters":    "VirtualNetworkRule",
	"CreateOrUpdateVirtualNetworkRuleProperties":    "VirtualNetworkRuleProperties",
}

// classes are, for interfaces that several models stand behind, the one that there is here: servers are made anew, not out of
// a backup or as a copy.
var classes = map[string]string{"ServerPropertiesForCreateClassification": "ServerPropertiesForDefaultCreate"}

// ours are fields that a model of Azure's lacks and its resources have here: the state of a rule, by which one whose subnet is gone
// is known (FW-7), and the action that rules of other services have.
var ours = map[string][]string{
	"keyvault.IPRule":                                          {"action=string"},
	"keyvault.VirtualNetworkRule":                              {"action=string", "state=string"},
	"cosmosdb.VirtualNetworkRule":                              {"state=string"},
	"containerregistry.NetworkRuleSet":                         {"virtualNetworkRules=[]any"}, // in Azure's preview versions alone
	"cognitiveservices.IPRule":                                 {"action=string"},
	"cognitiveservices.VirtualNetworkRule":                     {"action=string"},
	"servicebus.SBNamespaceProperties":                         {"minimumTlsVersion=string", "premiumMessagingPartitions=int", "publicNetworkAccess=string"}, // in newer versions
	"servicebus.SBNamespaceUpdateProperties":                   {"minimumTlsVersion=string", "premiumMessagingPartitions=int", "publicNetworkAccess=string"},
	"appservice.IPSecurityRestriction":                         {"state=string"},
	"datalakestore.CreateOrUpdateVirtualNetworkRuleProperties": {"state=string"},
}

// words are enumerations that the service does not close: sizes and versions come with time, and bypass takes several
// words at once.
var words = []string{"Bypass", "NetworkAPIVersion", "VirtualMachineSizeTypes"}

// referring are the sections whose bodies hold other resources by reference.
var referring = []string{"network", "storage", "compute"}

// Table writes the table of package schema for all Modules. Its form is described there.
func Table() (string, error) {
	var b strings.Builder
	b.WriteString("# Made by go generate from the models of Azure's Go SDK. Do not edit. The form is described in schema.go.\n")
	for _, section := range slices.Sorted(maps.Keys(Modules)) {
		source, err := Read(section)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "section %s\n", section)
		w := &tableWriter{source: source, section: section, structs: make(map[string]string), enums: make(map[string]bool)}
		for _, root := range Roots[section] {
			if err := w.model(root); err != nil {
				return "", err
			}
		}
		for _, name := range slices.Sorted(maps.Keys(w.enums)) {
			fmt.Fprintf(&b, "enum %s %s\n", name, strings.Join(quoted(source.Enums[name]), " "))
		}
		for _, name := range slices.Sorted(maps.Keys(w.structs)) {
			fmt.Fprintf(&b, "type %s%s\n", name, w.structs[name])
		}
	}
	return b.String(), nil
}

// quoted writes a space inside an enumeration's value, as in "AzureServices, Logging", as '+'.
func quoted(values []string) []string {
	var list []string
	for _, value := range values {
		list = append(list, strings.ReplaceAll(value, " ", "+"))
	}
	return list
}

type tableWriter struct {
	source  *Source
	section string
	structs map[string]string // name to its line's fields
	enums   map[string]bool
}

func (w *tableWriter) model(name string) error {
	if _, ok := w.structs[name]; ok {
		return nil
	}
	w.structs[name] = ""
	model := w.source.Structs[name]
	if model == nil {
		return fmt.Errorf("make the table: the SDK has no model %s", name)
	}
	var fields []string
	for _, goName := range slices.Sorted(maps.Keys(model.Fields)) {
		field := model.Fields[goName]
		if field.JSON == "" {
			return fmt.Errorf("make the table: %s.%s has no JSON name", name, goName)
		}
		kind, err := w.kind(field.Type, name)
		if err != nil {
			return fmt.Errorf("make the table: %s.%s: %w", name, goName, err)
		}
		if field.Time {
			kind = "time"
		}
		if field.ReadOnly {
			kind += "!"
		}
		fields = append(fields, " "+field.JSON+"="+kind)
	}
	if answer := w.source.Structs[answers[name]]; answer != nil {
		for _, field := range answer.Fields {
			if !slices.ContainsFunc(fields, func(have string) bool { return strings.HasPrefix(have, " "+field.JSON+"=") }) {
				fields = append(fields, " "+field.JSON+"=any!")
			}
		}
	}
	for _, field := range ours[w.section+"."+name] {
		fields = append(fields, " "+field)
	}
	slices.Sort(fields)
	w.structs[name] = strings.Join(fields, "")
	return nil
}

func (w *tableWriter) kind(expression ast.Expr, owner string) (string, error) {
	switch expression := expression.(type) {
	case *ast.StarExpr:
		return w.kind(expression.X, owner)
	case *ast.ArrayType:
		inner, err := w.kind(expression.Elt, owner)
		return "[]" + inner, err
	case *ast.MapType:
		inner, err := w.kind(expression.Value, owner)
		return "{}" + inner, err
	case *ast.InterfaceType, *ast.SelectorExpr:
		return "any", nil // time.Time is seen by how it is marshalled
	case *ast.Ident:
		return w.named(expression.Name, owner)
	}
	return "", fmt.Errorf("no rule for the Go type %T", expression)
}

func (w *tableWriter) named(name, owner string) (string, error) {
	switch name {
	case "string", "bool":
		return name, nil
	case "int32", "int64":
		return "int", nil
	case "float32", "float64":
		return "number", nil
	case "any":
		return "any", nil
	}
	if _, ok := w.source.Enums[name]; ok {
		if slices.Contains(words, name) {
			return "string", nil
		}
		w.enums[name] = true
		return "~" + name, nil
	}
	if class := classes[name]; class != "" {
		name = class
	}
	model := w.source.Structs[name]
	if model == nil {
		return "any", nil // an interface of models
	}
	if model.Fields["AdditionalProperties"] != nil {
		return "any", nil // it has what it likes
	}
	if w.reference(name, owner) {
		return "&", nil
	}
	return name, w.model(name)
}

// reference tells whether a model inside another stands for a resource of its own, of which a writer says the id alone.
// Resources of their own have a location; a subnet and an endpoint connection have none but stand in their parents only.
func (w *tableWriter) reference(name, owner string) bool {
	if w.section == "network" {
		switch name {
		case "SubResource":
			return true
		case "Subnet":
			return owner != "VirtualNetworkPropertiesFormat"
		case "PublicIPAddress", "IPConfiguration":
			return name == "PublicIPAddress" || owner != "SubnetPropertiesFormat"
		case "InterfaceIPConfiguration":
			return owner != "InterfacePropertiesFormat"
		case "Interface", "SecurityGroup", "RouteTable", "NatGateway":
			return true
		}
	}
	if !slices.Contains(referring, w.section) {
		return false
	}
	id, hasID := w.source.Structs[name].Fields["ID"]
	_, hasProperties := w.source.Structs[name].Fields["Properties"]
	_, hasLocation := w.source.Structs[name].Fields["Location"]
	return hasID && id.JSON == "id" && hasProperties && hasLocation
}
