package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"postern/api/client"
)

// listenLocally makes the API's socket in a state folder. The folder's owner alone can connect. The folder must be locked
// by the caller's store: a socket that is there already is taken for a dead process's.
func listenLocally(dir string) (net.Listener, error) {
	path := filepath.Join(dir, client.SocketName)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("serve the API at %s: %w", path, err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("serve the API at %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("serve the API at %s: %w", path, err), listener.Close())
	}
	return listener, nil
}

// serve answers what comes in by a listener until the plane closes. Requests that are being answered then have a second to
// come to their end. mark, if not nil, tells of a listener's connections what no client can (http.Server.ConnContext).
func (p *Plane) serve(listener net.Listener, mark func(context.Context, net.Conn) context.Context) {
	server := &http.Server{Handler: p.handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ConnContext: mark, ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelDebug)}
	p.work.Go(func() {
		stopped := make(chan struct{})
		stop := context.AfterFunc(p.ctx, func() {
			defer close(stopped)
			ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), time.Second)
			defer cancel()
			if server.Shutdown(ctx) != nil {
				server.Close()
			}
		})
		err := server.Serve(listener)
		if !stop() {
			<-stopped
		}
		if !errors.Is(err, http.ErrServerClosed) {
			p.log.Error("the API's door failed; start again", "address", listener.Addr(), "error", err)
		}
	})
}
