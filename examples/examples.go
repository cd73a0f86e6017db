// Package examples holds the sample resource files, so that the program and the reader have the same.
package examples

import _ "embed"

// CloudName is the name of Cloud in messages: its path in the repository.
const CloudName = "examples/cloud.yaml"

// Cloud is cloud.yaml: the resources of the sample cloud, for resource.Load.
//
//go:embed cloud.yaml
var Cloud []byte
