package eventhub

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	"postern/model"
	"postern/protocol/clienthello"
	"postern/service"
	"postern/service/messaging"
	"postern/service/servicetest"
)

const host = "hub-shop." + messaging.Suffix

// FW-12: a client of Kafka is refused by TLS's own alert.
func TestKafka(t *testing.T) {
	for fault, want := range map[service.Fault]string{service.Forbidden: "access denied", service.NoSuchInstance: "unrecognized name", service.BackendDown: "internal error"} {
		t.Run(fault.String(), func(t *testing.T) {
			session, told := opened(t)
			if session.Host != host || session.Part != messaging.Kafka {
				t.Errorf("got %+v", session)
			}
			if err := session.Refuse(&service.Denial{Fault: fault}); err != nil {
				t.Error(err)
			}
			if err := <-told; err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("the client got %v, want %q", err, want)
			}
		})
	}
	t.Run("the broker gets the ClientHello", func(t *testing.T) {
		session, _ := opened(t)
		near, far := net.Pipe()
		defer far.Close()
		go func() { _, _ = session.Greet(context.Background(), near) }()
		if hello, _, err := clienthello.Read(far); err != nil || hello.ServerName != host {
			t.Errorf("got %+v, %v", hello, err)
		}
	})
	t.Run("what is not TLS gets no answer", func(t *testing.T) {
		near, far := net.Pipe()
		defer near.Close()
		go func() {
			_, _ = far.Write([]byte{0, 0, 0, 20, 0, 18, 0, 3}) // ApiVersions without TLS
			far.Close()
		}()
		if session, err := openKafka(context.Background(), near, nil); err == nil {
			t.Errorf("got %+v", session)
		}
	})
}

// opened runs openKafka against a client of TLS, which tells how its handshake ended.
func opened(t *testing.T) (*service.Session, <-chan error) {
	t.Helper()
	near, far := net.Pipe()
	for _, end := range []net.Conn{near, far} {
		_ = end.SetDeadline(time.Now().Add(20 * time.Second))
		t.Cleanup(func() { end.Close() })
	}
	told := make(chan error, 1)
	go func() { told <- tls.Client(far, &tls.Config{ServerName: host}).Handshake() }()
	session, err := openKafka(context.Background(), near, nil)
	if err != nil {
		t.Fatal(err)
	}
	return session, told
}

func TestNamespace(t *testing.T) {
	hub := servicetest.MustDecode(t, Service, "hub-shop", `{"location":"westeurope"}`)
	if !hub.Rules.DefaultAllow || hub.Space != messaging.Space || len(hub.Ports) != 3 {
		t.Errorf("FW-1: got %+v", hub.ServiceInstance)
	}
	if got := servicetest.Render(t, Service, "hub-shop", `{"location":"westeurope"}`, model.DefaultSettings)["properties"].(map[string]any); got["kafkaEnabled"] != true ||
		got["serviceBusEndpoint"] != "https://"+host+":443/" {
		t.Errorf("got %v", got)
	}
}

// FW-12: HTTP's refusal is Azure's: 401 in XML, with the path in the tracker, whatever is in it.
func TestHTTP(t *testing.T) {
	got := Service.HTTP.Refuse(&service.Denial{Fault: service.Forbidden, Host: "<hub>", RequestID: "7", Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)})
	const want = "<Error><Code>401</Code><Detail>Ip has been prevented to connect to the endpoint. TrackingId:7, SystemTracker:&lt;hub&gt;, Timestamp:2026-01-02T03:04:05</Detail></Error>"
	if got.Status != 401 || !bytes.Equal(got.Body, []byte(want)) {
		t.Errorf("got %d %s", got.Status, got.Body)
	}
	if got = Service.HTTP.Refuse(&service.Denial{Fault: service.BackendDown}); got.Status != 503 {
		t.Errorf("got %d %s", got.Status, got.Body)
	}
}
