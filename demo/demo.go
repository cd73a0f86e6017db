// Package demo tells the main job as a story in acts, on a running cloud and with real packets: a subnet reaches a
// storage account over a service endpoint. Each act arranges the cloud by the API, lets programs in VMs and on the
// Internet do what they do, and reads what came of it where an operator would: from the stored rows, the gateways'
// access log and the nodes' counters. Nothing is taken from inside.
//
// Files: act.go and report.go are the frame; stage.go, situation.go, attempt.go, kept.go, session.go, outage.go,
// appliance.go, gap.go, frame.go and services.go what acts are made of; act_*.go the acts, in the order of acts.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"postern/api/client"
	"postern/cloud"
	"postern/gateway"
	"postern/model"
)

// Cloud is what the demo needs of a running cloud: *cloud.Cloud has it.
type Cloud interface {
	DataPath() string
	Fallback() error
	API() *client.Client
	CA() []byte
	Machine(ctx context.Context, nic string) (cloud.Machine, error)
	NIC(ctx context.Context, nic string) (cloud.NICInfo, error)
	Outsider(ctx context.Context, name string, address netip.Addr) (cloud.Machine, error)
	Backend(ctx context.Context, name string, address netip.Addr) (cloud.Machine, netip.Addr, error)
	Counters(ctx context.Context, node string) ([]model.Counter, error)
	AccessLog(ctx context.Context) ([]gateway.Entry, error)
}

var _ Cloud = (*cloud.Cloud)(nil)

// Options are how the story is told. Zero means all acts, scaled, in silence.
type Options struct {
	Pace     Pace
	Progress io.Writer // plain lines while it runs; nil for none
	Acts     []string  // ids of the acts to play; empty for all
}

// Acts are the ids of the acts, in their order.
func Acts() []string {
	var ids []string
	for _, act := range acts {
		ids = append(ids, act.id)
	}
	return ids
}

// acts is the story. Each act arranges all it needs, so that any can be played alone.
var acts = []act{actOpen, actIPRule, actUDR, actFailClosed, actAllowed, actUDREndpoint, actOutsider, actExfiltration, actSpoof,
	actServices}

// Run writes the sample cloud (examples/cloud.yaml) into c, which is empty or has it already, and plays the acts. The
// report has every act that was played, also with an error, which says that the story could not begin or was broken off:
// an act that did not hold is no error.
func Run(ctx context.Context, c Cloud, options Options) (Report, error) {
	if options.Pace == (Pace{}) {
		options.Pace = Scaled
	}
	if options.Progress == nil {
		options.Progress = io.Discard
	}
	report := Report{DataPath: c.DataPath()}
	chosen, err := choose(options.Acts)
	if err != nil {
		return report, err
	}
	fmt.Fprintf(options.Progress, "data path: %s\n", report.DataPath)
	if reason := c.Fallback(); reason != nil {
		report.Fallback = reason.Error()
		fmt.Fprintf(options.Progress, "the kernel data path cannot run here: %v\n", reason)
	}
	began := time.Now()
	stage, err := prepare(ctx, c, options)
	if err != nil {
		return report, fmt.Errorf("prepare the demo: %w", err)
	}
	defer stage.close()
	fmt.Fprintf(options.Progress, "the cloud is up: %.1f s\n", time.Since(began).Seconds())
	for _, act := range chosen {
		report.Acts = append(report.Acts, act.run(ctx, stage, options))
		if ctx.Err() != nil {
			return report, fmt.Errorf("demo broken off in act %s: %w", act.id, context.Cause(ctx))
		}
	}
	report.Pass = len(report.Acts) > 0
	for _, played := range report.Acts {
		report.Pass = report.Pass && played.Pass
	}
	return report, nil
}

func choose(ids []string) ([]act, error) {
	if len(ids) == 0 {
		return acts, nil
	}
	var chosen []act
	var problems []error
	for _, id := range ids {
		found := false
		for _, act := range acts {
			if act.id == id {
				chosen, found = append(chosen, act), true
			}
		}
		if !found {
			problems = append(problems, fmt.Errorf("act %q is not known: choose from %v", id, Acts()))
		}
	}
	return chosen, errors.Join(problems...)
}
