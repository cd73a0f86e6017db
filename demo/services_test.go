package demo

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"postern/demo/backend"
	"postern/demo/visit"
	"postern/model"
	"postern/service/all"
)

// TestMeet gives the judgement of act services what it must refuse.
func TestMeet(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go backend.Each(listener, backend.Redis)
	in := &visit.Visitor{Dial: loopback{listener.Addr()}.DialContext, Timeout: time.Minute}
	out := &visit.Visitor{Timeout: time.Minute, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("connection reset by peer")
	}}
	redis := asked{ask: func(ctx context.Context, v *visit.Visitor) (string, error) { return v.Redis(ctx, "cache", "6379") },
		answers: "+PONG", refuses: "connection reset by peer"}
	other := redis
	other.answers, other.refuses = "+OK", "access denied"
	for _, one := range []struct {
		name       string
		asked      asked
		app, other *visit.Visitor
		in, out    bool
	}{
		{"as it should be", redis, in, out, true, true},
		{"everybody gets in", redis, in, in, true, false},
		{"nobody gets in", redis, out, out, false, true},
		{"the wrong way round", redis, out, in, false, false},
		{"in other words", other, in, out, false, false},
	} {
		t.Run(one.name, func(t *testing.T) {
			if v := one.asked.meet(t.Context(), one.app, one.other); v.in != one.in || v.out != one.out {
				t.Errorf("allowed %v %q, denied %v %q", v.in, v.Allowed, v.out, v.Denied)
			}
		})
	}
}

// TestServicesAreAll compares services.yaml with the list of services: none is left out, and each is asked.
func TestServicesAreAll(t *testing.T) {
	behind := &servers{addresses: map[string]string{}}
	if _, err := behind.instances("snet"); err == nil || !strings.Contains(err.Error(), "services.yaml asks for redis") {
		t.Errorf("without servers: %v", err)
	}
	for _, name := range []string{"web", "blob", "vault", "amqp", "kafka", "sql", "postgresql", "mysql", "mariadb", "redis"} {
		behind.addresses[name] = "127.0.0.1:1"
	}
	items, err := behind.instances("/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/vnet/subnets/snet-app")
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]string{} // names by type
	for _, item := range items {
		made[strings.ToLower(item.ID.Type())] = item.ID.Name()
	}
	names := map[string]bool{}
	for _, one := range servicesAsked("") {
		names[one.Account] = true
	}
	endpoints := map[string]bool{}
	for _, endpoint := range servicesEndpoints {
		endpoints[endpoint] = true
	}
	for _, service := range all.Services() {
		for _, typ := range service.Types {
			if name := made[strings.ToLower(typ.Name)]; !typ.Kept && !names[name] {
				t.Errorf("of %s there is %q in services.yaml, which nobody asks", typ.Name, name)
			}
		}
		if service.Endpoint != "" && !endpoints[service.Endpoint] {
			t.Errorf("snet-app has no endpoint %s", service.Endpoint)
		}
	}
	for _, known := range model.Services {
		if !endpoints[known.Endpoint] && known.Endpoint != endpointGlobal {
			t.Errorf("snet-app has no endpoint %s", known.Endpoint)
		}
	}
}

func TestWriteVisits(t *testing.T) {
	var out bytes.Buffer
	visits := []*visited{{asked: asked{Service: "redis"}, Allowed: strings.Repeat("+", 60), Denied: strings.Repeat("no ", 90)}}
	if err := writeVisits(&out, visits); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
	if len(lines) != 4 || !strings.Contains(lines[1], "redis    "+strings.Repeat("+", allowedWidth-1)+"…  no no") || !strings.HasSuffix(lines[3], "no…") {
		t.Errorf("%d lines:\n%s", len(lines), out.String())
	}
}
