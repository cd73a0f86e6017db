package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"postern/api/client"
	"postern/servicetag"
)

func newTags(a *app) *cobra.Command {
	return newGroup("tags", "Service tags: which prefixes belong to which service", newTagsLookup(a), newTagsList(a), newTagsImport(a))
}

// catalogue is the one of the running cloud, and the built-in one where none runs or it has imported none. It says on stderr
// which one it is.
func (a *app) catalogue(ctx context.Context) (*servicetag.Catalogue, error) {
	c, err := a.connect()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	data, err := c.Catalogue(ctx)
	which := "imported"
	var catalogue *servicetag.Catalogue
	switch {
	case errors.Is(err, client.ErrNoServer):
		which, catalogue = "built in, no cloud runs", servicetag.BuiltIn()
	case err != nil:
		return nil, err
	case len(data) == 0:
		which, catalogue = "built in, none was imported", servicetag.BuiltIn()
	default:
		if catalogue, err = servicetag.Parse(bytes.NewReader(data)); err != nil {
			return nil, err
		}
	}
	fmt.Fprintf(a.stderr, "service tags: %s (change number %d)\n", which, catalogue.ChangeNumber())
	return catalogue, nil
}
