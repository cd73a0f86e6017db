package tableservice

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// keptFor is how long the rows of an account that went are kept: a plan without it may be an old one, or a mistake.
const keptFor = time.Hour

// Keep says which accounts there are, by lower-case name, each with a text that says which one of the name it is. An account
// that is not among them is not served, and what it held is dropped for good after an hour; what another account of the name
// held is dropped at once. An error says what could not be dropped or noted down; nobody gets to see that. Until the first
// call every account that the Authorizer knows is served.
func (s *Service) Keep(owners map[string]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owners = make(map[string]string, len(owners))
	for name, owner := range owners {
		s.owners[strings.ToLower(name)] = owner
	}
	var problems []error
	now := s.options.Now()
	for name, held := range s.accounts {
		owner, stays := s.owners[name]
		var err error
		switch {
		case stays && owner == held.owner:
			err = held.miss(time.Time{})
		case stays || !held.missed.IsZero() && now.Sub(held.missed) > keptFor:
			if err = held.drop(); err == nil {
				delete(s.accounts, name)
			}
		case held.missed.IsZero():
			err = held.miss(now)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("drop tables of account %s: %w", name, err))
		}
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

// miss notes since when an account is not there; zero: it is.
func (a *account) miss(since time.Time) error {
	if a.missed.Equal(since) {
		return nil
	}
	a.writing.Lock()
	defer a.writing.Unlock()
	if err := a.disk.miss(a.name, since); err != nil {
		return err
	}
	a.missed = since
	return nil
}
