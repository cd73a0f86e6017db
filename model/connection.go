package model

import (
	"net/netip"
	"time"
)

// Connection is what the kernel tells of a TCP connection to an instance's own address: at its end, or when it was not let
// in.
type Connection struct {
	Reason   Reason         // ReasonOwnAddress for one that was let in
	Caller   netip.AddrPort // its fabric address, or a public IPv4 address
	Dialled  netip.AddrPort // the service's fabric address, or the instance's public IPv4 address
	Backend  netip.AddrPort // that served it; the address ::1 is the gateway's own host. Invalid for a denial
	Opened   time.Time
	Duration time.Duration
	Received uint64 // bytes of payload from the caller
	Sent     uint64 // bytes of payload from the backend
	Broken   bool   // ended by a reset, or by being idle too long
}
