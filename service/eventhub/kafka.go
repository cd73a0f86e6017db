package eventhub

import (
	"context"
	"crypto/tls"
	"errors"
	"net"

	"postern/model"
	"postern/protocol/clienthello"
	"postern/service"
	"postern/service/messaging"
)

// wayKafka is Kafka over TLS, port 9093.
const wayKafka model.Way = "kafka"

// openKafka reads a ClientHello. TLS goes to the broker as it came. Kafka has no way to say no before a client asks its
// first question: a refusal is an alert of TLS (FW-12).
func openKafka(_ context.Context, client net.Conn, _ *tls.Config) (*service.Session, error) {
	hello, raw, err := clienthello.Read(client)
	if err != nil {
		if !errors.Is(err, clienthello.ErrNotTLS) {
			_, _ = client.Write(clienthello.DecodeError)
		}
		return nil, err
	}
	if hello.Encrypted {
		return nil, errors.Join(errors.New("the client hides the server's name"), alert(client, clienthello.AccessDenied))
	}
	return &service.Session{Host: hello.ServerName, Part: messaging.Kafka, Client: client, Operation: "Connect",
		Greet: func(_ context.Context, backend net.Conn) (net.Conn, error) {
			_, err := backend.Write(raw)
			return backend, err
		},
		Refuse: func(d *service.Denial) error {
			switch d.Fault {
			case service.BackendDown, service.NotServed:
				return alert(client, clienthello.InternalError)
			case service.Forbidden:
				return alert(client, clienthello.AccessDenied)
			}
			return alert(client, clienthello.UnrecognizedName)
		}}, nil
}

func alert(client net.Conn, bytes []byte) error {
	_, err := client.Write(bytes)
	return err
}
