package demo

import (
	"context"

	"postern/demo/application"
)

var actOpen = act{
	id:       "open",
	expected: "no restriction: rows arrive at both accounts, the other region sees the VM's public IP, the own region a platform address; an outsider gets in too",
	play: func(ctx context.Context, s *scene) error {
		if err := s.arrange(ctx, situation{publicIP: true}); err != nil {
			return err
		}
		rows := map[string]int{}
		for _, account := range []string{accountGermany, accountWest} {
			writer, err := s.write(ctx, account, account, true)
			if err != nil {
				return err
			}
			defer writer.abandon()
			stored, err := s.finish(ctx, writer)
			if err != nil {
				return err
			}
			rows[account] = len(stored)
			s.expect(len(stored) == writer.Progress().Due, "%s has %d of %d rows", account, len(stored), writer.Progress().Due)
		}
		s.note("rows", rows)
		s.see("%d rows in %s, %d in %s", rows[accountGermany], accountGermany, rows[accountWest], accountWest)

		germany, west, outsider, err := s.tryThree(ctx)
		if err != nil {
			return err
		}
		s.note("germany", germany)
		s.note("west", west)
		s.note("outsider", outsider)
		s.expect(germany.stored() && germany.fromPublic(s.public), "want caller %s at the other region's account: %v", s.public, germany)
		s.expect(west.stored() && west.fromPlatform(), "want a caller in %s at the own region's account: %v", platformRange, west)
		s.expect(outsider.stored() && outsider.fromPublic(outsiderAddress.String()), "want the outsider let in as %s: %v", outsiderAddress, outsider)
		s.see("callers: %s (other region), %s (own region), %s (outsider)", germany.Caller, west.Caller, outsider.Caller)
		return nil
	},
}

// tryThree lets vm-app try both accounts, and the outsider the one in westeurope.
func (s *stage) tryThree(ctx context.Context) (germany, west, outsider attempt, err error) {
	for _, one := range []struct {
		client  *application.Client
		account string
		into    *attempt
	}{{s.writer, accountGermany, &germany}, {s.writer, accountWest, &west}, {s.stranger, accountWest, &outsider}} {
		if *one.into, err = s.try(ctx, one.client, one.account); err != nil {
			return germany, west, outsider, err
		}
	}
	return germany, west, outsider, nil
}
