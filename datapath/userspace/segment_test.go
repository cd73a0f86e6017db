package userspace

import (
	"errors"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"postern/model"
	"postern/wire"
)

func ipv6Packet(from, to wire.Parts, size int) []byte {
	packet := make([]byte, size)
	packet[0] = 6 << 4
	from.IPv4, to.IPv4 = account, account
	source, destination := from.Address().As16(), to.Address().As16()
	copy(packet[8:], source[:])
	copy(packet[24:], destination[:])
	return packet
}

func TestFabric(t *testing.T) {
	fabric := NewFabric(1600)
	got := make(chan byte, 10)
	one := newPort(func(packet []byte) { got <- packet[40] })
	defer one.close()
	locator := hostLocators[0]
	fabric.segment.announce(one, []model.Locator{locator})
	packet := ipv6Packet(wire.Parts{Locator: hostLocators[1]}, wire.Parts{Locator: locator, Function: 9, Identity: 77}, 41)
	for i := range 3 {
		packet[40] = byte(i)
		fabric.Send(packet)
	}
	for i := range 3 {
		if have := <-got; have != byte(i) {
			t.Fatalf("packet %d has %d: order or content is lost", i, have)
		}
	}
	fabric.Send(packet[:39])
	fabric.Send(make([]byte, 60))
	fabric.Send(ipv6Packet(wire.Parts{}, wire.Parts{Locator: locator}, 1601))
	fabric.Send(ipv6Packet(wire.Parts{}, wire.Parts{Locator: hostLocators[1]}, 40))
	one.running.Store(false)
	fabric.Send(packet)
	want := SegmentCounters{Delivered: 3, NoRoute: 1, Stopped: 1, Malformed: 2, TooBig: 1}
	if have := fabric.Counters(); have != want {
		t.Errorf("counters are %+v; want %+v", have, want)
	}
}

func TestFabricQueueIsBounded(t *testing.T) {
	fabric := NewFabric(1600)
	release, first := make(chan struct{}), make(chan struct{}, queueLength+2)
	slow := newPort(func([]byte) { first <- struct{}{}; <-release })
	fabric.segment.announce(slow, []model.Locator{hostLocators[0]})
	packet := ipv6Packet(wire.Parts{}, wire.Parts{Locator: hostLocators[0]}, 100)
	fabric.Send(packet)
	<-first // in the hands of the node: the queue is empty again
	for range queueLength + 10 {
		fabric.Send(packet)
	}
	if have := fabric.Counters(); have.QueueFull != 10 || have.Delivered != queueLength+1 {
		t.Errorf("counters are %+v; want %d delivered and 10 dropped", have, queueLength+1)
	}
	close(release)
	slow.close()
}

// TestAnycastKeepsFlows compares where packets go before and after one of three nodes stops.
func TestAnycastKeepsFlows(t *testing.T) {
	fabric := NewFabric(1600)
	var received [3]atomic.Int64
	var ports [3]*port
	for i := range ports {
		ports[i] = newPort(func([]byte) { received[i].Add(1) })
		defer ports[i].close()
		fabric.segment.announce(ports[i], []model.Locator{serviceLocator})
	}
	const flows = 300
	choose := func() (chosen [flows]*port) {
		for i := range chosen {
			packet := ipv6Packet(wire.Parts{Locator: hostLocators[0], Identity: model.Identity(i)}, wire.Parts{Locator: serviceLocator}, 40)
			chosen[i] = fabric.segment.choose((*fabric.segment.routes.Load())[serviceLocator], packet[8:40])
		}
		return chosen
	}
	before := choose()
	count := map[*port]int{}
	for _, p := range before {
		count[p]++
	}
	for _, p := range ports {
		if count[p] < flows/10 {
			t.Errorf("a node has %d of %d flows", count[p], flows)
		}
	}
	ports[1].running.Store(false)
	for i, p := range choose() {
		if p == ports[1] {
			t.Fatal("a stopped node was chosen")
		}
		if before[i] != ports[1] && p != before[i] {
			t.Fatal("a flow of a node that runs moved")
		}
	}
}

func TestInternetAddresses(t *testing.T) {
	internet := NewInternet()
	defer internet.Close()
	if _, err := internet.AddOutsider("one", outsiderAddress); err != nil {
		t.Fatal(err)
	}
	if _, err := internet.AddOutsider("two", outsiderAddress); err == nil {
		t.Error("two outsiders have one address")
	}
	if _, err := internet.AddOutsider("six", netip.MustParseAddr("2001:db8::1")); err == nil {
		t.Error("an outsider has an IPv6 address")
	}
	internet.Send([]byte{4 << 4})
	if have := internet.Counters().Malformed; have != 1 {
		t.Errorf("%d packets are malformed; want 1", have)
	}
}

func TestPublicAddresses(t *testing.T) {
	for text, want := range map[string]bool{
		"8.8.8.8": true, "20.1.1.1": true, "10.1.1.1": false, "172.16.0.1": false, "192.168.1.1": false, "127.0.0.1": false,
		"169.254.169.254": false, "100.64.0.1": false, "0.1.2.3": false, "224.0.0.1": false, "240.0.0.1": false,
		"255.255.255.255": false, "168.63.129.16": false, "::1": false,
	} {
		if have := public(netip.MustParseAddr(text)); have != want {
			t.Errorf("public(%s) is %t; want %t", text, have, want)
		}
	}
}

func TestPacketConnDeadline(t *testing.T) {
	gateway, err := NewGateway(NewFabric(1600), NewInternet(), "gateway")
	if err != nil {
		t.Fatal(err)
	}
	defer gateway.Close()
	conn, err := gateway.ListenUDP(53)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gateway.ListenUDP(53); err == nil {
		t.Error("one port was taken twice")
	}
	failed := make(chan error)
	read := func() { _, _, err := conn.ReadFrom(nil); failed <- err }
	_ = conn.SetReadDeadline(time.Now().Add(time.Hour))
	go read()
	_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond)) // moved while somebody may wait already
	if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("ReadFrom answers %v; want a timeout", err)
	}
	_ = conn.SetReadDeadline(time.Time{})
	go read()
	conn.Close()
	if err := <-failed; err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("ReadFrom answers %v; want that it is closed", err)
	}
}
