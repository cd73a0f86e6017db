package house

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"postern/model"
	"postern/plan"
)

const bpfFolder = "datapath/kernel/bpf/"

// Numbers that stand in packets, maps and counters are written down twice, in Go and in C. A name of C is the name of Go
// with underscores; what has another name is listed.
func TestNumbersOfC(t *testing.T) {
	constants := goConstants(t, "model")
	tests := []struct {
		file, enum string
		prefix     string // of the Go names
		renamed    map[string]string
	}{
		{"reason.h", "reason", "Reason", nil},
		{"wire.h", "function", "Function", nil},
		{"plan.h", "next_hop_type", "NextHop", map[string]string{"NEXT_HOP_GATEWAY": "NextHopVirtualNetworkGateway"}},
		{"plan.h", "route_source", "Source", map[string]string{"SOURCE_GATEWAY": "SourceVirtualNetworkGateway"}},
	}
	for _, test := range tests {
		t.Run(test.enum, func(t *testing.T) {
			twins := map[string]int64{}
			for name, value := range constants {
				if strings.HasPrefix(name, test.prefix) && name != "ReasonFirstDenial" {
					twins[strings.ToLower(name)] = value
				}
			}
			if len(twins) < 3 {
				t.Fatalf("only %d constants begin with %s", len(twins), test.prefix)
			}
			for name, value := range enum(t, test.file, test.enum) {
				twin := strings.ToLower(strings.ReplaceAll(name, "_", ""))
				if renamed := test.renamed[name]; renamed != "" {
					twin = strings.ToLower(renamed)
				}
				want, known := twins[twin]
				switch {
				case !known:
					t.Errorf("%s of %s has no twin in package model", name, test.file)
				case value != want:
					t.Errorf("%s of %s is %d, in package model %d", name, test.file, value, want)
				}
				delete(twins, twin)
			}
			for left := range twins {
				t.Errorf("%s of package model has no twin in %s", left, test.file)
			}
		})
	}
}

// Sizes and fixed numbers.
func TestLimitsOfC(t *testing.T) {
	limits := enums(t, "plan.h")
	identities := enums(t, "wire.h")
	for name, pair := range map[string][2]int64{
		"MAX_CANDIDATES":    {limits["MAX_CANDIDATES"], plan.MaxServiceCandidates},
		"MAX_RULES":         {limits["MAX_RULES"], goConstants(t, "datapath/kernel")["maxRules"]},
		"IDENTITY_NONE":     {identities["IDENTITY_NONE"], int64(model.IdentityNone)},
		"IDENTITY_PLATFORM": {identities["IDENTITY_PLATFORM"], int64(model.IdentityPlatform)},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %d in C, %d in Go", name, pair[0], pair[1])
		}
	}
	if limits["REASONS"] < int64(model.ReasonCount) {
		t.Errorf("REASONS is %d: too few for the %d reasons of package model", limits["REASONS"], model.ReasonCount)
	}
	folded := map[string]int64{}
	for name, value := range goConstants(t, "datapath/kernel") {
		folded[strings.ToLower(name)] = value
	}
	for name, value := range enum(t, "plan.h", "nic_flag") {
		twin := "flag" + strings.ReplaceAll(strings.TrimPrefix(name, "NIC_"), "_", "")
		if got, known := folded[strings.ToLower(twin)]; !known || got != value {
			t.Errorf("%s is %d in C, and package datapath/kernel has no %s of that value", name, value, twin)
		}
	}
}

var (
	cComment = regexp.MustCompile(`(?s)/\*.*?\*/|//[^\n]*`)
	cEnum    = regexp.MustCompile(`enum\s*(\w*)\s*\{([^}]*)\}`)
)

// enum returns one named enumeration of an eBPF header.
func enum(t *testing.T, file, name string) map[string]int64 {
	t.Helper()
	for _, found := range cEnum.FindAllStringSubmatch(cComment.ReplaceAllString(read(t, bpfFolder+file), ""), -1) {
		if found[1] == name {
			return members(t, found[2])
		}
	}
	t.Fatalf("%s has no enum %s", file, name)
	return nil
}

// enums returns all enumerations of an eBPF header together.
func enums(t *testing.T, file string) map[string]int64 {
	t.Helper()
	all := map[string]int64{}
	for _, found := range cEnum.FindAllStringSubmatch(cComment.ReplaceAllString(read(t, bpfFolder+file), ""), -1) {
		for name, value := range members(t, found[2]) {
			all[name] = value
		}
	}
	return all
}

// members reads the inside of an enumeration: names that count up, some with a decimal number of their own.
func members(t *testing.T, body string) map[string]int64 {
	t.Helper()
	values := map[string]int64{}
	next := int64(0)
	for member := range strings.SplitSeq(body, ",") {
		name, value, given := strings.Cut(strings.TrimSpace(member), "=")
		name = strings.TrimSpace(name)
		if name == "" {
			continue
		}
		if given {
			number, err := strconv.ParseInt(strings.TrimSpace(value), 0, 64)
			if err != nil {
				t.Fatalf("enumerator %s: %v", name, err)
			}
			next = number
		}
		values[name] = next
		next++
	}
	return values
}

// goConstants returns the whole numbers among a package's constants. Nothing that it imports is read: a constant that
// needs another package is left out.
func goConstants(t *testing.T, folder string) map[string]int64 {
	t.Helper()
	var files []*ast.File
	set := token.NewFileSet()
	for _, source := range sources(t) {
		if source.folder == folder && !source.test {
			set = source.set
			files = append(files, source.tree)
		}
	}
	if len(files) == 0 {
		t.Fatalf("no package in %s", folder)
	}
	config := types.Config{Importer: noImports{}, Error: func(error) {}}
	checked, _ := config.Check(module+"/"+folder, set, files, nil)
	values := map[string]int64{}
	for _, name := range checked.Scope().Names() {
		if named, ok := checked.Scope().Lookup(name).(*types.Const); ok && named.Val().Kind() == constant.Int {
			if value, exact := constant.Int64Val(named.Val()); exact {
				values[name] = value
			}
		}
	}
	return values
}

// noImports refuses every import.
type noImports struct{}

func (noImports) Import(name string) (*types.Package, error) {
	return nil, fmt.Errorf("package %s is not read here", name)
}
