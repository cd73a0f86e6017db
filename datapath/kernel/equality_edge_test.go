//go:build linux

package kernel

import (
	"bytes"
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"

	"postern/datapath/arbitrary"
	"postern/model"
	"postern/pipeline"
	"postern/plan"
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
	for _, reason := range []model.Reason{model.ReasonInternet, model.ReasonRegionalEgress, model.ReasonNATGateway, model.ReasonMartian,
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
	if p.answer, p.got, p.mark, err = runProgram(program, ifindex, p.sent); err != nil {
		t.Fatalf("%v\n%s", err, dump(p.sent))
	}
	if p.want.Verdict.Action == model.ToInternet {
		p.wantMark = markOf(random.Node.Edge, p.want)
	}
	return p, true
}

// markOf says from which address the kernel's NAT shall let a packet leave, by the plan.
func markOf(edge *plan.Edge, result pipeline.Result) uint32 {
	switch result.Verdict.Reason {
	case model.ReasonRegionalEgress:
		return 1
	case model.ReasonNATGateway:
		for _, nic := range edge.NICs {
			if nic.PlatformAddress == netip.AddrFrom4([4]byte(result.Data[12:16])) {
				return be32(nic.NATAddress)
			}
		}
	}
	return 0
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
	if p.mark != p.wantMark {
		return fmt.Sprintf("the mark is %#x, want %#x", p.mark, p.wantMark)
	}
	return ""
}
