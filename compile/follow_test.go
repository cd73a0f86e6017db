package compile_test

import (
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"postern/compile"
	"postern/resource"
)

// TestFollow compiles after every one of many random writes, and wants what a compiler makes that knows nothing of before: a plan
// that a change was forgotten in could let in what is no longer allowed.
func TestFollow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		if err := w.apply(randomNodes + randomBase); err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "peered") {
			if err := w.apply(peeredBase); err != nil {
				t.Fatal(err)
			}
		}
		var written []string
		for range rapid.IntRange(5, 40).Draw(t, "writes") {
			document, write := drawDocument(t), w.apply
			if rapid.IntRange(0, 4).Draw(t, "deletes") == 0 {
				document, write = drawRecord(t, w), w.delete
			}
			var refusal *resource.Error
			if err := write(document); errors.As(err, &refusal) {
				continue
			} else if err != nil {
				t.Fatalf("%s\n%v", document, err)
			}
			written = append(written, document)
			if rapid.IntRange(0, 3).Draw(t, "several at once") == 0 {
				continue
			}
			wantAnew(t, w, written)
		}
		deleteAll(t, w)
		wantAnew(t, w, append(written, "everything is deleted"))
	})
}

// drawRecord is the id of some resource.
func drawRecord(t *rapid.T, w *world) string {
	return rapid.SampledFrom(w.cloud.Records("")).Draw(t, "resource").ID
}

func (w *world) delete(text string) error {
	return w.change(func(change *resource.Change) error {
		id, err := resource.ParseID(text)
		if err == nil {
			_, err = change.Delete(id)
		}
		return err
	})
}

// peeredBase joins the two networks, and has NICs in both. Writes to one must reach the hosts of the other.
const peeredBase = `
- {type: virtualNetworks/virtualNetworkPeerings, name: va/pb, properties: {remoteVirtualNetwork: {id: virtualNetworks/vb}}}
- {type: virtualNetworks/virtualNetworkPeerings, name: vb/pa, properties: {remoteVirtualNetwork: {id: virtualNetworks/va}}}
- {type: networkInterfaces, name: na0, location: westeurope, properties: {ipConfigurations: [{name: main, properties: {subnet: {id: virtualNetworks/va/subnets/sa}}}]}}
- {type: networkInterfaces, name: nb0, location: westeurope, properties: {ipConfigurations: [{name: main, properties: {subnet: {id: virtualNetworks/vb/subnets/sa}}}]}}
`

func wantAnew(t *rapid.T, w *world, written []string) {
	have, err := w.compile()
	if err != nil {
		t.Fatal(err)
	}
	want, err := new(compile.Compiler).Compile(w.cloud.Snapshot(), w.catalogue)
	if err != nil {
		t.Fatal(err)
	}
	for name, node := range want {
		if !reflect.DeepEqual(have[name], node) {
			t.Fatalf("the plan of %s is not what it is from nothing:\n%+v\n%+v\nafter %q", name, have[name], node, written)
		}
	}
	if len(have) != len(want) {
		t.Fatalf("%d plans, want %d", len(have), len(want))
	}
}
