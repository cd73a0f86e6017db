package resource

import (
	"slices"
	"strings"
)

// ServiceAliases are what a service endpoint policy's definition for the service Global may list (SEP-5): Azure's own services,
// all of them or those of one kind. None of them runs here, so a definition of aliases lets nothing through.
var ServiceAliases = []string{"/services/Azure", "/services/Azure/Batch", "/services/Azure/DataFactory", "/services/Azure/MachineLearning",
	"/services/Azure/ManagedInstance", "/services/Azure/WebPI"}

func isServiceAlias(text string) bool {
	return slices.ContainsFunc(ServiceAliases, func(alias string) bool { return strings.EqualFold(alias, text) })
}
