package arm

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"postern/resource"
)

// defaultRules answers the rules that every network security group has (NSG-1), all or the one that is named.
func defaultRules(r *request) (int, any, error) {
	group := r.at
	group.types, group.names = group.types[:1], group.names[:1]
	id, err := group.id()
	if err != nil {
		return 0, nil, err
	}
	rules, err := r.defaultRulesOf(id)
	if err != nil {
		return 0, nil, err
	}
	if len(r.at.names) == 1 {
		return r.slice(rules)
	}
	for _, rule := range rules {
		var named struct{ Name string }
		if err := json.Unmarshal(rule, &named); err != nil {
			return 0, nil, err
		}
		if strings.EqualFold(named.Name, r.at.names[1]) {
			return http.StatusOK, rule, nil
		}
	}
	return 0, nil, &resource.Error{Code: resource.CodeResourceNotFound, Status: http.StatusNotFound, Target: r.at.scope(),
		Message: fmt.Sprintf("The default security rule '%s' was not found in network security group '%s'.", r.at.names[1], r.at.names[0])}
}

// defaultRulesOf are the default rules of a group, as ARM answers them.
func (r *request) defaultRulesOf(group resource.ID) ([]json.RawMessage, error) {
	answer, err := r.door.API.Get(r.Context(), group)
	if err != nil {
		return nil, r.missing(err)
	}
	var body struct {
		Properties struct {
			Rules []json.RawMessage `json:"defaultSecurityRules"`
		} `json:"properties"`
	}
	err = json.Unmarshal(answer, &body)
	return body.Properties.Rules, err
}
