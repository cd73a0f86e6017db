package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Ref names shared content by its hash: 16 hex digits. "" refers to nothing.
type Ref string

// RefOf names content by its hash. Contents of different kinds with the same bytes never share a name. The content must
// be plain data.
func RefOf(kind string, content any) Ref {
	bytes, err := json.Marshal(content)
	if err != nil {
		panic(fmt.Sprintf("content %s does not marshal: %v", kind, err)) // plain data always does
	}
	sum := sha256.Sum256(append([]byte(kind+"\n"), bytes...))
	return Ref(hex.EncodeToString(sum[:8]))
}
