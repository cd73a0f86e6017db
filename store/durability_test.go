package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"postern/resource"
	"postern/store"
	"postern/store/embedded"
)

// childFolder tells the test binary that it is the child of TestKill, and where to write.
const childFolder = "POSTERN_STORE_TEST_FOLDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childFolder); dir != "" {
		fmt.Fprintln(os.Stderr, write(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// write writes records and prints the name of each when it was answered. It is killed in the midst, or stops by
// itself after a bounded number.
func write(dir string) error {
	server, err := embedded.Open(dir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	state, err := server.Snapshot(ctx)
	if err != nil {
		return err
	}
	for i := range 5000 {
		r := record(fmt.Sprintf("%s-%d", os.Getenv(childFolder+"_ROUND"), i))
		r.Allotted.Number = state.Counters.NIC
		state.Counters.NIC++
		if state.Revision, err = server.Put(ctx, store.Write{Base: state.Revision, Puts: []resource.Record{r}, Counters: state.Counters}); err != nil {
			return err
		}
		fmt.Println(r.Key())
	}
	return errors.New("nobody killed me")
}

// TestKill covers "ARM-3 Every write is durable when answered": a process that writes is killed with SIGKILL, and
// every write that it had an answer for is there, with numbers that were never used twice.
func TestKill(t *testing.T) {
	t.Run("ARM-3 kill -9 loses nothing that was answered", func(t *testing.T) {
		dir := folder(t)
		answered := make(map[string]bool)
		for round := range 3 {
			for _, key := range writeAndKill(t, dir, round, 20+7*round) {
				answered[key] = true
			}
		}
		server, err := embedded.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		state, err := server.Snapshot(within(t, 30*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		numbers := make(map[uint32]bool)
		for i := range state.Records {
			r := &state.Records[i]
			if numbers[r.Allotted.Number] || r.Allotted.Number >= state.Counters.NIC {
				t.Errorf("number %d of %s was used twice, or the counter %d went back", r.Allotted.Number, r.ID, state.Counters.NIC)
			}
			numbers[r.Allotted.Number] = true
			delete(answered, r.Key())
		}
		if len(answered) > 0 {
			t.Errorf("%d writes were answered and are lost: %v", len(answered), answered)
		}
	})
}

// writeAndKill runs the child until it has had a number of answers, kills it, and gives all answers that it printed.
func writeAndKill(t *testing.T, dir string, round, answers int) []string {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), childFolder+"="+dir, fmt.Sprintf("%s_ROUND=%d", childFolder, round))
	var said strings.Builder
	command.Stderr = &said
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	var keys []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		keys = append(keys, lines.Text())
		if len(keys) == answers {
			if err := command.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	command.Wait()
	if len(keys) < answers {
		t.Fatalf("the child answered %d writes of %d: %s", len(keys), answers, said.String())
	}
	return keys
}
