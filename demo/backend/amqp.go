package backend

import (
	"net"

	"postern/protocol/amqp"
)

// AMQP is as much of a namespace of Service Bus or Event Hubs as it takes to open sessions: SASL with ANONYMOUS, open, begin,
// close.
func AMQP() func(net.Conn) error { return limited(serveAMQP) }

func serveAMQP(conn net.Conn) error {
	for {
		id, err := amqp.ReadHeader(conn)
		if err != nil {
			return err
		}
		if _, err := conn.Write(amqp.Header(id)); err != nil {
			return err
		}
		if id == amqp.Plain {
			break
		}
		if _, err := conn.Write(amqp.Mechanisms("ANONYMOUS")); err != nil {
			return err
		}
		if frame, err := amqp.ReadFrame(conn); err != nil || frame.What != amqp.SASLInit {
			return err
		}
		if _, err := conn.Write(amqp.Welcome()); err != nil {
			return err
		}
	}
	for {
		frame, err := amqp.ReadFrame(conn)
		if err != nil {
			return err
		}
		var answer []byte
		switch frame.What {
		case amqp.PerformOpen:
			answer = amqp.Open("broker")
		case amqp.PerformBegin:
			answer = amqp.Begin(true)
		case amqp.PerformClose:
			_, err := conn.Write(amqp.Bye())
			return err
		}
		if _, err := conn.Write(answer); err != nil {
			return err
		}
	}
}
