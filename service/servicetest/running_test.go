package servicetest_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"postern/firewall"
	"postern/model"
)

// runningRules are asked of a gateway that runs by the plans of the world, in the protocol of every port.
var runningRules = []rule{
	{"FW-2", "every protocol of the data plane, and not the management API", func(t *testing.T, w *world, s *subject) {
		letAppIn := rules{subnets: []string{subnetID("app")}}
		for _, port := range w.instance(s).Ports {
			backend := newServer(t, port.Way)
			served := *s
			served.backend = backend.listener.Addr().String()
			w := w.derive(t)
			w.write(&served, letAppIn)
			f := newFront(t)
			f.apply(w.plan())
			if told, err := f.call(w, &served, app, port).ask(); told != "" || err != nil {
				t.Errorf("port %d, %s: the subnet that is let in is told %q, %v", port.Number, port.Way, told, err)
			}
			if told, err := f.call(w, &served, other, port).ask(); told == "" && err == nil {
				t.Errorf("port %d, %s: another subnet is let in", port.Number, port.Way)
			}
			select {
			case <-backend.accepted:
			default:
				t.Errorf("port %d, %s: the backend was not asked", port.Number, port.Way)
			}
			if len(backend.accepted) > 0 {
				t.Errorf("port %d, %s: the backend was asked by who is not let in", port.Number, port.Way)
			}
		}
		w.write(s, rules{closed: true})
		w.write(s, letAppIn) // the API writes what nobody may reach
	}},
	{"FW-9, FW-10", "by a token in a request of HTTP", func(t *testing.T, w *world, s *subject) {
		for _, port := range w.instance(s).Ports {
			if port.Way != model.WayHTTP && port.Way != model.WayHTTPS {
				continue
			}
			backend := newServer(t, port.Way)
			served := *s
			served.backend = backend.listener.Addr().String()
			r, identity := rules{}, vm
			if s.lacks["FW-10"] == "" {
				r.resources = []string{vm}
			} else if r.trusted, identity = s.trusted != "", s.trustedID(); s.trusted == "" {
				continue
			}
			w.write(&served, r)
			f := newFront(t)
			f.apply(w.plan())
			if told, err := f.call(w, &served, as(stranger, identity), port).ask(); told != "" || err != nil {
				t.Errorf("%s: with the identity it is told %q, %v", port.Way, told, err)
			}
			if told, err := f.call(w, &served, as(stranger, identity+"2/x"), port).ask(); told == "" || err != nil {
				t.Errorf("%s: with another it is told %q, %v", port.Way, told, err)
			}
		}
	}},
	{"FW-12", "the refusal is the service's own", func(t *testing.T, w *world, s *subject) {
		w.write(s, rules{})
		f := newFront(t)
		f.apply(w.plan())
		for _, port := range w.instance(s).Ports {
			for what, from := range map[string]caller{"a subnet": app, "the Internet": stranger} {
				told, err := f.call(w, s, from, port).ask()
				want, known := refusals[s.service()+" "+string(port.Way)], false
				if port.Way == model.WayTCP {
					known = errors.Is(err, syscall.ECONNRESET)
				} else {
					at := 0
					if len(want) > 1 && from.subnet == "" {
						at = 1
					}
					known = err == nil && len(want) > 0 && strings.Contains(told, want[at])
				}
				if !known {
					t.Errorf("%s, port %d, %s: told %q, %v; want %q", what, port.Number, port.Way, told, err, want)
				}
			}
		}
	}},
	{"FW-13", "one line, with who and why", func(t *testing.T, w *world, s *subject) {
		w.write(s, rules{})
		f := newFront(t)
		f.apply(w.plan())
		for _, port := range w.instance(s).Ports {
			caller := f.call(w, s, app, port)
			_, _ = caller.ask()
			caller.Close()
			got := f.lines(caller.TCPConn, 1)[0]
			if got.Account != s.name || got.ResourceID != s.id() || got.CallerKind != firewall.Endpoint || got.Subnet != subnetID("app") || got.VirtualNetwork != vnet ||
				!strings.HasPrefix(got.CallerIPAddress, prefixOf("app")+".4:") || got.Protocol != string(port.Way) || got.MissingRule == "" || got.Rule != "" ||
				got.StatusText == "" || got.StatusText == "Success" || got.Time.IsZero() || got.Operation == "" {
				t.Errorf("port %d, %s: the line is %+v", port.Number, port.Way, got)
			}
		}
	}},
	{"SEP-8", "a denial stands in the log of both sides", func(t *testing.T, w *world, s *subject) {
		letIn(w, s)
		w.put(policy("p", s.endpoint(), s.id()+"-of-nobody"), w.subnet(s, "limited", true, "p"))
		reaches(w, s, limited, false) // the host drops the packet, with the policy for its reason
		f := newFront(t)
		f.apply(w.plan())
		caller := f.call(w, s, limited, w.instance(s).Ports[0]) // as if it had come all the same
		_, _ = caller.ask()
		caller.Close()
		if got := f.lines(caller.TCPConn, 1)[0]; !strings.Contains(got.MissingRule, "SEP-2") || got.Subnet != subnetID("limited") {
			t.Errorf("the service's line is %+v", got)
		}
	}},
}

// refusals have something that each service says, by its name and the way: to a subnet, and to the Internet where that is
// told something else.
var refusals = map[string][]string{
	"storage http":            {"AuthorizationFailure"},
	"storage https":           {"AuthorizationFailure"},
	"keyvault https":          {`"ForbiddenByFirewall"`},
	"cosmosdb https":          {"client VNET through service endpoint", "198.51.100.9"},
	"containerregistry https": {"client with IP '10.1.0.4' is not allowed", "client with IP '198.51.100.9' is not allowed"},
	"cognitiveservices https": {"403"},
	"appservice http":         {"Ip Forbidden"},
	"appservice https":        {"Ip Forbidden"},
	"datalakestore https":     {"AccessDeniedByFirewall"},
	"own http":                {"403 Forbidden"},
	"own https":               {"403 Forbidden"},
	"own tls":                 {alertAccessDenied},
	"postgresql postgresql":   {"C28000\x00MClient from Azure Virtual Networks", `C28000` + "\x00" + `Mno pg_hba.conf entry for host "198.51.100.9", user "bob`},
	"mysql mysql":             {"\x28\x23Client from Azure Virtual Networks", "\x28\x23Client with IP address '198.51.100.9'"},
	"mariadb mysql":           {"\x28\x23Client from Azure Virtual Networks", "\x28\x23Client with IP address '198.51.100.9'"},
	"sql tds":                 {"Client is not allowed to access the server", "Client with IP address '198.51.100.9' is not allowed"},
	"synapse tds":             {"Client is not allowed to access the server", "Client with IP address '198.51.100.9' is not allowed"},
	"servicebus https":        {"Ip has been prevented to connect"},
	"servicebus amqp":         {"amqp:unauthorized-access"},
	"eventhub https":          {"Ip has been prevented to connect"},
	"eventhub amqp":           {"amqp:unauthorized-access"},
	"eventhub kafka":          {alertAccessDenied},
}

// alertAccessDenied is the alert of TLS, RFC 8446 section 6.2.
var alertAccessDenied = fmt.Sprintf("\x15\x03\x03\x00\x02\x02%c", 49)
