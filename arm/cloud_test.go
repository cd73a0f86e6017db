package arm_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"postern/api"
	"postern/control"
	"postern/control/controltest"
	"postern/resource"
)

// fixture is a control plane for tests with a small fabric.
type fixture struct {
	ctx    context.Context
	plane  *controltest.Plane
	door   *control.Door
	ca     []byte
	client *http.Client
}

// fabric are the nodes that NICs and accounts need.
const fabric = `
type: nodes
name: host-a
location: westeurope
properties: {role: host, locator: "fd00:1:1:100::/56"}
---
type: nodes
name: gateway-we
location: westeurope
properties: {role: gateway, locator: "fd00:1:1:300::/56", serviceLocator: "fd00:1:a:100::/56", platformLocator: "fd00:1:b:100::/56"}
`

func start(t *testing.T) *fixture {
	t.Helper()
	return startWith(t, control.Options{})
}

func startWith(t *testing.T, options control.Options) *fixture {
	t.Helper()
	plane := controltest.Start(t, options)
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	t.Cleanup(cancel)
	items, err := resource.Load("fabric.yaml", []byte(fabric))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plane.API.Apply(ctx, api.Batch{Resources: items}); err != nil {
		t.Fatal(err)
	}
	return &fixture{ctx: ctx, plane: plane, door: plane.Door, ca: plane.CA, client: plane.Client}
}

// answered is an answer of the door.
type answered struct {
	status int
	header http.Header
	body   string
}

// send sends a request as it is, with a bearer token if one is given.
func (f *fixture) send(t *testing.T, method, path, token, body string, headers ...string) answered {
	t.Helper()
	request, err := http.NewRequestWithContext(f.ctx, method, f.door.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	// The path goes out as written: clients send what url.Parse would clean.
	path, query, _ := strings.Cut(path, "?")
	request.URL.Opaque = strings.Replace(f.door.URL, "https:", "", 1) + path
	request.URL.RawQuery = query
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := f.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered{answer.StatusCode, answer.Header, string(data)}
}
