package resource

import (
	"encoding/json"
	"fmt"
	"strings"

	"postern/model"
)

// identity is what a resource acts as: an identity of its own, and resources of the type userAssignedIdentities.
type identity struct {
	own  bool
	user []string // ids, as they were written, sorted
}

func readIdentity(r *Record) (identity, error) {
	var body struct {
		Identity *struct {
			Type string                     `json:"type"`
			User map[string]json.RawMessage `json:"userAssignedIdentities"`
		} `json:"identity"`
	}
	if err := leniently(r.Body, &body); err != nil || body.Identity == nil {
		return identity{}, err
	}
	kind, err := oneOf(strings.ReplaceAll(body.Identity.Type, " ", ""), "identity.type", "None", "SystemAssigned", "UserAssigned", "SystemAssigned,UserAssigned")
	if err != nil {
		return identity{}, err
	}
	out := identity{own: strings.HasPrefix(kind, "SystemAssigned")}
	if !strings.HasSuffix(kind, "UserAssigned") {
		if len(body.Identity.User) > 0 {
			return out, refuse("InvalidIdentityType", "identity.type", "The identity type %s takes no userAssignedIdentities.", kind)
		}
		return out, nil
	}
	if out.user = sortedKeys(body.Identity.User); len(out.user) == 0 {
		return out, refuse("InvalidIdentityType", "identity.userAssignedIdentities", "The identity type %s needs userAssignedIdentities.", kind)
	}
	for _, id := range out.user {
		if _, err := referTo(&reference{ID: id}, TypeManagedIdentity, "identity.userAssignedIdentities"); err != nil {
			return out, err
		}
	}
	return out, nil
}

// identity judges that the identities which a resource names are there, and allots its own.
func (j *judge) identity(e *entry, i *identity) error {
	for _, id := range i.user {
		if j.after.entries.find(model.ResourceID(id).Key()) == nil {
			return refuse("FailedIdentityOperation", "identity.userAssignedIdentities", "Identity operation for resource '%s' failed: the identity %s was "+
				"not found.", e.record.ID, id)
		}
	}
	return j.guid(i.own, &e.record.Allotted.PrincipalID)
}

// identity answers the principals that a resource acts as.
func (a *answer) identity(object map[string]any, i *identity) {
	if i.own {
		inner := objectIn(object, "identity")
		inner["principalId"], inner["tenantId"] = a.entry.record.Allotted.PrincipalID, a.cloud.Snapshot().Settings.Tenant
	}
	for _, id := range i.user {
		if e := a.cloud.entries.find(model.ResourceID(id).Key()); e != nil {
			objectIn(objectIn(object, "identity"), "userAssignedIdentities")[id] = map[string]any{
				"principalId": e.record.Allotted.PrincipalID, "clientId": e.record.Allotted.ClientID}
		}
	}
}

// managedIdentity is Microsoft.ManagedIdentity/userAssignedIdentities: a principal that resources can act as. Role
// assignments and other resources name it.
type managedIdentity struct{ location model.Location }

func decodeManagedIdentity(r *Record) (any, error) {
	var body struct {
		header
		SystemData json.RawMessage `json:"systemData"`
		Properties struct {
			state
			TenantID       string `json:"tenantId"` // and the next two: answers that come back
			PrincipalID    string `json:"principalId"`
			ClientID       string `json:"clientId"`
			IsolationScope string `json:"isolationScope"`
		} `json:"properties"`
	}
	if err := strictly(r.Body, &body); err != nil {
		return nil, err
	}
	location, err := body.location()
	return &managedIdentity{location}, err
}

func (j *judge) managedIdentity(e *entry) error {
	if j.checkOnly {
		return nil
	}
	for _, into := range []*string{&e.record.Allotted.PrincipalID, &e.record.Allotted.ClientID} {
		if err := j.guid(true, into); err != nil {
			return fmt.Errorf("make %s: %w", e.record.ID, err)
		}
	}
	return nil
}

func (a *answer) managedIdentity(properties map[string]any) {
	delete(properties, "provisioningState") // it has none
	properties["tenantId"] = a.cloud.Snapshot().Settings.Tenant
	properties["principalId"], properties["clientId"] = a.entry.record.Allotted.PrincipalID, a.entry.record.Allotted.ClientID
}
