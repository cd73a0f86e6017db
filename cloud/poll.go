package cloud

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// errNoFrames is an outsider's answer to SendFrame.
var errNoFrames = errors.New("send a frame: only a VM has a NIC that takes frames as they are")

// pollEvery is how often poll asks: what it waits for comes from the kernel or a stack, which tell nobody.
const pollEvery = 2 * time.Millisecond

// poll asks until the answer is yes, an error, or the context ends.
func poll(ctx context.Context, what string, done func() (bool, error)) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		ok, err := done()
		if err != nil || ok {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, ctx.Err())
		}
	}
}
