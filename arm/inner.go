package arm

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	pathpkg "path"
	"strings"

	"postern/resource"
	"postern/signin"
)

// inner makes a request of this process's own in the name of a caller, and finds out what answers it. The error is the
// refusal that the caller's own request would have got.
func (d *Door) inner(ctx context.Context, caller signin.Caller, method, path, version string, body []byte) (*request, route, error) {
	bare, query, _ := strings.Cut(path, "?")
	address := &url.URL{Path: bare, RawQuery: query + "&api-version=" + url.QueryEscape(version)}
	raw := &http.Request{Method: method, URL: address, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body))}
	r := &request{Request: raw.WithContext(ctx), door: d, header: http.Header{}, caller: caller}
	r.name()
	var err error
	if r.segments, err = split(address); err != nil {
		return nil, route{}, err
	}
	found, at, err := d.find(method, r.segments)
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
	return r, found, d.Authorize(ctx, caller, found.action(method, at), at.scope())
}

// allow refuses what do would refuse by the path, the version or the caller's rights, those to what the body refers to too.
func (d *Door) allow(ctx context.Context, caller signin.Caller, method, path, version string, body []byte) error {
	r, _, err := d.inner(ctx, caller, method, path, version, nil)
	if err != nil || body == nil {
		return err
	}
	id, err := resource.ParseID(path)
	if err != nil {
		return nil // a type that refers to nothing
	}
	return r.authorizeBody(id, body)
}

// do answers a request of this process's own in the name of a caller, as if the caller had sent it, and waits for its end.
func (d *Door) do(ctx context.Context, caller signin.Caller, method, path, version string, body []byte) (int, json.RawMessage, error) {
	r, route, err := d.inner(ctx, caller, method, path, version, body)
	if err != nil {
		return 0, nil, err
	}
	status, answer, err := route.answer(r)
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
		if err := d.API.Await(ctx, d.API.Operation(pathpkg.Base(address.Path))); err != nil {
			return 0, nil, err
		}
	}
	return status, data, nil
}
