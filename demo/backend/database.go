package backend

import (
	"crypto/tls"
	"errors"
	"net"

	"postern/protocol/mysql"
	"postern/protocol/postgres"
	"postern/protocol/tds"
	"postern/service"
)

// errBegin says that a client begins with something else than a server of the protocol takes.
var errBegin = errors.New("the client begins with another message")

// PostgreSQL lets everybody log in, without TLS, and has no answer to queries.
func PostgreSQL() func(net.Conn) error { return limited(servePostgreSQL) }

func servePostgreSQL(conn net.Conn) error {
	message, err := postgres.Read(conn)
	for err == nil && message.Kind != postgres.Startup {
		if message.Kind == postgres.Cancel {
			return errBegin
		}
		if _, err = conn.Write([]byte{postgres.Reject}); err == nil {
			message, err = postgres.Read(conn)
		}
	}
	if err != nil {
		return err
	}
	answer := postgres.Reply{Type: postgres.TypeAuthentication, Body: make([]byte, 4)}.Marshal() // AuthenticationOk
	answer = append(answer, postgres.Reply{Type: postgres.TypeParameterStatus, Body: []byte("server_version\x0016.0 (demo)\x00")}.Marshal()...)
	if _, err := conn.Write(append(answer, postgres.Reply{Type: postgres.TypeReadyForQuery, Body: []byte{'I'}}.Marshal()...)); err != nil {
		return err
	}
	_, err = postgres.ReadReply(conn) // Terminate has the same form
	return err
}

// MySQL is a server of a version that lets everybody log in, without TLS, and has no answer to queries.
func MySQL(version string) func(net.Conn) error {
	return limited(func(conn net.Conn) error {
		if _, err := conn.Write(mysql.Greeting(version)); err != nil {
			return err
		}
		if _, err := mysql.ReadPacket(conn); err != nil {
			return err
		}
		if _, err := conn.Write(mysql.OK()); err != nil {
			return err
		}
		_, err := mysql.ReadPacket(conn) // quit
		return err
	})
}

// SQL is a server of TDS 7 and 8 that lets everybody log in, and answers every batch with nothing. TLS is its own, with the
// certificates of config.
func SQL(config *tls.Config) func(net.Conn) error {
	return limited(func(conn net.Conn) error { return serveSQL(conn, config.Clone()) })
}

// serveSQL follows [MS-TDS] section 3.3: PRELOGIN, TLS, LOGIN7, batches.
func serveSQL(raw net.Conn, config *tls.Config) error {
	first, err := service.Peek(raw)
	if err != nil {
		return err
	}
	version, conn, strict := tds.Version74, net.Conn(first), first.IsTLS()
	if strict {
		config.NextProtos = []string{"tds/8.0"}
		version, conn = tds.Version80, tls.Server(first, config)
	}
	message, err := tds.Read(conn, tds.PreLogin)
	if err != nil {
		return err
	}
	encryption, err := tds.ReadPreLogin(message.Content)
	if err != nil {
		return err
	}
	if encryption != tds.EncryptionNotSupported {
		encryption = tds.EncryptionOn
	}
	if _, err := conn.Write(tds.Packet(tds.Reply, tds.MarshalPreLogin(encryption))); err != nil {
		return err
	}
	if encryption == tds.EncryptionOn && !strict {
		config.MaxVersion, config.SessionTicketsDisabled = tls.VersionTLS12, true
		wrapped := tds.Wrap(conn)
		secured := tls.Server(wrapped, config)
		if err := secured.Handshake(); err != nil {
			return err
		}
		wrapped.HandshakeDone()
		conn = secured
	}
	if _, err := tds.Read(conn, tds.Login); err != nil {
		return err
	}
	answer := tds.LoginAnswer(version, "Postern's demo")
	for {
		if _, err := conn.Write(answer); err != nil {
			return err
		}
		if _, err := tds.Read(conn, tds.Batch); err != nil {
			return err
		}
		answer = tds.Done()
	}
}
