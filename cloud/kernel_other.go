//go:build !linux

package cloud

import (
	"errors"
	"runtime"
)

func kernelSupported() error {
	return errors.New("kernel data path needs Linux 6.6 or newer, here is " + runtime.GOOS + "; use the userspace data path (--datapath userspace)")
}

func newKernelWorld(*Cloud, string) (world, error) { return nil, kernelSupported() }
