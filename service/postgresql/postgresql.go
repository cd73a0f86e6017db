// Package postgresql describes Microsoft.DBforPostgreSQL/servers: PostgreSQL servers with firewall rules and virtual
// network rules, reached by the endpoint Microsoft.Sql in the VNet's region (SE-10).
package postgresql

import (
	"postern/model"
	"postern/service"
)

// TypeServer is the resource type.
const TypeServer = "Microsoft.DBforPostgreSQL/servers"

// Suffix is the zone of the servers' names.
const Suffix = "postgres.database.azure.com"

// way is the start-up protocol of PostgreSQL.
const way model.Way = "postgresql"

// Service is the description.
var Service = &service.Service{
	Name:     "postgresql",
	Endpoint: "Microsoft.Sql",
	Zones: func(model.Settings) []model.Zone {
		return []model.Zone{{Suffix: Suffix, Service: "postgresql", Space: "postgresql"}}
	},
	ValidName: service.ValidDatabaseName,
	Audiences: []string{"https://ossrdbms-aad.database.windows.net"},
	Startups:  map[model.Way]service.Startup{way: open},
	Actions:   []service.Action{service.CheckDatabaseName(TypeServer, "nameAvailable")},
	Types: []service.Type{{
		Name:     TypeServer,
		Noun:     "PostgreSQL server",
		Model:    "postgresql.ServerForCreate",
		Update:   "postgresql.ServerUpdateParameters",
		Children: service.DatabaseRules("postgresql.FirewallRule", "postgresql.VirtualNetworkRule"),
		Versions: []string{"2017-12-01"},
		Ours:     service.DatabaseOurs(),
		Decode: func(b *service.Body, into *service.Instance) error {
			into.Ports = []model.ServicePort{{Number: 5432, Way: way}}
			return service.ReadDatabase(b, into)
		},
		Render: func(a *service.Answer) {
			service.RenderDatabase(a, a.Host(""))
			a.Properties["userVisibleState"] = "Ready"
		},
		NameTaken:       service.DatabaseNameTaken,
		EndpointMissing: service.DatabaseEndpointMissing,
	}},
}
