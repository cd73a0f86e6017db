package demo

import (
	"context"

	"postern/model"
)

// written is a writer that runs through an outage: to which account, its name in the act, and whether it has a queue.
type written struct {
	account, what string
	queue         bool
}

// suffered is an outage, and what programs of vm-app saw of it.
type suffered struct {
	outage
	dropped uint64  // packets of vm-app
	session stuck   // of ssh
	rows    []stuck // of the writers
}

// sufferAppliance lets the route to the appliance stand while ssh and writers run in vm-app, and ends them when all go on
// behind it.
func (s *scene) sufferAppliance(ctx context.Context, normal situation, writers ...written) (result suffered, err error) {
	if err := s.arrange(ctx, normal); err != nil {
		return result, err
	}
	ssh, err := s.openSession(ctx, s.appVM)
	if err != nil {
		return result, err
	}
	defer ssh.close()
	var running []*writing
	for _, w := range writers {
		one, err := s.write(ctx, w.account, w.what, w.queue)
		if err != nil {
			return result, err
		}
		defer one.abandon()
		running = append(running, one)
	}
	if result.dropped, result.outage, err = s.standAppliance(ctx, normal); err != nil {
		return result, err
	}
	s.note("outageSeconds", seconds(result.stood()))
	s.note("dropped", map[string]any{"node": s.app.Node, "reason": model.ReasonApplianceUnowned.String(), "packets": result.dropped})
	if err := s.flowsAgain(ctx, ssh, result.outage, running...); err != nil {
		return result, err
	}
	for _, one := range running {
		rows, err := s.finish(ctx, one)
		if err != nil {
			return result, err
		}
		result.rows = append(result.rows, stuckRows(one, rows))
	}
	result.session = s.stuckSession(ssh)
	return result, nil
}

// standAppliance lets the route to the appliance stand, and answers how many packets of vm-app it dropped.
func (s *scene) standAppliance(ctx context.Context, normal situation) (dropped uint64, o outage, err error) {
	wrong := normal
	wrong.appliance = true
	before, err := s.counted(ctx, s.app, model.ReasonApplianceUnowned)
	if err != nil {
		return 0, o, err
	}
	o, err = s.suffer(ctx, wrong, normal, func(ctx context.Context) error {
		_, err := s.countedMore(ctx, s.app, model.ReasonApplianceUnowned, before, 1)
		return err
	})
	if err != nil {
		return 0, o, err
	}
	dropped, err = s.countedMore(ctx, s.app, model.ReasonApplianceUnowned, before, 1)
	return dropped, o, err
}

// flowsAgain waits until the session and all writers go on behind the outage.
func (s *stage) flowsAgain(ctx context.Context, ssh *session, o outage, writers ...*writing) error {
	for _, w := range writers {
		if err := s.moreRows(ctx, w, w.Progress().Stored); err != nil {
			return err
		}
	}
	return s.until(ctx, "the ssh session to go on", func(context.Context) (bool, error) {
		echoes, err := ssh.echoes()
		return after(echoes, o.endInForce) >= someRows, err
	})
}
