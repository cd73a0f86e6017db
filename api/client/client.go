// Package client speaks to a server's API over its unix socket.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"postern/plan"
	"postern/resource"
)

// SocketName is the API's socket in the state folder.
const SocketName = "api.sock"

// version is the api-version of all requests.
const version = "2025-09-01"

// Client is a connection to the server of one state folder. It is safe for concurrent use.
type Client struct {
	dir  string
	http *http.Client
}

// New makes a client of the server whose state folder is dir. It connects with the first request.
func New(dir string) *Client {
	var dialer net.Dialer
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", filepath.Join(dir, SocketName))
	}}
	return &Client{dir, &http.Client{Transport: transport}}
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// ErrNoServer tells that no server runs in the state folder.
var ErrNoServer = errors.New("no server runs there: start one with postern up, or name the folder by --dir or POSTERN_DIR")

// do sends a request and answers when it is done: an operation is followed to its end. An answer with an error, or an
// operation that fails, becomes a *resource.Error.
func (c *Client) do(ctx context.Context, method, path string, query url.Values, body []byte) ([]byte, error) {
	if query == nil {
		query = url.Values{}
	}
	query.Set("api-version", version)
	data, header, err := c.send(ctx, method, path+"?"+query.Encode(), body)
	if err != nil {
		return nil, err
	}
	operation := header.Get("Azure-AsyncOperation")
	if operation == "" {
		return data, nil
	}
	if err := c.follow(ctx, operation); err != nil {
		return nil, err
	}
	if method == http.MethodPut {
		data, _, err = c.send(ctx, http.MethodGet, path+"?"+query.Encode(), nil) // its state is another by now
	}
	return data, err
}

// followPause is between questions about an operation: its server is on this machine.
const followPause = 100 * time.Millisecond

// follow asks for an operation until it has ended.
func (c *Client) follow(ctx context.Context, address string) error {
	where, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("follow the operation: %w", err)
	}
	for {
		data, _, err := c.send(ctx, http.MethodGet, where.RequestURI(), nil)
		if err != nil {
			return err
		}
		var operation struct {
			Status string          `json:"status"`
			Error  *resource.Error `json:"error"`
		}
		if err := json.Unmarshal(data, &operation); err != nil {
			return fmt.Errorf("read the operation: %w", err)
		}
		switch {
		case operation.Status == "Succeeded":
			return nil
		case operation.Status != "InProgress" && operation.Error != nil:
			operation.Error.Status = http.StatusConflict
			return operation.Error
		case operation.Status != "InProgress":
			return fmt.Errorf("the operation is %s", operation.Status)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the operation: %w", ctx.Err())
		case <-time.After(followPause):
		}
	}
}

// send sends a request and reads the whole answer.
func (c *Client) send(ctx context.Context, method, target string, body []byte) ([]byte, http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://postern"+target, bytes.NewReader(body))
	if err != nil {
		return nil, nil, fmt.Errorf("ask the server: %w", err)
	}
	answer, err := c.http.Do(request)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EINVAL) {
		return nil, nil, fmt.Errorf("state folder %s: %w", c.dir, ErrNoServer)
	} else if err != nil {
		return nil, nil, fmt.Errorf("ask the server: %w", err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, nil, fmt.Errorf("read the server's answer: %w", err)
	}
	if answer.StatusCode < 400 {
		return data, answer.Header, nil
	}
	var wire struct {
		Error *resource.Error `json:"error"`
	}
	if err := json.Unmarshal(data, &wire); err != nil || wire.Error == nil {
		return nil, nil, fmt.Errorf("the server answered %s: %s", answer.Status, data)
	}
	wire.Error.Status = answer.StatusCode
	return nil, nil, wire.Error
}

// path is an id as the path of a request.
func path(id resource.ID) string { return (&url.URL{Path: id.String()}).EscapedPath() }

// Put creates or replaces a resource and answers it as it stands when every node has applied it.
func (c *Client) Put(ctx context.Context, id resource.ID, body json.RawMessage) (json.RawMessage, error) {
	return c.do(ctx, http.MethodPut, path(id), nil, body)
}

// Get reads a resource.
func (c *Client) Get(ctx context.Context, id resource.ID) (json.RawMessage, error) {
	return c.do(ctx, http.MethodGet, path(id), nil, nil)
}

// Delete removes a resource; what is not there is no error.
func (c *Client) Delete(ctx context.Context, id resource.ID) error {
	_, err := c.do(ctx, http.MethodDelete, path(id), nil, nil)
	return err
}

// List reads the resources of a full type, or all for "".
func (c *Client) List(ctx context.Context, typ string) ([]json.RawMessage, error) {
	data, err := c.do(ctx, http.MethodGet, "/postern/resources", url.Values{"type": {typ}}, nil)
	if err != nil {
		return nil, err
	}
	var list struct {
		Value []json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("read the server's list: %w", err)
	}
	return list.Value, nil
}

// Apply writes and deletes many resources together or not at all, and answers the cloud's revision when every node has
// applied it.
func (c *Client) Apply(ctx context.Context, items []resource.Item, deletes []resource.ID) (revision int64, err error) {
	type wireItem struct {
		ID   string          `json:"id"`
		Body json.RawMessage `json:"body"`
	}
	batch := struct {
		Resources []wireItem `json:"resources"`
		Delete    []string   `json:"delete"`
	}{}
	for _, item := range items {
		batch.Resources = append(batch.Resources, wireItem{item.ID.String(), item.Body})
	}
	for _, id := range deletes {
		batch.Delete = append(batch.Delete, id.String())
	}
	body, err := json.Marshal(batch)
	if err != nil {
		return 0, fmt.Errorf("write the batch: %w", err)
	}
	data, err := c.do(ctx, http.MethodPost, "/postern/apply", nil, body)
	if err != nil {
		return 0, err
	}
	var result struct {
		Revision int64 `json:"revision"`
	}
	if err := json.Unmarshal(data, &result); err != nil {
		return 0, fmt.Errorf("read the server's answer: %w", err)
	}
	return result.Revision, nil
}

// Plan reads the plan of a node and its revision.
func (c *Client) Plan(ctx context.Context, node string) (*plan.Node, int64, error) {
	data, err := c.do(ctx, http.MethodGet, "/postern/plans/"+url.PathEscape(node), nil, nil)
	if err != nil {
		return nil, 0, err
	}
	var answer struct {
		Plan     *plan.Node `json:"plan"`
		Revision int64      `json:"revision"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, 0, fmt.Errorf("read the plan of node %s: %w", node, err)
	}
	return answer.Plan, answer.Revision, nil
}

// Catalogue reads the service-tag catalogue as it was stored; empty for none.
func (c *Client) Catalogue(ctx context.Context) ([]byte, error) {
	return c.do(ctx, http.MethodGet, "/postern/catalogue", nil, nil)
}

// PutCatalogue stores a service-tag catalogue and returns when every node has the plans that follow from it.
func (c *Client) PutCatalogue(ctx context.Context, data []byte) error {
	_, err := c.do(ctx, http.MethodPut, "/postern/catalogue", nil, data)
	return err
}

// Routes reads the effective routes of a NIC, given by its id or name, as JSON: package inspect has the form.
func (c *Client) Routes(ctx context.Context, nic string) ([]byte, error) {
	return c.do(ctx, http.MethodGet, "/postern/inspect/routes", url.Values{"nic": {nic}}, nil)
}

// Explain asks what becomes of the first packet of a connection from a NIC to host:port, by protocol "tcp" or "udp", and
// answers JSON: explain.Explanation is the form.
func (c *Client) Explain(ctx context.Context, from, to, protocol string) ([]byte, error) {
	query := url.Values{"from": {from}, "to": {to}, "protocol": {protocol}}
	return c.do(ctx, http.MethodGet, "/postern/inspect/explain", query, nil)
}

// ExecPath is where a running cloud tells how a program runs as a VM; the query's nic names the NIC.
const ExecPath = "/postern/exec"

// Exec is how a program runs as a VM: inside a network namespace of this machine, or through a SOCKS5 proxy.
type Exec struct {
	Namespace  string `json:"namespace,omitempty"`
	ResolvConf string `json:"resolvConf,omitempty"` // file with the VM's name resolution
	SOCKS      string `json:"socks,omitempty"`      // host:port
}

// Exec asks how a program runs as the VM of a NIC, given by its name or id.
func (c *Client) Exec(ctx context.Context, nic string) (Exec, error) {
	answer, err := c.do(ctx, http.MethodGet, ExecPath, url.Values{"nic": {nic}}, nil)
	if err != nil {
		return Exec{}, err
	}
	var how Exec
	if err := json.Unmarshal(answer, &how); err != nil {
		return Exec{}, fmt.Errorf("read the server's answer: %w", err)
	}
	return how, nil
}
