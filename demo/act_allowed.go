package demo

import "context"

var actAllowed = act{
	id:       "allowed",
	expected: "snet-app added to the account: rows arrive with caller 10.13.76.36, and still do when the VM's public IP is gone",
	play: func(ctx context.Context, s *scene) error {
		now := s.allowed()
		now.publicIP = true
		if err := s.arrange(ctx, now); err != nil {
			return err
		}
		writer, err := s.write(ctx, accountWest, "rows", true)
		if err != nil {
			return err
		}
		defer writer.abandon()
		with, err := s.try(ctx, s.writer, accountWest)
		if err != nil {
			return err
		}
		now.publicIP = false
		if err := s.arrange(ctx, now); err != nil {
			return err
		}
		if err := s.moreRows(ctx, writer, writer.Progress().Stored); err != nil {
			return err
		}
		without, err := s.try(ctx, s.writer, accountWest)
		if err != nil {
			return err
		}
		// The other region has no endpoint here: what it sees shows that the public IP is really gone.
		elsewhere, err := s.try(ctx, s.writer, accountGermany)
		if err != nil {
			return err
		}
		rows, err := s.finish(ctx, writer)
		if err != nil {
			return err
		}
		result := stuckRows(writer, rows)
		s.note("withPublicIP", with)
		s.note("withoutPublicIP", without)
		s.note("otherRegion", elsewhere)
		s.note("rows", result)
		for when, one := range map[string]attempt{"with the public IP": with, "without it": without} {
			s.expect(one.stored() && one.fromPrivate(s.app.IPv4) && one.Rule != "", "%s, want caller %s let in: %v", when, s.app.IPv4, one)
		}
		s.expect(elsewhere.denied() && elsewhere.Caller != s.public, "want the other region to see the public IP no more: %v", elsewhere)
		s.expect(result.Missing == 0, "%d of %d rows are missing", result.Missing, result.Due)
		s.see("caller %s, let in by %s", with.Caller, shorten(with.Rule))
		s.see("public IP removed: caller %s, %d of %d rows stored; the other region sees %s: %d", without.Caller, result.Stored, result.Due, elsewhere.Caller, elsewhere.Status)
		return nil
	},
}

// allowed is the end of the story's first half: the endpoint, the account that lets the subnet in, no public IP.
func (s *stage) allowed() situation {
	west := s.ownRule()
	west.appSubnet = true
	return situation{endpoint: endpointStorage, west: west, germany: s.ownRule()}
}
