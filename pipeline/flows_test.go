package pipeline

import (
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"postern/model"
)

// slowLRU is the slow twin of lru: a slice, the oldest first.
type slowLRU struct {
	limit  int
	keys   []int
	values map[int]int
}

func (s *slowLRU) touch(key int) {
	s.keys = append(slices.DeleteFunc(s.keys, func(k int) bool { return k == key }), key)
}

func TestLRUReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 5).Draw(t, "limit")
		fast, slow := newLRU[int, int](limit), slowLRU{limit: limit, values: map[int]int{}}
		for step := range rapid.IntRange(0, 60).Draw(t, "steps") {
			key := rapid.IntRange(0, 7).Draw(t, "key")
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				fast.put(key, step)
				slow.touch(key)
				slow.values[key] = step
				if len(slow.keys) > limit {
					delete(slow.values, slow.keys[0])
					slow.keys = slow.keys[1:]
				}
			case 1:
				fast.remove(key)
				slow.keys = slices.DeleteFunc(slow.keys, func(k int) bool { return k == key })
				delete(slow.values, key)
			default:
				got := fast.peek(key)
				if rapid.Bool().Draw(t, "touch") {
					got = fast.get(key)
					if _, ok := slow.values[key]; ok {
						slow.touch(key)
					}
				}
				expected, ok := slow.values[key]
				if (got != nil) != ok || ok && *got != expected {
					t.Fatalf("key %d: %v, the slow twin says %v %v", key, got, expected, ok)
				}
			}
			if fast.size() != len(slow.keys) {
				t.Fatalf("size %d, the slow twin says %d", fast.size(), len(slow.keys))
			}
		}
	})
}

func numberedKey(i int) flowKey {
	return flowKey{nic: 1, protocol: model.ProtocolUDP, local: [4]byte{10, 0, 0, 4},
		remote: [4]byte{20, byte(i >> 16), byte(i >> 8), byte(i)}, localPort: uint16(i)}
}

func TestFlowTableIsBounded(t *testing.T) {
	table := newFlowTable(maxFlows, 64)
	for i := range maxFlows + maxFlows/4 {
		table.send(numberedKey(i), int64(i), passage{}, 0)
	}
	if size := table.size(); size > maxFlows || size < maxFlows*9/10 {
		t.Fatalf("%d flows of at most %d", size, maxFlows)
	}
	if _, ok := table.find(numberedKey(0), 0); ok {
		t.Fatal("the least recently used flow is still there")
	}
	if _, ok := table.find(numberedKey(maxFlows+maxFlows/4-1), 0); !ok {
		t.Fatal("the newest flow is gone")
	}
}

func TestFlowTableEvictsTheLeastRecentlyUsed(t *testing.T) {
	table := newFlowTable(3, 1)
	for _, i := range []int{1, 2, 3, 1, 4} { // 1 is used again, so 2 goes
		table.send(numberedKey(i), 0, passage{}, 0)
	}
	for i, there := range map[int]bool{1: true, 2: false, 3: true, 4: true} {
		if _, ok := table.find(numberedKey(i), 0); ok != there {
			t.Errorf("flow %d there: %v", i, ok)
		}
	}
}

func TestFragmentTableIsBounded(t *testing.T) {
	table := newFragmentTable(maxFragments)
	for i := range maxFragments + 10 {
		table.remember(fragmentKey{nic: uint32(i)}, fragmentMemory{})
	}
	if size := table.firsts.size(); size != maxFragments {
		t.Fatalf("%d first fragments", size)
	}
	if _, ok := table.find(fragmentKey{nic: 9}, 0); ok {
		t.Fatal("an old first fragment is still there")
	}
}

// TestConcurrentJudging runs under the race detector: many goroutines judge while plans change.
func TestConcurrentJudging(t *testing.T) {
	w := newWorld(t)
	var all sync.WaitGroup
	const packets, judges = 300, 4
	for port := range judges {
		all.Go(func() {
			out := make([]byte, 0, 2048)
			for i := range packets {
				frame := frameFrom(macOf(1), 0x0800, tcp(vmApp, storage, uint16(port), uint16(1000+i), syn))
				if r := w.a.FromVM(1, frame, out); r.Verdict.Denied() {
					t.Errorf("denied: %v", r.Verdict.Reason)
				}
				w.a.FromFabric(fromStorage(6, tcpSegment(uint16(1000+i), uint16(port), ack, nil, nil)), out)
			}
		})
	}
	all.Go(func() {
		for range 20 {
			if err := w.a.Apply(hostPlan("a", locatorA)); err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()
	counted := uint64(0)
	for _, c := range w.a.Counters() {
		counted += c.Packets
	}
	if counted != 2*packets*judges {
		t.Errorf("%d packets counted of %d", counted, 2*packets*judges)
	}
}
