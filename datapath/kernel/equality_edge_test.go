//go:build linux

package kernel

import (
	"bytes"
	"path/filepath"
	"testing"

	"postern/datapath/arbitrary"
	"postern/model"
	"postern/pipeline"
)

// The edge's programs and pipeline.Edge give the same verdict, the same reason and the same bytes (OUT-1).
func TestEqualityEdge(t *testing.T) {
	if err := Supported(); err != nil {
		t.Skip(err)
	}
	inNewNamespace(t)
	addLinks(t, "fabric0", "shadow0")
	pins := filepath.Join(bpffs(t), "edge")
	driver, err := Open(Options{Role: model.RoleEdge, Pins: pins, Fabric: "fabric0", Shadow: "shadow0"})
	if err != nil {
		t.Fatal(err)
	}
	w := &twins{driver: driver}
	t.Cleanup(func() {
		if err := driver.Close(); err != nil {
			t.Error(err)
		}
		if err := Remove(pins); err != nil {
			t.Error(err)
		}
	})
	reasons := map[model.Reason]int{}
	for seed := range uint64(100) {
		random := arbitrary.NewEdge(seed)
		edge := pipeline.NewEdge()
		if err := edge.Apply(random.Node); err != nil {
			t.Fatal(err)
		}
		if err := driver.Apply(t.Context(), random.Node); err != nil {
			t.Fatal(err)
		}
		before := w.counters(t)
		for i := range 200 {
			p, ok := w.judgeEdge(t, edge, random, i%2 == 0)
			if !ok {
				continue
			}
			after := w.counters(t)
			p.reason, p.nic = increment(before, after)
			before = after
			reasons[p.want.Verdict.Reason]++
			if problem := p.differAtEdge(); problem != "" {
				t.Fatalf("seed %d packet %d (from the fabric: %v): %s\nsent\n%spipeline %v %v\n%skernel %d %v\n%s", seed, i, i%2 == 0, problem,
					dump(p.sent), p.want.Verdict.Action, p.want.Verdict.Reason, dump(p.want.Data), p.answer, p.reason, dump(p.got))
			}
		}
	}
	for _, reason := range []model.Reason{model.ReasonInternet, model.ReasonRegionalEgress, model.ReasonMartian,
		model.ReasonNoSuchNIC, model.ReasonMalformed, model.ReasonSourceAddress, model.ReasonNoOutbound, model.ReasonNotOurs} {
		t.Logf("%7d %s", reasons[reason], reason)
		if reasons[reason] == 0 {
			t.Errorf("no random packet met reason %s: the comparison says nothing about it", reason)
		}
	}
}

func (w *twins) judgeEdge(t testing.TB, edge *pipeline.Edge, random *arbitrary.Edge, fromFabric bool) (p pair, ok bool) {
	t.Helper()
	program, ifname, etherType, packet := w.driver.objects.EdgeToFabric, "shadow0", []byte{0x08, 0x00}, []byte(nil)
	if fromFabric {
		program, ifname, etherType, packet = w.driver.objects.EdgeFromFabric, "fabric0", []byte{0x86, 0xdd}, random.FromFabric()
	} else {
		packet = random.ToFabric()
	}
	p.sent = append(append(make([]byte, 12, 14+len(packet)), etherType...), packet...)
	if !runnable(p.sent) {
		return pair{}, false
	}
	if out := make([]byte, len(packet)+pipeline.Headroom); fromFabric {
		p.want = edge.FromFabric(packet, out)
	} else {
		p.want = edge.ToFabric(packet, out)
	}
	ifindex, _ := linkOf(ifname)
	var err error
	if p.answer, p.got, err = w.driver.run(program, ifindex, p.sent); err != nil {
		t.Fatalf("%v\n%s", err, dump(p.sent))
	}
	return p, true
}

func (p *pair) differAtEdge() string {
	if p.want.Verdict.Action != model.ToInternet {
		return p.differ()
	}
	if p.reason != p.want.Verdict.Reason || p.answer != answerOK {
		return "verdicts differ"
	}
	if !bytes.Equal(p.got[14:], p.want.Data) {
		return "packets differ"
	}
	return ""
}
