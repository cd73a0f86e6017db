package platform

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// freebind lets a socket use addresses that no interface has; it takes no privilege.
func freebind(fd uintptr) error {
	if err := unix.SetsockoptInt(int(fd), unix.SOL_IPV6, unix.IPV6_FREEBIND, 1); err != nil {
		return fmt.Errorf("set IPV6_FREEBIND: %w", err)
	}
	return nil
}
