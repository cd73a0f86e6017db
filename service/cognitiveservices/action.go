package cognitiveservices

import (
	"encoding/hex"
	"net/http"
	"strings"

	"postern/model"
	"postern/service"
)

// actions are what az and the SDKs ask about accounts beside the usual. The gateway asks for no key: the backend checks
// them, and learns them from here. An account that is deleted is gone: none waits to be recovered.
var actions = []service.Action{
	checkDomain(),
	{Method: http.MethodPost, Path: TypeAccount + "/*/listKeys", Answer: listKeys},
	{Method: http.MethodPost, Path: TypeAccount + "/*/regenerateKey", Answer: regenerateKey},
	{Method: http.MethodGet, Path: "Microsoft.CognitiveServices/deletedAccounts", Answer: func(*service.Call) (any, error) { return service.Empty, nil }},
}

// checkDomain asks about a subdomain: its question has it under another name than the usual.
func checkDomain() service.Action {
	return service.Action{Method: http.MethodPost, Path: "Microsoft.CognitiveServices/checkDomainAvailability", Names: true, Answer: func(c *service.Call) (any, error) {
		var question struct {
			Name string `json:"subdomainName"`
			Type string `json:"type"`
		}
		if err := c.Read(&question); err != nil {
			return nil, err
		}
		if question.Name == "" || !strings.EqualFold(question.Type, TypeAccount) {
			return nil, service.Refuse(service.CodeInvalidContent, "subdomainName", "The body must have a subdomainName and the type %s.", TypeAccount)
		}
		answer := map[string]any{"subdomainName": question.Name, "type": question.Type, "isSubdomainAvailable": true}
		switch {
		case !validSubdomain(strings.ToLower(question.Name)):
			answer["isSubdomainAvailable"], answer["reason"] = false, "The subdomain name is not valid: it has 2 to 63 letters, digits and hyphens."
		case c.Taken(question.Name):
			answer["isSubdomainAvailable"], answer["reason"] = false, nameTaken(question.Name, model.ResourceID("")).Message
		}
		return answer, nil
	}}
}

type accountKeys struct {
	Key1 string `json:"key1"`
	Key2 string `json:"key2"`
}

func listKeys(c *service.Call) (any, error) {
	return accountKeys{hex.EncodeToString(c.Derived(0, "key", 16)), hex.EncodeToString(c.Derived(1, "key", 16))}, nil
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
		return nil, service.Refuse("BadRequest", "keyName", "The keyName '%.40s' is none of the account's: use Key1 or Key2.", wanted.Name)
	}
	if err := c.RenewKey(number); err != nil {
		return nil, err
	}
	return listKeys(c)
}
