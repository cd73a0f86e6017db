package house

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The API's door is the only way in: the demo and the command line change a cloud, and look at it, as everybody else does.
func TestOneDoor(t *testing.T) {
	around := []string{module + "/api", module + "/store", module + "/server"}
	const agents = "cmd/postern/nodes_linux.go" // the processes of nodes, which take their plans from the store
	looked := 0
	for _, source := range sources(t) {
		if source.test || source.folder != "demo" && source.folder != "cmd/postern" || strings.HasSuffix(source.file, agents) {
			continue
		}
		looked++
		for _, imported := range source.tree.Imports {
			name, err := strconv.Unquote(imported.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if slices.Contains(around, name) || strings.HasPrefix(name, module+"/store/") {
				t.Errorf("%s imports %s: go through the door, by api/client", source.at(imported), name)
			}
		}
	}
	if looked < 20 {
		t.Errorf("only %d files of the demo and the command line were looked at", looked)
	}
}
