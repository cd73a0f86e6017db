package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"postern/cloud"
	"postern/resource"
)

// callers is a cloud with a VM that reaches a storage account by its subnet's service endpoint.
type callers struct {
	running *cloud.Cloud
	door    *door
	machine cloud.Machine
	address string // of the account's table service, HOST:PORT
}

const (
	callersNetwork = networkPath + "/virtualNetworks/vnet"
	callersSubnet  = callersNetwork + "/subnets/app"
	callersAccount = groupPath + "/providers/Microsoft.Storage/storageAccounts/callee"
	callersPolicy  = networkPath + "/serviceEndpointPolicies/others"
	callersHost    = "callee.table.core.windows.net"

	dialers     = 32 // that open connections side by side
	dialPatient = 20 * time.Second
)

// startCallers runs the cloud. Close it.
func startCallers(ctx context.Context, options cloud.Options) (w *callers, err error) {
	w = &callers{}
	if w.running, err = cloud.Start(ctx, options); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	items, err := resource.Load("fabric", []byte(apiFabric))
	if err != nil {
		return w, err
	}
	for _, one := range []struct {
		path string
		body json.RawMessage
	}{
		{callersNetwork, body(map[string]any{"location": region, "properties": map[string]any{
			"addressSpace": map[string]any{"addressPrefixes": []any{"10.0.0.0/16"}},
			"subnets":      []any{map[string]any{"name": "app", "properties": w.subnetProperties(true, false)}}}})},
		{callersAccount, w.account(true)},
		{callersAccount + "2", w.account(true)},
		{callersPolicy, body(map[string]any{"location": region, "properties": map[string]any{"serviceEndpointPolicyDefinitions": []any{
			map[string]any{"name": "other", "properties": map[string]any{"service": "Microsoft.Storage", "serviceResources": []any{callersAccount + "2"}}}}}})},
		{networkPath + "/networkInterfaces/nic", body(map[string]any{"location": region, "properties": map[string]any{
			"ipConfigurations": []any{map[string]any{"name": "main", "properties": map[string]any{"subnet": map[string]any{"id": callersSubnet}}}}}})},
	} {
		item, err := newItem(one.path, one.body)
		if err != nil {
			return w, err
		}
		items = append(items, item)
	}
	if _, err = w.running.API().Apply(ctx, items, nil); err != nil {
		return w, err
	}
	if w.door, err = openDoor(ctx, w.running); err != nil {
		return w, err
	}
	if w.machine, err = w.running.Machine(ctx, "nic"); err != nil {
		return w, err
	}
	w.address = callersHost + ":80"
	first, err := w.open(ctx)
	if err != nil {
		return w, err
	}
	w.address = first.RemoteAddr().String() // the name is asked for once
	return w, first.Close()
}

func (w *callers) close() error {
	if w.door != nil {
		w.door.close()
	}
	return w.running.Close()
}

// account is the body of the account, with or without the rule that lets the subnet in.
func (w *callers) account(rule bool) json.RawMessage {
	rules := []any{}
	if rule {
		rules = append(rules, map[string]any{"id": callersSubnet})
	}
	return body(map[string]any{"location": region, "kind": "StorageV2", "sku": map[string]any{"name": "Standard_LRS"},
		"properties": map[string]any{"supportsHttpsTrafficOnly": false, "networkAcls": map[string]any{"defaultAction": "Deny", "virtualNetworkRules": rules}}})
}

// subnet is the body of the subnet, with or without its endpoint, and with or without a policy that leaves the account out.
func (w *callers) subnet(withEndpoint, withPolicy bool) json.RawMessage {
	return body(map[string]any{"properties": w.subnetProperties(withEndpoint, withPolicy)})
}

func (w *callers) subnetProperties(withEndpoint, withPolicy bool) map[string]any {
	properties := map[string]any{"addressPrefix": "10.0.0.0/24"}
	if withEndpoint {
		properties["serviceEndpoints"] = []any{endpoint("Microsoft.Storage")}
	}
	if withPolicy {
		properties["serviceEndpointPolicies"] = []any{map[string]any{"id": callersPolicy}}
	}
	return properties
}

// call is a connection that was admitted.
type call struct {
	net.Conn
	reader *bufio.Reader
}

// open connects and makes one request.
func (w *callers) open(ctx context.Context) (*call, error) {
	ctx, cancel := context.WithTimeout(ctx, dialPatient)
	defer cancel()
	conn, err := w.machine.DialContext(ctx, "tcp", w.address)
	if err != nil {
		return nil, err
	}
	c := &call{conn, bufio.NewReaderSize(conn, 512)}
	if err := c.ask(); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
}

// ask makes one request, which the gateway must let through to the service: that one has its own say about who asks.
func (c *call) ask() error { return c.request("") }

// askLast is ask, and the gateway closes the connection behind it. Who closes first keeps the connection's port for a
// minute: the VM would run out of them.
func (c *call) askLast() error {
	if err := c.request("Connection: close\r\n"); err != nil {
		return err
	}
	if _, err := c.reader.ReadByte(); err != io.EOF {
		return fmt.Errorf("behind the last answer: %w", err)
	}
	return nil
}

func (c *call) request(header string) error {
	if err := c.SetDeadline(time.Now().Add(dialPatient)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, "GET /Tables HTTP/1.1\r\nHost: "+callersHost+"\r\n"+header+"\r\n"); err != nil {
		return err
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, response.Body)
	if code := response.Header.Get("x-ms-error-code"); response.StatusCode >= 500 || code == "AuthorizationFailure" {
		err = errors.Join(err, fmt.Errorf("the account answered %d %s", response.StatusCode, code))
	}
	if err = errors.Join(err, response.Body.Close()); header == "" {
		err = errors.Join(err, c.SetDeadline(time.Time{}))
	}
	return err
}

// openMany opens connections side by side. Those that were opened are answered beside an error too.
func (w *callers) openMany(ctx context.Context, count int) (open []*call, err error) {
	var mu sync.Mutex
	var work sync.WaitGroup
	left := count
	for range min(dialers, count) {
		work.Go(func() {
			for {
				mu.Lock()
				stop := left == 0 || err != nil
				if !stop {
					left--
				}
				mu.Unlock()
				if stop {
					return
				}
				one, failure := w.open(ctx)
				mu.Lock()
				if failure != nil {
					err = fmt.Errorf("open connection %d of %d: %w", len(open)+1, count, failure)
				} else {
					open = append(open, one)
				}
				mu.Unlock()
			}
		})
	}
	work.Wait()
	return open, err
}

func closeAll(open []*call) {
	for _, one := range open {
		one.Close()
	}
}
