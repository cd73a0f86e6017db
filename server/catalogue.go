package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"

	"postern/servicetag"
	"postern/store"
)

// Catalogues keeps the newest service-tag catalogue parsed, so that the same stored bytes are always the same
// *servicetag.Catalogue: what is remembered by catalogue stays good. It is safe for concurrent use.
type Catalogues struct {
	store *store.Store

	mu      sync.Mutex // guards what follows
	sum     string
	current *servicetag.Catalogue
}

// NewCatalogues makes the catalogues of a store's cloud.
func NewCatalogues(s *store.Store) *Catalogues { return &Catalogues{store: s} }

// Current is the catalogue that was imported last, or the built-in one when none was.
func (c *Catalogues) Current(ctx context.Context) (*servicetag.Catalogue, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	sum, err := c.store.CatalogueSum(ctx)
	if err != nil {
		return nil, err
	}
	if sum == "" {
		return servicetag.BuiltIn(), nil
	}
	if sum == c.sum {
		return c.current, nil
	}
	data, err := c.store.Catalogue(ctx)
	if err != nil {
		return nil, err
	}
	parsed, err := servicetag.Parse(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("the stored service tags: %w", err)
	}
	// Another import may have come between the two readings: the bytes say which one these are.
	have := sha256.Sum256(data)
	c.sum, c.current = hex.EncodeToString(have[:]), parsed
	return parsed, nil
}
