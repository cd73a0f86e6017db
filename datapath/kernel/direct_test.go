//go:build linux

package kernel

import (
	"context"
	"net/netip"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"postern/datapath/kernel/bpf"
	"postern/model"
	"postern/plan"
	"postern/wire"
)

// newDirect makes a network namespace with a gateway's interfaces, and the driver inside it.
func newDirect(t testing.TB, maxConnections uint32) *Direct {
	t.Helper()
	if err := Supported(); err != nil {
		t.Skip(err)
	}
	inNewNamespace(t)
	addLinks(t, "fabric0", "inet0")
	pins := filepath.Join(bpffs(t), "gateway")
	driver, err := OpenDirect(DirectOptions{Pins: pins, Fabric: "fabric0", Internet: "inet0", MaxConnections: maxConnections})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() {
		if err := driver.Close(); err != nil {
			t.Error(err)
		}
		if err := Remove(pins); err != nil {
			t.Error(err)
		}
	})
	return driver
}

func TestDirectComesAndGoes(t *testing.T) {
	driver := newDirect(t, 0)
	callers := plan.Callers{Subnets: []model.Identity{1024}}
	wanted := plan.Direct{Callers: map[plan.Ref]plan.Callers{plan.RefOf("callers", callers): callers},
		Ports: []plan.DirectPort{{Address: netip.MustParseAddr("192.0.2.1"), Port: 9000, Service: 70, Callers: plan.RefOf("callers", callers)}}}
	for _, step := range []struct{ ports, attachments int }{{0, 0}, {1, 4}, {1, 4}, {0, 4}, {1, 4}} {
		next := wanted
		next.Ports = next.Ports[:step.ports]
		if err := driver.Apply(next); err != nil {
			t.Fatal(err)
		}
		if len(driver.attachments) != step.attachments {
			t.Errorf("%d attachments for %d ports, want %d", len(driver.attachments), step.ports, step.attachments)
		}
	}
}

// opened is a driver with one connection, from subnet 4096 to 192.0.2.1:9000.
func opened(t *testing.T) (*Direct, plan.Direct) {
	t.Helper()
	driver := newDirect(t, 0)
	callers := plan.Callers{Subnets: []model.Identity{4096}, Origins: []plan.Origin{}}
	ref := plan.RefOf("callers", callers)
	wanted := plan.Direct{ServiceLocator: gatewayLocator, Addresses: []netip.Addr{dialledAddress}, Callers: map[plan.Ref]plan.Callers{ref: callers},
		Ports: []plan.DirectPort{{Address: dialledAddress, Port: 9000, Service: 70, Callers: ref,
			Backends: []plan.DirectBackend{{Server: netip.MustParseAddrPort("[::1]:7000"), Weight: 1}}}}}
	if err := driver.Apply(wanted); err != nil {
		t.Fatal(err)
	}
	if answer := driver.call(t, 4096, 1); answer != answerOK {
		t.Fatalf("the first packet: the program answers %d", answer)
	}
	return driver, wanted
}

var (
	gatewayLocator = model.MustLocator("fd00:1:1:400::/56")
	dialledAddress = netip.MustParseAddr("192.0.2.1")
)

// call gives the program a SYN of a subnet's NIC, several times over.
func (d *Direct) call(t *testing.T, subnet model.Identity, times int) (answer uint32) {
	t.Helper()
	caller := wire.Parts{Locator: model.MustLocator("fd00:1:1:100::/56"), Identity: subnet, IPv4: netip.MustParseAddr("10.0.0.4")}.Address()
	dialled := wire.Parts{Locator: gatewayLocator, Function: model.FunctionService, Identity: 70, IPv4: dialledAddress}.Address()
	frame := append([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd},
		resetPacket(netip.AddrPortFrom(caller, 40000), netip.AddrPortFrom(dialled, 9000), 1)...)
	frame[14+40+13] = 2 // SYN
	ifindex, _ := linkOf("fabric0")
	for range times { // a run that repeats itself would be given its own answer
		var err error
		if answer, err = d.objects.FromFabric.Run(&ebpf.RunOptions{Data: frame, DataOut: make([]byte, 256), Context: skb{Ifindex: uint32(ifindex)}}); err != nil {
			t.Fatal(err)
		}
	}
	return answer
}

// A connection that nobody has used for long ends, with a line; one that is over is forgotten.
func TestDirectSweeps(t *testing.T) {
	driver, wanted := opened(t)
	count := func() (n int) {
		if err := driver.each(func(bpf.PosternConnectionKey, bpf.PosternConnection) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	now := func() time.Duration { return time.Duration(monotonic()) }
	for _, step := range []struct {
		name string
		at   time.Duration
		want int // connections that are left
		told []model.Connection
	}{
		{"one that is opened stays", connectionOpens / 2, 1, nil},
		{"until the caller should have answered", connectionOpens + time.Second, 0, []model.Connection{{Reason: model.ReasonOwnAddress, Broken: true}}},
	} {
		if err := driver.sweep(now() + step.at); err != nil {
			t.Fatal(err)
		}
		if got := count(); got != step.want || len(driver.ended) != len(step.told) {
			t.Errorf("%s: %d left, told %+v", step.name, got, driver.ended)
		}
		for i, want := range step.told {
			if got := driver.ended[i]; got.Reason != want.Reason || got.Broken != want.Broken || got.Backend.String() != "[::1]:7000" {
				t.Errorf("%s: told %+v", step.name, got)
			}
		}
	}
	driver.ended = nil
	driver.call(t, 4096, 1)
	wanted.Ports[0].Callers = plan.RefOf("callers", plan.Callers{})
	wanted.Callers[wanted.Ports[0].Callers] = plan.Callers{}
	if err := driver.Apply(wanted); err != nil {
		t.Fatal(err)
	}
	if len(driver.ended) != 1 || driver.ended[0].Reason != model.ReasonRevoked {
		t.Errorf("revoked: told %+v", driver.ended)
	}
	if err := driver.sweep(now() + connectionLinger + time.Second); err != nil {
		t.Fatal(err)
	}
	if got := count(); got != 0 || len(driver.ended) != 1 {
		t.Errorf("a revoked one: %d left, told %+v", got, driver.ended)
	}
}

// What the ring has no room for is counted, and said: by the process that reads, whichever that is.
func TestDirectTellsWhatWasLost(t *testing.T) {
	driver, _ := opened(t)
	const refused = 20000
	driver.call(t, 4097, refused)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var told atomic.Uint64
	lost := make(chan uint64, 1)
	done := make(chan error, 1)
	go func() {
		done <- driver.Follow(ctx, func(c model.Connection) {
			if c.Reason == model.ReasonNetworkRules {
				told.Add(1)
			}
		}, func(n uint64) { lost <- n })
	}()
	select {
	case n := <-lost:
		for deadline := time.Now().Add(time.Minute); told.Load() < refused-n && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond) // what fitted is still being read
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if told.Load() == 0 || told.Load()+n != refused {
			t.Errorf("%d connections were told of and %d lost, of %d", told.Load(), n, refused)
		}
	case <-time.After(time.Minute):
		t.Error("nobody said that events were lost")
	}
	if err := driver.tellLost(func(n uint64) { t.Errorf("%d were told of again", n) }); err != nil {
		t.Error(err)
	}
}

// The next process takes over what one has left: attachments, connections, the generation.
func TestDirectIsTakenOver(t *testing.T) {
	driver, wanted := opened(t)
	next, err := OpenDirect(driver.options)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if open, err := next.Open(); err != nil || open != 1 {
		t.Errorf("%d connections, %v", open, err)
	}
	if err := next.Apply(wanted); err != nil {
		t.Fatal(err)
	}
	if answer := next.call(t, 4096, 1); answer != answerOK {
		t.Errorf("the program answers %d", answer)
	}
	if len(next.ended) != 0 {
		t.Errorf("told %+v", next.ended)
	}
	wanted.Ports = nil
	if err := next.Apply(wanted); err != nil {
		t.Fatal(err)
	}
	if len(next.attachments) != 4 || len(next.ended) != 1 {
		t.Errorf("without a port: %d attachments, told %+v", len(next.attachments), next.ended)
	}
}
