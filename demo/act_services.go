package demo

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"postern/demo/visit"
	"postern/firewall"
	"postern/gateway"
)

var actServices = act{
	id:       "services",
	expected: "an instance of each service lets snet-app in: vm-app gets what it asks for, vm-other the service's own error in the protocol's own words (FW-6, FW-12)",
	play: func(ctx context.Context, s *scene) error {
		behind, err := s.openServers(ctx)
		if err != nil {
			return err
		}
		defer behind.close()
		items, err := behind.instances(s.arranger.sample["subnets/snet-app"].ID.String())
		if err != nil {
			return err
		}
		now := s.allowed()
		now.services = true
		began := time.Now()
		if err := s.arranger.change(ctx, now, items, nil); err != nil {
			return err
		}
		visits, err := s.visitAll(ctx, behind)
		if err != nil {
			return err
		}
		if err := writeVisits(s.progress, visits); err != nil {
			return err
		}
		if err := s.readLog(ctx, began, visits); err != nil {
			return err
		}
		allowed, denied := 0, 0
		for _, v := range visits {
			s.expect(v.in, "%s: want vm-app let in, with %q: %s", v.Service, v.answers, v.Allowed)
			s.expect(v.out, "%s: want vm-other refused with %q: %s", v.Service, v.refuses, v.Denied)
			s.expect(v.logged, "%s: the access log has not both, each under its caller's address with its rule", v.Service)
			if v.in {
				allowed++
			}
			if v.out {
				denied++
			}
		}
		s.note("services", visits)
		s.see("%d of %d allowed, %d of %d denied, each in its own words; the access log has all, with their rules", allowed, len(visits), denied, len(visits))
		return s.arranger.change(ctx, s.allowed(), nil, idsOf(items))
	},
}

// visited is one service as both VMs met it.
type visited struct {
	asked
	Allowed string `json:"allowed"` // what vm-app was answered
	Denied  string `json:"denied"`  // what vm-other was

	in, out, logged bool // as it should be
}

// asked is a service of the act, how a program asks it, and what it must hear.
type asked struct {
	Service string `json:"service"` // for people
	Account string `json:"account"` // the instance's name
	part    string // the sub-service, as the log names it; "" where the instance has none
	ask     func(ctx context.Context, v *visit.Visitor) (string, error)
	answers string // must be in the answer
	refuses string // must be in the error
}

// visitAll lets both VMs ask every service.
func (s *scene) visitAll(ctx context.Context, behind *servers) ([]*visited, error) {
	token, err := s.writer.Token(ctx)
	if err != nil {
		return nil, err
	}
	app, other := s.visitor(s.appVM, behind), s.visitor(s.otherVM, behind)
	var visits []*visited
	for _, one := range servicesAsked(token) {
		visits = append(visits, one.meet(ctx, app, other))
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	return visits, nil
}

// meet lets one visitor that should be let in ask, and one that should not.
func (a asked) meet(ctx context.Context, app, other *visit.Visitor) *visited {
	v := &visited{asked: a}
	said := func(answer string, err error) string {
		if err != nil {
			return err.Error()
		}
		return answer
	}
	answer, err := a.ask(ctx, app)
	v.Allowed, v.in = said(answer, err), err == nil && strings.Contains(answer, a.answers)
	answer, err = a.ask(ctx, other)
	v.Denied, v.out = said(answer, err), err != nil && strings.Contains(err.Error(), a.refuses)
	return v
}

// readLog waits until the access log has each service's two callers since a moment: vm-app by its private address with the
// rule that let it in, vm-other by another kind of address with the rule that was missing.
func (s *scene) readLog(ctx context.Context, since time.Time, visits []*visited) error {
	return s.until(ctx, "the access log's lines of all services", func(ctx context.Context) (bool, error) {
		entries, err := s.cloud.AccessLog(ctx)
		if err != nil {
			return false, err
		}
		in, out := map[string]bool{}, map[string]bool{}
		for _, e := range entries {
			switch key := loggedAs(e); {
			case e.Time.Before(since):
			case e.Rule != "" && e.CallerKind == firewall.Endpoint && strings.HasPrefix(e.CallerIPAddress, s.app.IPv4.String()+":"):
				in[key] = true
			case e.MissingRule != "" && e.CallerKind != firewall.Endpoint:
				out[key] = true
			}
		}
		var missing []string
		for _, v := range visits {
			// Who was not met as it should is told by the act, and not waited for.
			if v.logged = in[v.key()] && out[v.key()]; !v.logged && v.in && v.out {
				missing = append(missing, v.Service)
			}
		}
		if missing != nil {
			return false, fmt.Errorf("lines are missing of %s", strings.Join(missing, ", "))
		}
		return true, nil
	})
}

func (a asked) key() string { return a.Account + " " + a.part }

// loggedAs is the key of the service that a line of the log is about.
func loggedAs(e gateway.Entry) string {
	if e.Account == accountServices {
		return e.Account + " " + e.Service
	}
	return e.Account + " "
}

// Widths of the table of services, in characters. An answer has one line, a refusal up to three.
const (
	allowedWidth = 34
	deniedWidth  = 78
	deniedLength = 190
)

// writeVisits writes a table for people. The report's JSON has the texts whole.
func writeVisits(w io.Writer, visits []*visited) error {
	rows := [][]string{{"SERVICE", "ALLOWED SAYS", "DENIED SAYS"}}
	for _, v := range visits {
		rows = append(rows, []string{v.Service, cut(v.Allowed, allowedWidth), cut(v.Denied, deniedLength)})
	}
	if err := writeColumns(w, "    ", []int{0, 0, deniedWidth}, rows); err != nil {
		return fmt.Errorf("show the services: %w", err)
	}
	return nil
}

// cut leaves out of a long text what is behind a number of characters.
func cut(text string, most int) string {
	if characters := []rune(text); len(characters) > most {
		return strings.TrimSpace(string(characters[:most-1])) + "…"
	}
	return text
}
