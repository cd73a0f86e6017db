package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"

	"github.com/vishvananda/netlink"

	"postern/lab"
	"postern/model"
	"postern/node"
	"postern/plan"
	"postern/service/all"
)

// lane is one service of the backend: what it does there, and how our gateway reads it.
type lane struct {
	name string
	way  model.Way
}

// The lanes; each has a port on every way, at the same place of its row of ports.
var lanes = []lane{
	{laneEcho, model.WayTCP},    // sends back what it gets
	{laneByte, model.WayTCP},    // reads one byte and closes
	{laneRaw, model.WayTCP},     // is the meter's
	{laneTLS, model.WayTLS},     // one GET over TLS
	{laneWeb, model.WayHTTP},    // answers GETs
	{laneStream, model.WayHTTP}, // is the meter's, after a GET
	{laneHTTPS, model.WayHTTPS}, // ours alone: laneWeb behind TLS
}

const (
	laneEcho   = "echo"
	laneByte   = "byte"
	laneRaw    = "raw"
	laneTLS    = "tls"
	laneWeb    = "web"
	laneStream = "stream"
	laneHTTPS  = "https"

	zoneOfHosts = "services.internal"
)

// Ports: 100 for each way, from its hundred on; the gateway's and the backend's are the same.
var portsOf = map[string]uint16{byNobody: 7000, byHAProxy: 7100, byNginx: 7200, byPassing: 7300}

// hostPorts is the hundred of the server on the gateway's host.
const hostPorts = 7400

func placeOf(name string) uint16 {
	for i, one := range lanes {
		if one.name == name {
			return uint16(i)
		}
	}
	panic("bench: no lane " + name)
}

// The machines: client and backend have a cable each to the gateway's host, which routes between them.
var (
	clientAddress  = netip.MustParseAddr("198.51.100.1")
	clientNear     = netip.MustParseAddr("198.51.100.2") // the host's, on the client's cable
	backendNear    = netip.MustParseAddr("198.51.100.5") // the host's, on the backend's cable
	backendAddress = netip.MustParseAddr("198.51.100.6")

	// A second cable between client and host, at whose end own addresses are judged.
	clientJudged = netip.MustParseAddr("198.51.100.9")
	hostJudged   = netip.MustParseAddr("198.51.100.10")
)

const (
	cableBits  = 30
	judgedLink = "cable2" // on the host
)

// frontAddress is where a lane is served on the gateway's host: each has an address of its own, as the instances have.
func frontAddress(name string) netip.Addr {
	return netip.AddrFrom4([4]byte{20, 60, 1, byte(10 + placeOf(name))})
}

// ownAddress is the instance's address of a lane that is judged in the kernel.
func ownAddress(name string) netip.Addr {
	return netip.AddrFrom4([4]byte{20, 60, 2, byte(10 + placeOf(name))})
}

// street is client, gateway's host and backend, with the ways between them.
type street struct {
	*lab.Lab
	client, backend *lab.Namespace
	host            *lab.Gateway
	folder          string // for files of the proxies
	program         []string
	connections     int // that a proxy shall be able to have
	serving         *backendServer
	serverOnHost    *backendServer
	running         map[string]*proxy
	missing         map[string]error // why a way is not there
}

// newStreet lays the cables and starts the backend. Ways are opened when they are wanted.
func newStreet(program []string, connections int) (s *street, err error) {
	fresh, err := lab.New(model.DefaultSettings)
	if err != nil {
		return nil, err
	}
	s = &street{Lab: fresh, program: program, connections: connections, running: map[string]*proxy{}, missing: map[string]error{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.folder, err = os.MkdirTemp("", filepath.Base(folderOfPins())); err != nil {
		return s, err
	}
	if err = s.build(); err != nil {
		return s, err
	}
	if s.serving, err = startBackend(s.backend, backendAddress, portsOf); err != nil {
		return s, err
	}
	s.serverOnHost, err = startBackend(s.host.Namespace, netip.IPv6Unspecified(), map[string]uint16{byHost: hostPorts})
	return s, err
}

func (s *street) build() (err error) {
	if s.host, err = s.AddGateway(gatewayNode); err != nil {
		return err
	}
	if s.client, err = s.AddOutsider("client", netip.MustParseAddr("203.0.113.1")); err != nil {
		return err
	}
	if s.backend, err = s.AddOutsider("backend", netip.MustParseAddr("203.0.113.2")); err != nil {
		return err
	}
	var fronts []netip.Addr
	for _, one := range lanes {
		fronts = append(fronts, frontAddress(one.name), ownAddress(one.name))
	}
	if err := s.host.SetPublic(fronts); err != nil {
		return err
	}
	if err := cable(s.client, "cable0", s.host.Namespace, "cable0"); err != nil {
		return err
	}
	if err := cable(s.backend, "cable0", s.host.Namespace, "cable1"); err != nil {
		return err
	}
	if err := cable(s.client, "cable1", s.host.Namespace, judgedLink); err != nil {
		return err
	}
	on := func(where netip.Addr) string { return netip.PrefixFrom(where, cableBits).String() }
	// Ports and queues shall not be what ends.
	sockets := []func() error{
		plainCongestion, setting("ipv4/ip_local_port_range", "10240 65000"),
		setting("ipv4/tcp_max_syn_backlog", "8192"), setting("core/somaxconn", "8192"),
	}
	for _, step := range []struct {
		where *lab.Namespace
		do    []func() error
	}{
		{s.host.Namespace, []func() error{setting("ipv4/ip_forward", "1"), address("cable0", on(clientNear)), address("cable1", on(backendNear)),
			address(judgedLink, on(hostJudged))}},
		{s.client, []func() error{address("cable0", on(clientAddress)), address("cable1", on(clientJudged)), gatewayRoute("20.60.2.0/24", hostJudged.String()),
			gatewayRoute("20.60.1.0/24", clientNear.String()), gatewayRoute("198.51.100.4/30", clientNear.String())}},
		{s.backend, []func() error{address("cable0", on(backendAddress)), gatewayRoute("198.51.100.0/30", backendNear.String())}},
	} {
		for _, do := range append(sockets, step.do...) {
			if err := step.where.Do(do); err != nil {
				return err
			}
		}
	}
	return nil
}

// plainCongestion has the sockets of a namespace, a proxy's too, send by CUBIC or, where the machine does not let a
// namespace choose it, by Reno: one that paces by a clock of its own (BBR) would measure the clock.
func plainCongestion() error {
	err := setting("ipv4/tcp_congestion_control", "cubic")()
	if err != nil {
		err = setting("ipv4/tcp_congestion_control", "reno")()
	}
	return err
}

// cable joins two machines.
func cable(a *lab.Namespace, aEnd string, b *lab.Namespace, bEnd string) error {
	far, err := os.Open(filepath.Join("/run/netns", b.Name))
	if err != nil {
		return err
	}
	defer far.Close()
	if err := a.Do(func() error {
		pair := netlink.NewVeth(netlink.NewLinkAttrs())
		pair.Name, pair.PeerName, pair.PeerNamespace = aEnd, bEnd, netlink.NsFd(far.Fd())
		return netlink.LinkAdd(pair)
	}); err != nil {
		return fmt.Errorf("lay a cable: %w", err)
	}
	for _, end := range []struct {
		where *lab.Namespace
		name  string
	}{{a, aEnd}, {b, bEnd}} {
		if err := end.where.Do(func() error {
			link, err := netlink.LinkByName(end.name)
			if err != nil {
				return err
			}
			return netlink.LinkSetUp(link)
		}); err != nil {
			return fmt.Errorf("lay a cable: set %s up: %w", end.name, err)
		}
	}
	return nil
}

// front is where a client finds a lane by a way.
func (s *street) front(by, name string) netip.AddrPort {
	switch by {
	case byNobody:
		return s.back(by, name)
	case byKernel:
		return netip.AddrPortFrom(ownAddress(name), hostPorts+placeOf(name))
	case byHost:
		return netip.AddrPortFrom(clientNear, hostPorts+placeOf(name))
	case byTerminator:
		by = byPassing // the same process; the lane tells
	}
	return netip.AddrPortFrom(frontAddress(name), portsOf[by]+placeOf(name))
}

// back is where a way finds the backend of a lane: each way has its own, so that the backend knows by which it is reached.
func (s *street) back(by, name string) netip.AddrPort {
	switch by {
	case byKernel, byHost:
		return netip.AddrPortFrom(netip.IPv6Unspecified(), hostPorts+placeOf(name))
	case byTerminator:
		by = byPassing
	}
	return netip.AddrPortFrom(backendAddress, portsOf[by]+placeOf(name))
}

// orders are those of our gateway, or of the one whose addresses are judged in the kernel.
func (s *street) orders(by string) gatewayOrders {
	orders := gatewayOrders{AccessLog: filepath.Join(s.folder, by+".jsonl"), Plan: plan.Node{
		Node: gatewayNode.Name, Role: model.RoleGateway,
		Gateway: &plan.Gateway{ServiceLocator: serviceLocator, Zones: all.Zones(model.DefaultSettings), Names: map[string]string{}},
	}}
	if by == byKernel {
		orders.Direct = node.DirectOptions{Name: gatewayNode.Name, Pins: s.pins(), Fabric: lab.FabricLink, Internet: judgedLink}
	}
	for _, one := range lanes {
		front, way, backend := s.front(by, one.name), one.way, s.back(byPassing, one.name)
		switch {
		case by == byKernel && one.way != model.WayTCP && one.way != model.WayTLS:
			continue
		case by == byKernel:
			way, backend = model.WayDirect, netip.AddrPortFrom(netip.IPv6Loopback(), front.Port())
		case one.name == laneHTTPS:
			backend = s.back(byPassing, laneWeb)
		}
		if by != byKernel {
			orders.Ports = append(orders.Ports, front.Port())
		}
		orders.Plan.Gateway.Names["own/"+one.name] = front.Addr().String()
		orders.Plan.Gateway.Instances = append(orders.Plan.Gateway.Instances, plan.Instance{
			ID:      model.ResourceID(groupPath + "/providers/Postern.Services/services/" + one.name),
			Service: "own", Space: "own", Name: one.name, Address: front.Addr(),
			Endpoint: model.Service{Endpoint: "Postern.benchmark", Tag: "benchmark", Identity: storage + 100, Bit: 40},
			Rules:    model.NetworkRules{PublicNetworkAccess: true, DefaultAllow: true},
			Ports:    []model.ServicePort{{Number: front.Port(), Way: way}},
			Backends: []model.Backend{{Address: backend.String(), Weight: 1}},
		})
	}
	return orders
}

// pins is a folder on a bpffs.
func (s *street) pins() string { return filepath.Join(s.folder, "bpf") }

func hostOf(name string) string { return name + "." + zoneOfHosts }

func (s *street) close() error {
	var failures []error
	for _, one := range s.running {
		one.stop()
	}
	for _, one := range []*backendServer{s.serving, s.serverOnHost} {
		if one != nil {
			one.close()
		}
	}
	failures = append(failures, s.Close())
	if s.folder != "" {
		failures = append(failures, os.RemoveAll(s.folder))
	}
	return errors.Join(failures...)
}

// open starts a way, unless it is open or not to be had.
func (s *street) open(ctx context.Context, by string) error {
	if by == byTerminator {
		by = byPassing
	}
	if by == byNobody || by == byHost || s.running[by] != nil {
		return nil
	}
	if err := s.missing[by]; err != nil {
		return err
	}
	started, err := s.start(ctx, by)
	if err != nil {
		if ctx.Err() == nil {
			s.missing[by] = err
		}
		return err
	}
	s.running[by] = started
	return nil
}

// again starts a way anew, so that it has no memory of what was.
func (s *street) again(ctx context.Context, by string) (*proxy, error) {
	if by == byTerminator {
		by = byPassing
	}
	if one := s.running[by]; one != nil {
		one.stop()
		delete(s.running, by)
	}
	err := s.open(ctx, by)
	return s.running[by], err
}

// descriptorsBeside is what a process needs beside its connections.
const descriptorsBeside = 1000

// idleConnections is how many connections there can be at once: each takes two descriptors, of this process (client and
// backend) and of a proxy's. It raises the limit as far as it may.
func idleConnections(wanted int) (int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	if want := uint64(2*wanted + descriptorsBeside); limit.Cur < want {
		higher := syscall.Rlimit{Cur: want, Max: max(want, limit.Max)}
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &higher) != nil { // it takes CAP_SYS_RESOURCE
			higher = syscall.Rlimit{Cur: limit.Max, Max: limit.Max}
			if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &higher); err != nil {
				return 0, err
			}
		}
		limit = higher
	}
	if limit.Cur < 2*descriptorsBeside {
		return 0, fmt.Errorf("a process may have %d descriptors, want %d or more: raise the limit (ulimit -n)", limit.Cur, 2*descriptorsBeside)
	}
	return min(wanted, int(limit.Cur-descriptorsBeside)/2), nil
}
