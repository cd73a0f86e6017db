package demo

import "context"

var actIPRule = act{
	id:       "ip-rule",
	expected: "Deny and an IP rule with the VM's public IP: works toward the other region, and not toward the same region: 403 AuthorizationFailure (FW-5)",
	play: func(ctx context.Context, s *scene) error {
		if err := s.arrange(ctx, situation{publicIP: true, west: s.ownRule(), germany: s.ownRule()}); err != nil {
			return err
		}
		germany, err := s.try(ctx, s.writer, accountGermany)
		if err != nil {
			return err
		}
		west, err := s.try(ctx, s.writer, accountWest)
		if err != nil {
			return err
		}
		s.note("germany", germany)
		s.note("west", west)
		s.note("ipRule", s.public)
		s.expect(germany.stored() && germany.fromPublic(s.public) && germany.Rule == "ipRules "+s.public,
			"want %s let in by ipRules %s: %v, rule %q", s.public, s.public, germany, germany.Rule)
		s.expect(west.denied() && west.fromPlatform() && west.misses("FW-5"), "want a platform address denied (FW-5): %v", west)
		s.see("%s: %d, let in by %s", germany.Account, germany.Status, germany.Rule)
		s.see("%s: %d %s, caller %s: %s", west.Account, west.Status, west.Code, west.Caller, west.MissingRule)
		return nil
	},
}
