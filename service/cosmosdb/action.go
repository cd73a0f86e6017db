package cosmosdb

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"

	"postern/service"
)

// actions are what az and the SDKs ask about accounts beside the usual. The gateway asks for no key: the keys are the
// backend's to check, who learns them from here.
var actions = []service.Action{
	{Method: http.MethodHead, Path: "Microsoft.DocumentDB/databaseAccountNames/*", Right: "Microsoft.DocumentDB/databaseAccountNames/read",
		Tenant: true, Names: true, Answer: accountExists},
	{Method: http.MethodPost, Path: TypeAccount + "/*/listKeys", Answer: listKeys},
	{Method: http.MethodPost, Path: TypeAccount + "/*/readonlykeys", Answer: readOnlyKeys},
	{Method: http.MethodGet, Path: TypeAccount + "/*/readonlykeys", Answer: readOnlyKeys},
	{Method: http.MethodPost, Path: TypeAccount + "/*/listConnectionStrings", Answer: listConnectionStrings},
	{Method: http.MethodPost, Path: TypeAccount + "/*/regenerateKey", Answer: regenerateKey},
}

func accountExists(c *service.Call) (any, error) {
	if c.Taken(c.Name()) {
		return nil, nil
	}
	return nil, &service.Refusal{Code: "NotFound", Field: c.Name(), Status: http.StatusNotFound,
		Message: fmt.Sprintf("There is no database account with the name %s.", c.Name())}
}

type readOnly struct {
	Primary   string `json:"primaryReadonlyMasterKey"`
	Secondary string `json:"secondaryReadonlyMasterKey"`
}

type accountKeys struct {
	Primary   string `json:"primaryMasterKey"`
	Secondary string `json:"secondaryMasterKey"`
	readOnly
}

// keysOf are an account's keys. The read-only ones follow from the others, and change with them.
func keysOf(c *service.Call) accountKeys {
	derived := func(number int) string { return base64.StdEncoding.EncodeToString(c.Derived(number, "read-only", 64)) }
	return accountKeys{c.Keys[0], c.Keys[1], readOnly{derived(0), derived(1)}}
}

func listKeys(c *service.Call) (any, error) { return keysOf(c), nil }

func readOnlyKeys(c *service.Call) (any, error) { return keysOf(c).readOnly, nil }

type connectionString struct {
	Value       string `json:"connectionString"`
	Description string `json:"description"`
	KeyKind     string `json:"keyKind"`
	Type        string `json:"type"`
}

func listConnectionStrings(c *service.Call) (any, error) {
	keys := keysOf(c)
	list := []connectionString{}
	for _, one := range []struct{ kind, words, key string }{{"Primary", "Primary SQL", keys.Primary}, {"Secondary", "Secondary SQL", keys.Secondary},
		{"PrimaryReadonly", "Primary Read-Only SQL", keys.readOnly.Primary}, {"SecondaryReadonly", "Secondary Read-Only SQL", keys.readOnly.Secondary}} {
		list = append(list, connectionString{fmt.Sprintf("AccountEndpoint=https://%s:443/;AccountKey=%s;", c.Host(""), one.key),
			one.words + " Connection String", one.kind, "Sql"})
	}
	return map[string]any{"connectionStrings": list}, nil
}

// regenerateKey makes a key anew, and with it the read-only one that follows from it.
func regenerateKey(c *service.Call) (any, error) {
	var wanted struct {
		Kind string `json:"keyKind"`
	}
	if err := c.Read(&wanted); err != nil {
		return nil, err
	}
	number, known := map[string]int{"primary": 0, "secondary": 1}[strings.ToLower(wanted.Kind)]
	if !known {
		return nil, service.Refuse("BadRequest", "keyKind", "The keyKind '%.40s' cannot be made anew by itself here: a read-only key follows from the primary or the "+
			"secondary key, so use one of these.", wanted.Kind)
	}
	return nil, c.RenewKey(number)
}
