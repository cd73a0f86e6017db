package demo

import "context"

var actUDREndpoint = act{
	id:       "udr-endpoint",
	expected: "0.0.0.0/0 to the appliance again, now with the endpoint: ssh is stuck, the rows have no gap and none is lost (ROUTE-13)",
	play: func(ctx context.Context, s *scene) error {
		suffered, err := s.sufferAppliance(ctx, s.allowed(), written{accountWest, "rows", true})
		if err != nil {
			return err
		}
		o, session, result := suffered.outage, suffered.session, suffered.rows[0]
		s.note("rows", result)
		s.note("ssh", session)
		s.note("gapBoundSeconds", seconds(s.pace.noGap(o)))
		least, most := s.pace.stuckAtLeast(o), s.pace.sessionStuckAtMost(o)
		s.expect(session.gap >= least && session.gap <= most, "the ssh session: a gap of %.2f s, want %.2f to %.2f s",
			session.gap.Seconds(), least.Seconds(), most.Seconds())
		s.expect(result.Missing == 0, "%d of %d rows are missing", result.Missing, result.Due)
		s.expect(result.gap < s.pace.noGap(o), "the rows have a gap of %.2f s, want below %.2f s", result.gap.Seconds(), s.pace.noGap(o).Seconds())
		s.see("outage %.2f s: ssh stuck for %.2f s", o.stood().Seconds(), session.gap.Seconds())
		s.see("%d of %d rows, largest gap %.2f s", result.Stored, result.Due, result.gap.Seconds())
		return nil
	},
}
