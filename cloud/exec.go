package cloud

import (
	"context"
	"net/http"
	"time"

	"postern/api/client"
	"postern/arm"
	"postern/resource"
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

// execRoute is Exec for other processes.
func (c *Cloud) execRoute() arm.Route {
	return arm.Route{Method: http.MethodGet, Path: client.ExecPath, Action: "Postern.Fabric/exec/action", Answer: func(r *http.Request) (int, any, error) {
		ctx, cancel := context.WithTimeout(r.Context(), execWait)
		defer cancel()
		how, err := c.Exec(ctx, r.URL.Query().Get("nic"))
		if err != nil {
			return 0, nil, &resource.Error{Code: resource.CodeResourceNotFound, Status: http.StatusNotFound, Message: err.Error()}
		}
		return http.StatusOK, how, nil
	}}
}
