//go:build !linux

package lab

import (
	"context"
	"net"
	"net/netip"
	"os/exec"
	"time"

	"postern/model"
)

// The names of interfaces, as on Linux.
const (
	FabricLink   = "fabric0"
	InternetLink = "inet0"
	ShadowLink   = "shadow0"
	ShadowPeer   = "shadow1"
	VMLink       = "eth0"
	RegionalMark = 1
)

// errNotLinux is what everything here returns.
var errNotLinux = &PrerequisiteError{Missing: NeedsLinux, Problem: "this system has no network namespaces",
	Remedy: "use the userspace data path, or a Linux machine"}

// Prerequisites always returns a *PrerequisiteError.
func Prerequisites() error { return errNotLinux }

// Sweep finds nothing: there can be no leftovers.
func Sweep() ([]string, error) { return nil, nil }

// ExecInside always returns a *PrerequisiteError.
func ExecInside(ns, resolvConf string, argv []string) error { return errNotLinux }

// NodeAddress stands for its twin of Linux; nobody has a node to ask about.
func NodeAddress(node model.Node) netip.Addr { return netip.Addr{} }

// NICLink stands for its twin of Linux.
func NICLink(number uint32) string { return "" }

// Lab cannot be made here; New says so. Its methods, and those of the types below, exist so that callers compile.
type Lab struct{ Fabric, Internet *Namespace }

// New always returns a *PrerequisiteError.
func New(settings model.Settings) (*Lab, error) { return nil, errNotLinux }

// AddHost always returns a *PrerequisiteError.
func (l *Lab) AddHost(node model.Node) (*Host, error) { return nil, errNotLinux }

// AddGateway always returns a *PrerequisiteError.
func (l *Lab) AddGateway(node model.Node) (*Gateway, error) { return nil, errNotLinux }

// AddEdge always returns a *PrerequisiteError.
func (l *Lab) AddEdge(node model.Node, pool netip.Prefix) (*Edge, error) { return nil, errNotLinux }

// AddOutsider always returns a *PrerequisiteError.
func (l *Lab) AddOutsider(name string, address netip.Addr) (*Namespace, error) {
	return nil, errNotLinux
}

// AddVM always returns a *PrerequisiteError.
func (l *Lab) AddVM(host *Host, name string, nic NIC) (*VM, error) { return nil, errNotLinux }

// RemoveNode always returns a *PrerequisiteError.
func (l *Lab) RemoveNode(node *Namespace) error { return errNotLinux }

// SetFabricMTU always returns a *PrerequisiteError.
func (l *Lab) SetFabricMTU(mtu int) error { return errNotLinux }

// RemoveVM always returns a *PrerequisiteError.
func (l *Lab) RemoveVM(vm *VM) error { return errNotLinux }

// MountBPF always returns a *PrerequisiteError.
func (l *Lab) MountBPF(dir string) error { return errNotLinux }

// Close has nothing to remove.
func (l *Lab) Close() error { return nil }

// Namespace is one machine of a lab.
type Namespace struct{ Name string }

// Do always returns a *PrerequisiteError.
func (n *Namespace) Do(work func() error) error { return errNotLinux }

// LinkIndex always returns a *PrerequisiteError.
func (n *Namespace) LinkIndex(ifname string) (int, error) { return 0, errNotLinux }

// DialContext always returns a *PrerequisiteError.
func (n *Namespace) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return nil, errNotLinux
}

// DialFrom always returns a *PrerequisiteError.
func (n *Namespace) DialFrom(ctx context.Context, local net.Addr, network, address string) (net.Conn, error) {
	return nil, errNotLinux
}

// Listen always returns a *PrerequisiteError.
func (n *Namespace) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	return nil, errNotLinux
}

// ListenPacket always returns a *PrerequisiteError.
func (n *Namespace) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	return nil, errNotLinux
}

// Raw always returns a *PrerequisiteError.
func (n *Namespace) Raw(ifname string) (*RawSocket, error) { return nil, errNotLinux }

// Command prepares a command whose Start returns a *PrerequisiteError.
func (n *Namespace) Command(ctx context.Context, name string, args ...string) *Cmd {
	return &Cmd{exec.CommandContext(ctx, name, args...)}
}

// Cmd is a command that cannot start.
type Cmd struct{ *exec.Cmd }

// Start always returns a *PrerequisiteError.
func (c *Cmd) Start() error { return errNotLinux }

// Run always returns a *PrerequisiteError.
func (c *Cmd) Run() error { return errNotLinux }

// Output always returns a *PrerequisiteError.
func (c *Cmd) Output() ([]byte, error) { return nil, errNotLinux }

// CombinedOutput always returns a *PrerequisiteError.
func (c *Cmd) CombinedOutput() ([]byte, error) { return nil, errNotLinux }

// Host is a node that carries NICs.
type Host struct {
	*Namespace
	Node model.Node
}

// Gateway is a node that answers for services.
type Gateway struct {
	*Namespace
	Node model.Node
}

// SetPublic always returns a *PrerequisiteError.
func (g *Gateway) SetPublic(addresses []netip.Addr) error { return errNotLinux }

// Edge is a node that joins the fabric and the Internet.
type Edge struct {
	*Namespace
	Node model.Node
	Pool netip.Prefix
}

// SetPublic always returns a *PrerequisiteError.
func (e *Edge) SetPublic(nics, natGateways []netip.Addr) error { return errNotLinux }

// NIC is what a VM's interface is made of.
type NIC struct {
	Number  uint32
	Address netip.Prefix
	Gateway netip.Addr
	MAC     model.MAC
}

// VM is a machine with one NIC.
type VM struct {
	*Namespace
	NIC        NIC
	ResolvConf string
}

// RawSocket sends and receives Ethernet frames.
type RawSocket struct{}

// HardwareAddr is none.
func (r *RawSocket) HardwareAddr() net.HardwareAddr { return nil }

// Send always returns a *PrerequisiteError.
func (r *RawSocket) Send(frame []byte) error { return errNotLinux }

// Receive always returns a *PrerequisiteError.
func (r *RawSocket) Receive(buffer []byte) (int, error) { return 0, errNotLinux }

// SetReadDeadline always returns a *PrerequisiteError.
func (r *RawSocket) SetReadDeadline(deadline time.Time) error { return errNotLinux }

// Close has nothing to close.
func (r *RawSocket) Close() error { return nil }
