package compile_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"

	"postern/model"
	"postern/plan"
)

// show prints a part of a node's plan: for a host nics, directory, and of a NIC routes, out, in, policy, services; for
// a gateway accounts, subnets, machines, names; for an edge nics.
func show(plans map[string]plan.Node, args []string) (string, error) {
	if len(args) < 2 {
		return "", fmt.Errorf("usage: show NODE PART [NIC]")
	}
	node, ok := plans[args[0]]
	if !ok {
		return "", fmt.Errorf("no plan for node %s", args[0])
	}
	var rows [][]any
	switch {
	case node.Edge != nil:
		rows = edgeRows(node.Edge)
	case node.Gateway != nil:
		rows = gatewayRows(node.Gateway, args[1])
	case len(args) == 2:
		rows = hostRows(node.Host, args[1])
	default:
		at := slices.IndexFunc(node.Host.NICs, func(nic plan.NIC) bool { return nic.ID.Name() == args[2] })
		if at < 0 {
			return "", fmt.Errorf("node %s has no NIC %s", args[0], args[2])
		}
		rows = nicRows(node.Host, &node.Host.NICs[at], args[1])
	}
	return table(rows), nil
}

// table aligns columns by two spaces.
func table(rows [][]any) string {
	var text strings.Builder
	writer := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(writer, "\t")
			}
			if words := fmt.Sprint(cell); words == "" {
				fmt.Fprint(writer, "-")
			} else {
				fmt.Fprint(writer, words)
			}
		}
		fmt.Fprintln(writer)
	}
	writer.Flush()
	return text.String()
}

func flags(words ...string) string {
	return strings.Join(slices.DeleteFunc(words, func(word string) bool { return word == "" }), ",")
}

func when(holds bool, word string) string {
	if holds {
		return word
	}
	return ""
}

func hostRows(h *plan.Host, part string) (rows [][]any) {
	switch part {
	case "nics":
		for _, nic := range h.NICs {
			rows = append(rows, []any{nic.Number, nic.ID.Name(), "vnet", nic.VNet, "subnet", nic.Subnet, nic.IPv4, flags(
				when(nic.Forwarding, "forwarding"), when(nic.Outbound, "outbound"), when(nic.NATGateway, "natGateway"), when(nic.DenyDNS, "denyDNS"),
				when(nic.DenyMetadata, "denyMetadata"), when(nic.Policy != "", "policy"))})
		}
	case "directory":
		for _, place := range h.Directory {
			rows = append(rows, []any{"vnet", place.VNet, place.IPv4, "subnet", place.Subnet, place.Locator, when(place.Forwarding, "forwarding")})
		}
	}
	return rows
}

func nicRows(h *plan.Host, nic *plan.NIC, part string) (rows [][]any) {
	switch part {
	case "routes":
		for _, route := range h.Routes[nic.Routes] {
			to := ""
			if route.Hop.VNet != 0 {
				to = fmt.Sprint("vnet ", route.Hop.VNet)
			}
			if route.Hop.Address.IsValid() {
				to += " " + route.Hop.Address.String()
			}
			rows = append(rows, []any{route.Prefix, route.Hop.Type, route.Hop.Source, to})
		}
	case "out", "in":
		lists, names := nic.Outgoing, [2]string{"nic", "subnet"}
		if part == "in" {
			lists, names = nic.Incoming, [2]string{"subnet", "nic"}
		}
		for i, ref := range lists {
			if ref == "" {
				rows = append(rows, []any{names[i], "all pass"})
			}
			for _, rule := range h.Rules[ref] {
				rows = append(rows, []any{names[i], rule.Priority, rule.Name, map[bool]string{true: "allow", false: "deny"}[rule.Allow],
					protocol(rule.Protocol), set(h, rule.Source), ports(rule.SourcePorts), set(h, rule.Destination), ports(rule.DestinationPorts)})
			}
		}
	case "policy":
		if nic.Policy == "" {
			return [][]any{{"every account"}}
		}
		rows = append(rows, []any{len(h.Policies[nic.Policy]), "accounts"})
		for _, address := range h.Policies[nic.Policy] {
			rows = append(rows, []any{address})
		}
	case "services":
		return serviceRows(h.Services[nic.Services], nic.EnabledServices)
	}
	return rows
}

// serviceRows counts, for every enabled service and target, the entries that lead there.
func serviceRows(services plan.ServiceTable, enabled uint64) (rows [][]any) {
	for _, service := range model.Services {
		if enabled&(1<<service.Bit) == 0 {
			continue
		}
		counts := make([]int, len(services.Targets))
		for _, entry := range services.Entries {
			for _, candidate := range entry.Candidates {
				if candidate.Bit == service.Bit {
					counts[candidate.Target]++
				}
			}
		}
		for i, target := range services.Targets {
			if counts[i] > 0 {
				gateway := target.Locator.String()
				if target.Locator.IsZero() {
					gateway = "no gateway"
				}
				rows = append(rows, []any{service.Endpoint, "service", target.Service, target.Region, gateway, counts[i], "prefixes"})
			}
		}
	}
	return rows
}

func protocol(p model.Protocol) string {
	switch p {
	case model.ProtocolAny:
		return "any"
	case model.ProtocolTCP:
		return "tcp"
	case model.ProtocolUDP:
		return "udp"
	case model.ProtocolICMP:
		return "icmp"
	}
	return fmt.Sprint(uint8(p))
}

func ports(r model.PortRange) string {
	switch {
	case r == model.AllPorts:
		return "*"
	case r.First == r.Last:
		return fmt.Sprint(r.First)
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

// set is a set's prefixes, or their number where there are many.
func set(h *plan.Host, ref plan.Ref) string {
	if ref == "" {
		return "*"
	}
	prefixes := h.Sets[ref]
	if len(prefixes) > 4 {
		return fmt.Sprintf("%d-prefixes", len(prefixes))
	}
	return join(prefixes)
}

func join(prefixes []netip.Prefix) string {
	var words []string
	for _, prefix := range prefixes {
		words = append(words, prefix.String())
	}
	return strings.Join(words, "|")
}

func backendOf(instance plan.Instance) string {
	if len(instance.Backends) == 0 {
		return ""
	}
	return instance.Backends[0].Address
}

func gatewayRows(g *plan.Gateway, part string) (rows [][]any) {
	switch part {
	case "accounts":
		for _, account := range g.Instances {
			rows = append(rows, []any{account.Name, "public", account.Rules.PublicNetworkAccess, "allow", account.Rules.DefaultAllow, "backend", backendOf(account)})
			for _, rule := range account.Rules.IPRules {
				rows = append(rows, []any{account.Name, "ip", rule})
			}
			for _, rule := range account.Rules.VirtualNetworkRules {
				rows = append(rows, []any{account.Name, "subnet", rule.Subnet.Name(), "identity", rule.Identity})
			}
		}
	case "subnets":
		for _, subnet := range g.Subnets {
			policy := "every account"
			if subnet.Policy != "" {
				var names []string
				for _, key := range g.Policies[subnet.Policy] {
					names = append(names, model.ResourceID(key).Name())
				}
				policy = fmt.Sprintf("policy [%s]", strings.Join(names, " "))
			}
			rows = append(rows, []any{subnet.Identity, subnet.VNet.Name(), subnet.ID.Name(), fmt.Sprintf("services %b", subnet.EnabledServices), policy})
		}
	case "machines":
		for _, machine := range g.Machines {
			rows = append(rows, []any{machine.Subnet, machine.IPv4, machine.NIC.Name(), machine.VM.Name(), when(machine.PrincipalID != "", "identity")})
		}
	case "names":
		for name := range g.Names {
			rows = append(rows, []any{name})
		}
		slices.SortFunc(rows, func(a, b []any) int { return strings.Compare(a[0].(string), b[0].(string)) })
	}
	return rows
}

func edgeRows(e *plan.Edge) (rows [][]any) {
	for _, nic := range e.NICs {
		public := "no public address"
		if nic.Public.IsValid() {
			public = "public " + nic.Public.String()
		}
		row := []any{nic.Subnet, nic.IPv4, nic.Locator, public, "platform", nic.PlatformAddress, when(nic.Outbound, "outbound")}
		if gateway, ok := e.NATGateways[nic.NATGateway]; ok {
			row = append(row, gateway.ID.Name(), nic.NATAddress, gateway.Addresses)
		}
		rows = append(rows, row)
	}
	return rows
}
