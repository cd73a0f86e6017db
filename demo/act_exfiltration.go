package demo

import (
	"context"

	"postern/demo/application"
	"postern/model"
)

var actExfiltration = act{
	id:       "exfiltration",
	expected: "a service endpoint policy with the own account only: somebody else's account is refused at the NIC and counted, the own works; without the policy both do (SEP-2)",
	play: func(ctx context.Context, s *scene) error {
		free := s.allowed()
		guarded := free
		guarded.policy = true
		if err := s.arrange(ctx, free); err != nil {
			return err
		}
		before, err := s.try(ctx, s.writer, accountRogue)
		if err != nil {
			return err
		}
		if err := s.arrange(ctx, guarded); err != nil {
			return err
		}
		counted, err := s.counted(ctx, s.app, model.ReasonEndpointPolicy)
		if err != nil {
			return err
		}
		rogue, err := s.try(ctx, s.writer, accountRogue)
		if err != nil {
			return err
		}
		refused, err := s.countedMore(ctx, s.app, model.ReasonEndpointPolicy, counted, 1)
		if err != nil {
			return err
		}
		own, err := s.try(ctx, s.writer, accountWest)
		if err != nil {
			return err
		}
		if err := s.arrange(ctx, free); err != nil {
			return err
		}
		after, err := s.try(ctx, s.writer, accountRogue)
		if err != nil {
			return err
		}
		s.note("before", before)
		s.note("rogue", rogue)
		s.note("own", own)
		s.note("after", after)
		s.note("refused", map[string]any{"node": s.app.Node, "reason": model.ReasonEndpointPolicy.String(), "packets": refused})
		s.expect(before.stored() && before.fromPrivate(s.app.IPv4), "without the policy, want the rogue account to take the row: %v", before)
		s.expect(rogue.Status == 0 && (application.IsRefused(rogue.err) || application.IsReset(rogue.err)),
			"with the policy, want the connection to the rogue account reset: %v", rogue)
		s.expect(own.stored(), "with the policy, want the own account to take the row: %v", own)
		s.expect(after.stored(), "the policy gone, want the rogue account to take the row: %v", after)
		s.see("with the policy: %s: %s, %d packets counted as %s on %s", accountRogue, rogue.Problem, refused, model.ReasonEndpointPolicy, s.app.Node)
		s.see("%s: %d", own.Account, own.Status)
		s.see("without the policy: %s: %d before, %d after", accountRogue, before.Status, after.Status)
		return nil
	},
}
