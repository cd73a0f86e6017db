package arm

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"postern/model"
	"postern/resource"
	"postern/service/storage"
)

type accountKeys struct {
	Keys []accountKey `json:"keys"`
}

type accountKey struct {
	Name        string `json:"keyName"`
	Value       string `json:"value"`
	Permissions string `json:"permissions"`
}

// listKeys answers the two shared keys of a storage account.
func listKeys(r *request) (int, any, error) {
	id, snapshot, err := r.subject()
	if err != nil {
		return 0, nil, err
	}
	at := slices.IndexFunc(snapshot.Instances, func(account *model.ServiceInstance) bool { return account.ID.Is(id.Model()) })
	if at < 0 {
		return 0, nil, r.missing(resource.NotFound(id))
	}
	keys := snapshot.Instances[at].Keys
	return http.StatusOK, accountKeys{[]accountKey{{"key1", keys[0], "FULL"}, {"key2", keys[1], "FULL"}}}, nil
}

type nameAnswer struct {
	Available bool   `json:"nameAvailable"`
	Reason    string `json:"reason,omitempty"`
	Message   string `json:"message,omitempty"`
}

// checkAccountName tells whether a storage account's name is free: names are one for all subscriptions.
func checkAccountName(r *request) (int, any, error) {
	data, err := r.body()
	if err != nil {
		return 0, nil, err
	}
	var question struct {
		Name string `json:"name"`
		Type string `json:"type"`
	}
	if err := json.Unmarshal(data, &question); err != nil || !strings.EqualFold(question.Type, resource.TypeStorageAccount) {
		return 0, nil, &resource.Error{Code: resource.CodeInvalidRequestContent, Status: http.StatusBadRequest, Target: "type",
			Message: "The body must have a name and the type " + resource.TypeStorageAccount + "."}
	}
	if !storage.ValidName(question.Name) {
		return http.StatusOK, nameAnswer{Reason: "AccountNameInvalid", Message: storage.InvalidName(fmt.Sprintf("%.80s", question.Name))}, nil
	}
	snapshot, err := r.snapshot(r.Context())
	if err != nil {
		return 0, nil, err
	}
	for i := range snapshot.Instances {
		if snapshot.Instances[i].Service == storage.Service.Name && strings.EqualFold(snapshot.Instances[i].Name, question.Name) {
			return http.StatusOK, nameAnswer{Reason: "AlreadyExists", Message: fmt.Sprintf("The storage account named %s is already taken.", question.Name)}, nil
		}
	}
	return http.StatusOK, nameAnswer{Available: true}, nil
}

type dataService struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	Type       string         `json:"type"`
	Properties map[string]any `json:"properties"`
}

// dataServices answers the settings of an account's blob or file service. They cannot be changed here, so they are those of a
// new account: no cross-origin rules, nothing kept after deletion.
func dataServices(r *request) (int, any, error) {
	account := r.at
	account.types, account.names = account.types[:1], account.names[:1]
	id, err := account.id()
	if err != nil {
		return 0, nil, err
	}
	if _, err := r.door.API.Get(r.Context(), id); err != nil {
		return 0, nil, r.missing(err)
	}
	if r.at.names[1] != "default" {
		return 0, nil, &resource.Error{Code: resource.CodeResourceNotFound, Status: http.StatusNotFound, Target: r.at.names[1],
			Message: fmt.Sprintf("An account's service is called default, not '%s'.", r.at.names[1])}
	}
	answer := dataService{ID: r.at.scope(), Name: "default", Type: resource.TypeStorageAccount + "/" + r.at.types[1],
		Properties: map[string]any{"cors": map[string]any{"corsRules": []any{}}}}
	policy := "deleteRetentionPolicy"
	if strings.EqualFold(r.at.types[1], "fileServices") {
		policy = "shareDeleteRetentionPolicy"
	}
	answer.Properties[policy] = map[string]any{"enabled": false}
	return http.StatusOK, answer, nil
}
