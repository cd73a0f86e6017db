package resource

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"postern/resource/schema"
	"postern/service/all"
)

// updates names, for the types that take more than tags in a PATCH, the model of its body.
var updates = map[string]string{
	TypeVirtualMachine: "compute.VirtualMachineUpdate",
}

// Patch is the body that a PATCH makes of a resource: current is its present answer or body, patch what the client sent.
// It is to be put in the resource's place. Azure's rules hold, not those of RFC 7396: network resources take tags alone;
// an account takes the members of its own update model, each member of properties replaced as sent, so that networkAcls
// come whole; a null leaves a member as it is, tags are replaced as a whole, and children take no PATCH but those that say so.
//
// Give the answer rather than the stored body as current: it has the states of network rules, and so a rule whose subnet
// was deleted does not come to life by a PATCH of something else (FW-7).
func Patch(id ID, current, patch json.RawMessage) (json.RawMessage, error) {
	if child := childOf(id.Type()); id.IsChild() && (child == nil || !child.Patched) {
		return nil, about(&Error{Code: "MethodNotAllowed", Status: http.StatusMethodNotAllowed, Target: id.String(), Message: fmt.Sprintf(
			"Resources of the type %s take no PATCH: GET it, change it and PUT it.", id.Type())}, id.String())
	}
	object, err := readObject(current)
	if err != nil {
		return nil, fmt.Errorf("patch %s: read the resource as it stands: %w", id, err)
	}
	changes, err := readObject(patch)
	if err != nil {
		return nil, about(err, id.String())
	}
	if changes, err = allowedChanges(id, changes); err != nil {
		return nil, about(err, id.String())
	}
	for name, value := range changes {
		if inner, ok := value.(map[string]any); ok && (name == "properties" || name == "identity") {
			into := objectIn(object, name)
			for name, value := range inner {
				into[member(into, name)] = value
			}
			continue
		}
		object[member(object, name)] = value
	}
	merged, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("patch %s: %w", id, err)
	}
	return merged, nil
}

// allowedChanges reads a patch by the update model of its type; without one, tags are all that it may have.
func allowedChanges(id ID, patch map[string]any) (map[string]any, error) {
	if _, typ := all.Type(id.Type()); typ != nil && typ.Update == "" {
		return patch, nil
	}
	if child := childOf(id.Type()); child != nil {
		return patch, nil // judged with what it makes
	}
	name, ok := updateOf(id.Type())
	if !ok {
		changes := make(map[string]any)
		for _, have := range sortedKeys(patch) {
			if !strings.EqualFold(have, "tags") {
				return nil, refuse("OnlyTagsSupportedForPatch", have, "Only tags are supported for patch operation on %s. Unexpected property '%s' found.",
					id.Type(), have)
			}
			if patch[have] == nil {
				continue
			}
			tags, ok := patch[have].(map[string]any)
			if !ok {
				return nil, refuse(CodeInvalidRequestFormat, "tags", "The value of 'tags' is %s; it must be an object.", schema.Describe(patch[have]))
			}
			changes["tags"] = tags
		}
		return changes, nil
	}
	changes, _, err := schema.Azure().Clean(name, patch)
	var fault *schema.Fault
	if errors.As(err, &fault) {
		return nil, refuse(CodeInvalidRequestFormat, fault.Path, "%s", fault.Message)
	}
	return changes, err
}
