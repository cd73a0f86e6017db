package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
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

// Memory may be a fifth more in the second half of the churn than it was in the first, and that much more in any case, which
// a collector leaves for later. The first half includes the time until the heap has found its size.
const (
	memoryGrowth = 1.2
	memorySlack  = 64 << 20
)

// memoryRow compares the most that the gateway held in the second half of the samples with the most of the first half.
func memoryRow(samples []float64) Row {
	const mebibyte = 1 << 20
	half := len(samples) / 2
	first, second := slices.Max(samples[:max(half, 1)]), slices.Max(samples[half:])
	ratio := second / first
	return Row{ID: "soak-memory", Unit: "MiB", Ours: second / mebibyte, Theirs: first / mebibyte, Ratio: ratio, Min: ratio, Max: ratio,
		Runs: len(samples), Target: memoryGrowth, AtMost: true, Pass: ratio <= memoryGrowth || second-first <= memorySlack}
}
