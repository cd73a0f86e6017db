package demo

import "context"

var actOutsider = act{
	id:       "outsider",
	expected: "a client on the Internet and the second subnet's VM are denied, each for its own reason; vm-app still works",
	play: func(ctx context.Context, s *scene) error {
		if err := s.arrange(ctx, s.allowed()); err != nil {
			return err
		}
		outsider, err := s.try(ctx, s.stranger, accountWest)
		if err != nil {
			return err
		}
		neighbor, err := s.try(ctx, s.neighbor, accountWest)
		if err != nil {
			return err
		}
		own, err := s.try(ctx, s.writer, accountWest)
		if err != nil {
			return err
		}
		s.note("outsider", outsider)
		s.note("secondSubnet", neighbor)
		s.note("own", own)
		s.expect(outsider.denied() && outsider.fromPublic(outsiderAddress.String()) && outsider.misses("ipRules", outsiderAddress.String()),
			"want %s denied for want of an ipRules entry: %v", outsiderAddress, outsider)
		s.expect(neighbor.denied() && neighbor.fromPlatform() && neighbor.misses("FW-5"),
			"want the second subnet's VM denied by its platform address (FW-5): %v", neighbor)
		s.expect(outsider.MissingRule != neighbor.MissingRule, "both denials have the same reason: %s", outsider.MissingRule)
		s.expect(own.stored() && own.fromPrivate(s.app.IPv4), "want vm-app let in as %s: %v", s.app.IPv4, own)
		s.see("Internet, with vm-app's own token: %d, %s", outsider.Status, outsider.MissingRule)
		s.see("second subnet: %d, caller %s, %s", neighbor.Status, neighbor.Caller, neighbor.MissingRule)
		return nil
	},
}
