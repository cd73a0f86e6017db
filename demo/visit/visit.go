// Package visit asks a service once, as a client of its protocol does, and answers what such a client shows: what it got, or
// the service's own error. It speaks the protocols as far as the login; the bytes are those of protocol/.
package visit

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"time"

	"postern/demo/application"
)

// Visitor is a program on one machine. Its methods may be called from any goroutine; each takes a connection of its own.
type Visitor struct {
	Dial    application.Dial
	Roots   *x509.CertPool // whose certificates it trusts
	Timeout time.Duration  // of a whole visit
}

// connect makes a connection that lasts no longer than a visit.
func (v *Visitor) connect(ctx context.Context, host, port string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, v.Timeout)
	defer cancel()
	conn, err := v.Dial(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, plain(err)
	}
	return conn, conn.SetDeadline(time.Now().Add(v.Timeout))
}

// secure takes TLS with a host, on a connection to it.
func (v *Visitor) secure(conn net.Conn, host string) *tls.Conn {
	return tls.Client(conn, v.trusting(host))
}

// trusting is how it takes TLS with a host; "" where the user of the answer fills it in.
func (v *Visitor) trusting(host string) *tls.Config {
	return &tls.Config{ServerName: host, RootCAs: v.Roots, MinVersion: tls.VersionTLS12}
}

// errReset is what clients show of a TCP reset.
var errReset = errors.New("connection reset by peer")

// plain leaves out of an error what the client's own system puts in front: addresses and ports.
func plain(err error) error {
	var broken *net.OpError
	switch {
	case err == nil:
		return nil
	case application.IsReset(err):
		return errReset
	case errors.As(err, &broken) && broken.Op == "remote error": // a TLS alert
		return broken
	}
	return err
}
