package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"postern/model"
)

// Socket is where the agent of a node in a folder answers. The owner alone can connect. It answers, in JSON:
//
//	GET /status    Status
//	GET /counters  {"counters": [{"nic", "reason", "packets"}]}
func Socket(dir, node string) string { return filepath.Join(dir, node+".sock") }

func (a *Agent) serve(ctx context.Context) error {
	path := Socket(a.options.Dir, a.options.Node)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("serve the agent at %s: %w", path, err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("serve the agent at %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		listener.Close()
		return fmt.Errorf("serve the agent at %s: %w", path, err)
	}
	server := &http.Server{Handler: a.Handler(), ReadHeaderTimeout: 5 * time.Second,
		ErrorLog: slog.NewLogLogger(a.options.Log.Handler(), slog.LevelWarn)}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the agent at %s: %w", path, err)
	}
	return nil
}

// Handler answers what Socket lists.
func (a *Agent) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, a.Status()) })
	mux.HandleFunc("GET /counters", func(w http.ResponseWriter, _ *http.Request) {
		counters, err := a.options.Driver.Counters()
		if err != nil {
			answer(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
			return
		}
		if counters == nil {
			counters = []model.Counter{}
		}
		answer(w, http.StatusOK, map[string]any{"counters": counters})
	})
	return mux
}

func answer(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(data)
}

// Read asks the agent of a node at its socket: path is "/status" or "/counters", into takes the answer.
func Read(ctx context.Context, dir, node, path string, into any) error {
	var dialer net.Dialer
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", Socket(dir, node))
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://agent"+path, nil)
	if err != nil {
		return fmt.Errorf("ask the agent of node %s: %w", node, err)
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return fmt.Errorf("ask the agent of node %s: %w: is it running?", node, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("ask the agent of node %s: it answered %s", node, response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return fmt.Errorf("read the answer of node %s's agent: %w", node, err)
	}
	return nil
}
