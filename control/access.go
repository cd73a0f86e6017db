package control

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"postern/authorization"
	"postern/keyring"
	"postern/model"
	"postern/resource"
	"postern/server"
	"postern/signin"
)

// openAccess reads the roles, forgets what was given at scopes that have gone, and goes on doing so.
func (p *Plane) openAccess(ctx context.Context) (*server.Access, error) {
	access, err := server.OpenAccess(ctx, p.Store.Store)
	if err != nil {
		return nil, err
	}
	cloud, err := p.Cache.Current(ctx)
	if err != nil {
		return nil, err
	}
	p.Cache.OnChange = func(ctx context.Context, after *resource.Cloud) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sweepTime)
		defer cancel()
		if err := access.Sweep(ctx, after); err != nil {
			p.log.Error("remove the role assignments of deleted resources; it is tried again with the next change", "error", err)
		}
	}
	p.work.Go(func() { access.Follow(p.ctx) })
	return access, access.Sweep(ctx, cloud)
}

// signIn is the plane's token service. It is made when it is first needed, since making keys takes a while.
type signIn struct {
	mu      sync.Mutex
	service *signin.Service
}

// openSignIn answers the token service.
func (p *Plane) openSignIn(ctx context.Context) (*signin.Service, error) {
	p.signIn.mu.Lock()
	defer p.signIn.mu.Unlock()
	if p.signIn.service != nil {
		return p.signIn.service, nil
	}
	service, err := signin.New(ctx, signin.Options{Secrets: p.Store.Store, Tenant: model.DefaultSettings.Tenant, Managed: p.managed})
	if err != nil {
		return nil, err
	}
	p.work.Go(func() { service.Follow(p.ctx) })
	p.work.Go(func() { p.rotateKeys(service) })
	p.signIn.service = service
	return service, nil
}

// beginSignIn is openSignIn for who can tell a secret to the cloud's owner. The principal that a cloud begins with is made
// then; that it is the owner of the subscription is an assignment like any other.
func (p *Plane) beginSignIn(ctx context.Context) (service *signin.Service, secret string, err error) {
	if service, err = p.openSignIn(ctx); err != nil {
		return nil, "", err
	}
	if secret, err = service.First(ctx); err != nil {
		return nil, "", err
	}
	if owner, ok := service.Owner(); ok && p.Access.Untouched() {
		now := time.Now().UTC().Truncate(time.Millisecond)
		_, _, err = p.Access.PutAssignment(ctx, authorization.Assignment{Name: uuid.NewString(), Scope: "/subscriptions/" + resource.DefaultSubscription,
			Role: authorization.Owner, PrincipalID: owner.ObjectID, PrincipalType: authorization.ServicePrincipal, Description: "The principal that the cloud began with",
			Stamp: authorization.Stamp{CreatedOn: now, UpdatedOn: now, CreatedBy: owner.ObjectID, UpdatedBy: owner.ObjectID}})
	}
	return service, secret, err
}

// sweepTime bounds how long a change waits until the assignments of what it deleted are removed.
const sweepTime = 5 * time.Second

// rotateCheck is how often the age of the signing keys is looked at.
const rotateCheck = time.Hour

// rotateKeys lets new signing keys take over by the clock, until the plane closes.
func (p *Plane) rotateKeys(service *signin.Service) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-timer.C:
		}
		if err := service.Rotate(p.ctx, keyring.Period); err != nil && p.ctx.Err() == nil {
			p.log.Error("rotate the signing keys; the former ones go on", "error", err)
		}
		timer.Reset(rotateCheck)
	}
}

func (p *Plane) principalExists(ctx context.Context, objectID string) (bool, error) {
	service, err := p.openSignIn(ctx)
	if err != nil {
		return false, err
	}
	return service.Exists(ctx, objectID)
}

// managed finds the VM whose identity has an object id.
func (p *Plane) managed(ctx context.Context, objectID string) (string, bool, error) {
	cloud, err := p.Cache.Current(ctx)
	if err != nil {
		return "", false, err
	}
	for _, vm := range cloud.Snapshot().VirtualMachines {
		if vm.PrincipalID != "" && strings.EqualFold(vm.PrincipalID, objectID) {
			return string(vm.ID), true, nil
		}
	}
	return "", false, nil
}

// ownerID is the application id of the principal that the cloud began with; "" when it has been deleted.
func ownerID(service *signin.Service) string {
	owner, ok := service.Owner()
	if !ok {
		return ""
	}
	return owner.ClientID()
}
