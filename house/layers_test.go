package house

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layers are the floors of the house, lowest first. A package imports packages of lower layers alone, so it can be
// understood, tested and replaced with what lies beneath it. A new package must be given its place here.
var layers = [][]string{
	// The nouns: no I/O.
	{"model", "resource/schema"},
	// One idea each, about nouns alone: formats, numbers, addresses.
	{"wire", "packet", "plan", "servicetag", "template", "token", "certificate", "firewall", "demo/application",
		"resource/sdktest",
		"datapath/kernel/bpf", "datapath/userspace/splice", "gateway/relay"},
	// What a service is; each of them, with the protocols that they speak; their list; resources, which know no service.
	{"service", "protocol/*"},
	{"service/messaging"}, // what Service Bus and Event Hubs share
	{"service/*"},
	{"service/all"},
	{"resource"},
	// What follows from one or two of them.
	{"translate", "routes", "tableservice", "examples", "store", "api/client", "keyring", "authorization", "activity",
		"servicetag/tagtest", "datapath/arbitrary", "datapath/userspace/socks", "demo/backend", "demo/visit"},
	// The two pure hearts, resources to plans and packets to verdicts; and who keeps resources and plans.
	{"compile", "pipeline", "store/embedded", "server", "agent", "signin"},
	// Drivers: here the kernel, sockets and other stacks are met.
	{"datapath/kernel", "datapath/userspace", "lab", "gateway", "platform", "api"},
	// Parts put together: a node, an explanation that asks every judge; its answers; a control plane.
	{"node", "explain", "deployment"},
	{"inspect"},
	{"arm"},
	{"control"},
	// A whole cloud on one machine, and what runs on it; a control plane and az for tests.
	{"cloud", "control/controltest", "arm/aztest"},
	{"demo", "bench"},
	// The command line, and these tests.
	{"cmd/postern", "house"},
}

// unbuilt are packages that have their place before they have code.
var unbuilt = []string{}

// layerOf is the floor of a package: its own, or that of all in its folder ("service/*").
func layerOf(folder string) int {
	for _, name := range []string{folder, path.Dir(folder) + "/*"} {
		if at := slices.IndexFunc(layers, func(layer []string) bool { return slices.Contains(layer, name) }); at >= 0 {
			return at
		}
	}
	return -1
}

func TestLayers(t *testing.T) {
	built := map[string]bool{}
	for _, source := range sources(t) {
		built[source.folder] = true
		built[path.Dir(source.folder)+"/*"] = true
		own := layerOf(source.folder)
		if own < 0 {
			t.Errorf("%s: package %s has no place: add it to layers in house/layers_test.go", source.file, source.folder)
			continue
		}
		if source.test {
			continue // a test may stand on what its package must not: Go itself forbids the circles
		}
		for _, imported := range source.tree.Imports {
			name, err := strconv.Unquote(imported.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			folder, ours := strings.CutPrefix(name, module+"/")
			if ours && layerOf(folder) >= own {
				t.Errorf("%s imports %s, which is not below it", source.at(imported), folder)
			}
			if ours && strings.HasSuffix(folder, "test") {
				t.Errorf("%s imports %s, which is for tests", source.at(imported), folder)
			}
		}
	}
	for _, folder := range slices.Concat(layers...) {
		if !built[folder] && !slices.Contains(unbuilt, folder) {
			t.Errorf("layers in house/layers_test.go place %s, which is no package: take it out", folder)
		}
	}
}

// A package is named for what it knows, not for being of use.
func TestPackageNames(t *testing.T) {
	for _, source := range sources(t) {
		name := strings.TrimSuffix(source.tree.Name.Name, "_test")
		switch name {
		case "util", "utils", "common", "helper", "helpers", "manager", "misc", "base", "shared":
			t.Errorf("%s: package %s: name it for its one idea", source.file, name)
		case "main":
			if !strings.HasPrefix(source.folder, "cmd/") {
				t.Errorf("%s: a command belongs below cmd/", source.file)
			}
		default:
			if folder := path.Base(source.folder); name != folder {
				t.Errorf("%s: package %s in folder %s: give both one name", source.file, name, folder)
			}
		}
	}
}
