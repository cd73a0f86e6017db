package demo

import (
	"context"

	"postern/model"
)

var actUDREndpoint = act{
	id:       "udr-endpoint",
	expected: "0.0.0.0/0 to the appliance again, now with the endpoint: ssh is stuck, the rows have no gap and none is lost (ROUTE-13)",
	play: func(ctx context.Context, s *scene) error {
		normal := s.allowed()
		wrong := normal
		wrong.appliance = true
		if err := s.arrange(ctx, normal); err != nil {
			return err
		}
		ssh, err := s.openSession(ctx, s.appVM)
		if err != nil {
			return err
		}
		defer ssh.close()
		writer, err := s.write(ctx, accountWest, "rows", true)
		if err != nil {
			return err
		}
		defer writer.abandon()
		dropped, o, err := s.sufferAppliance(ctx, wrong, normal)
		if err != nil {
			return err
		}
		if err := s.flowsAgain(ctx, ssh, o, writer); err != nil {
			return err
		}
		rows, err := s.finish(ctx, writer)
		if err != nil {
			return err
		}
		result, session := stuckRows(writer, rows), s.stuckSession(ssh)
		s.note("outageSeconds", seconds(o.stood()))
		s.note("dropped", map[string]any{"node": s.app.Node, "reason": model.ReasonApplianceUnowned.String(), "packets": dropped})
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
