package userspace

import (
	"io"
	"net"
	"testing"

	"postern/model"
)

// BenchmarkBulk is TCP in one direction, from a VM through pipeline and fabric: MB/s of payload.
func BenchmarkBulk(b *testing.B) {
	with := app()
	with.endpoint = true
	c := newCloud(b, with, remote())
	sink := func(listen func() (net.Listener, error)) {
		listener, err := listen()
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { listener.Close() })
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				go func() { defer conn.Close(); _, _ = io.Copy(io.Discard, conn); _, _ = conn.Write([]byte{1}) }()
			}
		}()
	}
	sink(func() (net.Listener, error) { return c.gateway.ListenTCP(443) })
	sink(func() (net.Listener, error) { return c.vm("vm-far").Listen("tcp", ":7") })
	for _, way := range []struct{ name, address string }{
		{"VM to service, translated", account.String() + ":443"},
		{"VM to VM, encapsulated", "10.13.76.50:7"},
	} {
		b.Run(way.name, func(b *testing.B) {
			const chunk = 64 << 10
			data := make([]byte, chunk)
			conn, err := c.vm("vm-app").DialContext(c.ctx, "tcp", way.address)
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			b.SetBytes(chunk)
			for b.Loop() {
				if _, err := conn.Write(data); err != nil {
					b.Fatal(err)
				}
			}
			// The sink answers when it has read all.
			_ = conn.(*Conn).CloseWrite()
			if _, err := io.ReadFull(conn, data[:1]); err != nil {
				b.Fatal(err)
			}
		})
	}
	if drops := c.counted(1, model.ReasonTooBig); drops > 0 {
		b.Errorf("%d packets were too big", drops)
	}
}

// BenchmarkRequest is a request and an answer of one byte, from a VM to a service.
func BenchmarkRequest(b *testing.B) {
	with := app()
	with.endpoint = true
	c := newCloud(b, with)
	c.echoOn(func() (net.Listener, error) { return c.gateway.ListenTCP(443) })
	s := c.dialEcho(c.vm("vm-app").Stack, account.String()+":443")
	buffer := []byte{1}
	for b.Loop() {
		if _, err := s.Write(buffer); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(s.reader, buffer); err != nil {
			b.Fatal(err)
		}
	}
}
