package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"postern/resource"
)

// Patch changes the members of a resource that a body names and leaves the others (RFC 7396), waits for the nodes, and
// answers the resource as it stands.
func (a *API) Patch(ctx context.Context, id resource.ID, body json.RawMessage, conditions Conditions) (json.RawMessage, error) {
	patch, err := objectOf(body)
	if err != nil {
		return nil, &resource.Error{Code: resource.CodeInvalidRequestContent, Status: http.StatusBadRequest,
			Message: "The request content was invalid and could not be deserialized: it must be a JSON object."}
	}
	cloud, err := a.cache.Change(ctx, a.options, func(cloud *resource.Cloud, change *resource.Change) error {
		if err := conditions.hold(cloud, id); err != nil {
			return err
		}
		current, err := cloud.Render(id, Succeeded)
		if err != nil {
			return err
		}
		object, err := objectOf(current)
		if err != nil {
			return err
		}
		merged, err := json.Marshal(merge(object, patch))
		if err != nil {
			return err
		}
		_, err = change.Put(id, merged)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := a.enforce(ctx, cloud.Revision); err != nil {
		return nil, err
	}
	return cloud.Render(id, Succeeded)
}

func objectOf(body []byte) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var object map[string]any
	err := decoder.Decode(&object)
	if err == nil && object == nil {
		object = map[string]any{}
	}
	return object, err
}

// merge lays a patch over an object. Names do not depend on case; tags are replaced as a whole, as Azure does.
func merge(object, patch map[string]any) map[string]any {
	return mergeAt(object, patch, true)
}

func mergeAt(object, patch map[string]any, top bool) map[string]any {
	for name, value := range patch {
		have := name
		for other := range object {
			if strings.EqualFold(other, name) {
				have = other
			}
		}
		inner, isObject := value.(map[string]any)
		former, wasObject := object[have].(map[string]any)
		switch {
		case value == nil:
			delete(object, have)
		case isObject && wasObject && !(top && strings.EqualFold(name, "tags")):
			object[have] = mergeAt(former, inner, false)
		default:
			object[have] = value
		}
	}
	return object
}
