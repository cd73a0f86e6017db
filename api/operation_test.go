package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"postern/api"
	"postern/resource"
	"postern/server"
)

// hurry makes writes operations at once, and lets them fail soon.
func (c *cloud) hurry(wait, bound time.Duration) { c.api.Wait, c.api.Bound = wait, bound }

func (c *cloud) put(t *testing.T, id resource.ID, body string) api.Outcome {
	t.Helper()
	made, err := c.api.Put(c.ctx, id, json.RawMessage(body), api.Conditions{})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func (c *cloud) stateOf(t *testing.T, id resource.ID) string {
	t.Helper()
	body, err := c.api.Get(c.ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	var head struct {
		Properties struct{ ProvisioningState string }
	}
	if err := json.Unmarshal(body, &head); err != nil {
		t.Fatal(err)
	}
	return head.Properties.ProvisioningState
}

// wait waits until a resource has a state.
func (c *cloud) wait(t *testing.T, id resource.ID, state string) {
	t.Helper()
	for c.stateOf(t, id) != state {
		select {
		case <-c.ctx.Done():
			t.Fatalf("%s is %s, want %s", id, c.stateOf(t, id), state)
		case <-time.After(5 * time.Millisecond): // the pause of a bounded wait
		}
	}
}

// network puts the network, of which no node has a plan with NICs yet, and joins the node when asked.
func startNetwork(t *testing.T) (c *cloud, nic, other resource.ID) {
	c = start(t)
	stop := c.join(t, "host-a", &driver{})
	if _, err := c.api.Apply(c.ctx, api.Batch{Resources: items(t, network)}); err != nil {
		t.Fatal(err)
	}
	stop()
	return c, id(t, "networkInterfaces", "nic"), id(t, "networkInterfaces", "other")
}

func TestLaggingNode(t *testing.T) {
	c, nic, other := startNetwork(t)
	c.hurry(50*time.Millisecond, time.Minute)
	made := c.put(t, nic, nicBody)
	t.Run("ARM-1 the write is an operation that names the node", func(t *testing.T) {
		if made.Operation == nil || made.Operation.Status != api.InProgress || !strings.Contains(string(made.Body), `"provisioningState":"Updating"`) {
			t.Fatalf("%+v %s", made, made.Body)
		}
		if waits := c.api.WaitsFor(made.Operation); !strings.Contains(waits, "host-a") {
			t.Errorf("it waits for %q", waits)
		}
		if want := "/providers/Microsoft.Network/locations/westeurope/operations/" + made.Operation.ID; !strings.HasSuffix(made.Operation.Path(), want) {
			t.Errorf("its path is %s", made.Operation.Path())
		}
		if state := c.stateOf(t, nic); state != api.Updating {
			t.Errorf("the NIC is %s", state)
		}
	})
	t.Run("ARM-1 another writer is refused", func(t *testing.T) {
		_, err := c.api.Put(c.ctx, nic, json.RawMessage(nicBody), api.Conditions{})
		if refused := refusal(t, err, "AnotherOperationInProgress"); refused.Status != 409 || !strings.Contains(refused.Message, made.Operation.Path()) {
			t.Errorf("got %+v", refused)
		}
		_, err = c.api.Delete(c.ctx, nic, api.Conditions{})
		refusal(t, err, "AnotherOperationInProgress")
		_, err = c.api.Apply(c.ctx, api.Batch{Delete: []resource.ID{nic}})
		refusal(t, err, "AnotherOperationInProgress")
	})
	t.Run("what does not concern the node is not held up by it", func(t *testing.T) {
		if table := c.put(t, id(t, "routeTables", "rt"), `{"location":"westeurope"}`); table.Operation != nil {
			t.Errorf("%+v", table.Operation)
		}
	})
	second := c.put(t, other, nicBody)
	if second.Operation == nil {
		t.Fatal("the second NIC is in force on a node that is down")
	}
	c.join(t, "host-a", &driver{})
	t.Run("ARM-1 it succeeds when the node has come", func(t *testing.T) {
		for _, operation := range []*api.Operation{made.Operation, second.Operation} {
			if err := c.api.Await(c.ctx, operation); err != nil {
				t.Error(err)
			}
			if now := c.api.Operation(operation.ID); now == nil || now.Status != api.Succeeded || now.Ended.IsZero() {
				t.Errorf("%+v", now)
			}
		}
		if state := c.stateOf(t, nic); state != api.Succeeded {
			t.Errorf("the NIC is %s", state)
		}
		c.hurry(time.Minute, time.Minute)
		if again := c.put(t, nic, nicBody); again.Operation != nil {
			t.Errorf("%+v", again.Operation)
		}
	})
}

func TestOperationFails(t *testing.T) {
	c, nic, _ := startNetwork(t)
	c.hurry(20*time.Millisecond, 100*time.Millisecond)
	made := c.put(t, nic, nicBody)
	failed := refusal(t, c.api.Await(c.ctx, made.Operation), "NotEnforced")
	if !strings.Contains(failed.Message, "host-a") {
		t.Errorf("it does not name the node: %s", failed.Message)
	}
	if now := c.api.Operation(made.Operation.ID); now.Status != api.Failed || now.Error.Code != "NotEnforced" {
		t.Errorf("%+v", now)
	}
	if state := c.stateOf(t, nic); state != api.Failed {
		t.Errorf("the NIC is %s", state)
	}
	t.Run("a refused write leaves the state as it is", func(t *testing.T) {
		_, err := c.api.Put(c.ctx, nic, json.RawMessage(`{}`), api.Conditions{})
		refusal(t, err, "LocationRequired")
		if state := c.stateOf(t, nic); state != api.Failed {
			t.Errorf("the NIC is %s", state)
		}
	})
	t.Run("the next writer is let in", func(t *testing.T) {
		again := c.put(t, nic, nicBody)
		refusal(t, c.api.Await(c.ctx, again.Operation), "NotEnforced")
	})
	t.Run("the resource succeeds when the node comes back", func(t *testing.T) {
		c.join(t, "host-a", &driver{})
		c.wait(t, nic, api.Succeeded)
		if now := c.api.Operation(made.Operation.ID); now.Status != api.Failed {
			t.Errorf("a failed operation has become %s", now.Status)
		}
	})
}

func TestNodeThatCannot(t *testing.T) {
	c, nic, _ := startNetwork(t)
	broken := &driver{fail: errors.New("no such device")}
	c.join(t, "host-a", broken)
	made := c.put(t, nic, nicBody)
	failed := refusal(t, c.api.Await(c.ctx, made.Operation), "NotEnforced")
	if !strings.Contains(failed.Message, "host-a could not apply its plan: apply the plan: no such device") {
		t.Errorf("got %+v", failed)
	}
	broken.lock.Lock()
	broken.fail = nil
	broken.lock.Unlock()
	c.wait(t, nic, api.Succeeded)
}

func TestCompileError(t *testing.T) {
	c, d := start(t), &driver{}
	c.join(t, "host-a", d)
	if _, err := c.api.Apply(c.ctx, api.Batch{Resources: items(t, network)}); err != nil {
		t.Fatal(err)
	}
	c.put(t, id(t, "networkInterfaces", "good"), nicBody)
	broken := id(t, "networkInterfaces", "broken")
	made := c.put(t, broken, nicBody)
	if failed := refusal(t, c.api.Await(c.ctx, made.Operation), "CompileFailed"); !strings.Contains(failed.Message, "no sense in it") {
		t.Errorf("got %+v", failed)
	}
	if nics := d.plan().Host.NICs; len(nics) != 1 {
		t.Errorf("the last good plan is lost: %+v", nics)
	}
	if gone, err := c.api.Delete(c.ctx, broken, api.Conditions{}); err != nil || gone.Operation != nil {
		t.Errorf("after the correction: %+v, %v", gone, err)
	}
}

// TestResume covers that the next process knows what the former one left: what goes on goes on, what has failed stays so.
func TestResume(t *testing.T) {
	c, nic, other := startNetwork(t)
	c.hurry(20*time.Millisecond, 100*time.Millisecond)
	failed := c.put(t, other, nicBody)
	refusal(t, c.api.Await(c.ctx, failed.Operation), "NotEnforced")
	c.hurry(20*time.Millisecond, time.Minute)
	going := c.put(t, nic, nicBody)
	c.api.Close()

	next := api.New(c.store.Store, server.NewCache(c.store.Store), options)
	t.Cleanup(next.Close)
	next.Wait, next.Bound = 20*time.Millisecond, time.Minute
	if err := next.Resume(c.ctx); err != nil {
		t.Fatal(err)
	}
	c.api = next
	if now := next.Operation(going.Operation.ID); now == nil || now.Status != api.InProgress || !now.Started.Equal(going.Operation.Started) {
		t.Errorf("what goes on: %+v", now)
	}
	if now := next.Operation(failed.Operation.ID); now == nil || now.Status != api.Failed || now.Error.Code != "NotEnforced" {
		t.Errorf("what has failed: %+v", now)
	}
	if a, b := c.stateOf(t, nic), c.stateOf(t, other); a != api.Updating || b != api.Failed {
		t.Errorf("the NICs are %s and %s", a, b)
	}
	_, err := next.Put(c.ctx, nic, json.RawMessage(nicBody), api.Conditions{})
	refusal(t, err, "AnotherOperationInProgress")
	c.join(t, "host-a", &driver{})
	if err := next.Await(c.ctx, going.Operation); err != nil {
		t.Error(err)
	}
	c.wait(t, nic, api.Succeeded)
	c.wait(t, other, api.Succeeded)
	if now := next.Operation(failed.Operation.ID); now.Status != api.Failed {
		t.Errorf("a failed operation has become %s", now.Status)
	}
}

// TestNoRecordsLeft covers that a write which was answered as done leaves no record behind.
func TestNoRecordsLeft(t *testing.T) {
	c := start(t)
	c.join(t, "host-a", &driver{})
	if _, err := c.api.Apply(c.ctx, api.Batch{Resources: items(t, network)}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b", "c"} {
		c.put(t, id(t, "networkInterfaces", name), nicBody)
	}
	_, err := c.api.Put(c.ctx, id(t, "networkInterfaces", "d"), json.RawMessage(`{}`), api.Conditions{})
	refusal(t, err, "LocationRequired")
	for {
		list, err := c.store.Operations(c.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			return
		}
		select {
		case <-c.ctx.Done():
			t.Fatalf("%d records are left: %+v", len(list), list)
		case <-time.After(10 * time.Millisecond): // the pause of a bounded wait
		}
	}
}

func TestAwaitEnds(t *testing.T) {
	c, nic, _ := startNetwork(t)
	c.hurry(20*time.Millisecond, time.Minute)
	made := c.put(t, nic, nicBody)
	soon, cancel := context.WithTimeout(c.ctx, 20*time.Millisecond)
	defer cancel()
	if err := c.api.Await(soon, made.Operation); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if err := c.api.Await(c.ctx, nil); err != nil {
		t.Errorf("no operation: %v", err)
	}
}

// TestWriterGoes covers that a writer that does not wait for its answer leaves no doubt: its write is made, or was not begun.
func TestWriterGoes(t *testing.T) {
	c, nic, other := startNetwork(t)
	c.hurry(time.Minute, time.Minute)
	hurried, cancel := context.WithCancel(c.ctx)
	answer := make(chan api.Outcome, 1)
	go func() {
		made, err := c.api.Put(hurried, nic, json.RawMessage(nicBody), api.Conditions{})
		if err != nil {
			t.Error(err)
		}
		answer <- made
	}()
	for { // until it is stored, and waits for the node
		if _, err := c.api.Get(c.ctx, nic); err == nil {
			break
		}
		select {
		case <-c.ctx.Done():
			t.Fatal("the NIC is not stored")
		case <-time.After(5 * time.Millisecond): // the pause of a bounded wait
		}
	}
	cancel()
	made := <-answer
	if made.Operation == nil || c.stateOf(t, nic) != api.Updating {
		t.Fatalf("%+v, %s", made, c.stateOf(t, nic))
	}
	if _, err := c.api.Put(hurried, nic, json.RawMessage(nicBody), api.Conditions{}); err == nil {
		t.Error("another write of the NIC is let in")
	}
	c.join(t, "host-a", &driver{})
	if err := c.api.Await(c.ctx, made.Operation); err != nil {
		t.Error(err)
	}
	c.put(t, other, nicBody)
}
