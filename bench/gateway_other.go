//go:build !linux

package bench

import (
	"context"
	"io"

	"postern/lab"
)

func measureGateway(context.Context, GatewayOptions) (Report, error) {
	return Report{}, lab.Prerequisites()
}

// GatewayProcess is a gateway without a control plane: on Linux alone.
func GatewayProcess(context.Context, io.Reader, io.Writer) error { return lab.Prerequisites() }
