// Package examples holds the sample resource files, so that the program and the reader have the same.
package examples

import (
	_ "embed"
	"slices"
	"strings"

	"postern/resource"
)

// CloudName is the name of Cloud in messages: its path in the repository.
const CloudName = "examples/cloud.yaml"

// Cloud is cloud.yaml: the resources of the sample cloud, for resource.Load.
//
//go:embed cloud.yaml
var Cloud []byte

// Nodes are the hosts, gateways and edges of Cloud alone: what a cloud needs before az, an SDK or Terraform can make
// anything in it that carries packets.
func Nodes() ([]resource.Item, error) {
	items, err := resource.Load(CloudName, Cloud)
	return slices.DeleteFunc(items, func(item resource.Item) bool { return !strings.EqualFold(item.ID.Type(), resource.TypeNode) }), err
}
