package postgresql

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"postern/protocol/clienthello"
	"postern/protocol/postgres"
	"postern/service"
)

// backendTimeout bounds the first talk with a backend.
const backendTimeout = 10 * time.Second

// maxRequests bounds the requests for encryption before the start-up message: one of each kind.
const maxRequests = 2

// alpn is what clients name PostgreSQL by in TLS.
const alpn = "postgresql"

// startup is the first talk of one connection. TLS goes to the backend as it came, with the backend's certificate, where
// the backend has TLS; it ends here, with the cloud's, where the backend has none, and where the client is refused.
type startup struct {
	conn     net.Conn // as it came
	config   *tls.Config
	hello    []byte            // the ClientHello, in its records; nil without TLS
	message  *postgres.Message // nil while TLS hides it
	session  *service.Session
	stripped bool // message has lost the server's name
}

func open(_ context.Context, client net.Conn, config *tls.Config) (*service.Session, error) {
	config = config.Clone()
	config.NextProtos = []string{alpn}
	s := &startup{conn: client, config: config}
	s.session = &service.Session{Client: client, Greet: s.greet, Refuse: s.refuse, Operation: "Connect"}
	return s.session, s.read()
}

// read reads up to the first message that names the server: a ClientHello or a start-up message.
func (s *startup) read() error {
	first, err := service.Peek(s.conn)
	if err != nil {
		return err
	}
	if first.IsTLS() { // without SSLRequest before, as PostgreSQL 17 has it
		return s.readHello(first)
	}
	for range maxRequests + 1 {
		message, err := postgres.Read(first)
		if err != nil {
			return err
		}
		switch message.Kind {
		case postgres.GSSRequest:
			if _, err := s.conn.Write([]byte{postgres.Reject}); err != nil {
				return err
			}
		case postgres.SSLRequest:
			if _, err := s.conn.Write([]byte{postgres.Accept}); err != nil {
				return err
			}
			return s.readHello(s.conn)
		default:
			s.take(message)
			return nil
		}
		first = service.Unread(s.conn, nil)
	}
	return errors.New("the client asks for encryption again and again")
}

func (s *startup) readHello(from net.Conn) error {
	hello, raw, err := clienthello.Read(from)
	if err != nil {
		return err
	}
	s.hello = raw
	if s.session.Operation = "Connect"; !hello.Encrypted {
		s.session.Host = hello.ServerName
	}
	return nil
}

// take takes a start-up message. A user "bob@contoso" asks for the server contoso as bob: the backend knows bob alone.
func (s *startup) take(message *postgres.Message) {
	s.message = message
	s.session.Operation = "Login"
	if message.Kind == postgres.Cancel {
		s.session.Operation = "Cancel"
	}
	user, host := serverOf(message.Value("user"))
	if host == "" {
		return
	}
	if s.session.Host == "" {
		s.session.Host = host
	}
	s.stripped = true
	for i := range message.Parameters {
		if message.Parameters[i].Name == "user" {
			message.Parameters[i].Value = user
		}
	}
}

// serverOf parts "user@server" and "user@server.postgres.database.azure.com". Any other name with a dot behind the last @
// is a directory's, such as bob@example.com, and part of the user.
func serverOf(name string) (user, host string) {
	at := strings.LastIndexByte(name, '@')
	if at <= 0 || at == len(name)-1 {
		return name, ""
	}
	server := strings.ToLower(name[at+1:])
	if label, full := strings.CutSuffix(server, "."+Suffix); full {
		server = label
	}
	if !service.ValidDatabaseName(server) {
		return name, ""
	}
	return name[:at], server + "." + Suffix
}

// greet brings a backend to where the client is.
func (s *startup) greet(ctx context.Context, backend net.Conn) (net.Conn, error) {
	_ = backend.SetDeadline(time.Now().Add(backendTimeout))
	if s.hello != nil {
		secured, err := askTLS(backend)
		if err != nil {
			return nil, err
		}
		if secured {
			if _, err = backend.Write(s.hello); err != nil {
				return nil, err
			}
			return backend, backend.SetDeadline(time.Time{})
		}
		if err := s.endTLS(ctx); err != nil {
			return nil, err
		}
	}
	raw := s.message.Raw()
	if s.stripped {
		raw = s.message.Marshal()
	}
	if _, err := backend.Write(raw); err != nil {
		return nil, err
	}
	return backend, backend.SetDeadline(time.Time{})
}

// askTLS asks a backend for TLS. So is a client of direct TLS served, too, by servers older than PostgreSQL 17.
func askTLS(backend net.Conn) (bool, error) {
	if _, err := backend.Write(postgres.Request(postgres.SSLRequest)); err != nil {
		return false, err
	}
	var answer [1]byte
	if _, err := backend.Read(answer[:]); err != nil {
		return false, err
	}
	switch answer[0] {
	case postgres.Accept:
		return true, nil
	case postgres.Reject:
		return false, nil
	}
	return false, fmt.Errorf("the backend answers %q to a request for TLS", answer[0])
}

// endTLS takes TLS with the cloud's certificate, and then the start-up message.
func (s *startup) endTLS(ctx context.Context) error {
	secured := tls.Server(service.Unread(s.conn, s.hello), s.config)
	if err := secured.HandshakeContext(ctx); err != nil {
		return err
	}
	s.session.Client = secured
	message, err := postgres.Read(secured)
	if err != nil {
		return err
	}
	s.take(message)
	return nil
}
