package servicetest_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"unicode/utf16"

	"postern/model"
	"postern/protocol/amqp"
	"postern/protocol/postgres"
	"postern/protocol/tds"
)

// client speaks one way over a connection.
type client struct {
	*net.TCPConn
	way  model.Way
	host string
	via  *tls.Config // trusts the gateway
	over net.Conn    // TLS, where the gateway ends it
	user string      // of PostgreSQL, with the server behind it
	auth string      // of HTTP
}

// ask goes as far as it takes to be let in or refused. It answers "" when the backend has said welcome, or else what the
// client is told.
func (c *client) ask() (refusal string, err error) {
	c.over = c.TCPConn
	switch c.way {
	case model.WayHTTPS, "amqp":
		secured := tls.Client(c.TCPConn, c.via)
		if err := secured.Handshake(); err != nil {
			return "", err
		}
		c.over = secured
	}
	if err := c.begin(); err != nil {
		return "", err
	}
	switch c.way {
	case model.WayHTTP, model.WayHTTPS:
		response, err := http.ReadResponse(bufio.NewReaderSize(c.over, 16), nil)
		if err != nil {
			return "", err
		}
		if response.StatusCode == http.StatusOK {
			_, err := io.ReadFull(response.Body, make([]byte, len(welcome)))
			return "", err
		}
		var whole bytes.Buffer
		err = response.Write(&whole)
		return whole.String(), err
	}
	first := make([]byte, len(welcome))
	if _, err := io.ReadFull(c.over, first); err != nil {
		return "", err
	}
	if string(first) == welcome {
		return "", nil
	}
	return c.hear(first)
}

// begin is the client's first word.
func (c *client) begin() (err error) {
	switch c.way {
	case model.WayHTTP, model.WayHTTPS:
		header := ""
		if c.auth != "" {
			header = "Authorization: Bearer " + c.auth + "\r\n"
		}
		_, err = fmt.Fprintf(c.over, "GET /thing HTTP/1.1\r\nHost: %s\r\n%s\r\n", c.host, header)
	case model.WayTLS, "kafka":
		_, err = c.over.Write(hello(c.host))
	case "tds":
		_, err = c.over.Write(tds.Packet(tds.PreLogin, tds.MarshalPreLogin(tds.EncryptionNotSupported)))
	case "postgresql":
		_, err = c.over.Write((&postgres.Message{Parameters: []postgres.Parameter{{Name: "user", Value: c.user}}}).Marshal())
	case "amqp":
		_, err = c.over.Write(amqp.Header(amqp.Plain))
	}
	return err
}

// hear reads the rest of a refusal, in the words of the protocol.
func (c *client) hear(first []byte) (string, error) {
	rest := func() (string, error) {
		more, err := io.ReadAll(c.over)
		return string(first) + string(more), err
	}
	switch c.way {
	case "tds": // the answer to PRELOGIN; the error follows the login
		if _, err := io.ReadFull(c.over, make([]byte, int(binary.BigEndian.Uint16(first[2:]))-len(first))); err != nil {
			return "", err
		}
		if _, err := c.over.Write(tds.Packet(tds.Login, make([]byte, 94))); err != nil {
			return "", err
		}
		first = nil
		whole, err := rest()
		var words []uint16
		for i := 0; i+1 < len(whole); i++ { // the text stands at an odd place
			words = append(words, binary.LittleEndian.Uint16([]byte(whole[i:])))
		}
		return strings.Join(every(words), "\n"), err
	case "amqp":
		if _, err := c.over.Write(append(amqp.Open("client"), amqp.Close("", "")...)); err != nil {
			return "", err
		}
	}
	return rest()
}

// every reads UTF-16 that begins at an even or at an odd byte.
func every(words []uint16) (texts []string) {
	for start := range 2 {
		var chosen []uint16
		for i := start; i < len(words); i += 2 {
			chosen = append(chosen, words[i])
		}
		texts = append(texts, string(utf16.Decode(chosen)))
	}
	return texts
}

// hello is a ClientHello in its record.
func hello(host string) []byte {
	near, far := net.Pipe()
	go func() {
		_ = tls.Client(near, &tls.Config{ServerName: host}).Handshake()
		near.Close()
	}()
	defer far.Close()
	head := make([]byte, 5)
	if _, err := io.ReadFull(far, head); err != nil {
		panic(err)
	}
	body := make([]byte, binary.BigEndian.Uint16(head[3:]))
	if _, err := io.ReadFull(far, body); err != nil {
		panic(err)
	}
	return append(head, body...)
}

// call is a connection of a caller to one port of an instance.
func (f *front) call(w *world, s *subject, from caller, port model.ServicePort) *client {
	f.t.Helper()
	host := w.host(s)
	return &client{TCPConn: f.connect(w, s, from, port.Number), way: port.Way, host: host, user: "bob@" + s.name,
		via: &tls.Config{ServerName: host, RootCAs: f.pool}, auth: string(from.managed.Resource)}
}
