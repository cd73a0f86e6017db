//go:build linux

package kernel

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"postern/datapath/arbitrary"
	"postern/datapath/kernel/bpf"
	"postern/model"
	"postern/pipeline"
)

// gatewayTwins are the two judges of instances' own addresses.
type gatewayTwins struct {
	kernel *Direct
	goes   *pipeline.Gateway
	before map[model.Reason]uint64
}

// The gateway's programs and pipeline.Gateway give the same verdict, the same reason and the same bytes, and remember the
// same connections, whatever packets come and however plans change (FW-1, FW-3).
func TestEqualityDirect(t *testing.T) {
	const most = 10 // connections: few enough that some do not fit
	driver := newDirect(t, most)
	reasons := map[model.Reason]int{}
	for seed := range uint64(200) {
		random := arbitrary.NewGateway(seed)
		w := &gatewayTwins{kernel: driver, goes: pipeline.NewGateway(func() int64 { return time.Now().UnixNano() }, most)}
		driver.empty(t)
		w.apply(t, random)
		w.before = w.counters(t)
		for i := range 400 {
			if i%100 == 99 {
				random.Change()
				w.apply(t, random)
			}
			p, ok := w.judge(t, random, i%4)
			if !ok {
				continue
			}
			reasons[p.want.Verdict.Reason]++
			if problem := p.differAtGateway(); problem != "" {
				t.Fatalf("seed %d packet %d (way %d): %s\nsent\n%spipeline %v %v\n%skernel %d %v\n%s", seed, i, i%4, problem,
					dump(p.sent), p.want.Verdict.Action, p.want.Verdict.Reason, dump(p.want.Data), p.answer, p.reason, dump(p.got))
			}
		}
		w.compareConnections(t, seed)
	}
	for _, reason := range []model.Reason{model.ReasonNotOurs, model.ReasonOwnAddress, model.ReasonMalformed, model.ReasonNetworkRules,
		model.ReasonPortClosed, model.ReasonNoBackend, model.ReasonNoConnection, model.ReasonRevoked, model.ReasonConnectionsFull, model.ReasonPortTaken} {
		t.Logf("%7d %s", reasons[reason], reason)
		if reasons[reason] == 0 {
			t.Errorf("no random packet met reason %s: the comparison says nothing about it", reason)
		}
	}
}

// empty forgets all connections.
func (d *Direct) empty(t testing.TB) {
	t.Helper()
	var keys []bpf.PosternConnectionKey
	if err := d.each(func(key bpf.PosternConnectionKey, _ bpf.PosternConnection) error {
		keys = append(keys, key)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	var key bpf.PosternConnectionKey
	var side bpf.PosternDialled
	var sides []bpf.PosternConnectionKey
	entries := d.objects.ServerSides.Iterate()
	for entries.Next(&key, &side) {
		sides = append(sides, key)
	}
	for table, keys := range map[*ebpf.Map][]bpf.PosternConnectionKey{d.objects.Connections: keys, d.objects.ServerSides: sides} {
		for _, key := range keys {
			if err := table.Delete(&key); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func (w *gatewayTwins) apply(t testing.TB, random *arbitrary.Gateway) {
	t.Helper()
	if err := w.goes.Apply(random.Plan); err != nil {
		t.Fatal(err)
	}
	if err := w.kernel.Apply(random.Plan); err != nil {
		t.Fatal(err)
	}
}

func (w *gatewayTwins) counters(t testing.TB) map[model.Reason]uint64 {
	t.Helper()
	counters, err := w.kernel.Counters()
	if err != nil {
		t.Fatal(err)
	}
	out := map[model.Reason]uint64{}
	for _, counter := range counters {
		out[counter.Reason] = counter.Packets
	}
	return out
}

// judge gives the next random packet to both: from the fabric, to it, from the Internet, to it.
func (w *gatewayTwins) judge(t testing.TB, random *arbitrary.Gateway, way int) (p pair, ok bool) {
	t.Helper()
	one := []struct {
		packet    func() []byte
		judge     func(packet, out []byte) pipeline.Result
		program   *ebpf.Program
		ifname    string
		etherType []byte
	}{
		{random.FromFabric, w.goes.FromFabric, w.kernel.objects.FromFabric, "fabric0", []byte{0x86, 0xdd}},
		{random.ToFabric, w.goes.ToFabric, w.kernel.objects.ToFabric, "fabric0", []byte{0x86, 0xdd}},
		{random.FromInternet, w.goes.FromInternet, w.kernel.objects.FromInternet, "inet0", []byte{0x08, 0x00}},
		{random.ToInternet, w.goes.ToInternet, w.kernel.objects.ToInternet, "inet0", []byte{0x08, 0x00}},
	}[way]
	packet := one.packet()
	p.sent = append(append([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}, one.etherType...), packet...)
	if !runnable(p.sent) {
		return pair{}, false
	}
	p.want = one.judge(packet, make([]byte, len(packet)+pipeline.Headroom))
	ifindex, _ := linkOf(one.ifname)
	var err error
	if p.answer, p.got, _, err = runProgram(one.program, ifindex, p.sent); err != nil {
		t.Fatalf("%v\n%s", err, dump(p.sent))
	}
	after := w.counters(t)
	p.reason = model.ReasonNotOurs
	for reason, packets := range after {
		if packets > w.before[reason] {
			p.reason = reason
		}
	}
	w.before = after
	return p, true
}

func (p *pair) differAtGateway() string {
	if p.reason != p.want.Verdict.Reason {
		return "reasons differ"
	}
	expected := map[model.Action]int32{
		model.Drop: answerDrop, model.Pass: answerPass, model.Reply: answerRedirect,
		model.Deliver: answerOK, model.ToFabric: answerOK, model.ToInternet: answerOK,
	}[p.want.Verdict.Action]
	if p.answer != expected {
		return "verdicts differ"
	}
	if p.want.Data != nil && !bytes.Equal(p.got[14:], p.want.Data) {
		return "packets differ"
	}
	return ""
}

// compareConnections compares what both remember.
func (w *gatewayTwins) compareConnections(t *testing.T, seed uint64) {
	t.Helper()
	goes := map[[2]netip.AddrPort]pipeline.Connection{}
	for _, c := range w.goes.Connections() {
		goes[[2]netip.AddrPort{c.Caller, c.Dialled}] = c
	}
	if err := w.kernel.each(func(key bpf.PosternConnectionKey, c bpf.PosternConnection) error {
		ends := [2]netip.AddrPort{callerOf(key), dialledOf(key)}
		want, ok := goes[ends]
		delete(goes, ends)
		got := pipeline.Connection{Caller: ends[0], Dialled: ends[1], Received: c.Received, Sent: c.Sent,
			CallerNext: c.CallerNext, ServerNext: c.ServerNext, Over: c.Flags&connectionTold != 0, Revoked: c.Flags&connectionRevoked != 0,
			Answered: c.Flags&connectionAnswered != 0,
			Backend:  netip.AddrPortFrom(netip.IPv6Loopback(), be16(c.BackendPort))}
		if c.Backend != (bpf.PosternAddress{}) {
			got.Backend = netip.AddrPortFrom(ofAddress(c.Backend), be16(c.BackendPort))
		}
		if !ok || got != want {
			t.Errorf("seed %d: the kernel remembers\n%+v, the pipeline\n%+v", seed, got, want)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, left := range goes {
		t.Errorf("seed %d: the pipeline alone remembers %+v", seed, left)
	}
}
