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
	{Method: http.MethodPost, Path: TypeAccount + "/*/listAccountSas", Answer: accountSAS},
	{Method: http.MethodPost, Path: TypeAccount + "/*/listServiceSas", Answer: serviceSAS},
	{Method: http.MethodGet, Path: TypeAccount + "/*/blobServices/*", Answer: dataService("blobServices", "deleteRetentionPolicy")},
	{Method: http.MethodGet, Path: TypeAccount + "/*/fileServices/*", Answer: dataService("fileServices", "shareDeleteRetentionPolicy")},
}

func refuseName(name string) *service.Refusal {
	if ValidName(name) {
		return nil
	}
	return service.Refuse("AccountNameInvalid", "name", "%s", InvalidName(fmt.Sprintf("%.80s", name)))
}

// accountSAS answers a token for an account, signed with one of its keys.
func accountSAS(c *service.Call) (any, error) {
	var wanted AccountSAS
	if err := c.Read(&wanted); err != nil {
		return nil, err
	}
	token, err := wanted.Token(strings.ToLower(c.Names[0]), c.Keys)
	return map[string]string{"accountSasToken": token}, err
}

// serviceSAS answers a token for a part of an account, signed with one of its keys.
func serviceSAS(c *service.Call) (any, error) {
	var wanted ServiceSAS
	if err := c.Read(&wanted); err != nil {
		return nil, err
	}
	token, err := wanted.Token(strings.ToLower(c.Names[0]), c.Keys)
	return map[string]string{"serviceSasToken": token}, err
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
