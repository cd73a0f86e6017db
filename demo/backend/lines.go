package backend

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
)

// Redis answers PING as Redis does, and every other line with its error.
func Redis(conn net.Conn) error {
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		answer := "+PONG\r\n"
		if word := strings.TrimSpace(lines.Text()); !strings.EqualFold(word, "PING") {
			answer = fmt.Sprintf("-ERR unknown command '%s'\r\n", word)
		}
		if _, err := io.WriteString(conn, answer); err != nil {
			return err
		}
	}
	return lines.Err()
}

// maxKafka bounds a request to a broker, in bytes.
const maxKafka = 64 << 10

// Kafka is a broker as far as its answer to ApiVersions, over TLS with the certificates of config (Kafka protocol guide,
// "Retrieving Supported API versions"). It knows that request alone, in version 0.
func Kafka(config *tls.Config) func(net.Conn) error {
	return limited(func(raw net.Conn) error {
		conn := tls.Server(raw, config)
		defer conn.Close()
		for {
			var head [12]byte // size, API key, version, correlation
			if _, err := io.ReadFull(conn, head[:]); err != nil {
				return err
			}
			size := binary.BigEndian.Uint32(head[:])
			if size < 8 || size > maxKafka || binary.BigEndian.Uint32(head[4:]) != 18<<16 {
				return errBegin
			}
			if _, err := io.CopyN(io.Discard, conn, int64(size-8)); err != nil {
				return err
			}
			answer := append([]byte{0, 0, 0, 16}, head[8:]...)           // size, correlation
			answer = append(answer, 0, 0, 0, 0, 0, 1, 0, 18, 0, 0, 0, 0) // no error; one API: 18, versions 0 to 0
			if _, err := conn.Write(answer); err != nil {
				return err
			}
		}
	})
}
