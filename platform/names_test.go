package platform

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"postern/model"
	"postern/plan"
)

func ask(s *Service, name string, qtype uint16, subnet model.Identity) *dns.Msg {
	return s.Resolve(context.Background(), new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype), to(model.PlatformDNS), from(subnet, app))
}

func address(t *testing.T, m *dns.Msg) string {
	t.Helper()
	if len(m.Answer) != 1 {
		t.Fatalf("answer %v", m)
	}
	record, ok := m.Answer[0].(*dns.A)
	if !ok {
		t.Fatalf("answer %v", m)
	}
	return record.A.String()
}

func TestNames(t *testing.T) {
	service := newService(t, nil)
	for _, kind := range []string{"table", "blob", "queue", "file", "dfs", "web"} {
		t.Run("DNS-1 "+kind+" leads to the public address", func(t *testing.T) {
			answer := ask(service, account+"."+kind+".core.windows.net", dns.TypeA, subnetApp)
			if answer.Rcode != dns.RcodeSuccess || !answer.Authoritative || address(t, answer) != accountAddress.String() {
				t.Errorf("%v", answer)
			}
		})
	}
	t.Run("SE-5 an endpoint changes no name", func(t *testing.T) {
		with := ask(service, account+".table.core.windows.net", dns.TypeA, subnetApp)
		without := ask(service, account+".table.core.windows.net", dns.TypeA, subnetOther)
		if address(t, with) != address(t, without) || address(t, with) != accountAddress.String() {
			t.Errorf("with an endpoint %v, without %v", with, without)
		}
	})
	t.Run("DNS-1 spelling is kept", func(t *testing.T) {
		name := "StVnetStorageEndpoints.Table.CORE.windows.net."
		answer := ask(service, name, dns.TypeA, subnetApp)
		if address(t, answer); answer.Answer[0].Header().Name != name || answer.Question[0].Name != name {
			t.Errorf("%v", answer)
		}
	})
	t.Run("DNS-1 full names", func(t *testing.T) {
		if got := address(t, ask(service, "ssh.example", dns.TypeA, subnetApp)); got != "203.0.113.22" {
			t.Error(got)
		}
	})
	for _, test := range []struct {
		name  string
		qtype uint16
		rcode int
		soa   string
	}{
		{account + ".table.core.windows.net", dns.TypeAAAA, dns.RcodeSuccess, "core.windows.net."},
		{account + ".table.core.windows.net", dns.TypeMX, dns.RcodeSuccess, "core.windows.net."},
		{"table.core.windows.net", dns.TypeA, dns.RcodeSuccess, "core.windows.net."},
		{"core.windows.net", dns.TypeA, dns.RcodeSuccess, "core.windows.net."},
		{"ssh.example", dns.TypeAAAA, dns.RcodeSuccess, "ssh.example."},
		{"nobody.table.core.windows.net", dns.TypeA, dns.RcodeNameError, "core.windows.net."},
		{account + ".vault.core.windows.net", dns.TypeA, dns.RcodeNameError, "core.windows.net."},
		{"x." + account + ".table.core.windows.net", dns.TypeA, dns.RcodeNameError, "core.windows.net."},
		{account + ".core.windows.net", dns.TypeA, dns.RcodeNameError, "core.windows.net."},
		{`a\.table.core.windows.net`, dns.TypeA, dns.RcodeNameError, "core.windows.net."},
		{"example.org", dns.TypeA, dns.RcodeRefused, ""},
		{"evilcore.windows.net", dns.TypeA, dns.RcodeRefused, ""},
		{"x.ssh.example", dns.TypeA, dns.RcodeRefused, ""},
		{".", dns.TypeNS, dns.RcodeRefused, ""},
		{"core.windows.net", dns.TypeAXFR, dns.RcodeRefused, ""},
	} {
		t.Run(fmt.Sprintf("DNS-1 %s %s", test.name, dns.TypeToString[test.qtype]), func(t *testing.T) {
			answer := ask(service, test.name, test.qtype, subnetApp)
			if answer.Rcode != test.rcode || len(answer.Answer) != 0 {
				t.Errorf("%v", answer)
			}
			if test.soa == "" && len(answer.Ns) != 0 || test.soa != "" && (len(answer.Ns) != 1 || answer.Ns[0].Header().Name != test.soa) {
				t.Errorf("authority %v, want the SOA of %q", answer.Ns, test.soa)
			}
		})
	}
	if answer := ask(service, "core.windows.net", dns.TypeSOA, subnetApp); len(answer.Answer) != 1 {
		t.Errorf("SOA of the zone: %v", answer)
	}
}

// TestInternalNames asks for VMs by their names in their VNet's own zone.
func TestInternalNames(t *testing.T) {
	service := newService(t, nil)
	own, other := model.InternalSuffix(vnet), model.InternalSuffix(vnet+"-other")
	if got := address(t, ask(service, "VM-Plain."+own, dns.TypeA, subnetApp)); got != plain.String() {
		t.Errorf("a VM of one's own VNet is at %s", got)
	}
	if got := address(t, ask(service, "vm-twin."+other, dns.TypeA, subnetOther)); got != app.String() {
		t.Errorf("the VM of the other VNet is at %s", got)
	}
	for name, want := range map[string]int{"vm-twin." + other: dns.RcodeNameError, "vm-none." + own: dns.RcodeNameError, "a.vm-plain." + own: dns.RcodeNameError,
		own: dns.RcodeSuccess, model.InternalZone: dns.RcodeSuccess, "vm-plain." + model.InternalZone: dns.RcodeNameError, "vm-plain.internal.cloudapp.net": dns.RcodeRefused} {
		if answer := ask(service, name, dns.TypeA, subnetApp); answer.Rcode != want || len(answer.Answer) != 0 {
			t.Errorf("%s: %v", name, answer)
		}
	}
	if answer := ask(service, "vm-plain."+own, dns.TypeAAAA, subnetApp); answer.Rcode != dns.RcodeSuccess || len(answer.Answer) != 0 || len(answer.Ns) != 1 {
		t.Errorf("of another kind: %v", answer)
	}
}

func TestNamesAreForKnownCallersAlone(t *testing.T) {
	service := newService(t, nil)
	question := func() *dns.Msg { return new(dns.Msg).SetQuestion(account+".table.core.windows.net.", dns.TypeA) }
	stranger := netip.MustParseAddr("10.13.76.99")
	appliance := from(subnetApp, app).As16()
	appliance[7] = byte(model.FunctionAppliance)
	service2 := to(model.PlatformDNS).As16()
	service2[7] = byte(model.FunctionService)
	for _, test := range []struct {
		name          string
		local, remote netip.Addr
		unknown       uint64
	}{
		{"DNS-1 unknown address", to(model.PlatformDNS), from(subnetApp, stranger), 1},
		{"DNS-1 unknown identity", to(model.PlatformDNS), from(9999, app), 1},
		{"DNS-1 not a NIC's function", to(model.PlatformDNS), netip.AddrFrom16(appliance), 1},
		{"DNS-1 the metadata address", to(model.PlatformMetadata), from(subnetApp, app), 0},
		{"DNS-1 not the platform's function", netip.AddrFrom16(service2), from(subnetApp, app), 0},
		{"DNS-1 another locator", from(model.IdentityPlatform, model.PlatformDNS), from(subnetApp, app), 0},
		{"DNS-1 no fabric address", netip.IPv6Loopback(), netip.IPv6Loopback(), 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := service.Counters()
			answer := service.Resolve(context.Background(), question(), test.local, test.remote)
			after := service.Counters()
			if answer.Rcode != dns.RcodeRefused || len(answer.Answer) != 0 {
				t.Errorf("%v", answer)
			}
			if after.UnknownCaller-before.UnknownCaller != test.unknown || after.Refused-before.Refused != 1-test.unknown {
				t.Errorf("counters %+v, before %+v", after, before)
			}
		})
	}
	t.Run("forms of question", func(t *testing.T) {
		update := question()
		update.Opcode = dns.OpcodeUpdate
		two := question()
		two.Question = append(two.Question, two.Question[0])
		chaos := question()
		chaos.Question[0].Qclass = dns.ClassCHAOS
		version := question()
		version.SetEdns0(1232, false)
		version.IsEdns0().SetVersion(1)
		for _, test := range []struct {
			request *dns.Msg
			rcode   int
		}{{update, dns.RcodeNotImplemented}, {two, dns.RcodeFormatError}, {chaos, dns.RcodeRefused}, {version, dns.RcodeBadVers}} {
			if answer := service.Resolve(context.Background(), test.request, to(model.PlatformDNS), from(subnetApp, app)); answer.Rcode != test.rcode {
				t.Errorf("%v, want %s", answer, dns.RcodeToString[test.rcode])
			}
		}
	})
	t.Run("before any plan", func(t *testing.T) {
		empty, err := New(Options{Issuer: issuerOf})
		if err != nil {
			t.Fatal(err)
		}
		if answer := ask(empty, account+".table.core.windows.net", dns.TypeA, subnetApp); answer.Rcode != dns.RcodeServerFailure {
			t.Errorf("%v", answer)
		}
	})
}

func TestApply(t *testing.T) {
	service := newService(t, nil)
	name := account + ".table.core.windows.net"
	for why, spoil := range map[string]func(*plan.Node){
		"no gateway":    func(n *plan.Node) { n.Gateway = nil },
		"no locator":    func(n *plan.Node) { n.Gateway.PlatformLocator = model.Locator{} },
		"no suffix":     func(n *plan.Node) { n.Gateway.Zones = nil },
		"bad address":   func(n *plan.Node) { n.Gateway.Names["x"] = "nowhere" },
		"IPv6 address":  func(n *plan.Node) { n.Gateway.Names["x"] = "::1" },
		"one NIC twice": func(n *plan.Node) { n.Gateway.Machines = append(n.Gateway.Machines, n.Gateway.Machines[0]) },
	} {
		next := node()
		next.Gateway.Names = map[string]string{"storage/fresh": "20.60.1.5"}
		spoil(&next)
		if err := service.Apply(next); err == nil {
			t.Errorf("%s: was applied", why)
		}
		if got := address(t, ask(service, name, dns.TypeA, subnetApp)); got != accountAddress.String() {
			t.Errorf("%s: a refused plan changed the answer to %s", why, got)
		}
	}
	next := node()
	next.Gateway.Names = map[string]string{"storage/fresh": "20.60.1.5"}
	next.Gateway.Machines = next.Gateway.Machines[:1]
	if err := service.Apply(next); err != nil {
		t.Fatal(err)
	}
	if answer := ask(service, name, dns.TypeA, subnetApp); answer.Rcode != dns.RcodeNameError {
		t.Errorf("a deleted account still answers: %v", answer)
	}
	if got := address(t, ask(service, "fresh.blob.core.windows.net", dns.TypeA, subnetApp)); got != "20.60.1.5" {
		t.Error(got)
	}
	if answer := ask(service, name, dns.TypeA, subnetOther); answer.Rcode != dns.RcodeRefused {
		t.Errorf("a deleted NIC still gets answers: %v", answer)
	}
}

// upstreamOf answers with as many records as the question's first label says, or fails.
type upstreamOf struct{}

func (upstreamOf) Exchange(_ context.Context, request *dns.Msg) (*dns.Msg, error) {
	var count int
	if _, err := fmt.Sscanf(request.Question[0].Name, "n%d.", &count); err != nil {
		return nil, errors.New("nothing to tell")
	}
	answer := new(dns.Msg).SetReply(request)
	for i := range count {
		answer.Answer = append(answer.Answer, &dns.TXT{Hdr: dns.RR_Header{Name: request.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 1},
			Txt: []string{fmt.Sprintf("record %03d %s", i, strings.Repeat("x", 80))}})
	}
	return answer, nil
}

func TestSizes(t *testing.T) {
	service := newService(t, upstreamOf{})
	for _, test := range []struct {
		size  uint16 // offered by EDNS; 0 is without
		count int
		limit int
		whole bool
	}{{0, 3, 512, true}, {0, 10, 512, false}, {100, 10, 512, false}, {1232, 10, 1232, true}, {4096, 20, 1232, false}} {
		request := new(dns.Msg).SetQuestion(fmt.Sprintf("n%d.example.org.", test.count), dns.TypeTXT)
		if test.size != 0 {
			request.SetEdns0(test.size, false)
		}
		reply := service.Resolve(context.Background(), request, to(model.PlatformDNS), from(subnetApp, app))
		data, err := packDatagram(reply, request)
		if err != nil {
			t.Fatal(err)
		}
		var got dns.Msg
		if err := got.Unpack(data); err != nil {
			t.Fatal(err)
		}
		if len(data) > test.limit || got.Truncated == test.whole || test.whole != (len(got.Answer) == test.count) || (got.IsEdns0() != nil) != (test.size != 0) {
			t.Errorf("EDNS %d, %d records: %d bytes, TC %v, %d records", test.size, test.count, len(data), got.Truncated, len(got.Answer))
		}
	}
	failed := ask(service, "broken.example.org", dns.TypeA, subnetApp)
	if failed.Rcode != dns.RcodeServerFailure || service.Counters().UpstreamFailed != 1 {
		t.Errorf("%v, %+v", failed, service.Counters())
	}
	own := ask(service, "nobody.table.core.windows.net", dns.TypeA, subnetApp)
	if own.Rcode != dns.RcodeNameError {
		t.Errorf("a name of our zones went upstream: %v", own)
	}
}

func TestResolver(t *testing.T) {
	packets, listener := listenBoth(t)
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, request *dns.Msg) {
		answer, _ := upstreamOf{}.Exchange(context.Background(), request)
		if w.LocalAddr().Network() == "udp" {
			answer.Truncate(512)
		}
		_ = w.WriteMsg(answer)
	})
	started := make(chan struct{}, 2)
	for _, server := range []*dns.Server{{PacketConn: packets, Handler: handler}, {Listener: listener, Handler: handler}} {
		server.NotifyStartedFunc = func() { started <- struct{}{} }
		go func() { _ = server.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { _ = server.Shutdown() })
	}
	resolver := Resolver{Address: netip.MustParseAddrPort(packets.LocalAddr().String())}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	answer, err := resolver.Exchange(ctx, new(dns.Msg).SetQuestion("n50.example.org.", dns.TypeTXT))
	if err != nil || len(answer.Answer) != 50 {
		t.Errorf("%v, %v", answer, err)
	}
}

// listenBoth takes a port that is free for UDP and for TCP: the system gives one for either alone, and another program may have its twin.
func listenBoth(t *testing.T) (net.PacketConn, net.Listener) {
	var taken error
	for range 100 {
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listener, err := net.Listen("tcp", packets.LocalAddr().String())
		if err == nil {
			return packets, listener
		}
		taken = errors.Join(err, packets.Close())
	}
	t.Fatal(taken)
	return nil, nil
}

func TestNamesOverTCP(t *testing.T) {
	service := newService(t, nil)
	fabric := newFabric(t)
	serve(t, func(ctx context.Context) error { return service.ServeDNSStream(ctx, fabric) })
	exchange := func(remote netip.Addr) *dns.Msg {
		connection := &dns.Conn{Conn: fabric.dial(t, remote, to(model.PlatformDNS))}
		_ = connection.SetDeadline(time.Now().Add(5 * time.Second))
		if err := connection.WriteMsg(new(dns.Msg).SetQuestion(account+".table.core.windows.net.", dns.TypeA)); err != nil {
			t.Fatal(err)
		}
		answer, err := connection.ReadMsg()
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	t.Run("DNS-1 over TCP", func(t *testing.T) {
		if got := address(t, exchange(from(subnetApp, app))); got != accountAddress.String() {
			t.Error(got)
		}
		if answer := exchange(from(9999, app)); answer.Rcode != dns.RcodeRefused {
			t.Errorf("%v", answer)
		}
	})
}

func FuzzDatagram(f *testing.F) {
	service := newService(f, nil)
	good := new(dns.Msg).SetQuestion(account+".table.core.windows.net.", dns.TypeA)
	good.SetEdns0(4096, true)
	for _, m := range []*dns.Msg{good, new(dns.Msg).SetQuestion("example.org.", dns.TypeANY), new(dns.Msg).SetQuestion("ssh.example.", dns.TypeAAAA)} {
		data, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)-3])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		request, reply := service.parseQuestion(data)
		if request == nil && reply == nil {
			return
		}
		if request != nil {
			reply = service.Resolve(context.Background(), request, to(model.PlatformDNS), from(subnetApp, app))
		}
		packed, err := packDatagram(reply, request)
		if err != nil {
			return // a name that was read and cannot be written: counted, not answered
		}
		var read dns.Msg
		if err := read.Unpack(packed); err != nil || !read.Response || packed[0] != data[0] || packed[1] != data[1] || len(packed) > maxUDPSize {
			t.Errorf("%x is answered by %x: %v", data, packed, err)
		}
	})
}
