package platform

import (
	"context"
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"postern/model"
	"postern/plan"
)

// Times to live of answers in seconds. That of a name which does not exist is short, so that a new account is soon found.
const (
	answerTTL   = 60
	negativeTTL = 10
)

// maxUDPSize bounds an answer over UDP in bytes: with the headers of IPv6 and UDP it fits the smallest IPv6 MTU of 1280, so
// it is never cut into fragments. It is what our OPT record offers, too (RFC 6891 section 6.2.3).
const maxUDPSize = 1232

// Resolve answers one question for the VM whose fabric address is remote, asked at local. It never returns nil. An
// unknown caller is refused, and so is a name outside the cloud's zones when there is no upstream.
func (s *Service) Resolve(ctx context.Context, request *dns.Msg, local, remote netip.Addr) *dns.Msg {
	reply, forward := s.resolve(request, local, remote)
	if forward {
		s.forward(ctx, request, reply)
	}
	return reply
}

// resolve answers what needs no upstream, without waiting for anything; forward tells that the reply is still to be filled.
func (s *Service) resolve(request *dns.Msg, local, remote netip.Addr) (reply *dns.Msg, forward bool) {
	reply = new(dns.Msg).SetReply(request)
	reply.RecursionAvailable = s.options.Upstream != nil
	if option := request.IsEdns0(); option != nil {
		reply.SetEdns0(maxUDPSize, option.Do())
		if option.Version() != 0 {
			reply.Rcode = dns.RcodeBadVers
			s.counters.malformed.Add(1)
			return reply, false
		}
	}
	v := s.view.Load()
	if rcode := s.admit(v, request, local, remote); rcode != dns.RcodeSuccess {
		reply.Rcode = rcode
		return reply, false
	}
	machine, _ := v.from(remote) // admit saw to it
	if v.answerInternal(request.Question[0], machine, reply) || v.answer(request.Question[0], reply) {
		s.counters.answered.Add(1)
		return reply, false
	}
	if s.options.Upstream == nil {
		s.counters.refused.Add(1)
		reply.Rcode = dns.RcodeRefused
		return reply, false
	}
	return reply, true
}

// admit judges who asks, and whether it is a question that can be answered at all.
func (s *Service) admit(v *view, request *dns.Msg, local, remote netip.Addr) int {
	address, err := v.at(local)
	if err == errNoPlan {
		return dns.RcodeServerFailure
	}
	if err != nil || address != model.PlatformDNS {
		s.counters.refused.Add(1)
		return dns.RcodeRefused
	}
	if _, err := v.from(remote); err != nil {
		s.counters.unknownCaller.Add(1)
		return dns.RcodeRefused
	}
	switch {
	case request.Opcode != dns.OpcodeQuery:
		s.counters.refused.Add(1)
		return dns.RcodeNotImplemented
	case len(request.Question) != 1:
		s.counters.malformed.Add(1)
		return dns.RcodeFormatError
	}
	q := request.Question[0]
	if q.Qclass != dns.ClassINET || q.Qtype == dns.TypeAXFR || q.Qtype == dns.TypeIXFR {
		s.counters.refused.Add(1)
		return dns.RcodeRefused
	}
	return dns.RcodeSuccess
}

// answerInternal fills reply when the name is below the zone of all VNets' VMs, and tells whether it is. A VM knows those of
// its own VNet alone.
func (v *view) answerInternal(q dns.Question, asker plan.Machine, reply *dns.Msg) bool {
	name := strings.ToLower(dns.Fqdn(q.Name))
	if name != model.InternalZone+"." && !strings.HasSuffix(name, "."+model.InternalZone+".") {
		return false
	}
	reply.Authoritative = true
	own := model.InternalSuffix(asker.VNet) + "."
	address := v.internal[name]
	switch inside := strings.HasSuffix(name, "."+own); {
	case name == model.InternalZone+".", name == own: // they are there, and have no address
	case !inside || !address.IsValid():
		reply.Rcode = dns.RcodeNameError
	case q.Qtype == dns.TypeA || q.Qtype == dns.TypeANY:
		reply.Answer = append(reply.Answer, &dns.A{
			Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: answerTTL}, A: address.AsSlice()})
		return true
	}
	reply.Ns = append(reply.Ns, soa(model.InternalZone+"."))
	return true
}

// answer fills reply when the name is in one of the cloud's zones, and tells whether it is. Every name leads to the public
// address: a service endpoint changes nothing here (DNS-1, SE-5). The asker's spelling stays (draft-vixie-dnsext-dns0x20).
func (v *view) answer(q dns.Question, reply *dns.Msg) bool {
	name := strings.ToLower(dns.Fqdn(q.Name))
	address, exists := v.names[name]
	zone := name
	if !exists {
		ours := false
		if zone, ours = v.apex(name); !ours {
			return false
		}
		address, exists = v.instance(name)
	}
	reply.Authoritative = true
	switch {
	case !exists:
		reply.Rcode = dns.RcodeNameError
	case name == zone && !address.IsValid() && q.Qtype == dns.TypeSOA:
		reply.Answer = append(reply.Answer, soa(zone))
		return true
	case address.IsValid() && (q.Qtype == dns.TypeA || q.Qtype == dns.TypeANY):
		reply.Answer = append(reply.Answer, &dns.A{
			Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: answerTTL}, A: address.AsSlice()})
		return true
	}
	reply.Ns = append(reply.Ns, soa(zone)) // no such name, or no such data: RFC 2308 section 2
	return true
}

// apex finds the zone that a name is in or above an instance's: the topmost name that the services' zones share.
func (v *view) apex(name string) (string, bool) {
	for rest := name; rest != ""; _, rest, _ = strings.Cut(rest, ".") {
		if apex, ok := v.above[rest]; ok {
			return apex, true
		}
	}
	return "", false
}

// instance finds LABEL.ZONE. The names above the instances' exist, without an address.
func (v *view) instance(name string) (netip.Addr, bool) {
	if _, above := v.above[name]; above {
		return netip.Addr{}, true
	}
	rest := name
	for range 2 { // one more label can stand between: see model.Zone.Inner
		_, rest, _ = strings.Cut(rest, ".")
		if zone, ok := v.zones[rest]; ok {
			label, _ := zone.Label(strings.TrimSuffix(name, "."))
			address, ok := v.labels[plan.NameKey(zone.Space, label)]
			return address, ok
		}
	}
	return netip.Addr{}, false
}

func soa(zone string) dns.RR {
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: negativeTTL},
		Ns:  "ns." + zone, Mbox: "hostmaster." + zone, Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: negativeTTL,
	}
}
