package platform

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// Upstream resolves names that are none of the cloud's.
type Upstream interface {
	// Exchange asks one question. The answer may have any size.
	Exchange(ctx context.Context, request *dns.Msg) (*dns.Msg, error)
}

// upstreamTimeout bounds one question upstream: less than what a stub resolver waits (5 s).
const upstreamTimeout = 3 * time.Second

// Resolver is an Upstream: a recursive resolver, asked over UDP and, when the answer is cut, over TCP.
type Resolver struct {
	Address netip.AddrPort
}

// Exchange implements Upstream.
func (r Resolver) Exchange(ctx context.Context, request *dns.Msg) (*dns.Msg, error) {
	answer, _, err := (&dns.Client{Net: "udp", UDPSize: maxUDPSize}).ExchangeContext(ctx, request, r.Address.String())
	if err == nil && answer.Truncated {
		answer, _, err = (&dns.Client{Net: "tcp"}).ExchangeContext(ctx, request, r.Address.String())
	}
	if err != nil {
		return nil, fmt.Errorf("ask resolver %s: %w", r.Address, err)
	}
	return answer, nil
}

// forward asks upstream and fills reply. The question goes out anew, with nothing of the asker's but its name and type.
func (s *Service) forward(ctx context.Context, request, reply *dns.Msg) {
	s.counters.forwarded.Add(1)
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	q := request.Question[0]
	question := new(dns.Msg).SetQuestion(q.Name, q.Qtype)
	question.SetEdns0(maxUDPSize, false)
	answer, err := s.options.Upstream.Exchange(ctx, question)
	if err != nil {
		s.counters.upstreamFailed.Add(1)
		reply.Rcode = dns.RcodeServerFailure
		return
	}
	reply.Rcode = answer.Rcode & 0xf // the rest is between us and upstream
	reply.Answer, reply.Ns = answer.Answer, answer.Ns
	for _, record := range answer.Extra {
		if record.Header().Rrtype != dns.TypeOPT {
			reply.Extra = append(reply.Extra, record)
		}
	}
}
