// Command postern is the whole of Postern: see postern help.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(mainExit()) }

// mainExit runs the command line of the process and gives its exit code. The first interrupt ends what runs; a second one
// ends the process at once. So does a terminal that is closed, and a reader of the output that has gone ("| head"): a
// command that has made machines takes them down before it ends.
func mainExit() int {
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	defer stop()
	context.AfterFunc(ctx, stop)
	// Whoever takes the signal is told of a broken pipe by an error of Write. To ignore it would be handed to children.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, broken := context.WithCancelCause(ctx)
	defer broken(nil)
	return run(ctx, os.Args[1:], os.Stdin, pipe{os.Stdout, broken}, pipe{os.Stderr, broken})
}

// pipe tells when nobody reads any more what is written.
type pipe struct {
	*os.File
	broken context.CancelCauseFunc
}

func (p pipe) Write(data []byte) (int, error) {
	n, err := p.File.Write(data)
	if errors.Is(err, syscall.EPIPE) {
		p.broken(err)
	}
	return n, err
}

// inherited is what a child process gets of an output: the file itself, so that a terminal stays one.
func inherited(w io.Writer) io.Writer {
	if p, ok := w.(pipe); ok {
		return p.File
	}
	return w
}
