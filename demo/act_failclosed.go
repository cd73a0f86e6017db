package demo

import (
	"context"
)

var actFailClosed = act{
	id:       "fail-closed",
	expected: "Microsoft.Storage on snet-app, the account not told: open connections are reset (SE-3), the caller is 10.13.76.36, 403; with Microsoft.Storage.Global the other region's IP rule no longer matches (SE-4)",
	play: func(ctx context.Context, s *scene) error {
		now := situation{publicIP: true, west: s.ownRule(), germany: s.ownRule()}
		if err := s.arrange(ctx, now); err != nil {
			return err
		}
		west, err := s.keep(ctx, s.appVM, s.writer, accountWest)
		if err != nil {
			return err
		}
		defer west.close()
		germany, err := s.keep(ctx, s.appVM, s.writer, accountGermany)
		if err != nil {
			return err
		}
		defer germany.close()
		s.askAnswer(ctx, west, statusForbidden) // by its platform address (FW-5): refused, but connected
		s.askAnswer(ctx, germany, statusCreated)

		now.endpoint = endpointStorage
		if err := s.arrange(ctx, now); err != nil {
			return err
		}
		if err := s.closedIn(ctx, "west", west, endpointStorage); err != nil {
			return err
		}
		s.askAnswer(ctx, germany, statusCreated) // another region: not covered (SE-9)

		now.endpoint = endpointGlobal
		if err := s.arrange(ctx, now); err != nil {
			return err
		}
		if err := s.closedIn(ctx, "germany", germany, endpointGlobal); err != nil {
			return err
		}

		now.endpoint = endpointStorage
		if err := s.arrange(ctx, now); err != nil {
			return err
		}
		back, err := s.try(ctx, s.writer, accountGermany)
		if err != nil {
			return err
		}
		s.note("germanyBack", back)
		s.expect(back.stored() && back.fromPublic(s.public), "back with Microsoft.Storage, want the IP rule to match again: %v", back)
		s.see("back with %s: %s", endpointStorage, back)
		return nil
	},
}

// closedIn expects that a change to an endpoint has reset an open connection, and that a new one is denied by its private
// address.
func (s *scene) closedIn(ctx context.Context, name string, open *kept, endpoint string) error {
	met := s.askReset(ctx, open)
	denied, err := s.try(ctx, s.writer, open.account)
	if err != nil {
		return err
	}
	s.note(name, map[string]any{"endpoint": endpoint, "openConnection": met, "newConnection": denied})
	s.expect(denied.denied() && denied.fromPrivate(s.app.IPv4) && denied.misses("virtualNetworkRules", "snet-app"),
		"with %s, want caller %s denied for want of a virtualNetworkRules entry: %v", endpoint, s.app.IPv4, denied)
	s.see("%s: open connection to %s: %s; new one: caller %s, %d, %s", endpoint, open.account, met, denied.Caller, denied.Status, shorten(denied.MissingRule))
	return nil
}
