package authorization

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"postern/resource"
)

// ServicePrincipal is the one type of principal that there is: applications and the identities of VMs.
const ServicePrincipal = "ServicePrincipal"

// Assignment gives a role to a principal at a scope.
type Assignment struct {
	Name          string `json:"name"`  // GUID in lower case, one for the whole tenant
	Scope         string `json:"scope"` // as first written, without a final slash; Root for the tenant
	Role          string `json:"role"`  // the role's name
	PrincipalID   string `json:"principalId"`
	PrincipalType string `json:"principalType"`
	Description   string `json:"description,omitempty"`
	Stamp
}

// ID is the assignment's own id.
func (a *Assignment) ID() string {
	return strings.TrimSuffix(a.Scope, "/") + "/providers/Microsoft.Authorization/roleAssignments/" + a.Name
}

func isGUID(text string) bool { return len(text) == 36 && uuid.Validate(text) == nil }

func refuse(status int, code, target, format string, args ...any) error {
	return &resource.Error{Code: code, Target: target, Status: status, Message: fmt.Sprintf(format, args...)}
}

// judge refuses an assignment that cannot be, whatever else there is.
func (a *Assignment) judge() error {
	switch {
	case !isGUID(a.Name):
		return refuse(http.StatusBadRequest, "InvalidRoleAssignmentId", "name",
			"The role assignment ID '%.80s' is not valid. The role assignment ID must be a GUID.", a.Name)
	case !isGUID(a.PrincipalID):
		return refuse(http.StatusBadRequest, "InvalidPrincipalId", "principalId", "The Principal ID '%.80s' is not valid. Principal ID must be a GUID.", a.PrincipalID)
	case a.PrincipalType != ServicePrincipal:
		return refuse(http.StatusBadRequest, "UnmatchedPrincipalType", "principalType",
			"The PrincipalId '%s' has type '%s', which is different from the specified PrincipalType '%.40s'.", a.PrincipalID, ServicePrincipal, a.PrincipalType)
	case len(a.Description) > maxDescription:
		return refuse(http.StatusBadRequest, "BadRequestFormat", "description", "The description is longer than %d characters.", maxDescription)
	}
	return nil
}
