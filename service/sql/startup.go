package sql

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"postern/firewall"
	"postern/protocol/clienthello"
	"postern/protocol/tds"
	"postern/service"
)

// answerTimeout bounds how long a refused client may take until it has logged in, which is when it hears why.
const answerTimeout = 10 * time.Second

// alpn is what clients name TDS 8 by in TLS.
const alpn = "tds/8.0"

// startup is the first talk of one connection. TDS 8 begins with TLS, whose server name names the server. TDS 7 begins with
// PRELOGIN, which names nobody, and the backend's own answer to it decides much (MARS, the nonce of federated logins): so
// the address that was dialled names the server, and the backend answers. Either way TLS is the backend's.
type startup struct {
	conn    net.Conn // as it came
	config  *tls.Config
	raw     []byte // that was read: a PRELOGIN, or a ClientHello
	strict  bool   // TDS 8
	encrypt tds.Encryption
}

func open(_ context.Context, client net.Conn, config *tls.Config) (*service.Session, error) {
	s := &startup{conn: client, config: config.Clone()}
	session := &service.Session{Client: client, Greet: s.greet, Refuse: s.refuse, Operation: "Connect"}
	first, err := service.Peek(client)
	if err != nil {
		return nil, err
	}
	if s.strict = first.IsTLS(); s.strict {
		hello, raw, err := clienthello.Read(first)
		if err != nil {
			return nil, err
		}
		if s.raw = raw; !hello.Encrypted {
			session.Host = hello.ServerName
		}
		return session, nil
	}
	message, err := tds.Read(first, tds.PreLogin)
	if err != nil {
		return nil, err
	}
	s.raw = message.Raw
	s.encrypt, err = tds.ReadPreLogin(message.Content)
	return session, err
}

func (s *startup) greet(_ context.Context, backend net.Conn) (net.Conn, error) {
	_, err := backend.Write(s.raw)
	return backend, err
}

// refuse answers the login with the error that Azure's servers answer (FW-12): clients show nothing that comes earlier.
func (s *startup) refuse(d *service.Denial) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	conn, err := s.upToLogin(ctx)
	if err != nil {
		return err
	}
	if _, err := tds.Read(conn, tds.Login); err != nil {
		return err
	}
	_, err = conn.Write(tds.Refusal(words(d)))
	return err
}

// upToLogin does for the backend what comes before the login, with the cloud's certificate.
func (s *startup) upToLogin(ctx context.Context) (net.Conn, error) {
	if s.strict {
		s.config.NextProtos = []string{alpn}
		conn := tls.Server(service.Unread(s.conn, s.raw), s.config)
		if err := conn.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		if _, err := tds.Read(conn, tds.PreLogin); err != nil {
			return nil, err
		}
		_, err := conn.Write(tds.Packet(tds.Reply, tds.MarshalPreLogin(tds.EncryptionOn)))
		return conn, err
	}
	if s.encrypt == tds.EncryptionNotSupported {
		_, err := s.conn.Write(tds.Packet(tds.Reply, tds.MarshalPreLogin(tds.EncryptionNotSupported)))
		return s.conn, err
	}
	if _, err := s.conn.Write(tds.Packet(tds.Reply, tds.MarshalPreLogin(tds.EncryptionOn))); err != nil {
		return nil, err
	}
	// In packets, TLS must end its handshake with the server's last word: 1.3 would send tickets behind it.
	s.config.MaxVersion, s.config.SessionTicketsDisabled, s.config.NextProtos = tls.VersionTLS12, true, nil
	wrapped := tds.Wrap(s.conn)
	conn := tls.Server(wrapped, s.config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(errors.New("TLS with a client that is refused"), err)
	}
	wrapped.HandshakeDone()
	return conn, nil
}

// Numbers of errors that Azure's servers answer
// (https://learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues).
const (
	numberSubnet       = 40914
	numberAddress      = 40615
	numberPublicAccess = 47073
	numberNoServer     = 40532
	numberUnavailable  = 40613
)

func words(d *service.Denial) tds.Error {
	e := tds.Error{State: 1, Class: 14, Server: d.Instance}
	switch d.Fault {
	case service.Forbidden:
		switch {
		case d.Decision.Reason == firewall.ReasonPublicAccessOff:
			e.Number, e.Text = numberPublicAccess, "Connection was denied because Deny Public Network Access is set to Yes. To connect to this server, use the Private "+
				"Endpoint from inside your virtual network."
		case d.Kind == firewall.Endpoint:
			e.Number, e.Text = numberSubnet, fmt.Sprintf("Cannot open server '%s' requested by the login. Client is not allowed to access the server.", d.Instance)
		default:
			e.Number, e.Text = numberAddress, fmt.Sprintf("Cannot open server '%s' requested by the login. Client with IP address '%s' is not allowed to access the "+
				"server. To enable access, use the Azure Management Portal or run sp_set_firewall_rule on the master database to create a firewall rule for "+
				"this IP address or address range. It may take up to five minutes for this change to take effect.", d.Instance, d.Caller.Addr())
		}
	case service.NotServed, service.BackendDown:
		e.Number, e.Class, e.Text = numberUnavailable, 17, fmt.Sprintf("The server '%s' is not currently available. Please retry the connection later.", d.Instance)
	default:
		e.Number, e.Text = numberNoServer, fmt.Sprintf("Cannot open server %q requested by the login. The login failed.", d.Host)
	}
	return e
}
