// Package controltest is a control plane for tests: a real one, with its doors open on loopback, and nodes that apply
// nothing and say that they have.
package controltest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"testing"

	"postern/control"
	"postern/node"
)

// Plane is a running control plane.
type Plane struct {
	*control.Plane
	Dir   string // state folder
	Door  *control.Door
	Nodes *Nodes

	CA     []byte       // certificate of the cloud's authority, in PEM
	Client *http.Client // trusts it
}

// Open starts a plane on a state folder.
func Open(dir string, options control.Options) (*Plane, error) {
	started, err := control.Start(dir, slog.New(slog.DiscardHandler), options)
	if err != nil {
		return nil, err
	}
	p := &Plane{Plane: started, Dir: dir, Nodes: Run(started)}
	ctx := context.Background()
	if p.Door, err = started.OpenDoor(ctx, "localhost:0", nil); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	authority, err := node.Authority(ctx, started.Store.Store)
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	p.CA = authority.CertificatePEM()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(p.CA)
	p.Client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	return p, nil
}

// Start starts an empty plane on a folder of its own, until the test ends.
func Start(t testing.TB, options control.Options) *Plane {
	t.Helper()
	dir, err := os.MkdirTemp("", "pt-plane-") // t.TempDir is too long for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p, err := Open(dir, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// Close ends the nodes and the plane.
func (p *Plane) Close() error {
	if p.Client != nil {
		p.Client.CloseIdleConnections()
	}
	p.Nodes.Close()
	return p.Plane.Close()
}
