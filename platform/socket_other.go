//go:build !linux

package platform

import "errors"

// freebind has no equal elsewhere: other systems run the userspace data path.
func freebind(uintptr) error {
	return errors.New("a socket for all addresses of a prefix needs Linux; use the userspace data path")
}
