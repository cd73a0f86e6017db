package certificate

import (
	"container/list"
	"crypto/tls"
	"fmt"
	"strings"
	"sync"
	"time"
)

// cacheSize bounds the leaves that a Minter keeps. A client that asks for many names pushes out old ones and costs a
// signature each (some 50 µs), but no memory.
const cacheSize = 4096

// Minter gives TLS servers a leaf for whatever allowed name a client asks for, and keeps it until it has little time
// left. It is safe for concurrent use.
type Minter struct {
	authority *Authority
	suffixes  []string // lower case, each with a leading dot
	now       func() time.Time
	size      int

	mu     sync.Mutex
	byName map[string]*list.Element // of *minted
	recent *list.List               // most recently used first
}

type minted struct {
	name        string
	certificate *tls.Certificate
}

// NewMinter mints names below the suffixes ("core.windows.net": any name that ends in ".core.windows.net"), and a suffix
// itself when it is asked for exactly. now is the clock; nil is time.Now.
func NewMinter(authority *Authority, suffixes []string, now func() time.Time) *Minter {
	if now == nil {
		now = time.Now
	}
	minter := &Minter{authority: authority, now: now, size: cacheSize, byName: map[string]*list.Element{}, recent: list.New()}
	for _, suffix := range suffixes {
		minter.suffixes = append(minter.suffixes, "."+strings.ToLower(strings.Trim(suffix, ".")))
	}
	return minter
}

// GetCertificate is for tls.Config. It fails, and with it the handshake, without SNI and for a name that is not allowed.
func (m *Minter) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.TrimSuffix(strings.ToLower(hello.ServerName), ".")
	if !m.allowed(name) {
		return nil, fmt.Errorf("choose a certificate: name %q is not below %s", name, strings.Join(m.suffixes, " or "))
	}
	now := m.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if element, ok := m.byName[name]; ok {
		kept := element.Value.(*minted)
		if now.Before(kept.certificate.Leaf.NotAfter.Add(-LeafLifetime/3)) && now.After(kept.certificate.Leaf.NotBefore) {
			m.recent.MoveToFront(element)
			return kept.certificate, nil
		}
		m.remove(element)
	}
	certificate, err := m.authority.Issue([]string{name}, now)
	if err != nil {
		return nil, err
	}
	m.byName[name] = m.recent.PushFront(&minted{name, certificate})
	if m.recent.Len() > m.size {
		m.remove(m.recent.Back())
	}
	return certificate, nil
}

func (m *Minter) remove(element *list.Element) {
	delete(m.byName, element.Value.(*minted).name)
	m.recent.Remove(element)
}

// allowed compares at label boundaries, so "evilcore.windows.net" is not below "core.windows.net".
func (m *Minter) allowed(name string) bool {
	if !validName(name) {
		return false
	}
	for _, suffix := range m.suffixes {
		if strings.HasSuffix("."+name, suffix) {
			return true
		}
	}
	return false
}
