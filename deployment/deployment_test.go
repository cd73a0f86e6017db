package deployment_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/api"
	"postern/api/client"
	"postern/control"
	"postern/control/controltest"
	"postern/deployment"
	"postern/resource"
	"postern/store"
	"postern/store/embedded"
)

// childFolder tells the test binary that it is the child of TestKill, and where its cloud is.
const childFolder = "POSTERN_DEPLOYMENT_TEST_FOLDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childFolder); dir != "" {
		fmt.Fprintln(os.Stderr, deployAndHang(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

const fabric = `
type: nodes
name: host-a
location: westeurope
properties: {role: host, locator: "fd00:1:1:100::/56"}
`

// network takes two route tables, which no node has anything to do with, and then a NIC, which its host must apply.
const network = `{"properties": {"mode": "Incremental", "parameters": {"password": {"value": "hunter2"}}, template: {
  "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#", "contentVersion": "1.0.0.0",
  "parameters": {"id": {"type": "string", "defaultValue": "[newGuid()]"}, "password": {"type": "securestring"}},
  "resources": [
    {"type": "Microsoft.Network/routeTables", "apiVersion": "2024-05-01", "name": "rt", "location": "westeurope", "tags": {"id": "[parameters('id')]"}},
    {"type": "Microsoft.Network/virtualNetworks", "apiVersion": "2024-05-01", "name": "vnet", "location": "westeurope", "dependsOn": ["rt"], "properties": {
      "addressSpace": {"addressPrefixes": ["10.1.0.0/16"]}, "subnets": [{"name": "app", "properties": {"addressPrefix": "10.1.0.0/24"}}]}},
    {"type": "Microsoft.Network/networkInterfaces", "apiVersion": "2024-05-01", "name": "nic", "location": "westeurope", "dependsOn": ["vnet"],
     "tags": {"id": "[parameters('id')]", "length": "[string(length(parameters('password')))]"},
     "properties": {"ipConfigurations": [{"name": "one", "properties": {"subnet": {
      "id": "[resourceId('Microsoft.Network/virtualNetworks/subnets', 'vnet', 'app')]"}}}]}}
  ],
  "outputs": {"id": {"type": "string", "value": "[parameters('id')]"}}
}}}`

const (
	group = "/subscriptions/" + resource.DefaultSubscription + "/resourceGroups/rg"
	main  = group + "/providers/Microsoft.Resources/deployments/main"
)

// world is a plane, asked over its socket.
type world struct {
	*controltest.Plane
	http *http.Client
}

func open(dir string) (*world, error) {
	plane, err := controltest.Open(dir, control.Options{})
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", filepath.Join(dir, client.SocketName))
	}}
	return &world{plane, &http.Client{Transport: transport}}, nil
}

// begin puts up the fabric and the group.
func (w *world) begin(ctx context.Context) error {
	items, err := resource.Load("fabric.yaml", []byte(fabric))
	if err != nil {
		return err
	}
	if _, err := w.API.Apply(ctx, api.Batch{Resources: items}); err != nil {
		return err
	}
	_, _, err = w.ask(ctx, http.MethodPut, group, `{"location": "westeurope"}`)
	return err
}

func (w *world) ask(ctx context.Context, method, path, body string) (int, map[string]any, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://postern"+path+"?api-version=2024-11-01", strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	answer, err := w.http.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, nil, err
	}
	var object map[string]any
	if len(bytes.TrimSpace(data)) > 0 {
		err = json.Unmarshal(data, &object)
	}
	return answer.StatusCode, object, err
}

// at follows names into a value.
func at(value any, names ...string) any {
	for _, name := range names {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	return value
}

// until asks for a deployment until it has a state.
func (w *world) until(ctx context.Context, done func(deployment map[string]any) bool) (map[string]any, error) {
	for {
		_, answer, err := w.ask(ctx, http.MethodGet, main, "")
		if err != nil || done(answer) {
			return answer, err
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return answer, ctx.Err()
		}
	}
}

func state(deployment map[string]any) string {
	text, _ := at(deployment, "properties", "provisioningState").(string)
	return text
}

func ended(answer map[string]any) bool {
	switch state(answer) {
	case deployment.Succeeded, deployment.Failed, deployment.Canceled:
		return true
	}
	return false
}

// hang deploys while the host is down, and returns when the deployment waits for it.
func (w *world) hang(ctx context.Context) error {
	if err := w.begin(ctx); err != nil {
		return err
	}
	w.Nodes.Silence("host-a")
	status, answer, err := w.ask(ctx, http.MethodPut, main, network)
	if err != nil || status != http.StatusCreated {
		return fmt.Errorf("%d %v, %v", status, answer, err)
	}
	_, err = w.until(ctx, func(deployment map[string]any) bool {
		resources, _ := at(deployment, "properties", "outputResources").([]any)
		return len(resources) == 2
	})
	return err
}

// deployAndHang is the child: it says so when its deployment waits for the host, and is killed then.
func deployAndHang(dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	w, err := open(dir)
	if err != nil {
		return err
	}
	if err := w.hang(ctx); err != nil {
		return err
	}
	fmt.Println("waiting")
	<-ctx.Done()
	return ctx.Err()
}

func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pt-dep-") // t.TempDir is too long for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func start(t *testing.T, dir string) *world {
	t.Helper()
	w, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.http.CloseIdleConnections()
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// A deployment that kill -9 cut off goes on at the next start, with the values that it began with, and says so.
func TestKill(t *testing.T) {
	dir := folder(t)
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), childFolder+"="+dir)
	var said strings.Builder
	command.Stderr = &said
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, len("waiting"))
	_, err = io.ReadFull(out, line)
	if killErr := command.Process.Kill(); killErr != nil {
		t.Error(killErr)
	}
	command.Wait()
	if err != nil {
		t.Fatalf("the child did not get there: %v %s", err, said.String())
	}

	ctx := t.Context()
	w := start(t, dir)
	answer, err := w.until(ctx, ended)
	if err != nil || state(answer) != deployment.Succeeded {
		t.Fatalf("ARM-3 the deployment ended as %v, %v", answer, err)
	}
	_, table, err := w.ask(ctx, http.MethodGet, group+"/providers/Microsoft.Network/routeTables/rt", "")
	if err != nil {
		t.Fatal(err)
	}
	_, nic, err := w.ask(ctx, http.MethodGet, group+"/providers/Microsoft.Network/networkInterfaces/nic", "")
	if err != nil {
		t.Fatal(err)
	}
	if id := at(table, "tags", "id"); id == nil || id != at(nic, "tags", "id") || id != at(answer, "properties", "outputs", "id", "value") || at(nic, "tags", "length") != "7" {
		t.Errorf("before and after the crash the parameters differ: %v and %v", table["tags"], nic["tags"])
	}
	_, operations, err := w.ask(ctx, http.MethodGet, main+"/operations", "")
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(operations)
	if !strings.Contains(string(text), "was taken up again") || strings.Count(string(text), `"provisioningOperation":"Create"`) != 3 {
		t.Errorf("operations %s", text)
	}
}

// A deployment that is cut off again and again ends as failed, with the reason.
func TestInterrupted(t *testing.T) {
	dir := folder(t)
	ctx := t.Context()
	w, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	err = w.hang(ctx)
	w.http.CloseIdleConnections()
	if closeErr := w.Close(); err != nil || closeErr != nil {
		t.Fatal(err, closeErr)
	}
	if err := setResumed(ctx, dir, 3); err != nil {
		t.Fatal(err)
	}
	w = start(t, dir)
	answer, err := w.until(ctx, ended)
	if err != nil || state(answer) != deployment.Failed || at(answer, "properties", "error", "code") != "DeploymentInterrupted" {
		t.Errorf("the deployment ended as %v, %v", answer, err)
	}
	input, err := w.Store.DeploymentInput(ctx, main)
	if err != nil || strings.Contains(string(input), "hunter2") {
		t.Errorf("a secure value is kept: %v", err)
	}
}

// setResumed writes how often a deployment was taken up again, while no plane runs.
func setResumed(ctx context.Context, dir string, times int) error {
	opened, err := embedded.Open(dir)
	if err != nil {
		return err
	}
	defer opened.Close()
	stored, err := opened.Deployment(ctx, main)
	if err != nil {
		return err
	}
	var record map[string]any
	if err := json.Unmarshal(stored.Record, &record); err != nil {
		return err
	}
	record["resumed"] = times
	data, err := json.Marshal(record)
	if err != nil {
		return err
	}
	_, err = opened.WriteDeployment(ctx, store.DeploymentWrite{ID: main, Base: stored.Revision, Record: data})
	return err
}

// A deployment that runs can be canceled, and not be replaced or deleted before.
func TestCancel(t *testing.T) {
	w := start(t, folder(t))
	ctx := t.Context()
	if err := w.hang(ctx); err != nil {
		t.Fatal(err)
	}
	for method, body := range map[string]string{http.MethodPut: network, http.MethodDelete: ""} {
		if status, answer, err := w.ask(ctx, method, main, body); err != nil || status != http.StatusConflict || at(answer, "error", "code") != "DeploymentActive" {
			t.Errorf("%s while it runs: %d %v %v", method, status, answer, err)
		}
	}
	if status, answer, err := w.ask(ctx, http.MethodPost, main+"/cancel", ""); err != nil || status != http.StatusNoContent {
		t.Fatalf("cancel: %d %v %v", status, answer, err)
	}
	answer, err := w.until(ctx, ended)
	if err != nil || state(answer) != deployment.Canceled {
		t.Errorf("the deployment ended as %v, %v", answer, err)
	}
	w.Nodes.Heal(ctx, "host-a")
	if status, answer, err := w.ask(ctx, http.MethodPut, main, network); err != nil || status != http.StatusOK {
		t.Fatalf("again: %d %v %v", status, answer, err)
	}
	if answer, err := w.until(ctx, ended); err != nil || state(answer) != deployment.Succeeded {
		t.Errorf("the deployment ended as %v, %v", answer, err)
	}
}
