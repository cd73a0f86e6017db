//go:build !linux

package bench

import (
	"context"

	"postern/lab"
)

func path(context.Context, Options) (Report, error) { return Report{}, lab.Prerequisites() }
