package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"postern/gateway"
	"postern/lab"
	"postern/model"
)

func measureGateway(ctx context.Context, options GatewayOptions) (report Report, err error) {
	if err := lab.Prerequisites(); err != nil {
		return Report{}, err
	}
	if options.Connections, err = idleConnections(options.Connections); err != nil {
		return Report{}, fmt.Errorf("benchmark: %w", err)
	}
	s, err := newStreet(options.Program, options.Connections)
	if err != nil {
		return Report{}, fmt.Errorf("benchmark: %w", err)
	}
	defer func() { err = errors.Join(err, s.close()) }()
	for _, one := range contests {
		rows, err := s.contest(ctx, options, one)
		if err != nil {
			return report, fmt.Errorf("benchmark: %w", err)
		}
		report.Rows = append(report.Rows, rows...)
	}
	if options.counted != nil {
		counts, err := s.count(ctx)
		if err != nil {
			return report, fmt.Errorf("benchmark: %w", err)
		}
		options.counted(counts)
	}
	return report, nil
}

// side is one who carries a contest's traffic.
type side struct {
	by      string
	meter   meter
	failure error
	figures []float64 // one a pair
}

// contest measures all sides in turn and makes a row of ours with each rival.
func (s *street) contest(ctx context.Context, options GatewayOptions, what contest) (rows []Row, err error) {
	what.rivals = slices.DeleteFunc(slices.Clone(what.rivals), func(one rival) bool { return !options.wants(what.id(one.name)) })
	if len(what.rivals) == 0 {
		return nil, nil
	}
	options.Progress(what.ours + "-" + what.kind)
	sides := []*side{{by: what.ours}}
	for _, one := range what.rivals {
		sides = append(sides, &side{by: one.name})
	}
	pairs, turns := options.Pairs, slicesPerPair
	if what.kind == "memory" {
		pairs, turns = idleRounds, 1
	}
	for _, one := range sides {
		if one.meter, one.failure = s.meter(ctx, options, what, one.by); one.failure == nil {
			defer one.meter.close()
		}
	}
	for range pairs {
		sums := make([]float64, len(sides))
		for range turns {
			for i, one := range sides {
				if one.failure != nil {
					continue
				}
				var figure float64
				figure, one.failure = one.meter.measure(ctx)
				sums[i] += figure / float64(turns)
				if ctx.Err() != nil {
					return nil, context.Cause(ctx)
				}
			}
		}
		for i, one := range sides {
			if one.figures = append(one.figures, sums[i]); one.failure == nil && sums[i] <= 0 {
				one.failure = errors.New("nothing went through")
			}
		}
	}
	for i, one := range what.rivals {
		rows = append(rows, what.row(one, sides[0], sides[i+1]))
	}
	return rows, nil
}

// row compares ours with one rival, pair by pair.
func (c contest) row(against rival, ours, theirs *side) Row {
	row := Row{ID: c.id(against.name), Unit: c.unit, Target: against.target, AtMost: c.atMost}
	for _, one := range []*side{ours, theirs} {
		if one.failure != nil {
			row.Skipped = fmt.Sprintf("%s: %s", one.by, strings.Join(strings.Fields(one.failure.Error()), " "))
			return row
		}
	}
	var ratios []float64
	for i := range ours.figures {
		ratios = append(ratios, ours.figures[i]/theirs.figures[i])
	}
	row.Ours, row.Theirs, row.Ratio = median(ours.figures), median(theirs.figures), median(ratios)
	row.Min, row.Max, row.Runs = slices.Min(ratios), slices.Max(ratios), len(ratios)
	switch {
	case against.target == 0:
		row.Pass = true
	case c.atMost:
		row.Pass = row.Ratio <= row.Target
	default:
		row.Pass = row.Ratio >= row.Target
	}
	return row
}

// meter opens what measures a contest's traffic by one way, and warms it up.
func (s *street) meter(ctx context.Context, options GatewayOptions, what contest, by string) (m meter, err error) {
	if err := s.open(ctx, by); err != nil {
		return nil, err
	}
	web := what.ours == byTerminator
	stay, stays, once, asks, bulkLane := laneEcho, echoTalk, laneByte, talk{request: "x"}, laneRaw
	if web {
		stay, stays, once, asks, bulkLane = laneWeb, webTalk, laneWeb, talk{get(laneWeb, true), headEnd + webBody}, laneStream
	}
	switch what.kind {
	case "bulk", "bulk-back":
		near, far, err := s.openStreams(ctx, by, bulkLane)
		if err != nil {
			return nil, err
		}
		from, to := near, far
		if what.kind == "bulk-back" {
			from, to = far, near
		}
		stream := startBulk(Options{Duration: options.Duration}, from, to)
		if web {
			stream.held = bufferSize // who terminates HTTP sends a full buffer, or the last one
		}
		m = stream
	case "request-response":
		m, err = s.openExchanges(ctx, options, by, stay, stays, 1)
	case "request-response-64":
		m, err = s.openExchanges(ctx, options, by, stay, stays, manyExchanges)
	case "new-connections":
		m, err = s.openCalls(options, by, once, asks)
	case "tls-handshakes":
		name := laneTLS
		if by == byTerminator {
			name = laneHTTPS
		}
		m, err = s.openShakes(options, by, name)
	case "memory":
		return idle{s, options, by, stay, stays}, nil
	default:
		return nil, fmt.Errorf("no meter measures %s", what.kind)
	}
	if err != nil {
		return nil, err
	}
	if _, err := m.measure(ctx); err != nil { // congestion windows and buffers grow, neighbours are found
		m.close()
		return nil, err
	}
	return m, nil
}

// idle measures memory.
type idle struct {
	street  *street
	options GatewayOptions
	by      string
	lane    string
	talk    talk
}

func (i idle) measure(ctx context.Context) (float64, error) {
	return i.street.idleMemory(ctx, i.options, i.by, i.lane, i.talk)
}

func (idle) close() {}

// count asks every way what it has carried. It ends our gateway, so that its log is whole.
func (s *street) count(context.Context) (counts gatewayCounts, err error) {
	counts.backend = s.serving.counted()
	if s.running[byHAProxy] != nil {
		if counts.haproxy, err = s.haproxySessions(); err != nil {
			return counts, err
		}
	}
	for by, one := range s.serverOnHost.counted() {
		counts.backend[by] = one
	}
	for _, by := range []string{byPassing, byKernel} {
		if one := s.running[by]; one != nil {
			one.stop()
			delete(s.running, by)
		}
	}
	parts, err := filepath.Glob(filepath.Join(s.folder, "*.jsonl*"))
	if err != nil {
		return counts, err
	}
	for _, part := range parts {
		file, err := os.Open(part)
		if err != nil {
			return counts, err
		}
		entries, err := gateway.ReadLog(file)
		if err = errors.Join(err, file.Close()); err != nil {
			return counts, err
		}
		for _, entry := range entries {
			if entry.Backend != "" {
				counts.logged++
			}
			if entry.Protocol == string(model.WayDirect) {
				counts.judged++
			}
			counts.logged += int(entry.LostLines)
		}
	}
	return counts, nil
}
