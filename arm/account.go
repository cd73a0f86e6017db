package arm

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"postern/api"
	"postern/model"
	"postern/resource"
	"postern/service/storage"
)

// accountRoutes are those of storage accounts beside the ones that every type has.
func accountRoutes() map[string]methods {
	return map[string]methods{
		"microsoft.storage/storageaccounts/*":                       {"GET": {"", getAccount}, "HEAD": {"", headResource}, "PUT": {"", putResource}, "PATCH": {"", patchResource}, "DELETE": {"", deleteResource}},
		"microsoft.storage/storageaccounts/*/failover":              {"POST": {"", failOver}},
		"microsoft.storage/storageaccounts/*/hnsonmigration":        {"POST": {"", upgradeNamespace}},
		"microsoft.storage/storageaccounts/*/startaccountmigration": {"POST": {"", migrateAccount}},
		"microsoft.storage/storageaccounts/*/accountmigrations/*":   {"GET": {"", getMigration}},
		"microsoft.storage/storageaccounts/*/listkeys":              {"POST": {"", listKeys}},
		"microsoft.storage/storageaccounts/*/regeneratekey":         {"POST": {"", regenerateKey}},
	}
}

// account finds the storage account that an action is about.
func (r *request) account() (resource.ID, *model.ServiceInstance, error) {
	id, snapshot, err := r.subject()
	if err != nil {
		return id, nil, err
	}
	at := slices.IndexFunc(snapshot.Instances, func(account *model.ServiceInstance) bool { return account.ID.Is(id.Model()) })
	if at < 0 {
		return id, nil, r.missing(resource.NotFound(id))
	}
	return id, snapshot.Instances[at], nil
}

// getAccount answers an account, with $expand=geoReplicationStats how its second region is doing.
func getAccount(r *request) (int, any, error) {
	status, answer, err := getResource(r)
	body, isBody := answer.(json.RawMessage)
	if err != nil || !isBody || !expands(r.URL.Query().Get("$expand"), "geoReplicationStats") {
		return status, answer, err
	}
	var object, properties map[string]json.RawMessage
	var facts struct {
		SKU struct {
			Name string `json:"name"`
		} `json:"sku"`
		Kind       string `json:"kind"`
		Properties struct {
			NFS       bool           `json:"isNfsV3Enabled"`
			Secondary model.Location `json:"secondaryLocation"`
		} `json:"properties"`
	}
	err = errors.Join(json.Unmarshal(body, &object), json.Unmarshal(body, &facts))
	if err == nil {
		err = json.Unmarshal(object["properties"], &properties)
	}
	if err != nil || !storage.GeoRedundant(facts.SKU.Name) {
		return status, answer, err
	}
	snapshot, err := r.snapshot(r.Context())
	if err != nil {
		return 0, nil, err
	}
	id, err := r.at.id()
	if err != nil {
		return 0, nil, err
	}
	at := slices.IndexFunc(snapshot.Instances, func(account *model.ServiceInstance) bool { return account.ID.Is(id.Model()) })
	if at < 0 {
		return 0, nil, r.missing(resource.NotFound(id))
	}
	stats := storage.GeoReplication(facts.SKU.Name, facts.Kind, facts.Properties.NFS, snapshot.Instances[at], facts.Properties.Secondary, time.Now())
	if properties["geoReplicationStats"], err = json.Marshal(stats); err == nil {
		object["properties"], err = json.Marshal(properties)
	}
	return status, object, err
}

// done answers an action that changes an account: what it made takes a while to be in force.
func (r *request) done(made api.Outcome, err error) (int, any, error) {
	if err != nil {
		return 0, nil, r.missing(err)
	}
	return r.accepted(made.Operation, http.StatusOK), nil, nil
}

// failOver brings an account to its second region: for good, or with failoverType=Planned so that it can come back.
func failOver(r *request) (int, any, error) {
	id, err := r.at.parent()
	if err != nil {
		return 0, nil, err
	}
	kind := r.URL.Query().Get("failoverType")
	planned := strings.EqualFold(kind, "Planned")
	if kind != "" && !planned && !strings.EqualFold(kind, "Unplanned") {
		return 0, nil, invalidQuery("failoverType", kind, "Planned, Unplanned")
	}
	return r.done(r.door.API.FailOver(r.Context(), id, planned))
}

// upgradeNamespace gives an account a hierarchical namespace, or tells whether it can have one.
func upgradeNamespace(r *request) (int, any, error) {
	id, err := r.at.parent()
	if err != nil {
		return 0, nil, err
	}
	kind := r.URL.Query().Get("requestType")
	check := strings.EqualFold(kind, "HnsOnValidationRequest")
	if !check && !strings.EqualFold(kind, "HnsOnHydrationRequest") {
		return 0, nil, invalidQuery("requestType", kind, "HnsOnValidationRequest, HnsOnHydrationRequest")
	}
	return r.done(r.door.API.UpgradeNamespace(r.Context(), id, check))
}

func invalidQuery(name, value, known string) error {
	return &resource.Error{Code: "InvalidQueryParameterValue", Status: http.StatusBadRequest, Target: name,
		Message: fmt.Sprintf("The value '%.40s' of the query parameter %s is not known: use one of %s.", value, name, known)}
}

type migration struct {
	ID         string              `json:"id"`
	Name       string              `json:"name"`
	Type       string              `json:"type"`
	Properties migrationProperties `json:"properties"`
}

type migrationProperties struct {
	Target string `json:"targetSkuName"`
	Status string `json:"migrationStatus"`
}

// migrateAccount gives an account the SKU that its owner asks for.
func migrateAccount(r *request) (int, any, error) {
	id, err := r.at.parent()
	if err != nil {
		return 0, nil, err
	}
	var wanted migration
	if err := r.read(&wanted); err != nil {
		return 0, nil, err
	}
	return r.done(r.door.API.Convert(r.Context(), id, wanted.Properties.Target))
}

// getMigration answers the last migration that was asked for. Nothing is moved here, so it is complete.
func getMigration(r *request) (int, any, error) {
	account := r.at
	account.types, account.names = account.types[:1], account.names[:1]
	id, err := account.id()
	if err != nil {
		return 0, nil, err
	}
	if !strings.EqualFold(r.at.names[1], "default") {
		return 0, nil, &resource.Error{Code: resource.CodeResourceNotFound, Status: http.StatusNotFound, Target: r.at.names[1],
			Message: fmt.Sprintf("An account's migration is called default, not '%.80s'.", r.at.names[1])}
	}
	cloud, err := r.door.Cache.Current(r.Context())
	if err != nil {
		return 0, nil, err
	}
	target, err := cloud.MigrationOf(id)
	if err != nil {
		return 0, nil, r.missing(err)
	}
	return http.StatusOK, migration{ID: id.String() + "/accountMigrations/default", Name: "default", Type: resource.TypeStorageAccount + "/accountMigrations",
		Properties: migrationProperties{target, "Complete"}}, nil
}

type accountKeys struct {
	Keys []accountKey `json:"keys"`
}

type accountKey struct {
	Name        string `json:"keyName"`
	Value       string `json:"value"`
	Permissions string `json:"permissions"`
}

// kerberosKeys are the names of the keys for Active Directory.
var kerberosKeys = [2]string{"kerb1", "kerb2"}

// listKeys answers the two shared keys of a storage account, with $expand=kerb those for Active Directory too.
func listKeys(r *request) (int, any, error) {
	return r.keys(expands(r.URL.Query().Get("$expand"), "kerb"))
}

func (r *request) keys(kerberos bool) (int, any, error) {
	id, account, err := r.account()
	if err != nil {
		return 0, nil, err
	}
	answer := accountKeys{[]accountKey{{"key1", account.Keys[0], "FULL"}, {"key2", account.Keys[1], "FULL"}}}
	if kerberos {
		cloud, err := r.door.Cache.Current(r.Context())
		if err != nil {
			return 0, nil, err
		}
		for i, key := range cloud.KerberosKeys(id) {
			if key != "" {
				answer.Keys = append(answer.Keys, accountKey{kerberosKeys[i], key, "FULL"})
			}
		}
	}
	return http.StatusOK, answer, nil
}

// regenerateKey makes a storage account's key anew, and answers them all.
func regenerateKey(r *request) (int, any, error) {
	id, err := r.at.parent()
	if err != nil {
		return 0, nil, err
	}
	var wanted struct {
		Name string `json:"keyName"`
	}
	if err := r.read(&wanted); err != nil {
		return 0, nil, err
	}
	number := slices.Index([]string{"key1", "key2", kerberosKeys[0], kerberosKeys[1]}, strings.ToLower(wanted.Name))
	if number < 0 {
		return 0, nil, &resource.Error{Code: resource.CodeInvalidRequestContent, Status: http.StatusBadRequest, Target: "keyName",
			Message: fmt.Sprintf("The keyName '%.40s' is none of the account's: use key1, key2, kerb1 or kerb2.", wanted.Name)}
	}
	made, err := r.door.API.RegenerateKey(r.Context(), id, number)
	if err != nil {
		return 0, nil, r.missing(err)
	}
	if err := r.door.API.Await(r.Context(), made.Operation); err != nil { // its clients take 200 alone
		return 0, nil, err
	}
	return r.keys(number > 1)
}

// read reads the body of an action.
func (r *request) read(into any) error {
	data, err := r.body()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return &resource.Error{Code: resource.CodeInvalidRequestContent, Status: http.StatusBadRequest,
			Message: "The request content was invalid and could not be deserialized: " + strings.TrimPrefix(err.Error(), "json: ") + "."}
	}
	return nil
}
