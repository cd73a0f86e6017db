package messaging

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"postern/protocol/amqp"
	"postern/service"
)

// talkTimeout bounds the talk of a refusal, and the first write to a backend.
const talkTimeout = 10 * time.Second

// maxFarewell bounds the frames that are read after a refusal, until the client has understood it.
const maxFarewell = 64

// container is the container id of the gateway's own open.
const container = "gateway"

// mechanisms are those that Azure's namespaces offer. What a client says in them is not judged: the refusal follows.
var mechanisms = []string{"MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL"}

// amqpStart is the first talk of one connection.
type amqpStart struct {
	header  amqp.ID
	session *service.Session
}

// OpenAMQP takes TLS with the cloud's certificate, whose server name says which namespace is meant, and reads the protocol
// header. TLS ends here, so that a refusal is AMQP's own; the backend is spoken to without it.
func OpenAMQP(ctx context.Context, client net.Conn, config *tls.Config) (*service.Session, error) {
	config = config.Clone()
	config.NextProtos = nil // a client's "amqp" is nothing to choose from, and no fault
	secured := tls.Server(client, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	s := &amqpStart{}
	s.session = &service.Session{Host: secured.ConnectionState().ServerName, Part: AMQP, Client: secured, Greet: s.greet, Refuse: s.refuse, Operation: "Connect"}
	var err error
	if s.header, err = amqp.ReadHeader(secured); errors.Is(err, amqp.ErrVersion) {
		_, _ = secured.Write(amqp.Header(amqp.SASL)) // what is spoken here (AMQP 1.0 section 2.2)
	}
	return s.session, err
}

// greet sends the header that was read.
func (s *amqpStart) greet(_ context.Context, backend net.Conn) (net.Conn, error) {
	_ = backend.SetWriteDeadline(time.Now().Add(talkTimeout))
	if _, err := backend.Write(amqp.Header(s.header)); err != nil {
		return nil, err
	}
	return backend, backend.SetWriteDeadline(time.Time{})
}

// refuse opens the connection, as far as it must to close it with an error (FW-12; AMQP 1.0 section 2.4.3).
func (s *amqpStart) refuse(d *service.Denial) error {
	client := s.session.Client
	_ = client.SetDeadline(time.Now().Add(talkTimeout))
	if s.header == amqp.SASL {
		if err := welcome(client); err != nil {
			return err
		}
	}
	if _, err := client.Write(amqp.Header(amqp.Plain)); err != nil {
		return err
	}
	if err := await(client, amqp.FrameAMQP, amqp.PerformOpen); err != nil {
		return err
	}
	condition, text := words(d)
	if _, err := client.Write(append(amqp.Open(container), amqp.Close(condition, text)...)); err != nil {
		return err
	}
	// Closed with bytes unread, the connection would be reset, and the answer lost on its way.
	for range maxFarewell {
		frame, err := amqp.ReadFrame(client)
		if err != nil || frame.What == amqp.PerformClose {
			return nil
		}
	}
	return nil
}

// welcome goes through SASL with whatever the client says, up to the header of AMQP.
func welcome(client net.Conn) error {
	if _, err := client.Write(append(amqp.Header(amqp.SASL), amqp.Mechanisms(mechanisms...)...)); err != nil {
		return err
	}
	if err := await(client, amqp.FrameSASL, amqp.SASLInit); err != nil {
		return err
	}
	if _, err := client.Write(amqp.Welcome()); err != nil {
		return err
	}
	id, err := amqp.ReadHeader(client)
	if err == nil && id != amqp.Plain {
		return errors.New("the client begins SASL a second time")
	}
	return err
}

func await(client net.Conn, kind byte, what amqp.Performative) error {
	frame, err := amqp.ReadFrame(client)
	if err != nil {
		return err
	}
	if frame.Type != kind || frame.What != what {
		return fmt.Errorf("the client sends the performative %#x where %#x must be", uint64(frame.What), uint64(what))
	}
	return nil
}
