package cloud

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"postern/lab"
)

// How a node's process is kept: one that ends is started again, at once if it lived for a while.
const (
	longEnough = 2 * time.Second
	pause      = 200 * time.Millisecond
	grace      = 3 * time.Second // to end after SIGTERM
)

// process keeps one process running inside a namespace until stop.
type process struct {
	name      string
	inside    *lab.Namespace
	program   string
	arguments []string
	output    *os.File
	log       *slog.Logger

	cancel context.CancelFunc
	ended  sync.WaitGroup
}

// startProcess starts a node's process. What it prints goes to a file of its name in logs.
func startProcess(name string, inside *lab.Namespace, program string, arguments []string, logs string, log *slog.Logger) (*process, error) {
	if err := os.MkdirAll(logs, 0o700); err != nil {
		return nil, fmt.Errorf("make folder for logs: %w", err)
	}
	output, err := os.OpenFile(filepath.Join(logs, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log of node %s: %w", name, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{name: name, inside: inside, program: program, arguments: arguments, output: output, log: log, cancel: cancel}
	p.ended.Go(func() { p.keep(ctx) })
	return p, nil
}

func (p *process) keep(ctx context.Context) {
	defer p.output.Close()
	for ctx.Err() == nil {
		started := time.Now()
		err := p.runOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		p.log.Warn("a node's process ended; starting it again", "node", p.name, "error", err)
		if time.Since(started) < longEnough {
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		}
	}
}

// runOnce runs the process until it ends, or until stop, which asks it to end before it is killed.
func (p *process) runOnce(ctx context.Context) error {
	background, kill := context.WithCancel(context.Background())
	defer kill()
	command := p.inside.Command(background, p.program, p.arguments...)
	command.Stdout, command.Stderr = p.output, p.output
	if err := command.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		p.log.Debug("ask a node's process to end", "node", p.name, "error", err)
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(grace):
		kill()
		return <-ended
	}
}

func (p *process) stop() {
	p.cancel()
	p.ended.Wait()
}
