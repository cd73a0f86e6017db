package compile_test

import (
	"flag"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"postern/compile"
	"postern/model"
	"postern/plan"
	"postern/resource"
	"postern/servicetag"
)

var update = flag.Bool("update", false, "write what the scripts show into their golden texts")

// TestScripts runs testdata/*.txtar: resources in, tables of plans out. Commands:
//
//	apply FILE…            writes resources, all or nothing; with ! the refusal goes to stderr
//	delete ID…             removes resources, by the tail of their ids in the default group
//	show NODE PART [NIC]   prints a part of a node's plan; see render_test.go for the parts
//	empty                  asserts that no plan has anything of VNets, NICs or accounts
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata", UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			env.Values["world"] = newWorld()
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"apply": func(ts *testscript.TestScript, neg bool, args []string) {
				var documents []string
				for _, file := range args {
					documents = append(documents, ts.ReadFile(file))
				}
				judge(ts, neg, worldOf(ts).apply(strings.Join(documents, "\n---\n")))
			},
			"delete": func(ts *testscript.TestScript, neg bool, args []string) { judge(ts, neg, worldOf(ts).remove(args...)) },
			"failover": func(ts *testscript.TestScript, neg bool, args []string) { // ACCOUNT [planned]
				full, _ := resource.Expand("storageAccounts/" + args[0])
				id, err := resource.ParseID(full)
				ts.Check(err)
				judge(ts, neg, worldOf(ts).change(func(change *resource.Change) error { return change.FailOver(id, len(args) > 1) }))
			},
			"show": func(ts *testscript.TestScript, _ bool, args []string) {
				plans, err := worldOf(ts).compile()
				ts.Check(err)
				text, err := show(plans, args)
				ts.Check(err)
				fmt.Fprint(ts.Stdout(), text)
			},
			"empty": func(ts *testscript.TestScript, _ bool, _ []string) {
				plans, err := worldOf(ts).compile()
				ts.Check(err)
				ts.Check(wantEmpty(plans))
			},
		},
	})
}

func worldOf(ts *testscript.TestScript) *world { return ts.Value("world").(*world) }

// judge ends the script unless an operation failed exactly when it should.
func judge(ts *testscript.TestScript, neg bool, err error) {
	switch {
	case neg && err == nil:
		ts.Fatalf("it succeeded")
	case neg:
		fmt.Fprintln(ts.Stderr(), err)
	default:
		ts.Check(err)
	}
}

// world is a cloud without a store.
type world struct {
	cloud     *resource.Cloud
	compiler  compile.Compiler
	catalogue *servicetag.Catalogue
	random    counting
}

// counting is a reader of bytes that are always the same, and never the same twice.
type counting uint64

func (c *counting) Read(data []byte) (int, error) {
	for i := range data {
		*c++
		data[i] = byte(*c>>8) ^ byte(*c*151)
	}
	return len(data), nil
}

func newWorld() *world {
	cloud, err := resource.NewCloud(nil, resource.FirstCounters, 0)
	if err != nil {
		panic(err) // there is nothing to read
	}
	return &world{cloud: cloud, catalogue: servicetag.BuiltIn()}
}

func (w *world) change(build func(*resource.Change) error) error {
	change := resource.NewChange(w.cloud, resource.Options{Random: &w.random, FrontAddresses: func(_ string, region model.Location) []netip.Prefix {
		tag, _ := w.catalogue.Regional("Storage", region)
		return tag.Prefixes
	}})
	if err := build(change); err != nil {
		return err
	}
	outcome, err := change.Finish()
	if err != nil {
		return err
	}
	w.cloud = outcome.After.At(w.cloud.Revision+1, outcome.Puts)
	return nil
}

func (w *world) apply(documents string) error {
	items, err := resource.Load("script", []byte(documents))
	if err != nil {
		return err
	}
	slices.SortStableFunc(items, func(a, b resource.Item) int { return len(a.ID.Types) - len(b.ID.Types) })
	return w.change(func(change *resource.Change) error {
		for _, item := range items {
			if _, err := change.Put(item.ID, item.Body); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *world) remove(short ...string) error {
	return w.change(func(change *resource.Change) error {
		for _, text := range short {
			full, _ := resource.Expand(text)
			id, err := resource.ParseID(full)
			if err != nil {
				return err
			}
			if existed, err := change.Delete(id); err != nil || !existed {
				return fmt.Errorf("delete %s: existed %v, %w", text, existed, err)
			}
		}
		return nil
	})
}

func (w *world) compile() (map[string]plan.Node, error) {
	return w.compiler.Compile(w.cloud.Snapshot(), w.catalogue)
}

// wantEmpty finds what plans still have of VNets, NICs and accounts.
func wantEmpty(plans map[string]plan.Node) error {
	for name, node := range plans {
		var left int
		switch {
		case node.Host != nil:
			h := node.Host
			left = len(h.NICs) + len(h.Directory) + len(h.Routes) + len(h.Rules) + len(h.Sets) + len(h.Policies) + len(h.Services)
		case node.Gateway != nil:
			g := node.Gateway
			left = len(g.Instances) + len(g.Addresses) + len(g.Subnets) + len(g.Machines) + len(g.Policies) + len(g.Names) + len(g.VirtualNetworks)
		case node.Edge != nil:
			left = len(node.Edge.NICs)
		}
		if left > 0 {
			return fmt.Errorf("the plan of node %s is not empty: %+v", name, node)
		}
	}
	return nil
}
