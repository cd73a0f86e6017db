package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"golang.org/x/sync/errgroup"

	"postern/model"
	"postern/plan"
)

// ports are the listeners of a gateway beside those that every one has: those that the plan's instances want.
type ports struct {
	ctx     context.Context
	group   *errgroup.Group
	sockets Sockets
	serve   func(net.Listener, uint16) error
	direct  bool // who judges packets to own addresses is here: their ports are the backends'

	mu   sync.Mutex
	open map[uint16]net.Listener
}

// fixed are the ports that are served in any case: DNS, HTTP, HTTPS.
var fixed = map[uint16]bool{53: true, 80: true, 443: true}

// set opens the ports that a plan wants and closes those that it does not want any more. What came in by a closed port goes
// on: the gateway judges it anew.
func (p *ports) set(gateway *plan.Gateway) error {
	wanted := map[uint16]bool{}
	for i := range gateway.Instances {
		for _, port := range gateway.Instances[i].Ports {
			if !fixed[port.Number] && !(p.direct && port.Way == model.WayDirect) {
				wanted[port.Number] = true
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var problems []error
	for port, listener := range p.open {
		if !wanted[port] {
			delete(p.open, port)
			problems = append(problems, listener.Close())
		}
	}
	for port := range wanted {
		if p.open[port] != nil {
			continue
		}
		listener, err := p.sockets.ListenTCP(p.ctx, port)
		if err != nil {
			problems = append(problems, fmt.Errorf("listen on port %d: %w", port, err))
			continue
		}
		p.open[port] = listener
		p.group.Go(func() error {
			err := p.serve(listener, port)
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.open[port] != listener || errors.Is(err, net.ErrClosed) {
				return nil // closed here, or with the gateway
			}
			return err
		})
	}
	return errors.Join(problems...)
}
