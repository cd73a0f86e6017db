// Package sql describes Microsoft.Sql/servers and Microsoft.Synapse/workspaces: servers that speak TDS, with firewall rules and
// virtual network rules, reached by the endpoint Microsoft.Sql in the VNet's region (SE-10).
package sql

import (
	"strings"

	"postern/model"
	"postern/service"
)

// The resource types.
const (
	TypeServer    = "Microsoft.Sql/servers"
	TypeWorkspace = "Microsoft.Synapse/workspaces"
)

// The zones of their names.
const (
	Suffix        = "database.windows.net"
	SuffixSynapse = "sql.azuresynapse.net"
)

// way is the start-up protocol of both.
const way model.Way = "tds"

var (
	ports     = []model.ServicePort{{Number: 1433, Way: way}}
	audiences = []string{"https://database.windows.net"}
)

// Service describes logical servers.
var Service = &service.Service{
	Name:      "sql",
	Endpoint:  "Microsoft.Sql",
	Zones:     func(model.Settings) []model.Zone { return []model.Zone{{Suffix: Suffix, Service: "sql", Space: "sql"}} },
	ValidName: service.ValidDatabaseName,
	Audiences: audiences,
	Startups:  map[model.Way]service.Startup{way: open},
	Actions:   []service.Action{service.CheckDatabaseName(TypeServer, "available")},
	Types: []service.Type{{
		Name:     TypeServer,
		Noun:     "SQL server",
		Model:    "sql.Server",
		Update:   "sql.ServerUpdate",
		Children: service.DatabaseRules("sql.FirewallRule", "sql.VirtualNetworkRule"),
		Versions: []string{"2023-08-01", "2021-11-01", "2015-05-01-preview"},
		Ours:     service.DatabaseOurs(),
		Decode: func(b *service.Body, into *service.Instance) error {
			into.Ports = ports
			return service.ReadDatabase(b, into)
		},
		Render: func(a *service.Answer) {
			service.RenderDatabase(a, a.Host(""))
			service.Fill(a.Properties, "version", "12.0")
			service.Fill(a.Properties, "minimalTlsVersion", "1.2")
			service.Fill(a.Properties, "restrictOutboundNetworkAccess", "Disabled")
			a.Properties["state"] = "Ready"
		},
		NameTaken:       service.DatabaseNameTaken,
		EndpointMissing: service.DatabaseEndpointMissing,
	}},
}

// onDemand ends the label of a workspace's second name, for its serverless pool.
const onDemand = "-ondemand"

// Synapse describes workspaces. Azure has no virtual network rules on them, though their endpoint is Microsoft.Sql; here
// they have the same as servers, for otherwise no subnet with the endpoint could be let in.
var Synapse = &service.Service{
	Name:     "synapse",
	Endpoint: "Microsoft.Sql",
	Zones: func(model.Settings) []model.Zone {
		return []model.Zone{{Suffix: SuffixSynapse, Service: "synapse", Space: "synapse"}}
	},
	ValidName: func(label string) bool {
		return service.ValidDatabaseName(label) && len(label) <= 50 && !strings.HasSuffix(label, onDemand)
	},
	Audiences: audiences,
	Startups:  map[model.Way]service.Startup{way: open},
	Actions:   []service.Action{service.CheckDatabaseName(TypeWorkspace, "available")},
	Types: []service.Type{{
		Name:     TypeWorkspace,
		Noun:     "Synapse workspace",
		Model:    "synapse.Workspace",
		Update:   "synapse.WorkspacePatchInfo",
		Children: service.DatabaseRules("synapse.IPFirewallRuleInfo", "sql.VirtualNetworkRule"),
		Versions: []string{"2021-06-01"},
		Ours:     append(service.DatabaseOurs(), "connectivityEndpoints", "sqlAdministratorLoginPassword"),
		Decode: func(b *service.Body, into *service.Instance) error {
			into.Ports = ports
			if err := service.ReadDatabase(b, into); err != nil {
				return err
			}
			if len(into.Name) > 50 || strings.HasSuffix(into.Name, onDemand) {
				return service.Refuse("InvalidWorkspaceName", "name", "The workspace name '%s' must have 50 characters at most, and not end with %s.", into.Name, onDemand)
			}
			into.Hosts = []string{into.Name + onDemand + "." + SuffixSynapse}
			return nil
		},
		Render: func(a *service.Answer) {
			service.RenderDatabase(a, a.Host(""))
			delete(a.Properties, "fullyQualifiedDomainName")
			a.Properties["connectivityEndpoints"] = map[string]any{"sql": a.Host(""), "sqlOnDemand": a.Instance.Name + onDemand + "." + SuffixSynapse}
		},
		NameTaken:       service.DatabaseNameTaken,
		EndpointMissing: service.DatabaseEndpointMissing,
	}},
}
