package gateway

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// How backends are asked whether they live.
const (
	healthInterval = 5 * time.Second
	healthTimeout  = 2 * time.Second
)

// probe is one question: does the server at an address accept connections or, with a path, answer a GET below 400?
type probe struct{ address, path string }

// health knows which backends are down. One is down from a failure on, of a connection or of a question, until a question
// has an answer. A backend that nobody has asked yet is up.
type health struct {
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
	client *http.Client
	log    *slog.Logger
	told   func() // is called when a backend has died or come back
	ctx    context.Context
	stop   context.CancelFunc
	asking sync.WaitGroup

	mu     sync.Mutex
	probes map[probe]*asked
}

// asked is what is known of one backend.
type asked struct {
	down bool
	told bool // what told was called about
	stop context.CancelFunc
}

func newHealth(dial func(ctx context.Context, network, address string) (net.Conn, error), log *slog.Logger, told func()) *health {
	h := &health{dial: dial, log: log, told: told, probes: make(map[probe]*asked)}
	h.ctx, h.stop = context.WithCancel(context.Background())
	h.client = &http.Client{
		Timeout:       healthTimeout,
		Transport:     &http.Transport{DialContext: dial, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return h
}

// watch asks the backends of a plan from now on, and no others: where there is a choice, or a path to ask.
func (h *health) watch(snapshot *Snapshot) {
	wanted := make(map[probe]bool)
	for i := range snapshot.plan.Instances {
		instance := &snapshot.plan.Instances[i]
		if len(instance.Backends) < 2 && instance.Delivery.HealthPath == "" && !isDirect(instance) {
			continue // there is nothing to choose, and who connects finds out
		}
		for _, backend := range instance.Backends {
			wanted[probe{backend.Address, instance.Delivery.HealthPath}] = true
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for one, state := range h.probes {
		if !wanted[one] {
			state.stop()
			delete(h.probes, one)
		}
	}
	for one := range wanted {
		if h.probes[one] != nil || h.ctx.Err() != nil {
			continue
		}
		ctx, stop := context.WithCancel(h.ctx)
		state := &asked{stop: stop}
		h.probes[one] = state
		h.asking.Go(func() { h.ask(ctx, one, state) })
	}
}

func (h *health) isDown(one probe) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	state := h.probes[one]
	return state != nil && state.down
}

// failed notes that a backend did not take a connection.
func (h *health) failed(one probe) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if state := h.probes[one]; state != nil {
		state.down = true
	}
}

// ask asks one backend again and again.
func (h *health) ask(ctx context.Context, one probe, state *asked) {
	ticker := time.NewTicker(healthInterval)
	defer ticker.Stop()
	for {
		err := h.answer(ctx, one)
		if ctx.Err() != nil {
			return
		}
		h.mu.Lock()
		was, told := state.down, state.told
		state.down, state.told = err != nil, err != nil
		h.mu.Unlock()
		if told != (err != nil) {
			h.told()
		}
		switch {
		case err != nil && !was:
			h.log.Warn("backend is down", "backend", one.address, "error", err)
		case err == nil && was:
			h.log.Info("backend is up", "backend", one.address)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// answer asks once.
func (h *health) answer(ctx context.Context, one probe) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	if one.path == "" {
		conn, err := h.dial(ctx, "tcp", one.address)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+one.address+one.path, nil)
	if err != nil {
		return err
	}
	response, err := h.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, 4<<10)
	if response.StatusCode >= 400 {
		return fmt.Errorf("GET %s: %s", one.path, response.Status)
	}
	return nil
}

func (h *health) close() {
	h.stop()
	h.asking.Wait()
}
