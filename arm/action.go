package arm

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"postern/model"
	"postern/resource"
	"postern/service"
	"postern/service/all"
)

// serviceRoutes are the actions that services bring with them.
func serviceRoutes() map[string]methods {
	routes := make(map[string]methods)
	for _, s := range all.Services() {
		for i := range s.Actions {
			action := &s.Actions[i]
			key := strings.ToLower(action.Path)
			if routes[key] == nil {
				routes[key] = make(methods)
			}
			routes[key][action.Method] = route{action.Right, func(r *request) (int, any, error) { return r.act(s, action) }}
		}
	}
	return routes
}

// namesRights are the rights, in lower case, of actions that tell whether a name is free.
var namesRights = func() map[string]bool {
	rights := make(map[string]bool)
	for _, s := range all.Services() {
		for i := range s.Actions {
			if action := &s.Actions[i]; action.Names {
				right := action.Right
				if right == "" {
					right = strings.ReplaceAll(action.Path, "/*", "") + "/action"
				}
				rights[strings.ToLower(right)] = true
			}
		}
	}
	return rights
}()

// act answers an action of a service.
func (r *request) act(s *service.Service, action *service.Action) (int, any, error) {
	if action.Tenant != (r.at.subscription == "") {
		return 0, nil, nothingAt(r.segments)
	}
	cloud, err := r.door.Cache.Current(r.Context())
	if err != nil {
		return 0, nil, err
	}
	snapshot := cloud.Snapshot()
	call := &service.Call{Subscription: r.at.subscription, ID: model.ResourceID(r.at.scope()), Names: r.at.names, Query: r.URL.Query(), Settings: &snapshot.Settings,
		Body: r.body, Taken: func(name string) bool {
			return slices.ContainsFunc(snapshot.Instances, func(i *model.ServiceInstance) bool {
				return i.Space == s.LabelSpace() && strings.EqualFold(i.Name, name)
			})
		}}
	if typ := typeOfAction(s, action); typ != nil {
		if err := r.aboutInstance(call, s, typ); err != nil {
			return 0, nil, err
		}
	}
	answer, err := action.Answer(call)
	return http.StatusOK, answer, resource.FromRefusal(err)
}

// typeOfAction is the type of the resource that an action is about; nil for none.
func typeOfAction(s *service.Service, action *service.Action) *service.Type {
	for i := range s.Types {
		if strings.HasPrefix(action.Path, s.Types[i].Name+"/*/") {
			return &s.Types[i]
		}
	}
	return nil
}

// aboutInstance gives a call the resource that its path begins with.
func (r *request) aboutInstance(call *service.Call, s *service.Service, typ *service.Type) error {
	at := r.at
	at.types, at.names = at.types[:1], at.names[:1]
	id, err := at.id()
	if err != nil {
		return err
	}
	cloud, err := r.door.Cache.Current(r.Context())
	if err != nil {
		return err
	}
	etag := ""
	if record, ok := cloud.Record(id); ok {
		etag = record.ETag()
	}
	if call.Object, err = objectOf(r.door.API.Get(r.Context(), id)); err != nil {
		return r.missing(err)
	}
	call.Host = func(part string) string {
		if s.Zones != nil {
			for _, zone := range s.Zones(*call.Settings) {
				if zone.Part == part {
					return strings.ToLower(id.Name()) + "." + zone.Suffix
				}
			}
		}
		return ""
	}
	call.RenewKey = func(number int) error {
		made, err := r.door.API.RegenerateKey(r.Context(), id, number)
		if err == nil {
			err = r.door.API.Await(r.Context(), made.Operation) // clients take 200 alone
		}
		if err != nil {
			return r.missing(err)
		}
		call.Keys, err = r.door.keysOf(r.Context(), id)
		return err
	}
	call.Change = func(properties map[string]any) (map[string]any, error) {
		body, err := json.Marshal(map[string]any{"properties": properties})
		if err != nil {
			return nil, fmt.Errorf("change %s: %w", id, err)
		}
		if err := r.authorizeBody(id, body); err != nil {
			return nil, err
		}
		conditions := r.conditions()
		if conditions.IfMatch == "" {
			conditions.IfMatch = etag // what it is made of may have been written meanwhile
		}
		made, err := r.door.API.Patch(r.Context(), id, body, conditions)
		if err == nil {
			err = r.door.API.Await(r.Context(), made.Operation)
		}
		if err != nil {
			return nil, r.missing(err)
		}
		return objectOf(r.door.API.Get(r.Context(), id))
	}
	if !typ.Keys {
		return nil
	}
	if call.Keys, err = r.door.keysOf(r.Context(), id); err == nil && call.Keys[0] == "" { // it is from before its type had keys
		err = call.RenewKey(0)
	}
	return err
}

// keysOf are the keys that a resource was allotted.
func (d *Door) keysOf(ctx context.Context, id resource.ID) ([2]string, error) {
	cloud, err := d.Cache.Current(ctx)
	if err != nil {
		return [2]string{}, err
	}
	record, ok := cloud.Record(id)
	if !ok {
		return [2]string{}, resource.NotFound(id)
	}
	return record.Allotted.Keys, nil
}

func objectOf(answer json.RawMessage, err error) (map[string]any, error) {
	if err != nil {
		return nil, err
	}
	var object map[string]any
	if err := json.Unmarshal(answer, &object); err != nil {
		return nil, fmt.Errorf("read an answer: %w", err)
	}
	return object, nil
}
