//go:build !linux

package gateway

import "net"

// disconnect is for Linux.
func disconnect(net.Conn) bool { return false }
