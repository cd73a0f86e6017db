package cloud

import (
	"context"
	"net"
	"net/netip"

	"postern/model"
)

// Machine is a place that programs talk from: a VM by its NIC, or an outsider on the Internet. Its methods may be called
// from any goroutine.
type Machine interface {
	// DialContext connects from the machine; the host of address is an IPv4 address or, for a VM, a name, which the
	// platform resolves (168.63.129.16).
	DialContext(ctx context.Context, network, address string) (net.Conn, error)

	// Listen listens on the machine: "tcp" and an address such as ":22".
	Listen(ctx context.Context, network, address string) (net.Listener, error)

	// SendFrame lets a VM send an Ethernet frame as it stands, whatever is in it. An outsider cannot.
	SendFrame(ctx context.Context, frame []byte) error
}

// NICInfo is what the control plane allotted to a NIC, and where it is.
type NICInfo struct {
	ID     model.ResourceID `json:"id"`
	Number uint32           `json:"number"`
	IPv4   netip.Addr       `json:"ipv4"`
	MAC    model.MAC        `json:"mac"`
	Node   string           `json:"node"`
	Subnet model.Identity   `json:"subnet"` // its identity
}
