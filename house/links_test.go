package house

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// What runs on every node stays small and knows nothing of how resources are kept or asked for. The test asks the go
// command, since what counts is what is linked in the end.
func TestLinks(t *testing.T) {
	tests := []struct {
		packages []string
		never    []string // import paths, with all below them
	}{
		{
			[]string{"agent", "node", "gateway", "platform", "datapath/kernel", "datapath/userspace", "lab"},
			[]string{"go.etcd.io/etcd/server", "github.com/Azure", "postern/api", "postern/server", "postern/control",
				"postern/compile", "postern/store/embedded", "testing"},
		},
		{
			[]string{"model", "wire", "packet", "plan", "translate", "routes", "compile", "pipeline", "servicetag"},
			[]string{"net/http", "os/exec", "go.etcd.io", "github.com/Azure", "github.com/cilium/ebpf",
				"github.com/vishvananda/netlink", "gvisor.dev/gvisor", "testing"},
		},
		{
			[]string{"resource"}, // speaks HTTP's status numbers
			[]string{"os/exec", "go.etcd.io", "github.com/Azure", "github.com/cilium/ebpf", "gvisor.dev/gvisor", "testing"},
		},
		{
			[]string{"cmd/postern"}, // what users install
			[]string{"github.com/gopacket", "pgregory.net/rapid", "github.com/Azure", "testing"},
		},
	}
	for _, test := range tests {
		for _, name := range test.packages {
			t.Run(name, func(t *testing.T) {
				command := exec.Command("go", "list", "-deps", module+"/"+name)
				command.Dir = root
				command.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0", "GOFLAGS=")
				var complaint strings.Builder
				command.Stderr = &complaint
				out, err := command.Output()
				if err != nil {
					t.Fatalf("%v: %v: %s", command, err, complaint.String())
				}
				for linked := range strings.Lines(string(out)) {
					linked = strings.TrimSpace(linked)
					for _, never := range test.never {
						if linked == never || strings.HasPrefix(linked, never+"/") {
							t.Errorf("%s links %s: find the import by go mod why, or go list -deps, and take it out", name, linked)
						}
					}
				}
			})
		}
	}
}
