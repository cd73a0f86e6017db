package explain

import (
	"cmp"
	"net/netip"

	"postern/model"
	"postern/pipeline"
	"postern/routes"
)

// listRoutes lists the winner and every loser for a destination (ROUTE-17). The pipeline knows winners of each prefix alone;
// the routes of the subnet know them all. Endpoints that are not enabled are no routes: the pipeline tells them.
func (w *walk) listRoutes(destination netip.Addr, steps []pipeline.Step) error {
	var asked *pipeline.Step
	for i := range steps {
		if steps[i].Name == StepRoute && len(steps[i].Candidates) > 0 {
			asked = &steps[i]
		}
	}
	if asked == nil {
		return nil // denied before, or a platform address
	}
	table, err := w.cloud.compiler.Effective(w.cloud.snapshot, w.cloud.catalogue, w.nic)
	if err != nil {
		return err
	}
	decision := table.Lookup(destination, w.protocol)
	if decision.Winner != nil {
		w.out.Routes = append(w.out.Routes, candidateOf(*decision.Winner, Winner))
	}
	for _, loser := range decision.Losers {
		w.out.Routes = append(w.out.Routes, candidateOf(loser, Loser))
	}
	for _, candidate := range asked.Candidates {
		if !candidate.Enabled {
			w.out.Routes = append(w.out.Routes, Candidate{State: NotEnabled, Prefix: candidate.Prefix, Source: model.SourceDefault,
				NextHopType: model.NextHopServiceEndpoint, Name: cmp.Or(candidate.Endpoint, w.cloud.ownEndpoint(candidate.Bit)), Rule: candidate.Rule, Why: candidate.Detail})
		}
	}
	return nil
}

// ownEndpoint is the name of an endpoint of the operator's own.
func (c *Cloud) ownEndpoint(bit uint8) string {
	for _, one := range c.snapshot.Services() {
		if one.Bit == bit {
			return one.Endpoint
		}
	}
	return ""
}

func candidateOf(route routes.Candidate, state CandidateState) Candidate {
	return Candidate{State: state, Prefix: route.Prefix, Source: route.Source, NextHopType: route.NextHopType,
		NextHopIP: route.NextHopIP, Name: route.Name, ServiceTag: route.ServiceTag, Rule: route.Rule, Why: route.Why}
}

// routeStep is the step of the route in words.
func (w *walk) routeStep() (rule, detail string) {
	first := w.out.Routes[0]
	if first.State != Winner {
		return "", "no route has the destination"
	}
	detail = first.Prefix.String() + " to " + first.NextHopType.String()
	if first.NextHopIP.IsValid() {
		detail += " " + first.NextHopIP.String()
	}
	if first.Name != "" {
		detail += " (" + first.Name + ")"
	}
	return first.Rule, detail + ": " + first.Why
}
