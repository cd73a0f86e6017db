package arm

import (
	"strings"
	"testing"

	"postern/service/all"
)

// Each action of a service is found by its path, and takes the right that lets in who asks for names.
func TestServiceActions(t *testing.T) {
	found := 0
	for _, s := range all.Services() {
		for i := range s.Actions {
			action := &s.Actions[i]
			path := "subscriptions/s/resourceGroups/g/providers/" + strings.ReplaceAll(action.Path, "*", "name")
			if action.Tenant {
				path = "providers/" + strings.ReplaceAll(action.Path, "*", "name")
			}
			route, at, err := new(Door).find(action.Method, strings.Split(path, "/"))
			if err != nil {
				t.Errorf("%s %s: %v", action.Method, action.Path, err)
				continue
			}
			found++
			if right := strings.ToLower(route.action(action.Method, at)); namesRights[right] != action.Names {
				t.Errorf("GOV-1 %s %s takes the right %s, which tells of names: %v, want %v", action.Method, action.Path, right, namesRights[right], action.Names)
			}
			// What tells of names has no resource whose keys it could tell.
			if action.Names && typeOfAction(s, action) != nil {
				t.Errorf("GOV-1 %s is about a resource, and asks for no role on it", action.Path)
			}
		}
	}
	if found < 30 {
		t.Errorf("only %d actions", found)
	}
}
