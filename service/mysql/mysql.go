// Package mysql describes Microsoft.DBforMySQL/servers and Microsoft.DBforMariaDB/servers: servers with firewall rules and
// virtual network rules, reached by the endpoint Microsoft.Sql in the VNet's region (SE-10). The two differ in their names.
//
// The server speaks first, so the address that a client dials, which each server has of its own, names it. Nothing is
// greeted for the backend: greeting, TLS and login are its own.
package mysql

import (
	"fmt"

	"postern/firewall"
	"postern/model"
	"postern/protocol/mysql"
	"postern/service"
)

// The resource types.
const (
	TypeServer        = "Microsoft.DBforMySQL/servers"
	TypeMariaDBServer = "Microsoft.DBforMariaDB/servers"
)

// way is the start-up protocol of both.
const way model.Way = "mysql"

// Service and MariaDB are the descriptions.
var (
	Service = describe("mysql", "MySQL", TypeServer, "2017-12-01")
	MariaDB = describe("mariadb", "MariaDB", TypeMariaDBServer, "2018-06-01")
)

func describe(name, product, typ, version string) *service.Service {
	return &service.Service{
		Name:     name,
		Endpoint: "Microsoft.Sql",
		Zones: func(model.Settings) []model.Zone {
			return []model.Zone{{Suffix: name + ".database.azure.com", Service: name, Space: name}}
		},
		ValidName: service.ValidDatabaseName,
		Audiences: []string{"https://ossrdbms-aad.database.windows.net"},
		Startups:  map[model.Way]service.Startup{way: service.ByAddress(func(d *service.Denial) []byte { return refusal(product, d) })},
		Actions:   []service.Action{service.CheckDatabaseName(typ, "nameAvailable")},
		Types: []service.Type{{
			Name:     typ,
			Noun:     product + " server",
			Model:    name + ".ServerForCreate",
			Update:   name + ".ServerUpdateParameters",
			Children: service.DatabaseRules(name+".FirewallRule", name+".VirtualNetworkRule"),
			Versions: []string{version},
			Ours:     service.DatabaseOurs(),
			Decode: func(b *service.Body, into *service.Instance) error {
				into.Ports = []model.ServicePort{{Number: 3306, Way: way}}
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
}

// Numbers of errors: of Azure's gateway, and of the server (MySQL Server Error Reference).
const (
	numberRefused     = 9000
	numberUnavailable = 1053 // ER_SERVER_SHUTDOWN
)

// refusal is the error that Azure's servers answer (FW-12).
func refusal(product string, d *service.Denial) []byte {
	switch {
	case d.Fault != service.Forbidden && d.Fault != service.NoSuchInstance:
		return mysql.Error(numberUnavailable, "The server is not available: its backend does not answer. Please retry.")
	case d.Kind == firewall.Endpoint:
		return mysql.Error(numberRefused, "Client from Azure Virtual Networks is not allowed to access the server. Please make sure your "+
			"Virtual Network is correctly configured.")
	}
	return mysql.Error(numberRefused, fmt.Sprintf("Client with IP address '%s' is not allowed to connect to this %s server.", d.Caller.Addr(), product))
}
