package storage

import (
	"fmt"
	"net/http"
	"strings"

	"postern/model"
	"postern/service"
)

// actions are what az and the SDKs ask of accounts beside the usual.
var actions = []service.Action{
	service.CheckName("Microsoft.Storage/checkNameAvailability", "Microsoft.Storage/checknameavailability/read", TypeAccount, refuseName,
		func(name string, _ model.ResourceID) *service.Refusal {
			return service.Conflict("StorageAccountAlreadyTaken", "name", "The storage account named %s is already taken.", name)
		}, service.UsualName("AccountNameInvalid", "AlreadyExists")),
	{Method: http.MethodPost, Path: TypeAccount + "/*/listKeys", Answer: listKeys},
	{Method: http.MethodPost, Path: TypeAccount + "/*/regenerateKey", Answer: regenerateKey},
	{Method: http.MethodGet, Path: TypeAccount + "/*/blobServices/*", Answer: dataService("blobServices", "deleteRetentionPolicy")},
	{Method: http.MethodGet, Path: TypeAccount + "/*/fileServices/*", Answer: dataService("fileServices", "shareDeleteRetentionPolicy")},
}

func refuseName(name string) *service.Refusal {
	if ValidName(name) {
		return nil
	}
	return service.Refuse("AccountNameInvalid", "name", "%s", InvalidName(fmt.Sprintf("%.80s", name)))
}

type accountKeys struct {
	Keys []accountKey `json:"keys"`
}

type accountKey struct {
	Name        string `json:"keyName"`
	Value       string `json:"value"`
	Permissions string `json:"permissions"`
}

func listKeys(c *service.Call) (any, error) {
	return accountKeys{[]accountKey{{"key1", c.Keys[0], "FULL"}, {"key2", c.Keys[1], "FULL"}}}, nil
}

// regenerateKey makes a key anew, and answers both.
func regenerateKey(c *service.Call) (any, error) {
	var wanted struct {
		Name string `json:"keyName"`
	}
	if err := c.Read(&wanted); err != nil {
		return nil, err
	}
	number, known := map[string]int{"key1": 0, "key2": 1}[strings.ToLower(wanted.Name)]
	if !known {
		return nil, service.Refuse(service.CodeInvalidContent, "keyName", "The keyName '%.40s' is none of the account's: use key1 or key2.", wanted.Name)
	}
	if err := c.RenewKey(number); err != nil {
		return nil, err
	}
	return listKeys(c)
}

type settings struct {
	ID         model.ResourceID `json:"id"`
	Name       string           `json:"name"`
	Type       string           `json:"type"`
	Properties map[string]any   `json:"properties"`
}

// dataService answers the settings of an account's blob or file service. They cannot be changed here, so they are those of a
// new account: no cross-origin rules, nothing kept after deletion.
func dataService(collection, policy string) func(*service.Call) (any, error) {
	return func(c *service.Call) (any, error) {
		if c.Names[1] != "default" {
			return nil, &service.Refusal{Code: "ResourceNotFound", Field: c.Names[1], Status: http.StatusNotFound,
				Message: fmt.Sprintf("An account's service is called default, not '%s'.", c.Names[1])}
		}
		return settings{c.ID, "default", TypeAccount + "/" + collection, map[string]any{"cors": map[string]any{"corsRules": []any{}},
			policy: map[string]any{"enabled": false}}}, nil
	}
}
