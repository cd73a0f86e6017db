package bench

import (
	"context"
)

func programRows(ctx context.Context, options Options, measure func(comparison) error) (err error) { return nil }
