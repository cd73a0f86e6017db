package servicetag

import (
	"encoding/json"
	"io"
)

// Encode writes the catalogue in the file's own format, so that Parse reads it back equal. Tags keep the file's order;
// prefixes are sorted. The same catalogue gives the same bytes. Errors are the writer's.
func (c *Catalogue) Encode(w io.Writer) error {
	out := file{ChangeNumber: c.changeNumber, Cloud: c.cloud, Values: make([]value, len(c.tags))}
	for i, tag := range c.tags {
		texts := make([]string, len(tag.Prefixes))
		for j, prefix := range tag.Prefixes {
			texts[j] = prefix.String()
		}
		out.Values[i] = value{Name: tag.Name, ID: tag.Name, Properties: properties{
			ChangeNumber: tag.ChangeNumber, Region: tag.Region, RegionID: tag.RegionID, Platform: tag.Platform,
			SystemService: tag.SystemService, AddressPrefixes: texts, NetworkFeatures: tag.NetworkFeatures,
		}}
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(out)
}
