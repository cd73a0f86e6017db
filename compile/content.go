package compile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"postern/plan"
)

// refOf names content by its hash. Contents of different kinds with the same bytes never share a name.
func refOf(kind string, content any) plan.Ref {
	bytes, err := json.Marshal(content)
	if err != nil {
		panic(fmt.Sprintf("content %s does not marshal: %v", kind, err)) // plain data always does
	}
	sum := sha256.Sum256(append([]byte(kind+"\n"), bytes...))
	return plan.Ref(hex.EncodeToString(sum[:8]))
}

// share puts content into one of a plan's maps and returns its name.
func share[T any](into map[plan.Ref]T, kind string, content T) plan.Ref {
	ref := refOf(kind, content)
	into[ref] = content
	return ref
}
