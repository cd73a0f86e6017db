// Package all lists the services. Adding one is a folder below service/ and a line here.
package all

import (
	"slices"
	"strings"

	"postern/model"
	"postern/service"
	"postern/service/appservice"
	"postern/service/cognitiveservices"
	"postern/service/containerregistry"
	"postern/service/cosmosdb"
	"postern/service/datalakestore"
	"postern/service/eventhub"
	"postern/service/keyvault"
	"postern/service/mysql"
	"postern/service/own"
	"postern/service/postgresql"
	"postern/service/servicebus"
	"postern/service/sql"
	"postern/service/storage"
)

// services stand in the order in which they are asked for a name; it changes nothing else.
var services = []*service.Service{
	storage.Service,
	keyvault.Service,
	cosmosdb.Service,
	containerregistry.Service,
	cognitiveservices.Service,
	appservice.Service,
	datalakestore.Service,
	own.Service,
	postgresql.Service,
	servicebus.Service,
	eventhub.Service,
	mysql.Service,
	mysql.MariaDB,
	sql.Service,
	sql.Synapse,
}

// Services lists the descriptions. Do not change them.
func Services() []*service.Service { return services }

// Named finds a description by its name; nil for none.
func Named(name string) *service.Service {
	at := slices.IndexFunc(services, func(s *service.Service) bool { return s.Name == name })
	if at < 0 {
		return nil
	}
	return services[at]
}

// Type finds a resource type and its service by the type's name, whatever its case; nil for none.
func Type(name string) (*service.Service, *service.Type) {
	for _, s := range services {
		for i := range s.Types {
			if strings.EqualFold(s.Types[i].Name, name) {
				return s, &s.Types[i]
			}
		}
	}
	return nil, nil
}

// Zones are the DNS zones of all services.
func Zones(settings model.Settings) []model.Zone {
	var list []model.Zone
	for _, s := range services {
		if s.Zones != nil {
			list = append(list, s.Zones(settings)...)
		}
	}
	return list
}
