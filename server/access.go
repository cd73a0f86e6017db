package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"postern/authorization"
	"postern/resource"
	"postern/store"
)

// accessKind is the kind of documents that roles and assignments are stored as, and the folders of their names.
const (
	accessKind        = "access"
	rolesFolder       = "roles/"
	assignmentsFolder = "assignments/"
)

// Access keeps the roles and their assignments: in the store, and decoded for decisions. It is safe for concurrent use.
// A decision reads memory alone. What this process writes holds at once, what others write when Follow hears of it.
type Access struct {
	store   *store.Store
	current atomic.Pointer[accessState]

	mu   sync.Mutex // held by writers, so that they do not overtake each other; guards what follows
	gone []string   // names of assignments that give nothing any more, but may be in the store still
}

type accessState struct {
	set      *authorization.Set
	revision int64
}

// OpenAccess reads the roles and assignments of a cloud.
func OpenAccess(ctx context.Context, s *store.Store) (*Access, error) {
	a := &Access{store: s}
	return a, a.load(ctx)
}

// Set is the roles and assignments that hold now.
func (a *Access) Set() *authorization.Set { return a.current.Load().set }

// Untouched tells whether nobody has written a role or an assignment yet.
func (a *Access) Untouched() bool { return a.current.Load().revision == 0 }

func (a *Access) load(ctx context.Context) error {
	documents, err := a.store.Documents(ctx, accessKind)
	if err != nil {
		return err
	}
	var roles []authorization.Role
	var assignments []authorization.Assignment
	for name, value := range documents.Values {
		var err error
		if strings.HasPrefix(name, rolesFolder) {
			var role authorization.Role
			err = json.Unmarshal(value, &role)
			roles = append(roles, role)
		} else {
			var assignment authorization.Assignment
			err = json.Unmarshal(value, &assignment)
			assignments = append(assignments, assignment)
		}
		if err != nil {
			return fmt.Errorf("read %s of the roles: %w", name, err)
		}
	}
	a.current.Store(&accessState{authorization.NewSet(roles, assignments).DeleteAssignments(a.gone...), documents.Revision})
	return nil
}

// Follow takes over what other processes write, until the context ends.
func (a *Access) Follow(ctx context.Context) {
	for revision := range a.store.WatchDocuments(ctx, accessKind) {
		a.mu.Lock()
		if revision > a.current.Load().revision {
			_ = a.load(ctx) // what was known stays; the next writer reads again
		}
		a.mu.Unlock()
	}
}

// accessWrite is what a change stores beside the set that it makes.
type accessWrite struct {
	puts    map[string]any
	deletes []string
}

// change makes a change of the newest set and stores it, all of it or nothing. build may be called several times.
func (a *Access) change(ctx context.Context, build func(*authorization.Set) (*authorization.Set, accessWrite, error)) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for range maxRetries {
		state := a.current.Load()
		after, write, err := build(state.set)
		if err != nil || len(write.puts) == 0 && len(write.deletes) == 0 {
			return err
		}
		puts := make(map[string][]byte, len(write.puts))
		for name, value := range write.puts {
			if puts[name], err = json.Marshal(value); err != nil {
				return fmt.Errorf("write %s of the roles: %w", name, err)
			}
		}
		revision, err := a.store.PutDocuments(ctx, accessKind, state.revision, puts, write.deletes)
		if err == nil {
			a.current.Store(&accessState{after, revision})
			return nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
		if err := a.load(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("write the roles: other writers came first %d times: repeat the request", maxRetries)
}

// PutRole writes a custom role, and answers it as it then stands. Refusals are *resource.Error.
func (a *Access) PutRole(ctx context.Context, role authorization.Role) (written *authorization.Role, err error) {
	err = a.change(ctx, func(set *authorization.Set) (after *authorization.Set, write accessWrite, err error) {
		if after, written, err = set.PutRole(role); err == nil {
			write.puts = map[string]any{rolesFolder + written.Name: written}
		}
		return after, write, err
	})
	return written, err
}

// DeleteRole removes a custom role, and answers it as it was; nil when there was none.
func (a *Access) DeleteRole(ctx context.Context, name string) (deleted *authorization.Role, err error) {
	err = a.change(ctx, func(set *authorization.Set) (after *authorization.Set, write accessWrite, err error) {
		if after, deleted, err = set.DeleteRole(name); deleted != nil {
			write.deletes = []string{rolesFolder + deleted.Name}
		}
		return after, write, err
	})
	return deleted, err
}

// PutAssignment writes an assignment, and answers it as it then stands and whether it is new.
func (a *Access) PutAssignment(ctx context.Context, assignment authorization.Assignment) (written *authorization.Assignment, created bool, err error) {
	err = a.change(ctx, func(set *authorization.Set) (after *authorization.Set, write accessWrite, err error) {
		if after, written, created, err = set.PutAssignment(assignment); err == nil {
			write.puts = map[string]any{assignmentsFolder + written.Name: written}
		}
		return after, write, err
	})
	return written, created, err
}

// DeleteAssignments removes the assignments that are chosen, and answers them.
func (a *Access) DeleteAssignments(ctx context.Context, chosen func(*authorization.Assignment) bool) (deleted []*authorization.Assignment, err error) {
	err = a.change(ctx, func(set *authorization.Set) (*authorization.Set, accessWrite, error) {
		var write accessWrite
		var names []string
		deleted = nil
		for _, assignment := range set.Assignments() {
			if chosen(assignment) {
				deleted, names = append(deleted, assignment), append(names, assignment.Name)
				write.deletes = append(write.deletes, assignmentsFolder+assignment.Name)
			}
		}
		return set.DeleteAssignments(names...), write, nil
	})
	return deleted, err
}

// Sweep removes the assignments whose scope a cloud no longer has, so that they do not hold for another resource that is given
// the name. They give nothing from now on also where they cannot be removed from the store, which the next sweep tries again.
func (a *Access) Sweep(ctx context.Context, cloud *resource.Cloud) error {
	a.mu.Lock()
	for _, assignment := range a.Set().Assignments() {
		if !ScopeExists(cloud, assignment.Scope) {
			a.gone = append(a.gone, assignment.Name)
		}
	}
	gone := a.gone
	a.mu.Unlock()
	if len(gone) == 0 {
		return nil
	}
	err := a.change(ctx, func(set *authorization.Set) (*authorization.Set, accessWrite, error) {
		var write accessWrite
		for _, name := range gone {
			write.deletes = append(write.deletes, assignmentsFolder+name)
		}
		return set.DeleteAssignments(gone...), write, nil
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil {
		a.gone = nil
		return nil
	}
	state := a.current.Load()
	a.current.Store(&accessState{state.set.DeleteAssignments(gone...), state.revision})
	return err
}

// ScopeExists tells whether a cloud has what a scope names: the tenant, a subscription, a resource group or a resource.
func ScopeExists(cloud *resource.Cloud, scope string) bool {
	segments := strings.Split(strings.Trim(scope, "/"), "/")
	switch {
	case segments[0] == "":
		return true
	case len(segments) == 2:
		return cloud.HasSubscription(segments[1])
	case len(segments) == 4:
		return cloud.HasGroup(segments[1], segments[3])
	}
	id, err := resource.ParseID(scope)
	if err != nil {
		return false
	}
	if !id.IsChild() {
		_, ok := cloud.Record(id)
		return ok
	}
	_, err = cloud.Render(id, "")
	return err == nil
}
