package tableservice

import (
	"errors"
	"fmt"
	"strings"
)

// Keep says which accounts there are, by lower-case name, each with a text that says whose it is. What the service holds for
// others, or for an account of the name that was another's, is dropped for good; an error says what could not be dropped, and
// nobody gets to see that. Until the first call every account that the Authorizer knows is served.
func (s *Service) Keep(owners map[string]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owners = make(map[string]string, len(owners))
	for name, owner := range owners {
		s.owners[strings.ToLower(name)] = owner
	}
	var problems []error
	for name, held := range s.accounts {
		if owner, stays := s.owners[name]; stays && owner == held.owner {
			continue
		}
		if err := held.drop(); err != nil {
			problems = append(problems, fmt.Errorf("drop tables of account %s: %w", name, err))
			continue
		}
		delete(s.accounts, name)
	}
	return errors.Join(problems...)
}

// account gives the account's tables; nil where it has none to give: the account is gone, or what another account of the name
// left is not dropped yet. Only an authorised request gets here, so strangers make none.
func (s *Service) account(name string) *account {
	s.mu.Lock()
	defer s.mu.Unlock()
	owner, known := s.owners[name]
	if s.owners != nil && !known {
		return nil
	}
	have, ok := s.accounts[name]
	if !ok {
		have = &account{limit: s.options.AccountBytes, name: name, owner: owner, disk: s.disk}
		s.accounts[name] = have
	}
	if have.owner != owner {
		return nil
	}
	return have
}

// drop ends an account. Requests that are still in it find nothing, and write nothing.
func (a *account) drop() error {
	a.writing.Lock()
	defer a.writing.Unlock()
	if err := a.disk.forget(a.name); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gone, a.tables, a.size = true, nil, 0
	return nil
}
