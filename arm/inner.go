package arm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

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

// allow refuses what do would refuse by the path, the version or the caller's rights.
func (d *Door) allow(ctx context.Context, caller signin.Caller, method, path, version string) error {
	_, _, err := d.inner(ctx, caller, method, path, version, nil)
	return err
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
	if operation := r.header.Get("Azure-AsyncOperation"); operation != "" {
		if err := d.await(ctx, caller, operation, version); err != nil {
			return 0, nil, err
		}
	}
	return status, data, nil
}

// await follows an operation to its end.
func (d *Door) await(ctx context.Context, caller signin.Caller, operation, version string) error {
	address, err := url.Parse(operation)
	if err != nil {
		return fmt.Errorf("follow an operation: %w", err)
	}
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		_, answer, err := d.do(ctx, caller, http.MethodGet, address.Path, version, nil)
		if err != nil {
			return err
		}
		var state struct {
			Status string          `json:"status"`
			Error  *resource.Error `json:"error"`
		}
		if err := json.Unmarshal(answer, &state); err != nil {
			return err
		}
		switch state.Status {
		case "Succeeded":
			return nil
		case "Failed", "Canceled":
			if state.Error == nil {
				return errors.New("the operation ended as " + state.Status + " without saying why")
			}
			return state.Error
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// pollEvery is how often an operation of this very process is asked how it stands.
const pollEvery = 50 * time.Millisecond
