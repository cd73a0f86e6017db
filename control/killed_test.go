package control_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/api"
	"postern/api/client"
	"postern/control"
	"postern/control/controltest"
	"postern/resource"
)

// childFolder tells the test binary that it is the server that TestKilled kills, and its state folder.
const childFolder = "POSTERN_CONTROL_TEST_FOLDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childFolder); dir != "" {
		slog.Error("the server of a test", "error", serve(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// serve is the server: a plane whose host falls silent and comes back all the time, so that some writes are answered as
// done and others as operations. It ends by SIGKILL, or by itself when its parent has gone.
func serve(dir string) error {
	plane, err := controltest.Open(dir, control.Options{Wait: 15 * time.Millisecond})
	if err != nil {
		return err
	}
	fmt.Println("up")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		plane.Nodes.Silence("host-a")
		time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond) // the silence is the point
		plane.Nodes.Heal(ctx, "host-a")
		time.Sleep(time.Duration(rand.IntN(80)) * time.Millisecond)
	}
	return errors.New("nobody killed me")
}

// told is what writers were answered.
type told struct {
	lock       sync.Mutex
	there      map[string]string // paths of what was put, with the mark in its body; "" when it was deleted
	operations map[string]bool   // URLs
	answers    int
}

// TestKilled kills the server with SIGKILL at random moments of a stream of writes. What was answered is there, and every
// operation that a writer was told of has an end that is true (ARM-3).
func TestKilled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "pt-killed-") // t.TempDir is too long for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	prepare(t, ctx, dir)
	said := &told{there: map[string]string{}, operations: map[string]bool{}}
	for round := range 3 {
		writeAndKill(t, ctx, dir, round, 40+rand.IntN(80), said)
	}

	plane, err := controltest.Open(dir, control.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := plane.Close(); err != nil {
			t.Error(err)
		}
	}()
	t.Logf("%d answers, %d of them operations", said.answers, len(said.operations))
	if len(said.operations) == 0 || len(said.operations) == said.answers {
		t.Errorf("%d answers and %d operations: the test is to see both", said.answers, len(said.operations))
	}
	socket := dial(dir)
	defer socket.CloseIdleConnections()
	for path, mark := range said.there {
		status, body, _, err := request(ctx, socket, http.MethodGet, path, "")
		switch {
		case err != nil:
			t.Fatal(err)
		case mark == "" && status != http.StatusNotFound:
			t.Errorf("ARM-3 the deletion of %s was answered, and it is there: %d %s", path, status, body)
		case mark != "" && !strings.Contains(body, mark):
			t.Errorf("ARM-3 %s was answered with %s, and is %d %s", path, mark, status, body)
		}
	}
	for url := range said.operations {
		path := strings.TrimPrefix(url, "http://postern")
		for last := api.InProgress; last == api.InProgress; {
			status, body, _, err := request(ctx, socket, http.MethodGet, path, "")
			var operation struct {
				Status string
				Error  *resource.Error
			}
			if err == nil {
				err = json.Unmarshal([]byte(body), &operation)
			}
			if err != nil || status != http.StatusOK {
				t.Fatalf("ARM-3 operation %s: %d %s, %v", path, status, body, err)
			}
			if last = operation.Status; last != api.InProgress && last != api.Succeeded {
				t.Errorf("ARM-3 operation %s is %s, and every node applies its plans: %v", path, last, operation.Error)
			}
		}
	}
}

// prepare makes the network that the writers use.
func prepare(t *testing.T, ctx context.Context, dir string) {
	t.Helper()
	plane, err := controltest.Open(dir, control.Options{})
	if err != nil {
		t.Fatal(err)
	}
	items, err := resource.Load("fabric.yaml", []byte(fabric+`---
id: `+group+`/providers/Microsoft.Network/virtualNetworks/vnet
location: westeurope
properties: {addressSpace: {addressPrefixes: [10.0.0.0/16]}, subnets: [{name: s, properties: {addressPrefix: 10.0.0.0/16}}]}
`))
	if err == nil {
		_, err = plane.API.Apply(ctx, api.Batch{Resources: items})
	}
	if err := errors.Join(err, plane.Close()); err != nil {
		t.Fatal(err)
	}
}

// dial is a client of the socket in a state folder.
func dial(dir string) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, client.SocketName))
	}}}
}

func request(ctx context.Context, socket *http.Client, method, path, body string) (status int, answer, operation string, err error) {
	if !strings.Contains(path, "?") {
		path += "?api-version=2025-09-01"
	}
	asked, err := http.NewRequestWithContext(ctx, method, "http://postern"+path, strings.NewReader(body))
	if err != nil {
		return 0, "", "", err
	}
	got, err := socket.Do(asked)
	if err != nil {
		return 0, "", "", err
	}
	defer got.Body.Close()
	data, err := io.ReadAll(got.Body)
	return got.StatusCode, string(data), got.Header.Get("Azure-AsyncOperation"), err
}

// writeAndKill runs the server, lets writers write until they have had a number of answers, and kills it in the midst.
func writeAndKill(t *testing.T, ctx context.Context, dir string, round, answers int, said *told) {
	t.Helper()
	server := exec.CommandContext(ctx, os.Args[0])
	server.Env = append(os.Environ(), childFolder+"="+dir)
	var stderr strings.Builder
	server.Stderr = &stderr
	out, err := server.StdoutPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "up\n" {
		server.Process.Kill()
		t.Fatalf("the server says %q, %v: %s", line, err, stderr.String())
	}
	enough, kill := make(chan struct{}), sync.Once{}
	said.lock.Lock()
	limit := said.answers + answers
	said.lock.Unlock()
	var writers sync.WaitGroup
	for number := range 4 {
		writers.Go(func() {
			socket := dial(dir)
			defer socket.CloseIdleConnections()
			for i := 0; ; i++ {
				path := fmt.Sprintf("%s/providers/Microsoft.Network/networkInterfaces/nic-%d-%d", group, number, i%5)
				mark := fmt.Sprintf("mark-%d-%d-%d", round, number, i)
				method, body := http.MethodPut, `{"location":"westeurope","tags":{"mark":"`+mark+`"},"properties":{"ipConfigurations":[{"name":"c","properties":{"subnet":{"id":"`+
					group+`/providers/Microsoft.Network/virtualNetworks/vnet/subnets/s"}}}]}}`
				if i%3 == 2 {
					method, body, mark = http.MethodDelete, "", ""
				}
				said.lock.Lock()
				former, known := said.there[path]
				delete(said.there, path) // until the answer nobody can tell
				said.lock.Unlock()
				status, _, operation, err := request(ctx, socket, method, path, body)
				if err != nil {
					return // the server is gone
				}
				said.lock.Lock()
				switch {
				case status < 300:
					said.there[path] = mark
					said.answers++
				case known: // refused, since an operation goes on: it is as before
					said.there[path] = former
				}
				if operation != "" {
					said.operations[operation] = true
				}
				if said.answers == limit {
					kill.Do(func() { close(enough) })
				}
				said.lock.Unlock()
				if status >= 300 && status != http.StatusConflict {
					t.Errorf("%s %s: %d", method, path, status)
				}
			}
		})
	}
	select {
	case <-enough:
	case <-ctx.Done():
		t.Error("the writers had too few answers")
	}
	if err := server.Process.Kill(); err != nil {
		t.Error(err)
	}
	writers.Wait()
	server.Wait()
}
