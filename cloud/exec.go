package cloud

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"postern/api/client"
)

// Exec tells how a program runs as the VM of a NIC. It waits until the VM is there and judged, or the context ends.
func (c *Cloud) Exec(ctx context.Context, nic string) (client.Exec, error) {
	found, err := c.running(ctx, nic)
	if err != nil {
		return client.Exec{}, err
	}
	return c.world.Exec(ctx, found)
}

// execWait bounds how long another process waits for a VM.
const execWait = 15 * time.Second

// answerExec is Exec for other processes: GET client.ExecPath?nic=NIC.
func (c *Cloud) answerExec(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	ctx, cancel := context.WithTimeout(r.Context(), execWait)
	defer cancel()
	how, err := c.Exec(ctx, r.URL.Query().Get("nic"))
	var answer any = how
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		answer = map[string]any{"error": map[string]string{"code": "ResourceNotFound", "message": err.Error()}}
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		c.log.Debug("answer how to run as a VM", "error", err)
	}
}
