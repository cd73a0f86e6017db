package deployment

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"postern/resource"
	"postern/signin"
)

// operationID names an operation by what it is about, so that a deployment that is taken up again goes on with the same one.
func operationID(kind string, target *TargetResource) string {
	sum := sha256.Sum256([]byte(strings.ToLower(kind + " " + target.ID)))
	return strings.ToUpper(hex.EncodeToString(sum[:8]))
}

// held is a resource of a group.
type held struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	Name string `json:"name"`
}

// holds lists what is in a resource group. The fabric's own resources are the operator's and no template's: they are left
// out.
func (s *Service) holds(ctx context.Context, caller signin.Caller, scope Scope) ([]held, error) {
	var all []held
	for path := scope.Path() + "/resources"; path != ""; {
		_, answer, err := s.Do(ctx, Call{Caller: caller, Method: http.MethodGet, Path: path, Version: groupVersion})
		if err != nil {
			return nil, err
		}
		var page struct {
			Value []held `json:"value"`
			Next  string `json:"nextLink"`
		}
		if err := json.Unmarshal(answer, &page); err != nil {
			return nil, err
		}
		for _, one := range page.Value {
			if !strings.HasPrefix(one.Type, "Postern.Fabric/") {
				all = append(all, one)
			}
		}
		path = ""
		if next, err := url.Parse(page.Next); err == nil && page.Next != "" {
			path = scope.Path() + "/resources?$skiptoken=" + url.QueryEscape(next.Query().Get("$skiptoken"))
		}
	}
	return all, nil
}

// stays tells whether a resource of the group is one that a deployment has.
func stays(id string, deployed map[string]bool) bool {
	id = strings.ToLower(id)
	for ; id != ""; id = id[:max(0, strings.LastIndexByte(id, '/'))] {
		if deployed[id] {
			return true
		}
	}
	return false
}

// deleteOthers removes what the group holds beside the template's resources. What others still refer to goes in a later
// turn; when a turn removes nothing any more, the refusals are the faults.
func (j *job) deleteOthers(ctx context.Context) (faults []*resource.Error, err error) {
	deployed := map[string]bool{}
	for _, r := range j.expansion.Resources {
		if r.Condition || r.Existing {
			deployed[strings.ToLower(r.ID)] = true
		}
	}
	for _, made := range j.made {
		deployed[strings.ToLower(made.ID)] = true
	}
	all, err := j.service.holds(ctx, j.caller, j.scope)
	if err != nil {
		return nil, err
	}
	var others []held
	for _, one := range all {
		if !stays(one.ID, deployed) {
			others = append(others, one)
		}
	}
	for len(others) > 0 {
		faults = nil
		var left []held
		for _, one := range others {
			fault, err := j.operate(ctx, "Delete", &TargetResource{ID: one.ID, Type: one.Type, Name: one.Name}, func() (int, error) {
				return j.write(ctx, http.MethodDelete, one.ID, groupVersion, nil)
			})
			if err != nil {
				return nil, err
			}
			if fault != nil {
				faults, left = append(faults, fault), append(left, one)
			}
		}
		if len(left) == len(others) {
			return faults, nil
		}
		others = left
	}
	return nil, nil
}
