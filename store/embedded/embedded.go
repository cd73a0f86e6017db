// Package embedded runs etcd inside the process, in a folder, reached through a unix socket alone.
package embedded

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"postern/store"
)

// Server is an etcd of one member with a connection to it.
type Server struct {
	*store.Store
	Endpoint string // for store.Connect from other processes of the machine: "unix:///…/etcd.sock"

	etcd *embed.Etcd
	lock *fileutil.LockedFile
}

// ErrTaken tells that another process has the state folder.
var ErrTaken = errors.New("another process has it: stop that one, or choose another folder")

const (
	socketName = "etcd.sock"
	peerName   = "etcd-peer.sock"

	// maxSocketPath is what a unix socket's path may be long, less the zero byte (unix(7)).
	maxSocketPath = 107

	startTimeout = 30 * time.Second

	// quota is the most that the database may grow to, in bytes.
	quota = 8 << 30
)

// Endpoint is where the server of a state folder is reached.
func Endpoint(dir string) (string, error) {
	path, err := filepath.Abs(filepath.Join(dir, socketName))
	if err != nil {
		return "", fmt.Errorf("state folder %s: %w", dir, err)
	}
	return "unix://" + path, nil
}

// Open starts the server of a state folder, which it makes if needed (for its owner alone, since there are secrets in
// it), and waits until it serves. Every write is on disk (fsync) before it is answered. A folder that another process
// has gives ErrTaken.
func Open(dir string) (*Server, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open state folder: %w", err)
	}
	if socket := filepath.Join(dir, peerName); len(socket) > maxSocketPath {
		return nil, fmt.Errorf("open state folder %s: the path of a socket in it has %d characters and the system takes %d: choose a folder with a shorter path",
			dir, len(socket), maxSocketPath)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open state folder: %w", err)
	}
	lock, err := fileutil.TryLockFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fileutil.ErrLocked) {
		return nil, fmt.Errorf("open state folder %s: %w", dir, ErrTaken)
	} else if err != nil {
		return nil, fmt.Errorf("lock state folder %s: %w: choose a folder that you may write to", dir, unwrapped(err))
	}
	server := &Server{lock: lock, Endpoint: "unix://" + filepath.Join(dir, socketName)}
	if err := server.start(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("start the store in %s: %w", dir, err), server.Close())
	}
	return server, nil
}

// unwrapped is the system's error behind those of etcd's helpers, which speak of their own functions.
func unwrapped(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path
	}
	return err
}

func (s *Server) start(dir string) error {
	etcd, err := embed.StartEtcd(configuration(dir))
	if err != nil {
		return err
	}
	s.etcd = etcd
	select {
	case <-etcd.Server.ReadyNotify():
	case err := <-etcd.Err():
		return err
	case <-time.After(startTimeout):
		return fmt.Errorf("it was not ready within %s: is the disk very slow, or the folder damaged?", startTimeout)
	}
	s.Store, err = store.Connect(s.Endpoint)
	return err
}

func configuration(dir string) *embed.Config {
	config := embed.NewConfig()
	client := url.URL{Scheme: "unix", Path: filepath.Join(dir, socketName)}
	peer := url.URL{Scheme: "unix", Path: filepath.Join(dir, peerName)}
	config.Name = "postern"
	config.Dir = filepath.Join(dir, "etcd")
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.EnableGRPCGateway = false
	config.MaxTxnOps = store.MaxTxnOps
	config.MaxRequestBytes = store.MaxRequestBytes
	config.QuotaBackendBytes = quota
	config.AutoCompactionMode, config.AutoCompactionRetention = embed.CompactorModeRevision, "10000"
	// A member that is alone needs no time to see who else would lead.
	config.TickMs, config.ElectionMs = 20, 100
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	return config
}

// Close stops the server and frees the folder. It is safe to call twice.
func (s *Server) Close() error {
	var errs []error
	if s.Store != nil {
		errs = append(errs, s.Store.Close())
		s.Store = nil
	}
	if s.etcd != nil {
		s.etcd.Close()
		s.etcd = nil
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
		s.lock = nil
	}
	return errors.Join(errs...)
}
