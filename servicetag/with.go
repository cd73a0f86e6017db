package servicetag

import "slices"

// With is the same catalogue with more tags, such as those of services of the operator's own.
func (c *Catalogue) With(tags []Tag) *Catalogue {
	if len(tags) == 0 {
		return c
	}
	return newCatalogue(c.changeNumber, c.cloud, slices.Concat(c.tags, tags))
}
