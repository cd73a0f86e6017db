//go:build linux

package kernel

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"postern/datapath/arbitrary"
	"postern/model"
	"postern/pipeline"
	"postern/plan"
)

// equalPairs is how many packets the two data paths are compared on; POSTERN_PAIRS sets another number.
const equalPairs = 100_000

// The kernel's programs and the Go pipeline give the same verdict, the same reason and the same bytes.
func TestEquality(t *testing.T) {
	twins := newTwins(t)
	pairs := equalPairs
	if text := os.Getenv("POSTERN_PAIRS"); text != "" {
		var err error
		if pairs, err = strconv.Atoi(text); err != nil {
			t.Fatalf("POSTERN_PAIRS: %v", err)
		}
	}
	reasons := map[model.Reason]int{}
	for seed := uint64(1); pairs > 0; seed++ {
		met := twins.compare(t, seed, min(pairs, 400))
		for _, reason := range met {
			reasons[reason]++
		}
		pairs -= len(met)
	}
	for reason := model.ReasonARP; reason < model.ReasonMartian; reason++ {
		if reason == model.ReasonOwnAddress {
			continue // a gateway's: TestEqualityDirect
		}
		t.Logf("%7d %s", reasons[reason], reason)
		if reasons[reason] == 0 {
			t.Errorf("no random packet met reason %s: the comparison says nothing about it", reason)
		}
	}
	t.Logf("%7d past a NAT gateway", twins.direct)
	if twins.direct == 0 {
		t.Error("no random packet went past a NAT gateway, as a flow's that the Internet opened does")
	}
}

func FuzzEquality(f *testing.F) {
	twins := newTwins(f)
	inside, err := netns.Get()
	if err != nil {
		f.Fatal(err)
	}
	defer inside.Close()
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := netns.Set(inside); err != nil {
			t.Fatal(err)
		}
		twins.compare(t, seed, 100)
	})
}

// twins are the kernel's driver and the number of the next NIC.
type twins struct {
	driver  *Driver
	nextNIC uint32
	direct  int // packets that left to the Internet past their NIC's NAT gateway (OUT-1)
}

// newTwins makes a network namespace with a fabric interface and links for six NICs, and the driver inside it.
func newTwins(t testing.TB) *twins {
	t.Helper()
	if err := Supported(); err != nil {
		t.Skip(err)
	}
	inNewNamespace(t)
	addLinks(t, "fabric0", "nic1", "nic2", "nic3", "nic4", "nic5", "nic6")
	pins := filepath.Join(bpffs(t), "host")
	driver, err := Open(Options{
		Role: model.RoleHost, Pins: pins, Fabric: "fabric0",
		Link: func(nic plan.NIC) string { return fmt.Sprintf("nic%d", 1+(nic.Number-1)%6) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := driver.Close(); err != nil {
			t.Error(err)
		}
		if err := Remove(pins); err != nil {
			t.Error(err)
		}
	})
	return &twins{driver: driver, nextNIC: 1}
}

// addLinks makes interfaces in this thread's namespace that are up.
func addLinks(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "p" + name}
		if err := netlink.LinkAdd(link); err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetUp(link); err != nil {
			t.Fatal(err)
		}
	}
}

// inNewNamespace moves the test's thread into a network namespace of its own, which ends with the test.
func inNewNamespace(t testing.TB) {
	t.Helper()
	runtime.LockOSThread()
	before, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := netns.Set(before); err != nil {
			t.Error(err)
		}
		fresh.Close()
		before.Close()
		runtime.UnlockOSThread()
	})
}

// bpffs mounts a bpffs for one test.
func bpffs(t testing.TB) string {
	t.Helper()
	folder := t.TempDir()
	if err := unix.Mount("bpf", folder, "bpf", 0, ""); err != nil {
		t.Fatalf("mount a bpffs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(folder, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return folder
}

// compare runs one random host's packets through both and returns the reasons that they met.
func (w *twins) compare(t testing.TB, seed uint64, packets int) []model.Reason {
	t.Helper()
	random := arbitrary.NewHost(seed, w.nextNIC)
	w.nextNIC += uint32(len(random.Node.Host.NICs))
	started := time.Now()
	host := pipeline.NewHost(func() int64 { return time.Since(started).Nanoseconds() })
	w.apply(t, host, random.Node)
	before := w.counters(t)
	var met []model.Reason
	for i := range packets {
		if i == packets/2 {
			random.Change()
			w.apply(t, host, random.Node)
		}
		pair, ok := w.judge(t, host, random, i%3 != 0)
		if !ok {
			continue
		}
		after := w.counters(t)
		pair.reason, pair.nic = increment(before, after)
		before = after
		met = append(met, pair.want.Verdict.Reason)
		if pair.want.Verdict.Reason == model.ReasonInternet && slices.ContainsFunc(random.Node.Host.NICs, func(nic plan.NIC) bool {
			return nic.Number == pair.want.NIC && nic.NATGateway
		}) {
			w.direct++
		}
		if problem := pair.differ(); problem != "" {
			t.Fatalf("seed %d packet %d (from the VM: %v): %s\nsent\n%spipeline %v %v\n%skernel %d %v\n%s", seed, i, i%3 != 0, problem,
				dump(pair.sent), pair.want.Verdict.Action, pair.want.Verdict.Reason, dump(pair.want.Data),
				pair.answer, pair.reason, dump(pair.got))
		}
	}
	return met
}

// pair is one packet and what both made of it.
type pair struct {
	sent   []byte // as a frame
	want   pipeline.Result
	answer int32
	got    []byte
	reason model.Reason // that the kernel counted
	nic    uint32

	mark, wantMark uint32 // of what leaves the edge
}

// runnable tells whether the kernel's test run takes a frame at all: not one that ends inside its Ethernet or IP header.
func runnable(frame []byte) bool {
	if len(frame) < 14 {
		return false
	}
	least := map[uint16]int{0x0800: 20, 0x86dd: 40}[binary.BigEndian.Uint16(frame[12:])]
	return len(frame) >= 14+least
}

// judge gives the next random packet to both.
func (w *twins) judge(t testing.TB, host *pipeline.Host, random *arbitrary.Host, fromVM bool) (p pair, ok bool) {
	t.Helper()
	if fromVM {
		nic, frame := random.FromVM()
		if !runnable(frame) {
			return pair{}, false
		}
		return w.fromVM(t, host, nic, frame), true
	}
	packet := random.FromFabric()
	if len(packet) < 40 {
		return pair{}, false // the kernel's test run takes no frame that ends inside its IP header
	}
	return w.fromFabric(t, host, packet), true
}

// fromVM gives a frame of a NIC to both.
func (w *twins) fromVM(t testing.TB, host *pipeline.Host, nic plan.NIC, frame []byte) pair {
	t.Helper()
	p := pair{sent: frame, want: host.FromVM(nic.Number, frame, make([]byte, len(frame)+pipeline.Headroom))}
	w.runBoth(t, &p, w.driver.objects.FromVM, w.driver.options.Link(nic))
	return p
}

// fromFabric gives an IPv6 packet of the fabric to both.
func (w *twins) fromFabric(t testing.TB, host *pipeline.Host, packet []byte) pair {
	t.Helper()
	p := pair{sent: append(append(make([]byte, 12, 14+len(packet)), 0x86, 0xdd), packet...),
		want: host.FromFabric(packet, make([]byte, len(packet)+pipeline.Headroom))}
	w.runBoth(t, &p, w.driver.objects.FromFabric, "fabric0")
	return p
}

func (w *twins) runBoth(t testing.TB, p *pair, program *ebpf.Program, ifname string) {
	t.Helper()
	ifindex, _ := linkOf(ifname)
	var err error
	if p.answer, p.got, err = w.driver.run(program, ifindex, p.sent); err != nil {
		t.Fatalf("%v\n%s", err, dump(p.sent))
	}
}

func (w *twins) apply(t testing.TB, host *pipeline.Host, node plan.Node) {
	t.Helper()
	if err := host.Apply(node); err != nil {
		t.Fatal(err)
	}
	if err := w.driver.Apply(t.Context(), node); err != nil {
		t.Fatal(err)
	}
}

// dump shows the head of a packet; what follows is payload.
func dump(bytes []byte) string { return hex.Dump(bytes[:min(len(bytes), 160)]) }

type counterKey struct {
	nic    uint32
	reason model.Reason
}

func (w *twins) counters(t testing.TB) map[counterKey]uint64 {
	t.Helper()
	counters, err := w.driver.Counters()
	if err != nil {
		t.Fatal(err)
	}
	out := map[counterKey]uint64{}
	for _, counter := range counters {
		out[counterKey{counter.NIC, counter.Reason}] = counter.Packets
	}
	return out
}

// increment finds the one counter that grew.
func increment(before, after map[counterKey]uint64) (model.Reason, uint32) {
	for key, packets := range after {
		if packets > before[key] {
			return key.reason, key.nic
		}
	}
	return model.ReasonNotOurs, 0
}

func (p *pair) differ() string {
	if p.want.Verdict.Reason != p.reason {
		return "reasons differ"
	}
	if p.reason != model.ReasonNotOurs && p.want.NIC != p.nic {
		return fmt.Sprintf("counted for NIC %d, want %d", p.nic, p.want.NIC)
	}
	expected := map[model.Action]int32{
		model.Drop: answerDrop, model.Pass: answerPass, model.Reply: answerRedirect,
		model.ToFabric: answerRedirect, model.Deliver: answerRedirect,
	}[p.want.Verdict.Action]
	if p.answer != expected {
		return fmt.Sprintf("the program answers %d, want %d", p.answer, expected)
	}
	switch p.want.Verdict.Action {
	case model.Reply, model.Deliver:
		if !bytes.Equal(p.got, p.want.Data) {
			return "frames differ"
		}
	case model.ToFabric:
		if !bytes.Equal(p.got[14:], p.want.Data) {
			return "packets differ"
		}
	}
	return ""
}
