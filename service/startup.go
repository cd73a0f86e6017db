package service

import (
	"context"
	"crypto/tls"
	"net"
)

// Startup is the first talk of a protocol that is neither HTTP nor plain TLS (TDS, PostgreSQL, MySQL, AMQP, Kafka): as
// much of it as it takes to know which instance the client wants. The gateway sets a deadline for it, judges what it
// tells, and then either refuses or joins client and backend. The bytes are read by a package of protocol/.
//
// Where the protocol lets the client speak only after the server, or hides the name in TLS, it greets for the backend,
// and takes TLS with config, which has the cloud's certificate for every name. An error ends the connection: it is
// logged as what the client sent, and nobody is answered.
type Startup func(ctx context.Context, client net.Conn, config *tls.Config) (*Session, error)

// Session is a connection whose first talk is done.
type Session struct {
	// Host is the full name that the client asked for; "" where it said none: then the address that it dialled decides.
	Host string

	// Part is the sub-service that the protocol is, where names do not say it: it can have backends of its own, and those
	// for all where it has none. "": what the name says.
	Part string

	// Client is the connection to go on with: it gives what was read but is for the backend first, and has TLS on top if
	// that was taken here.
	Client net.Conn

	// Greet brings a new connection to a backend to where the client is: it sends what the client sent, and takes the
	// answers that the client has had already. It answers the connection to go on with. nil: Client gives all again.
	Greet func(ctx context.Context, backend net.Conn) (net.Conn, error)

	// Refuse says no in the protocol's words, on Client (FW-12). It may read on until the protocol lets it speak. The
	// gateway closes the connection afterwards.
	Refuse func(*Denial) error

	Operation string // for the log: "login"
}

// ByAddress is the start-up of a protocol whose server speaks first: nothing is read, the address that was dialled decides,
// and the backend's greeting is the first that the client hears. refusal makes what is said in its stead.
func ByAddress(refusal func(*Denial) []byte) Startup {
	return func(_ context.Context, client net.Conn, _ *tls.Config) (*Session, error) {
		return &Session{Client: client, Operation: "Connect", Refuse: func(d *Denial) error {
			_, err := client.Write(refusal(d))
			return err
		}}, nil
	}
}
