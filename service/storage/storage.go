// Package storage describes Microsoft.Storage/storageAccounts: accounts with the sub-services table, blob, queue, file,
// dfs and web, each under a name of its own.
package storage

import (
	"net/http"

	"postern/model"
	"postern/service"
)

// The sub-services of a storage account, as the second label of its names and as the log's "service".
const (
	Table = "table"
	Blob  = "blob"
	Queue = "queue"
	File  = "file"
	DFS   = "dfs"
	Web   = "web"
)

// TypeAccount is the resource type.
const TypeAccount = "Microsoft.Storage/storageAccounts"

// Service is the description.
var Service = &service.Service{
	Name:      "storage",
	Endpoint:  "Microsoft.Storage",
	Zones:     zones,
	ValidName: validLabel,
	Audiences: []string{"https://storage.azure.com"},
	Trusted:   trusted,
	Actions:   actions,
	HTTP: &service.HTTP{
		RequestID: headerRequestID,
		ErrorCode: headerErrorCode,
		Operation: func(part string, r *http.Request) string {
			return Operation(part, r.Method, r.URL.Path, r.URL.Query(), r.Header)
		},
		Refuse: refuse,
		ByPath: byPath,
	},
	Types: []service.Type{{
		Name:            TypeAccount,
		Noun:            "storage account",
		Model:           "storage.AccountCreateParameters",
		Update:          "storage.AccountUpdateParameters",
		Versions:        []string{"2025-08-01", "2025-06-01", "2024-01-01", "2023-05-01", "2023-01-01", "2022-09-01"},
		Ours:            []string{"posternFrontAddress"},
		Manners:         service.Manners{Created: http.StatusOK, Pending: http.StatusAccepted, Patient: []string{http.MethodPatch, http.MethodDelete}},
		Keys:            true,
		KeysServed:      true,
		Decode:          decode,
		Render:          render,
		NameTaken:       nameTaken,
		EndpointMissing: endpointMissing,
	}},
}

// ports are the same for every account. Those from 10000 on are for path style.
var ports = []model.ServicePort{{Number: 80, Way: model.WayHTTP}, {Number: 443, Way: model.WayHTTPS},
	{Number: portBlob, Way: model.WayHTTP}, {Number: portQueue, Way: model.WayHTTP}, {Number: portTable, Way: model.WayHTTP}}

// trusted are the services that Azure lets into accounts by the managed identity of one of their resources ("Trusted Azure
// services", Trusted access based on a managed identity, of 24 June 2025). Where that names a provider alone, these are its types that
// have identities.
var trusted = []string{
	"Microsoft.AgFoodPlatform/farmBeats", "Microsoft.ApiManagement/service", "Microsoft.AutonomousSystems/workspaces", "Microsoft.Cache/redis",
	"Microsoft.CognitiveServices/accounts", "Microsoft.Databricks/accessConnectors", "Microsoft.DataFactory/factories", "Microsoft.DataProtection/backupVaults",
	"Microsoft.DataShare/accounts", "Microsoft.DBforPostgreSQL/flexibleServers", "Microsoft.DBforPostgreSQL/servers", "Microsoft.DeviceRegistry/schemaRegistries",
	"Microsoft.Devices/IotHubs", "Microsoft.DevTestLab/labs", "Microsoft.EventGrid/domains", "Microsoft.EventGrid/partnerTopics",
	"Microsoft.EventGrid/systemTopics", "Microsoft.EventGrid/topics", "Microsoft.HealthcareApis/services", "Microsoft.HealthcareApis/workspaces",
	"Microsoft.IoTCentral/IoTApps", "Microsoft.KeyVault/managedHSMs", "Microsoft.Kusto/clusters", "Microsoft.Logic/integrationAccounts",
	"Microsoft.Logic/workflows", "Microsoft.MachineLearningServices/registries", "Microsoft.MachineLearningServices/workspaces",
	"Microsoft.Media/mediaservices", "Microsoft.Migrate/migrateProjects", "Microsoft.Network/expressRoutePorts", "Microsoft.PowerPlatform/enterprisePolicies",
	"Microsoft.Purview/accounts", "Microsoft.RecoveryServices/vaults", "Microsoft.Search/searchServices", "Microsoft.Security/dataScanners",
	"Microsoft.Sql/servers", "Microsoft.StorageActions/storageTasks", "Microsoft.StreamAnalytics/streamingjobs", "Microsoft.Synapse/workspaces",
	"Microsoft.VideoIndexer/accounts",
}

var parts = []string{Table, Blob, Queue, File, DFS, Web}

func zones(settings model.Settings) []model.Zone {
	var list []model.Zone
	for _, part := range parts {
		list = append(list, model.Zone{Suffix: part + "." + settings.StorageSuffix, Service: "storage", Space: "storage", Parent: settings.StorageSuffix, Part: part, Inner: part == Web})
	}
	return append(list, numberedZones(settings)...)
}

// ValidName tells whether a text can be the name of an account: 3 to 24 letters and digits
// (https://learn.microsoft.com/azure/storage/common/storage-account-overview).
func ValidName(name string) bool {
	if len(name) < 3 || len(name) > 24 {
		return false
	}
	for _, c := range []byte(name) {
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9') {
			return false
		}
	}
	return true
}
