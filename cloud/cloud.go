package cloud

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"postern/agent"
	"postern/api/client"
	"postern/arm"
	"postern/control"
	"postern/explain"
	"postern/gateway"
	"postern/model"
	"postern/node"
)

// The data paths, as --datapath takes them.
const (
	Kernel    = "kernel"
	Userspace = "userspace"
)

// Options are how a cloud is run.
type Options struct {
	Dir      string // state folder; "" for a temporary one, which Close removes
	DataPath string // Kernel, Userspace, or "" for the kernel's where it can run
	Log      *slog.Logger

	// AccessLog bounds the access log of each gateway: MaxBytes and MaxParts. It has no path; a zero takes the default.
	AccessLog gateway.LogFile

	// Program is the postern executable, for the processes of the kernel data path; "" for this process's own.
	Program string
}

// Cloud is a running cloud.
type Cloud struct {
	dir       string
	temporary bool
	dataPath  string
	fallback  error
	log       *slog.Logger
	logFile   gateway.LogFile // the bounds of access logs
	control   *control.Plane
	client    *client.Client
	authority []byte
	world     world

	stop context.CancelFunc
	work sync.WaitGroup

	mu      sync.Mutex // guards what follows
	changed chan struct{}
	current *model.Snapshot // that the world is like now; nil before the first
	failure error           // why the world is not like the newest snapshot
}

// world is what a data path makes of nodes and NICs. Its methods are called from one goroutine, but for Machine, SOCKS
// and Close.
type world interface {
	// Become makes nodes, machines and their addresses those of the snapshot.
	Become(ctx context.Context, snapshot *model.Snapshot) error

	// Machine waits until the NIC's machine is there and judged.
	Machine(ctx context.Context, nic *model.NetworkInterface) (Machine, error)

	// Outsider adds a machine to the Internet.
	Outsider(ctx context.Context, name string, address netip.Addr) (Machine, error)

	// Exec tells how a program runs as the NIC's VM, once that is there and judged.
	Exec(ctx context.Context, nic *model.NetworkInterface) (client.Exec, error)

	Close() error
}

// CAFile is where a cloud's state folder has the certificate that its clients are to trust, in PEM.
func CAFile(dir string) string { return filepath.Join(dir, "ca.pem") }

// Start starts a cloud on a state folder. It is empty, or what the folder had.
func Start(ctx context.Context, options Options) (*Cloud, error) {
	c := &Cloud{dir: options.Dir, dataPath: options.DataPath, log: options.Log, logFile: options.AccessLog, changed: make(chan struct{})}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if err := c.chooseDataPath(); err != nil {
		return nil, err
	}
	if err := c.prepareDir(); err != nil {
		return nil, err
	}
	var err error
	if c.control, err = control.Start(c.dir, c.log, control.Options{
		Routes: []arm.Route{c.execRoute()},
		Wired:  c.wired,
		Probe:  c.probe,
	}); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	authority, err := node.Authority(ctx, c.control.Store.Store)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	c.authority = authority.CertificatePEM()
	if err := os.WriteFile(CAFile(c.dir), c.authority, 0o644); err != nil {
		return nil, errors.Join(fmt.Errorf("write the cloud's certificate: %w", err), c.Close())
	}
	c.client = client.New(c.dir)
	if c.dataPath == Kernel {
		c.world, err = newKernelWorld(c, options.Program)
	} else {
		c.world, err = newUserspaceWorld(c)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	follow, stop := context.WithCancel(context.Background())
	c.stop = stop
	c.work.Go(func() { c.follow(follow) })
	return c, nil
}

func (c *Cloud) chooseDataPath() error {
	switch c.dataPath {
	case Userspace:
	case Kernel:
		return kernelSupported()
	case "":
		c.dataPath = Kernel
		if c.fallback = kernelSupported(); c.fallback != nil {
			c.dataPath = Userspace
		}
	default:
		return fmt.Errorf("data path %q: want %s or %s", c.dataPath, Kernel, Userspace)
	}
	return nil
}

func (c *Cloud) prepareDir() (err error) {
	if c.dir == "" {
		c.temporary = true
		c.dir, err = os.MkdirTemp("", "postern-")
	} else {
		if c.dir, err = filepath.Abs(c.dir); err == nil {
			err = os.MkdirAll(c.dir, 0o700)
		}
	}
	if err != nil {
		return fmt.Errorf("make the state folder: %w", err)
	}
	return nil
}

// follow makes the world like every new revision of the resources.
func (c *Cloud) follow(ctx context.Context) {
	for range c.control.Store.Watch(ctx) {
		resources, err := c.control.Cache.Current(ctx)
		if err != nil {
			if ctx.Err() == nil {
				c.log.Error("read the cloud", "error", err)
			}
			continue
		}
		snapshot := resources.Snapshot()
		err = c.world.Become(ctx, snapshot)
		if err != nil && ctx.Err() == nil {
			c.log.Error("make the machines as the resources say", "error", err)
		}
		c.mu.Lock()
		c.current, c.failure = snapshot, err
		close(c.changed)
		c.changed = make(chan struct{})
		c.mu.Unlock()
	}
}

// become waits until the world has become a revision of the resources, or a later one, and returns that.
func (c *Cloud) become(ctx context.Context, revision int64) (*model.Snapshot, error) {
	for {
		c.mu.Lock()
		snapshot, failure, changed := c.current, c.failure, c.changed
		c.mu.Unlock()
		if snapshot != nil && snapshot.Revision >= revision {
			return snapshot, failure
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the machines of revision %d: %w", revision, ctx.Err())
		}
	}
}

// wired is become for the API.
func (c *Cloud) wired(ctx context.Context, revision int64) error {
	_, err := c.become(ctx, revision)
	return err
}

// nic finds a NIC in the newest resources, once the world is like them.
func (c *Cloud) nic(ctx context.Context, nic string) (*model.NetworkInterface, error) {
	resources, err := c.control.Cache.Current(ctx)
	if err != nil {
		return nil, err
	}
	snapshot, err := c.become(ctx, resources.Revision)
	if err != nil {
		return nil, err
	}
	return explain.FindNIC(snapshot, nic)
}

// running is nic, for a VM that is not powered off.
func (c *Cloud) running(ctx context.Context, nic string) (*model.NetworkInterface, error) {
	found, err := c.nic(ctx, nic)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	stopped := c.current.StoppedNICs()[found.ID.Key()]
	c.mu.Unlock()
	if stopped {
		return nil, fmt.Errorf("the VM of NIC %s is powered off: start it, with az vm start", found.ID.Name())
	}
	return found, nil
}

// DataPath is Kernel or Userspace.
func (c *Cloud) DataPath() string { return c.dataPath }

// Fallback says why the userspace data path was taken although nobody asked for it; nil otherwise.
func (c *Cloud) Fallback() error { return c.fallback }

// Dir is the state folder.
func (c *Cloud) Dir() string { return c.dir }

// API is the cloud's API.
func (c *Cloud) API() *client.Client { return c.client }

// Control is the control plane.
func (c *Cloud) Control() *control.Plane { return c.control }

// CA is the certificate that the cloud's clients are to trust, in PEM.
func (c *Cloud) CA() []byte { return c.authority }

// Machine is the VM of a NIC, by the NIC's name or id. It waits until the VM is there and judged, or the context ends.
func (c *Cloud) Machine(ctx context.Context, nic string) (Machine, error) {
	found, err := c.running(ctx, nic)
	if err != nil {
		return nil, err
	}
	return c.world.Machine(ctx, found)
}

// probe opens a TCP connection from a NIC's machine, closes it, and tells how long the opening took.
func (c *Cloud) probe(ctx context.Context, nic model.ResourceID, target string) (time.Duration, error) {
	machine, err := c.Machine(ctx, string(nic))
	if err != nil {
		return 0, err
	}
	started := time.Now()
	conn, err := machine.DialContext(ctx, "tcp", target)
	if err != nil {
		return 0, err
	}
	took := time.Since(started)
	return took, conn.Close()
}

// NIC tells what was allotted to a NIC.
func (c *Cloud) NIC(ctx context.Context, nic string) (NICInfo, error) {
	found, err := c.nic(ctx, nic)
	if err != nil {
		return NICInfo{}, err
	}
	info := NICInfo{ID: found.ID, Number: found.Number, IPv4: found.IPv4, MAC: found.MAC, Node: found.Node}
	c.mu.Lock()
	defer c.mu.Unlock()
	if subnet := findSubnet(c.current, found.Subnet); subnet != nil {
		info.Subnet = subnet.Identity
	}
	return info, nil
}

func findSubnet(snapshot *model.Snapshot, id model.ResourceID) *model.Subnet {
	for i := range snapshot.VirtualNetworks {
		for j := range snapshot.VirtualNetworks[i].Subnets {
			if subnet := &snapshot.VirtualNetworks[i].Subnets[j]; subnet.ID.Is(id) {
				return subnet
			}
		}
	}
	return nil
}

// Outsider adds a machine to the Internet.
func (c *Cloud) Outsider(ctx context.Context, name string, address netip.Addr) (Machine, error) {
	return c.world.Outsider(ctx, name, address)
}

// Counters are a node's packets by NIC and reason.
func (c *Cloud) Counters(ctx context.Context, name string) ([]model.Counter, error) {
	var answer struct {
		Counters []model.Counter `json:"counters"`
	}
	if err := agent.Read(ctx, node.AgentDir(c.dir), name, "/counters", &answer); err != nil {
		return nil, err
	}
	return answer.Counters, nil
}

// AccessLog reads the access logs of all gateways, by time.
func (c *Cloud) AccessLog(ctx context.Context) ([]gateway.Entry, error) {
	paths, err := gateway.LogPaths(filepath.Dir(node.LogFile(c.dir, "")))
	if err != nil {
		return nil, err
	}
	var entries []gateway.Entry
	for _, path := range paths {
		more, err := gateway.ReadLogFile(ctx, path)
		var unreadable *gateway.UnreadableLinesError
		if err != nil && !errors.As(err, &unreadable) { // a killed gateway leaves half a line
			return nil, err
		}
		entries = append(entries, more...)
	}
	slices.SortStableFunc(entries, func(a, b gateway.Entry) int { return a.Time.Compare(b.Time) })
	return entries, nil
}

// Close stops the cloud and removes all that it has made but the state folder, and that too if it was a temporary one.
func (c *Cloud) Close() error {
	if c.stop != nil {
		c.stop()
		c.work.Wait()
	}
	var err error
	if c.world != nil {
		err = c.world.Close()
	}
	if c.client != nil {
		c.client.Close()
	}
	if c.control != nil {
		err = errors.Join(err, c.control.Close())
	}
	if c.temporary {
		err = errors.Join(err, os.RemoveAll(c.dir))
	}
	return err
}
