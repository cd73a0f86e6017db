package visit

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"postern/protocol/amqp"
)

// AMQP opens a session as Azure's clients do: TLS, SASL, open, begin. The error is an *amqp.PeerError where the namespace
// says no.
func (v *Visitor) AMQP(ctx context.Context, host string) (string, error) {
	raw, err := v.connect(ctx, host, "5671")
	if err != nil {
		return "", err
	}
	conn := v.secure(raw, host)
	defer conn.Close()
	answer, err := openSession(conn, host)
	return answer, plain(err)
}

func openSession(conn net.Conn, host string) (string, error) {
	for _, step := range []struct {
		send []byte
		want amqp.ID
	}{{amqp.Header(amqp.SASL), amqp.SASL}, {append(amqp.Init("ANONYMOUS"), amqp.Header(amqp.Plain)...), amqp.Plain}} {
		if _, err := conn.Write(step.send); err != nil {
			return "", err
		}
		if step.want == amqp.Plain {
			if err := until(conn, amqp.SASLOutcome); err != nil {
				return "", err
			}
		}
		if id, err := amqp.ReadHeader(conn); err != nil || id != step.want {
			return "", fmt.Errorf("the namespace answers protocol %d instead of %d: %w", id, step.want, err)
		}
	}
	if _, err := conn.Write(append(amqp.OpenTo("vm", host), amqp.Begin(false)...)); err != nil {
		return "", err
	}
	if err := until(conn, amqp.PerformBegin); err != nil {
		return "", err
	}
	_, err := conn.Write(amqp.Bye())
	return "session opened, AMQP 1.0", err
}

// until reads frames up to one that says what is wanted. The error is the peer's where it closes instead.
func until(conn net.Conn, wanted amqp.Performative) error {
	for {
		frame, err := amqp.ReadFrame(conn)
		if err != nil || frame.What == wanted {
			return err
		}
		if frame.What != amqp.PerformClose {
			continue
		}
		said, err := amqp.ReadClose(frame.Body)
		if err != nil {
			return err
		}
		_, _ = conn.Write(amqp.Bye()) // the peer waits for it
		if said == nil {
			return errors.New("the namespace closes the connection")
		}
		return said
	}
}

// Kafka asks a broker for the versions that it speaks, over TLS, as every client of Kafka does first.
func (v *Visitor) Kafka(ctx context.Context, host string) (string, error) {
	raw, err := v.connect(ctx, host, "9093")
	if err != nil {
		return "", err
	}
	conn := v.secure(raw, host)
	defer conn.Close()
	answer, err := askVersions(conn)
	return answer, plain(err)
}

// askVersions sends ApiVersions, version 0, correlation 7, of a client without a name.
func askVersions(conn net.Conn) (string, error) {
	if _, err := conn.Write([]byte{0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff}); err != nil {
		return "", err
	}
	var head [14]byte // size, correlation, error, count
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return "", err
	}
	if correlation, failed := binary.BigEndian.Uint32(head[4:]), binary.BigEndian.Uint16(head[8:]); correlation != 7 || failed != 0 {
		return "", fmt.Errorf("the broker answers request %d with error %d", correlation, failed)
	}
	return fmt.Sprintf("broker speaks %d API", binary.BigEndian.Uint32(head[10:])), nil
}

// Redis sends one PING.
func (v *Visitor) Redis(ctx context.Context, host, port string) (string, error) {
	conn, err := v.connect(ctx, host, port)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
		return "", plain(err)
	}
	buffer := make([]byte, 64)
	n, err := conn.Read(buffer)
	return strings.TrimSpace(string(buffer[:n])), plain(err)
}
