package bench

import (
	"context"
	"errors"
	"fmt"

	"postern/lab"
)

func path(ctx context.Context, options Options) (report Report, err error) {
	if err := lab.Prerequisites(); err != nil {
		return Report{}, err
	}
	for _, part := range []func(context.Context, Options, func(comparison) error) error{endpointRows, tunnelRows, programRows} {
		err := part(ctx, options, func(c comparison) error {
			options.Progress(c.id)
			row, err := c.row(ctx, options.Pairs)
			if err == nil {
				report.Rows = append(report.Rows, row)
			}
			return err
		})
		if err != nil {
			return report, err
		}
	}
	return report, nil
}

// endpointRows compare a service endpoint with plain routing.
func endpointRows(ctx context.Context, options Options, measure func(comparison) error) (err error) {
	ours, err := newFabric(ctx, 1)
	if err != nil {
		return fmt.Errorf("benchmark: %w", err)
	}
	defer func() { err = errors.Join(err, ours.close()) }()
	theirs, err := newRouted()
	if err != nil {
		return fmt.Errorf("benchmark: %w", err)
	}
	defer func() { err = errors.Join(err, theirs.Close()) }()
	a := route{from: ours.vms[0].Namespace, to: ours.gateway.Namespace, address: serviceAddress}
	b := route{from: theirs.vms[0].Namespace, to: theirs.gateway.Namespace, address: serviceAddress}
	for _, row := range []struct {
		id, unit string
		target   float64
		open     func(context.Context, Options, route) (meter, error)
	}{
		{"endpoint-bulk-out", "Gbit/s", 0.97, openBulk},
		{"endpoint-bulk-in", "Gbit/s", 0.97, openBulkBack},
		{"endpoint-request-response", "1/s", 0.95, openRequestResponse},
		{"endpoint-new-connections", "1/s", 0.95, openConnections},
	} {
		if err := compareMeters(ctx, options, comparison{id: row.id, unit: row.unit, target: row.target}, row.open, a, b, measure); err != nil {
			return err
		}
	}
	return nil
}

// tunnelRows compare NIC to NIC with VXLAN.
func tunnelRows(ctx context.Context, options Options, measure func(comparison) error) (err error) {
	ours, err := newFabric(ctx, 2)
	if err != nil {
		return fmt.Errorf("benchmark: %w", err)
	}
	defer func() { err = errors.Join(err, ours.close()) }()
	theirs, err := newBridged()
	if err != nil {
		return fmt.Errorf("benchmark: %w", err)
	}
	defer func() { err = errors.Join(err, theirs.Close()) }()
	return compareMeters(ctx, options, comparison{id: "nic-to-nic-bulk", unit: "Gbit/s", target: 1.05}, openBulk,
		route{from: ours.vms[0].Namespace, to: ours.vms[1].Namespace, address: ours.vms[1].NIC.Address.Addr()},
		route{from: theirs.vms[0].Namespace, to: theirs.vms[1].Namespace, address: theirs.vms[1].NIC.Address.Addr()}, measure)
}

// compareMeters opens the same meter on both routes, warms both up and measures the row. A meter that does not open makes
// the row a skipped one.
func compareMeters(ctx context.Context, options Options, row comparison, open func(context.Context, Options, route) (meter, error),
	ours, theirs route, measure func(comparison) error) error {
	failed := func(err error) error {
		row.ours = func(context.Context) (float64, error) { return 0, err }
		return measure(row)
	}
	a, err := open(ctx, options, ours)
	if err != nil {
		return failed(err)
	}
	defer a.close()
	b, err := open(ctx, options, theirs)
	if err != nil {
		return failed(err)
	}
	defer b.close()
	for _, one := range []meter{a, b} { // congestion windows and buffers grow, neighbours are found
		if _, err := one.measure(ctx); err != nil {
			return failed(err)
		}
	}
	row.ours, row.theirs = a.measure, b.measure
	return measure(row)
}
