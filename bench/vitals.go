package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"postern/node"
)

// vitals are what the gateway's process holds, by its own metrics. In user space that process is this one.
type vitals struct {
	descriptors float64 // of files, open
	resident    float64 // bytes of memory
}

// vitals asks the gateway for its metrics.
func (w *callers) vitals(ctx context.Context) (now vitals, err error) {
	socket := node.MetricsSocket(w.running.Dir(), "gateway")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://gateway/metrics", nil)
	if err != nil {
		return now, err
	}
	response, err := client.Do(request)
	if err != nil {
		return now, fmt.Errorf("read the gateway's metrics: %w", err)
	}
	defer response.Body.Close()
	found := 0
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		name, text, _ := strings.Cut(lines.Text(), " ")
		place := map[string]*float64{"process_open_fds": &now.descriptors, "process_resident_memory_bytes": &now.resident}[name]
		if place == nil {
			continue
		}
		if *place, err = strconv.ParseFloat(text, 64); err != nil {
			return now, fmt.Errorf("read the gateway's metrics: %s: %w", name, err)
		}
		found++
	}
	_, _ = io.Copy(io.Discard, response.Body)
	if found != 2 {
		return now, fmt.Errorf("read the gateway's metrics: %d of the 2 about its process are there", found)
	}
	return now, nil
}

// descriptorSlack is how many more files a gateway may have open than before: connections to its store and to itself.
const descriptorSlack = 16

// backTo waits until the gateway has about as few files open as before, and answers how many it has.
func (w *callers) backTo(ctx context.Context, before vitals) (vitals, error) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(endLimit); ; {
		now, err := w.vitals(ctx)
		if err != nil || now.descriptors <= before.descriptors+descriptorSlack || time.Now().After(deadline) {
			return now, err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return now, context.Cause(ctx)
		}
	}
}

// Memory may be half as much again as it was when the others began to come and go, and that much more in any case: what a
// collector leaves for later.
const (
	memoryGrowth = 1.5
	memorySlack  = 64 << 20
)

// memoryRow compares what the gateway held at times while connections came and went with what it held at their beginning.
func memoryRow(began float64, samples []float64) Row {
	const mebibyte = 1 << 20
	last := samples[len(samples)-1]
	row := Row{ID: "soak-memory", Unit: "MiB", Ours: last / mebibyte, Theirs: began / mebibyte, Ratio: last / began, Min: last / began, Max: last / began,
		Runs: len(samples), Target: memoryGrowth, AtMost: true}
	for _, sample := range samples {
		row.Min, row.Max = min(row.Min, sample/began), max(row.Max, sample/began)
	}
	row.Pass = row.Ratio <= memoryGrowth || last-began <= memorySlack
	return row
}
