// Package cosmosdb describes Microsoft.DocumentDB/databaseAccounts with the API for NoSQL: documents over HTTPS.
package cosmosdb

import (
	"net/http"
	"regexp"
	"strings"

	"postern/firewall"
	"postern/model"
	"postern/service"
)

// TypeAccount is the resource type.
const TypeAccount = "Microsoft.DocumentDB/databaseAccounts"

// headerActivity names a request, and headerSubStatus tells a client why, in canonical form.
const (
	headerActivity  = "X-Ms-Activity-Id"
	headerSubStatus = "X-Ms-Substatus"
)

// Service is the description. Nobody comes in as a trusted service alone: networkAclBypass lets in the resources that
// the account lists.
var Service = &service.Service{
	Name:     "cosmosdb",
	Endpoint: "Microsoft.AzureCosmosDB",
	Zones: func(settings model.Settings) []model.Zone {
		return []model.Zone{{Suffix: service.ZoneName(&settings, "documents", "documents.azure.com"), Service: "cosmosdb", Space: "cosmosdb"}}
	},
	ValidName: ValidName,
	Audiences: []string{"https://cosmos.azure.com"},
	Actions:   actions,
	HTTP:      &service.HTTP{RequestID: headerActivity, Operation: operation, Refuse: refuse},
	Types: []service.Type{{
		Name:      TypeAccount,
		Noun:      "Cosmos DB account",
		Model:     "cosmosdb.DatabaseAccountCreateUpdateParameters",
		Update:    "cosmosdb.DatabaseAccountUpdateParameters",
		Versions:  []string{"2024-11-15", "2024-05-15", "2023-11-15", "2023-04-15", "2021-10-15"},
		Ours:      []string{"posternFrontAddress"},
		Manners:   service.Manners{Created: http.StatusOK, Deleted: http.StatusNoContent},
		Keys:      true,
		Decode:    decode,
		Render:    render,
		NameTaken: nameTaken,
	}},
}

var ports = []model.ServicePort{{Number: 443, Way: model.WayHTTPS}}

var validName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// ValidName tells whether a text can be the name of an account: 3 to 44 lower-case letters, digits and single hyphens
// (https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules).
func ValidName(name string) bool {
	return len(name) >= 3 && len(name) <= 44 && validName.MatchString(name)
}

func nameTaken(name string, _ model.ResourceID) *service.Refusal {
	return service.Conflict("Conflict", "name", "The database account name '%s' already exists.", name)
}

// resources are the collections of the REST API, whose names alternate with those of their members in paths
// (https://learn.microsoft.com/rest/api/cosmos-db/cosmosdb-resource-uri-syntax-for-rest).
var resources = map[string]string{"dbs": "Database", "colls": "Collection", "docs": "Document", "sprocs": "StoredProcedure",
	"triggers": "Trigger", "udfs": "UserDefinedFunction", "users": "User", "permissions": "Permission", "pkranges": "PartitionKeyRange", "offers": "Offer"}

// operation names a request by its verb and its kind of resource, as in the service's log: "ReadDocument", "QueryDocument".
func operation(_ string, r *http.Request) string {
	segments := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if r.Method == http.MethodGet && r.URL.Path == "/" {
		return "ReadDatabaseAccount"
	}
	kind, feed := resources[segments[(len(segments)-1)&^1]], len(segments)%2 == 1
	if kind == "" {
		return "Unknown"
	}
	verb := map[string]string{http.MethodGet: "Read", http.MethodPost: "Create", http.MethodPut: "Replace", http.MethodPatch: "Patch", http.MethodDelete: "Delete"}[r.Method]
	switch {
	case verb == "":
		return "Unknown"
	case feed && r.Method == http.MethodPost && strings.EqualFold(r.Header.Get("X-Ms-Documentdb-Isquery"), "true"):
		verb = "Query"
	case feed && r.Method == http.MethodPost && strings.EqualFold(r.Header.Get("X-Ms-Documentdb-Is-Upsert"), "true"):
		verb = "Upsert"
	case feed && r.Method == http.MethodGet:
		verb, kind = "Read", kind+"Feed"
	}
	return verb + kind
}

// blocked are the ways by which a refused request can have come, in the words of
// https://learn.microsoft.com/azure/cosmos-db/nosql/troubleshoot-forbidden: by an endpoint the client's address is not
// named.
func blocked(d *service.Denial) string {
	from := "IP " + d.Address() + " through public internet"
	if d.Kind == firewall.Endpoint {
		from = "client VNET through service endpoint"
	}
	return "Request originated from " + from + ". This is blocked by your Cosmos DB account firewall settings. More info: https://aka.ms/cosmosdb-tsg-forbidden"
}

// refuse answers as the account does (FW-12).
func refuse(d *service.Denial) service.Response {
	message, code := service.Sentence(d), map[service.Fault]string{service.Forbidden: "Forbidden", service.NoSuchName: "BadRequest",
		service.NoSuchInstance: "NotFound", service.Misdirected: "BadRequest", service.BadMethod: "MethodNotAllowed",
		service.NotServed: "NotImplemented", service.BackendDown: "ServiceUnavailable"}[d.Fault]
	if d.Fault == service.Forbidden {
		message = blocked(d)
	}
	response := service.JSON(d.Fault.Status(), struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}{code, message + "\r\nActivityId: " + d.RequestID})
	response.Header.Set(headerSubStatus, "0")
	return response
}
