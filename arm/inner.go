package arm

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"

	"postern/deployment"
	"postern/resource"
)

// inner makes a request of this process's own in the name of a caller, and finds out what answers it and which right it
// takes. The error is the refusal that the caller's own request would have got.
func (d *Door) inner(ctx context.Context, call deployment.Call) (*request, route, error) {
	bare, query, _ := strings.Cut(call.Path, "?")
	address := &url.URL{Path: bare, RawQuery: query + "&api-version=" + url.QueryEscape(call.Version)}
	raw := &http.Request{Method: call.Method, URL: address, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(call.Body)), ContentLength: int64(len(call.Body))}
	raw.Header.Set("X-Ms-Correlation-Request-Id", call.CorrelationID)
	r := &request{Request: raw.WithContext(ctx), door: d, header: http.Header{}, caller: call.Caller}
	r.name()
	var err error
	if r.segments, err = split(address); err != nil {
		return nil, route{}, err
	}
	found, at, err := d.find(call.Method, r.segments)
	if err != nil {
		return nil, route{}, err
	}
	r.at = at
	if r.version, err = versionOf(address.Query()); err != nil {
		return nil, route{}, err
	}
	if err := r.checkSubscription(); err != nil {
		return nil, route{}, err
	}
	return r, found, d.Authorize(ctx, call.Caller, found.action(call.Method, at), at.scope())
}

// allow refuses what do would refuse by the path, the version or the caller's rights, those to what the body refers to too.
func (d *Door) allow(ctx context.Context, call deployment.Call) error {
	r, _, err := d.inner(ctx, call)
	if err != nil || call.Body == nil {
		return err
	}
	id, err := resource.ParseID(call.Path)
	if err != nil {
		return nil // a type that refers to nothing
	}
	return r.authorizeBody(id, call.Body)
}

// do answers a request of this process's own as if its caller had sent it, writes it into the activity log, and waits for
// its end.
func (d *Door) do(ctx context.Context, call deployment.Call) (int, json.RawMessage, error) {
	r, route, err := d.inner(ctx, call)
	if err != nil {
		if r != nil && r.writes(route.action(call.Method, r.at)) {
			d.Record(Ended(r.entry(route.action(call.Method, r.at), r.at.scope()), 0, err))
		}
		return 0, nil, err
	}
	status, answer, err := r.recorded(route.action(call.Method, r.at), r.at.scope(), func() (int, any, error) { return route.answer(r) })
	if err != nil {
		return 0, nil, err
	}
	data, err := json.Marshal(answer)
	if err != nil {
		return 0, nil, err
	}
	// The write may go on: its operation is one of this process's own.
	if operation := r.header.Get("Azure-AsyncOperation"); operation != "" {
		address, err := url.Parse(operation)
		if err != nil {
			return 0, nil, fmt.Errorf("follow an operation: %w", err)
		}
		if err := d.API.Await(ctx, d.API.Operation(path.Base(address.Path))); err != nil {
			return 0, nil, err
		}
	}
	return status, data, nil
}
