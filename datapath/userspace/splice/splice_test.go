package splice

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// pair is a TCP connection over loopback.
func pair(t *testing.T) (one, other *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	dialled, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, conn := range []net.Conn{dialled, accepted} {
		t.Cleanup(func() { conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	}
	return dialled.(*net.TCPConn), accepted.(*net.TCPConn)
}

// joined starts Both between two connections and gives the outer ends.
func joined(t *testing.T, ctx context.Context) (client, server *net.TCPConn, done chan struct{}) {
	client, near := pair(t)
	far, server := pair(t)
	done = make(chan struct{})
	go func() { defer close(done); Both(ctx, near, far) }()
	return client, server, done
}

func TestBoth(t *testing.T) {
	t.Run("an end of one direction leaves the other open", func(t *testing.T) {
		client, server, done := joined(t, t.Context())
		_, _ = io.WriteString(client, "question")
		_ = client.CloseWrite()
		if got, err := io.ReadAll(server); err != nil || string(got) != "question" {
			t.Fatalf("the server read %q, %v", got, err)
		}
		_, _ = io.WriteString(server, "answer")
		_ = server.CloseWrite()
		if got, err := io.ReadAll(client); err != nil || string(got) != "answer" {
			t.Fatalf("the client read %q, %v", got, err)
		}
		<-done
	})
	t.Run("a reset is passed on", func(t *testing.T) {
		client, server, done := joined(t, t.Context())
		_ = server.SetLinger(0)
		_ = server.Close()
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the client read %v; want a reset", err)
		}
		<-done
	})
	t.Run("the end of the context resets both", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		client, server, done := joined(t, ctx)
		cancel()
		<-done
		for _, conn := range []net.Conn{client, server} {
			if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("read %v; want a reset", err)
			}
		}
	})
}
