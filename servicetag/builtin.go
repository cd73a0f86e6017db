package servicetag

import (
	"bytes"
	_ "embed"
	"fmt"
	"sync"
)

// builtInFile is a small true part of Microsoft's file of 28 July 2025: the services with endpoints and AzureCloud, in
// four European regions, with a few IPv4 prefixes each. Every prefix of a regional tag lies in one of the service's
// top-level tag and in one of AzureCloud of its region.
//
//go:embed builtin.json
var builtInFile []byte

var builtIn = sync.OnceValue(func() *Catalogue {
	catalogue, err := Parse(bytes.NewReader(builtInFile))
	if err != nil {
		panic(fmt.Sprintf("built-in service tags: %v", err))
	}
	return catalogue
})

// BuiltIn is the catalogue for a cloud that has imported none.
func BuiltIn() *Catalogue { return builtIn() }
