package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"postern/api"
	"postern/compile"
	"postern/control"
	"postern/resource"
	"postern/servicetag"
)

// ControlOptions of Control; the zero value measures as the promises want it.
type ControlOptions struct {
	NICs     int // of the cloud that is compiled; 0 is 100,000
	Nodes    int // simulated hosts; 0 is 1,000
	Carried  int // NICs on the simulated hosts while changes are enforced; 0 is 10,000
	Requests int // changes of each kind; 0 is 100

	Progress func(step string) // is told what is being done; nil: nobody is
	Log      *slog.Logger      // of the control plane; nil: nowhere
}

// ControlRows are the ids of what Control measures, in its order.
var ControlRows = []string{"compile-all", "compile-change-subnet", "compile-change-nic",
	"enforced-subnet-p50", "enforced-subnet-p99", "enforced-everywhere-p50", "enforced-everywhere-p99"}

// What design.md promises.
const (
	compileTarget  = 5000 // ms, from nothing
	changeTarget   = 10   // ms, one change
	enforcedTarget = 250  // ms
	controlLimit   = 20 * time.Minute
)

func (o ControlOptions) settled() (ControlOptions, error) {
	for _, number := range []struct {
		value     *int
		otherwise int
	}{{&o.NICs, 100_000}, {&o.Nodes, 1000}, {&o.Carried, 10_000}, {&o.Requests, 100}} {
		if *number.value == 0 {
			*number.value = number.otherwise
		}
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Nodes < hostsOfNetwork || o.Nodes > 60_000 || o.NICs < nicsOfNetwork || o.Carried < nicsOfNetwork || o.Requests < 1 {
		return o, fmt.Errorf("benchmark: %+v: give at least %d nodes and at most 60,000, %d NICs and one request", o, hostsOfNetwork, nicsOfNetwork)
	}
	return o, nil
}

// Control measures the control plane alone, with simulated nodes: they take their plans and report them as applied, and
// have no data path. The rows:
//   - compile-all: the plans of all nodes from nothing but the service tables, with 100,000 NICs on 1,000 hosts;
//   - compile-change-…: the plans after one change of a subnet, or of a NIC;
//   - enforced-subnet: a change of a subnet, whose NICs are on ten hosts, from the call of the API until all nodes concerned
//     have reported, with 10,000 NICs on 1,000 hosts;
//   - enforced-everywhere: the same of a security group that every NIC has, so that every host gets another plan.
//
// Rows have no counterpart: see Row. The error is the context's or the store's.
func Control(ctx context.Context, options ControlOptions) (report Report, err error) {
	options, err = options.settled()
	if err != nil {
		return report, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, controlLimit, fmt.Errorf("it has taken more than %s", controlLimit))
	defer cancel()
	if err := options.compileRows(ctx, &report); err != nil {
		return report, fmt.Errorf("benchmark: %w", err)
	}
	if err := options.enforcedRows(ctx, &report); err != nil {
		return report, fmt.Errorf("benchmark: %w", err)
	}
	return report, nil
}

// compileRows need no store.
func (o ControlOptions) compileRows(ctx context.Context, report *Report) error {
	o.Progress(fmt.Sprintf("making a cloud of %d network interfaces", o.NICs))
	fleet := fleet{nodes: o.Nodes, nics: o.NICs}
	empty, err := resource.NewCloud(nil, resource.FirstCounters, 0)
	if err != nil {
		return err
	}
	items, err := fleet.items()
	if err != nil {
		return err
	}
	cloud, err := changed(empty, items...)
	if err != nil {
		return err
	}
	catalogue := servicetag.BuiltIn()
	compiler := new(compile.Compiler)
	measure := func(times *[]float64, compiler *compile.Compiler, cloud *resource.Cloud) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		began := time.Now()
		plans, err := compiler.Compile(cloud.Snapshot(), catalogue)
		*times = append(*times, milliseconds(time.Since(began)))
		if err == nil && len(plans) != o.Nodes+2 {
			err = fmt.Errorf("%d plans for %d nodes", len(plans), o.Nodes+2)
		}
		return err
	}
	var all, subnets, nics, unmeasured []float64
	o.Progress("measuring compile-all")
	for range 3 {
		fresh, err := changed(cloud) // nothing of it is worked out yet
		if err == nil {
			err = measure(&all, new(compile.Compiler), fresh)
		}
		if err != nil {
			return err
		}
	}
	o.Progress("measuring compile-change")
	if err := measure(&unmeasured, compiler, cloud); err != nil {
		return err
	}
	for i := range 10 {
		for _, kind := range []struct {
			times *[]float64
			item  func(int) (resource.Item, error)
		}{{&subnets, fleet.changedSubnet}, {&nics, fleet.changedNIC}} {
			item, err := kind.item(i)
			if err != nil {
				return err
			}
			if cloud, err = changed(cloud, item); err != nil {
				return err
			}
			if err := measure(kind.times, compiler, cloud); err != nil {
				return err
			}
		}
	}
	report.Rows = append(report.Rows, bound("compile-all", "ms", 0.5, all, compileTarget),
		bound("compile-change-subnet", "ms", 0.5, subnets, changeTarget), bound("compile-change-nic", "ms", 0.5, nics, changeTarget))
	return nil
}

// changed is a cloud with some resources written.
func changed(cloud *resource.Cloud, items ...resource.Item) (*resource.Cloud, error) {
	change := resource.NewChange(cloud, resource.Options{})
	for _, item := range items {
		if _, err := change.Put(item.ID, item.Body); err != nil {
			return nil, err
		}
	}
	outcome, err := change.Finish()
	if err != nil {
		return nil, err
	}
	return outcome.After.At(cloud.Revision+1, outcome.Puts), nil
}

// enforcedRows run a control plane on a temporary folder, with nodes that only say that they have applied their plans.
func (o ControlOptions) enforcedRows(ctx context.Context, report *Report) (err error) {
	dir, err := os.MkdirTemp("", "postern-")
	if err != nil {
		return fmt.Errorf("make a state folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	plane, err := control.Start(dir, o.Log, control.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, plane.Close()) }()
	ctx, cancel := context.WithCancelCause(ctx)
	var nodes sync.WaitGroup
	defer nodes.Wait()
	defer cancel(context.Canceled)
	fleet := fleet{nodes: o.Nodes, nics: o.Carried}
	for _, name := range fleet.nodeNames() {
		nodes.Go(func() {
			for update := range plane.Store.WatchPlan(ctx, name) {
				if update.Plan == nil {
					continue
				}
				if err := plane.Store.ReportApplied(ctx, name, update.Revision, nil); err != nil && ctx.Err() == nil {
					cancel(err)
				}
			}
		})
	}
	items, err := fleet.items()
	if err != nil {
		return err
	}
	for done := 0; done < len(items); done += batchSize {
		o.Progress(fmt.Sprintf("filling: %d of %d resources", done, len(items)))
		if err := enforce(ctx, plane.API, items[done:min(done+batchSize, len(items))]...); err != nil {
			return err
		}
	}
	for _, kind := range []struct {
		id   string
		item func(int) (resource.Item, error)
	}{{"enforced-subnet", fleet.changedSubnet}, {"enforced-everywhere", fleet.changedGroup}} {
		o.Progress("measuring " + kind.id)
		var times []float64
		for i := range o.Requests {
			item, err := kind.item(i)
			if err != nil {
				return err
			}
			began := time.Now()
			if err := enforce(ctx, plane.API, item); err != nil {
				return err
			}
			times = append(times, milliseconds(time.Since(began)))
		}
		report.Rows = append(report.Rows, bound(kind.id+"-p50", "ms", 0.50, times, 0), bound(kind.id+"-p99", "ms", 0.99, times, enforcedTarget))
	}
	return nil
}

// enforce makes a change and waits until every node concerned has reported it.
func enforce(ctx context.Context, door *api.API, items ...resource.Item) error {
	result, err := door.Apply(ctx, api.Batch{Resources: items})
	if err == nil {
		err = door.Await(ctx, result.Operation)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
