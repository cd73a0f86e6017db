package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"postern/api/client"
	"postern/arm"
	"postern/authorization"
	"postern/resource"
	"postern/server"
	"postern/signin"
)

// principalRoutes make principals and new signing keys. Azure has these in another service, its directory.
func (p *Plane) principalRoutes() []arm.Route {
	return []arm.Route{
		{Method: http.MethodGet, Path: client.PrincipalsPath, Action: "Postern.Fabric/principals/read", Answer: p.listPrincipals},
		{Method: http.MethodPost, Path: client.PrincipalsPath, Action: "Postern.Fabric/principals/write", Answer: p.createPrincipal},
		{Method: http.MethodDelete, Path: client.PrincipalsPath, Action: "Postern.Fabric/principals/delete", Answer: p.deletePrincipal},
		{Method: http.MethodPost, Path: client.PrincipalsPath + "/secret", Action: "Postern.Fabric/principals/secret/action", Answer: p.resetPrincipal},
		{Method: http.MethodPost, Path: client.KeysPath + "/rotate", Action: "Postern.Fabric/keys/rotate/action", Answer: p.rotateNow},
	}
}

// principal is a principal as it is answered, with the roles that it has.
func (p *Plane) principal(one signin.Principal, secret string) client.Principal {
	return client.Principal{Name: one.Name, Kind: client.Application, AppID: one.ClientID(), ObjectID: one.ObjectID, Created: one.Created, Secret: secret,
		Roles: p.rolesOf(one.ObjectID)}
}

func (p *Plane) rolesOf(objectID string) []client.Role {
	roles := []client.Role{}
	set := p.Access.Set()
	for _, assignment := range set.Assignments() {
		if role, ok := set.Role(assignment.Role); ok && strings.EqualFold(assignment.PrincipalID, objectID) {
			roles = append(roles, client.Role{Name: role.RoleName, Scope: assignment.Scope})
		}
	}
	return roles
}

func (p *Plane) listPrincipals(r *http.Request) (int, any, error) {
	service, err := p.openSignIn(r.Context())
	if err != nil {
		return 0, nil, err
	}
	list := []client.Principal{}
	for _, one := range service.Principals() {
		list = append(list, p.principal(one, ""))
	}
	cloud, err := p.Cache.Current(r.Context())
	if err != nil {
		return 0, nil, err
	}
	for _, vm := range cloud.Snapshot().VirtualMachines {
		if vm.PrincipalID != "" {
			list = append(list, client.Principal{Name: string(vm.ID), Kind: client.ManagedIdentity, AppID: signin.ClientID(vm.PrincipalID), ObjectID: vm.PrincipalID,
				Roles: p.rolesOf(vm.PrincipalID)})
		}
	}
	return http.StatusOK, map[string]any{"value": list}, nil
}

// createPrincipal makes a principal and, where it is asked to, gives it a role.
func (p *Plane) createPrincipal(r *http.Request) (int, any, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, nil, err
	}
	var wanted client.NewPrincipal
	if err := json.Unmarshal(data, &wanted); err != nil {
		return 0, nil, &resource.Error{Code: resource.CodeInvalidRequestContent, Status: http.StatusBadRequest, Message: "The principal cannot be read: " + err.Error() + "."}
	}
	role, err := p.grantable(r.Context(), wanted)
	if err != nil {
		return 0, nil, err
	}
	service, err := p.openSignIn(r.Context())
	if err != nil {
		return 0, nil, err
	}
	made, secret, err := service.Create(r.Context(), wanted.Name)
	if err != nil {
		return 0, nil, err
	}
	if role != nil {
		now := time.Now().UTC().Truncate(time.Millisecond)
		_, _, err := p.Access.PutAssignment(r.Context(), authorization.Assignment{Name: uuid.NewString(), Scope: wanted.Scope, Role: role.Name,
			PrincipalID: made.ObjectID, PrincipalType: authorization.ServicePrincipal, Stamp: authorization.Stamp{CreatedOn: now, UpdatedOn: now}})
		if err != nil {
			_, undone := service.Delete(r.Context(), made.ObjectID)
			return 0, nil, errors.Join(err, undone)
		}
	}
	answer := p.principal(made, secret)
	answer.Tenant = service.Tenant()
	return http.StatusCreated, answer, nil
}

// grantable finds the role that a new principal is to have, by its name or GUID; nil for none.
func (p *Plane) grantable(ctx context.Context, wanted client.NewPrincipal) (*authorization.Role, error) {
	if wanted.Role == "" {
		return nil, nil
	}
	cloud, err := p.Cache.Current(ctx)
	if err != nil {
		return nil, err
	}
	if !server.ScopeExists(cloud, wanted.Scope) {
		return nil, &resource.Error{Code: resource.CodeResourceNotFound, Status: http.StatusNotFound, Target: "scope",
			Message: fmt.Sprintf("The scope '%.200s' was not found.", wanted.Scope)}
	}
	for _, role := range p.Access.Set().Roles() {
		if strings.EqualFold(role.RoleName, wanted.Role) || strings.EqualFold(role.Name, wanted.Role) {
			return role, nil
		}
	}
	return nil, &resource.Error{Code: "RoleDefinitionDoesNotExist", Status: http.StatusNotFound, Target: "role",
		Message: fmt.Sprintf("There is no role '%.80s'.", wanted.Role)}
}

func (p *Plane) deletePrincipal(r *http.Request) (int, any, error) {
	service, err := p.openSignIn(r.Context())
	if err != nil {
		return 0, nil, err
	}
	deleted, err := service.Delete(r.Context(), r.URL.Query().Get("principal"))
	if err != nil {
		return 0, nil, err
	}
	// Azure leaves its assignments, of a principal that is not found any more. An object id is never given again.
	_, err = p.Access.DeleteAssignments(r.Context(), func(a *authorization.Assignment) bool { return a.PrincipalID == deleted.ObjectID })
	return http.StatusOK, p.principal(deleted, ""), err
}

func (p *Plane) resetPrincipal(r *http.Request) (int, any, error) {
	service, err := p.openSignIn(r.Context())
	if err != nil {
		return 0, nil, err
	}
	changed, secret, err := service.Reset(r.Context(), r.URL.Query().Get("principal"))
	answer := p.principal(changed, secret)
	answer.Tenant = service.Tenant()
	return http.StatusOK, answer, err
}

func (p *Plane) rotateNow(r *http.Request) (int, any, error) {
	service, err := p.openSignIn(r.Context())
	if err != nil {
		return 0, nil, err
	}
	if err := service.Rotate(r.Context(), 0); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, client.Keys{KeyID: service.KeyID(), Published: service.PublishedKeys()}, nil
}
