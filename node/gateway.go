// Package node is what runs on a node of the fabric: the agent with the driver that fits its role. On a gateway that
// driver is the service's side itself: gateway, platform and the table service.
package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"postern/agent"
	"postern/certificate"
	"postern/firewall"
	"postern/gateway"
	"postern/keyring"
	"postern/model"
	"postern/plan"
	"postern/platform"
	"postern/service/all"
	"postern/service/storage"
	"postern/store"
	"postern/tableservice"
	"postern/token"
)

// Sockets are how a gateway is reached: the kernel's, or those of a userspace stack. Both take every address.
type Sockets interface {
	ListenTCP(ctx context.Context, port uint16) (net.Listener, error)
	ListenUDP(ctx context.Context, port uint16) (platform.PacketConn, error)
}

// GatewayOptions are what a gateway node needs.
type GatewayOptions struct {
	Name    string
	Dir     string // the cloud's state folder
	Store   *store.Store
	Sockets Sockets
	Log     *slog.Logger

	// Reach makes the gateway's addresses reachable as the plan says; nil where others do.
	Reach func(context.Context, plan.Node) error

	// Direct judges packets to instances' own addresses; nil: their connections are passed through by sockets. It is closed
	// at the end.
	Direct Direct

	AccessLog gateway.LogFile // where the access log is kept; without a path: LogFile
	Metrics   string          // HOST:PORT that answers GET /metrics beside MetricsSocket; "": none
	LogTo     io.Writer       // takes the access log in place of a file; nil: the file
}

// Direct is the judge of packets to instances' own addresses, as a gateway's process keeps it: the kernel's.
type Direct interface {
	gateway.DirectPath
	Follow(ctx context.Context, told func(model.Connection), lost func(uint64)) error
	Counters() ([]model.Counter, error)
	Lost() (uint64, error)
	Open() (int, error)
	Close() error
}

// storageSuffix is the zone of the accounts' names.
const storageSuffix = "core.windows.net"

// LogFile is where the access log of a gateway is, in the cloud's state folder.
func LogFile(dir, name string) string { return filepath.Join(dir, "logs", name+".jsonl") }

// AgentDir is where the agents of a cloud's nodes keep their plans and sockets.
func AgentDir(dir string) string { return filepath.Join(dir, "nodes") }

// service is the driver of a gateway node.
type service struct {
	gateway  *gateway.Gateway
	platform *platform.Service
	tables   *tableservice.Service
	ports    *ports
	reach    func(context.Context, plan.Node) error
	direct   Direct                               // nil: sockets do it
	keys     atomic.Pointer[map[string][2]string] // of accounts, by lower-case name
}

// RunGateway serves a gateway node until the context ends.
func RunGateway(ctx context.Context, options GatewayOptions) error {
	s := &service{reach: options.Reach, direct: options.Direct}
	if s.direct != nil {
		defer s.direct.Close()
	}
	s.keys.Store(&map[string][2]string{})
	authority, err := Authority(ctx, options.Store)
	if err != nil {
		return err
	}
	keys, err := keyring.Open(ctx, options.Store, keyring.Managed, time.Now())
	if err != nil {
		return err
	}
	issuer := func() token.Issuer {
		return token.Issuer{URL: token.ManagedIssuer, Tenant: model.DefaultSettings.Tenant, Keys: keys.Keys()}
	}
	log, closeLog, err := openLog(options)
	if err != nil {
		return err
	}
	defer closeLog()
	if s.tables, err = openTables(options, tableservice.Credentials{
		Keys: s.accountKeys, Tokens: func() token.Verifier { return issuer().Verifier() }, Suffix: storageSuffix,
	}); err != nil {
		return err
	}
	defer s.tables.Close()
	minter := certificate.NewMinter(authority, suffixes(), nil)
	registry := newMetrics()
	if err := measureDirect(registry, s.direct); err != nil {
		return err
	}
	s.gateway, err = gateway.New(gateway.Config{
		Direct:    directPath(s.direct),
		Metrics:   registry,
		AccessLog: log, BuiltIn: map[string]http.Handler{"storage/table": withAccount(s.tables)}, Tokens: managedIdentities(issuer),
		GetCertificate: minter.GetCertificate, Logger: options.Log,
	})
	if err != nil {
		return err
	}
	defer s.gateway.Close()
	s.platform, err = platform.New(platform.Options{Issuer: issuer})
	if err != nil {
		return err
	}
	loop, err := agent.New(agent.Options{
		Node: options.Name, Dir: AgentDir(options.Dir), Plans: options.Store, Driver: s, Log: options.Log,
	})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	if err := s.serve(ctx, group, options.Sockets); err != nil {
		return err
	}
	if err := os.MkdirAll(AgentDir(options.Dir), 0o700); err != nil {
		return fmt.Errorf("make folder for the metrics' socket: %w", err)
	}
	if err := serveMetrics(ctx, group, registry, MetricsSocket(options.Dir, options.Name), options.Metrics); err != nil {
		return err
	}
	group.Go(func() error {
		keys.Follow(ctx)
		return nil
	})
	group.Go(func() error { return loop.Run(ctx) })
	if s.direct != nil {
		group.Go(func() error { return s.direct.Follow(ctx, s.gateway.RecordDirect, log.Lose) })
	}
	err = group.Wait()
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled) || errors.Is(err, net.ErrClosed)) {
		return nil
	}
	return err
}

// serve opens every port before anything is said to be in force.
func (s *service) serve(ctx context.Context, group *errgroup.Group, sockets Sockets) error {
	plain, err := sockets.ListenTCP(ctx, 80)
	if err != nil {
		return fmt.Errorf("listen for HTTP: %w", err)
	}
	secure, err := sockets.ListenTCP(ctx, 443)
	if err != nil {
		return errors.Join(fmt.Errorf("listen for HTTPS: %w", err), plain.Close())
	}
	names, err := sockets.ListenTCP(ctx, 53)
	if err != nil {
		return errors.Join(fmt.Errorf("listen for DNS over TCP: %w", err), plain.Close(), secure.Close())
	}
	datagrams, err := sockets.ListenUDP(ctx, 53)
	if err != nil {
		return errors.Join(fmt.Errorf("listen for DNS: %w", err), plain.Close(), secure.Close(), names.Close())
	}
	s.ports = &ports{direct: s.direct != nil, ctx: ctx, group: group, sockets: sockets, serve: s.gateway.Serve, open: map[uint16]net.Listener{}}
	parted := split(plain)
	group.Go(func() error { return s.gateway.Serve(parted.services, 80) })
	group.Go(func() error { return s.gateway.Serve(secure, 443) })
	group.Go(func() error { return s.platform.ServeMetadata(ctx, parted.platform) })
	group.Go(func() error { return s.platform.ServeDNSStream(ctx, names) })
	group.Go(func() error { return s.platform.ServeDNS(ctx, datagrams) })
	context.AfterFunc(ctx, func() {
		plain.Close()
		secure.Close()
		s.gateway.Close()
	})
	return nil
}

// Apply implements agent.Driver: who may come in is judged by the new plan before new addresses are reachable.
func (s *service) Apply(ctx context.Context, node plan.Node) error {
	if node.Gateway == nil {
		return fmt.Errorf("plan of node %s is not a gateway's", node.Node)
	}
	keys, owners := make(map[string][2]string, len(node.Gateway.Instances)), make(map[string]string, len(node.Gateway.Instances))
	for _, instance := range node.Gateway.Instances {
		if instance.Service == storage.Service.Name {
			keys[strings.ToLower(instance.Name)], owners[strings.ToLower(instance.Name)] = instance.Keys, fmt.Sprintf("%s %d", instance.ID.Key(), instance.Created)
		}
	}
	s.keys.Store(&keys)
	undropped := s.tables.Keep(owners) // who may come in is judged by the new plan all the same
	if err := s.gateway.Apply(node); err != nil {
		return err
	}
	if err := s.platform.Apply(node); err != nil {
		return err
	}
	if err := s.ports.set(node.Gateway); err != nil {
		return err
	}
	if s.reach != nil {
		return errors.Join(undropped, s.reach(ctx, node))
	}
	return undropped
}

// Counters implements agent.Driver: a gateway judges requests, and packets to instances' own addresses alone.
func (s *service) Counters() ([]model.Counter, error) {
	if s.direct == nil {
		return nil, nil
	}
	return s.direct.Counters()
}

// Close implements agent.Driver.
func (s *service) Close() error { return s.gateway.Close() }

func (s *service) accountKeys(account string) ([2]string, bool) {
	keys, ok := (*s.keys.Load())[strings.ToLower(account)]
	return keys, ok
}

// TablesFile is where a gateway keeps the rows of its table service, in the cloud's state folder.
func TablesFile(dir, name string) string { return filepath.Join(dir, "tables", name+".db") }

// openTables opens the table service. A file that cannot be read is no reason to serve nothing else: its rows are left as they
// are, the log says so, and every request for tables is told to come again.
func openTables(options GatewayOptions, credentials tableservice.Credentials) (*tableservice.Service, error) {
	file := TablesFile(options.Dir, options.Name)
	wanted := tableservice.Options{Suffix: storageSuffix, Authorizer: credentials, Path: file}
	err := os.MkdirAll(filepath.Dir(file), 0o700)
	if err == nil {
		var tables *tableservice.Service
		if tables, err = tableservice.New(wanted); err == nil {
			return tables, nil
		}
	}
	if options.Log != nil {
		options.Log.Error("the tables that are built in are not served", "node", options.Name, "file", file, "error", err)
	}
	wanted.Path, wanted.Authorizer = "", tableservice.Unavailable{}
	return tableservice.New(wanted)
}

// withAccount tells the table service which requests have the account in their path.
func withAccount(tables http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked, ok := gateway.RequestFrom(r.Context()); ok && asked.Root != "" {
			r = tableservice.ByPath(r, strings.TrimPrefix(asked.Root, "/"))
		}
		tables.ServeHTTP(w, r)
	})
}

// suffixes are what the names end in that the cloud's certificates are for: the zones of the services.
func suffixes() []string {
	var list []string
	for _, zone := range all.Zones(model.DefaultSettings) {
		list = append(list, zone.Apex())
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// managedIdentities verifies tokens of the cloud's own issuer (ID-2).
func managedIdentities(issuer func() token.Issuer) func(raw string, audiences []string) (firewall.Managed, error) {
	return func(raw string, audiences []string) (firewall.Managed, error) {
		claims, err := issuer().Verifier().Verify(raw, audiences, time.Now())
		return firewall.Managed{Tenant: claims.TenantID, Resource: model.ResourceID(claims.ResourceID)}, err
	}
}

// Authority is the cloud's certificate authority. The first who asks makes it.
func Authority(ctx context.Context, secrets *store.Store) (*certificate.Authority, error) {
	data, err := secrets.Secret(ctx, "certificate-authority", func() ([]byte, error) {
		fresh, err := certificate.NewAuthority("Postern", append(suffixes(), "localhost"), time.Now())
		if err != nil {
			return nil, err
		}
		return fresh.MarshalPEM()
	})
	if err != nil {
		return nil, err
	}
	return certificate.ParseAuthority(data)
}

// openLog opens the access log of a node. What it answers writes what waits, for a moment at most, and ends it.
func openLog(options GatewayOptions) (log *gateway.AccessLog, shut func(), err error) {
	if options.LogTo != nil {
		log = gateway.NewAccessLog(options.LogTo, 0)
	} else {
		file := options.AccessLog
		if file.Path == "" {
			file.Path = LogFile(options.Dir, options.Name)
		}
		if log, err = gateway.OpenAccessLog(file, 0); err != nil {
			return nil, nil, err
		}
	}
	return log, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if err := log.Close(ctx); err != nil && options.Log != nil {
			options.Log.Error("the access log did not end well", "node", options.Name, "error", err)
		}
	}, nil
}
