package explain

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/miekg/dns"

	"postern/firewall"
	"postern/model"
	"postern/packet"
	"postern/plan"
	"postern/platform"
	"postern/token"
	"postern/wire"
)

const dnsPort = 53

// resolve asks the platform for a name as the NIC's machine would: its question must get there, and the name service
// answers by the plan of its gateway (SE-5). goesOn is false where the way ends here, with a verdict.
func (w *walk) resolve(name string) (address netip.Addr, goesOn bool, err error) {
	node, steps, result, err := w.judgeFrom(netip.AddrPortFrom(model.PlatformDNS, dnsPort), model.ProtocolUDP)
	if err != nil {
		return netip.Addr{}, false, err
	}
	if result.Verdict.Action != model.ToFabric {
		w.tell(node, steps)
		w.denyBy(node, result.Verdict.Reason)
		w.note("The name was not resolved: the question to %v was denied.", model.PlatformDNS)
		return netip.Addr{}, false, nil
	}
	question := packet.IPv6(result.Data)
	from, to := netip.AddrFrom16(question.Source()), netip.AddrFrom16(question.Destination())
	asked, ok := w.cloud.at(wire.Parse(to).Locator)
	if !ok {
		return netip.Addr{}, false, fmt.Errorf("explain: no gateway has the platform locator %v", wire.Parse(to).Locator)
	}
	answer, err := ask(asked, name, to, from)
	if err != nil {
		return netip.Addr{}, false, err
	}
	for _, record := range answer.Answer {
		if a, ok := record.(*dns.A); ok {
			address, _ = netip.AddrFromSlice(a.A.To4())
			w.step(asked.Node, StepResolve, "SE-5", "%s is %v: its public address, with or without an endpoint", name, address)
			w.name = name
			w.noteOwnServers()
			return address, true, nil
		}
	}
	if answer.Rcode == dns.RcodeRefused {
		return netip.Addr{}, false, &TargetError{fmt.Sprintf("name %q is none of the cloud's, and explain asks nobody outside: give its IPv4 address", name)}
	}
	w.deny(asked.Node, StepResolve, ReasonNoSuchName, "DNS-1", fmt.Sprintf("the platform answers that there is no address for %s (%s)",
		name, dns.RcodeToString[answer.Rcode]), "check the name; postern get storageAccounts lists the accounts")
	return netip.Addr{}, false, nil
}

// ask is the platform's own name service with a gateway's plan and no resolver behind it.
func ask(node plan.Node, name string, local, remote netip.Addr) (*dns.Msg, error) {
	service, err := platform.New(platform.Options{Issuer: func() token.Issuer { return token.Issuer{} }}) // no tokens are asked for
	if err != nil {
		return nil, fmt.Errorf("explain: %w", err)
	}
	if err := service.Apply(node); err != nil {
		return nil, fmt.Errorf("explain: %w", err)
	}
	return service.Resolve(context.Background(), new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA), local, remote), nil
}

// noteOwnServers says so where the VNet does not ask the platform first.
func (w *walk) noteOwnServers() {
	for _, vnet := range w.cloud.snapshot.VirtualNetworks {
		if vnet.ID.Is(w.nic.Subnet.Parent()) && len(vnet.DNSServers) > 0 {
			w.note("The VNet has DNS servers of its own, %v: taken to answer as the platform does.", vnet.DNSServers)
		}
	}
}

// askPlatform judges a packet to name resolution or metadata, where it counts whose it is (ID-1, DNS-1).
func (w *walk) askPlatform(node plan.Node, from, to netip.Addr) error {
	parts, port := wire.Parse(from), w.out.To.Port
	rule, serves := "DNS-1", port == dnsPort
	what := "name resolution, at port 53 by UDP and TCP"
	if wire.Parse(to).IPv4 == model.PlatformMetadata {
		rule, what = "ID-1", "metadata and tokens, at port 80 by TCP"
		serves = port == 80 && w.protocol == model.ProtocolTCP
	}
	if !serves {
		w.deny(node.Node, StepListener, ReasonNoListener, "", fmt.Sprintf("%v serves %s alone", wire.Parse(to).IPv4, what), "")
		return nil
	}
	for _, machine := range node.Gateway.Machines {
		if machine.Subnet == parts.Identity && machine.IPv4 == parts.IPv4 {
			w.step(node.Node, StepPlatform, rule, "the question is NIC %s's, by the address that it comes from", machine.NIC.Name())
			w.end(Verdict{Outcome: Platform, At: node.Node, Reason: model.ReasonPlatform.String(), Rule: rule,
				Detail: "the platform answers: " + what, Caller: netip.AddrPortFrom(machine.IPv4, sourcePort).String()})
			return nil
		}
	}
	w.deny(node.Node, StepPlatform, string(firewall.ReasonUnknownIdentity), rule, "the platform knows no NIC of that subnet and address", "")
	return nil
}
