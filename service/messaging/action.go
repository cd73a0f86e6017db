package messaging

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"

	"postern/model"
	"postern/service"
)

// rootRule is the one authorization rule that a namespace has: from its creation, with all rights. The gateway asks for no
// key: the backend checks them, and learns them from here.
const rootRule = "RootManageSharedAccessKey"

// Actions are what az and the SDKs ask about namespaces of a type beside the usual.
func Actions(typ string) []service.Action {
	provider := typ[:strings.IndexByte(typ, '/')]
	rules := typ + "/*/authorizationRules"
	return []service.Action{
		service.CheckName(provider+"/checkNameAvailability", "", typ, refuseName, nameTaken, answerName),
		{Method: http.MethodGet, Path: rules, Answer: func(c *service.Call) (any, error) {
			return map[string]any{"value": []any{ruleOf(c, typ)}}, nil
		}},
		{Method: http.MethodGet, Path: rules + "/*", Answer: func(c *service.Call) (any, error) {
			if err := knownRule(c); err != nil {
				return nil, err
			}
			return ruleOf(c, typ), nil
		}},
		{Method: http.MethodPost, Path: rules + "/*/listKeys", Answer: listKeys},
		{Method: http.MethodPost, Path: rules + "/*/regenerateKeys", Answer: regenerateKeys},
	}
}

func refuseName(name string) *service.Refusal {
	if ValidName(strings.ToLower(name)) {
		return nil
	}
	return service.Refuse("BadRequest", "name", "The namespace name '%.80s' is not valid: it must have 6 to 50 letters, digits and '-', begin with a "+
		"letter, and end with a letter or digit.", name)
}

func nameTaken(name string, _ model.ResourceID) *service.Refusal {
	return service.Conflict("Conflict", "name", "The namespace name '%s' is already in use. Names are unique in Service Bus and Event Hubs "+
		"together: use another one.", name)
}

// answerName answers as the two services do: with a reason also where the name is free.
func answerName(s *service.NameState) any {
	answer := service.NameAnswer{Available: s.Free(), Reason: s.Reason("InvalidName", "NameInUse"), Message: s.Message}
	if s.Free() {
		answer.Reason = "None"
	}
	return answer
}

type rule struct {
	ID         model.ResourceID `json:"id"`
	Name       string           `json:"name"`
	Type       string           `json:"type"`
	Location   any              `json:"location,omitempty"`
	Properties ruleProperties   `json:"properties"`
}

type ruleProperties struct {
	Rights []string `json:"rights"`
}

func ruleOf(c *service.Call, typ string) rule {
	namespace, _ := c.Object["id"].(string)
	return rule{model.ResourceID(namespace + "/authorizationRules/" + rootRule), rootRule, typ + "/authorizationRules", c.Object["location"],
		ruleProperties{[]string{"Listen", "Manage", "Send"}}}
}

// knownRule refuses any rule but the one that there is.
func knownRule(c *service.Call) error {
	if strings.EqualFold(c.Names[1], rootRule) {
		return nil
	}
	return &service.Refusal{Code: "NotFound", Field: c.Names[1], Status: http.StatusNotFound, Message: fmt.Sprintf("There is no authorization rule '%s' here: a "+
		"namespace has %s alone.", c.Names[1], rootRule)}
}

type ruleKeys struct {
	PrimaryConnection   string `json:"primaryConnectionString"`
	SecondaryConnection string `json:"secondaryConnectionString"`
	Primary             string `json:"primaryKey"`
	Secondary           string `json:"secondaryKey"`
	Name                string `json:"keyName"`
}

func listKeys(c *service.Call) (any, error) {
	if err := knownRule(c); err != nil {
		return nil, err
	}
	keys := ruleKeys{Name: rootRule}
	for number, at := range []struct{ key, connection *string }{{&keys.Primary, &keys.PrimaryConnection}, {&keys.Secondary, &keys.SecondaryConnection}} {
		*at.key = base64.StdEncoding.EncodeToString(c.Derived(number, rootRule, 32))
		*at.connection = fmt.Sprintf("Endpoint=sb://%s/;SharedAccessKeyName=%s;SharedAccessKey=%s", c.Host(""), rootRule, *at.key)
	}
	return keys, nil
}

// regenerateKeys makes one of the rule's keys anew, and answers both. Keys of the caller's own choice are not taken.
func regenerateKeys(c *service.Call) (any, error) {
	if err := knownRule(c); err != nil {
		return nil, err
	}
	var wanted struct {
		Type string `json:"keyType"`
		Key  string `json:"key"`
	}
	if err := c.Read(&wanted); err != nil {
		return nil, err
	}
	number, known := map[string]int{"primarykey": 0, "secondarykey": 1}[strings.ToLower(wanted.Type)]
	if !known || wanted.Key != "" {
		return nil, service.Refuse("BadRequest", "keyType", "The keyType must be PrimaryKey or SecondaryKey, it is '%.40s'; a key is made here, and none of your own is taken.", wanted.Type)
	}
	if err := c.RenewKey(number); err != nil {
		return nil, err
	}
	return listKeys(c)
}
