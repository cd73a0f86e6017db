package demo

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/api/client"
	"postern/arm/aztest"
	"postern/cloud"
	"postern/demo/backend"
	"postern/examples"
)

// TestAzStoryUserspace and TestAzStoryKernel tell the demo's story with az alone while traffic runs: testdata/az.txt.
// SE-2, SE-3, SE-4, SE-12, FW-1, FW-5, FW-6, SEP-2, HYB-3, NSG-3, ROUTE-2, ROUTE-12 and ROUTE-13 as a user of az meets them.
func TestAzStoryUserspace(t *testing.T) {
	playAz(t, cloud.Options{DataPath: cloud.Userspace})
}

func playAz(t *testing.T, options cloud.Options) {
	t.Helper()
	script, err := os.ReadFile(filepath.Join("testdata", "az.txt"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	options.Log = slog.New(slog.NewTextHandler(progress{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	running, err := cloud.Start(ctx, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := running.Close(); err != nil {
			t.Error(err)
		}
	})
	story := newAzStory(ctx, t, running)
	defer story.stop()
	acts := strings.Split(string(script), "\n## ")
	for _, act := range acts[1:] {
		title, text, _ := strings.Cut(act, "\n")
		t.Logf("== %s", title)
		for _, step := range aztest.Parse(strings.ReplaceAll(text, "$SUBSCRIPTION", story.door.Subscription)) {
			story.do(ctx, step)
		}
		if t.Failed() {
			t.FailNow() // what follows stands on it
		}
	}
}

// do runs one command, and then looks at what the traffic meets.
func (s *azStory) do(ctx context.Context, step aztest.Step) {
	s.t.Helper()
	var traffic []string
	wants := step.Wants
	step.Wants = nil
	for _, want := range wants {
		if text, ok := strings.CutPrefix(want, "> "); ok {
			traffic = append(traffic, text)
		} else {
			step.Wants = append(step.Wants, want)
		}
	}
	began := time.Now()
	problems := s.az.Do(ctx, step)
	ended := time.Now()
	s.t.Logf("az %s   (%.1f s)", step.Command, ended.Sub(began).Seconds())
	for _, problem := range problems {
		s.t.Errorf("az %s: %s", step.Command, problem)
	}
	for _, want := range traffic {
		who, what, _ := strings.Cut(want, " ")
		program, err := s.program(ctx, who)
		if err != nil {
			s.t.Fatal(err)
		}
		met, err := program.expect(ctx, s, began, ended, what)
		if err != nil {
			s.t.Errorf("after az %s: %s: want that it %s: %v", step.Command, who, what, err)
			continue
		}
		s.t.Logf("    %s %s", who, met)
	}
}

// program is the program of a name; it begins with the first word about it, since its machine must be there.
func (s *azStory) program(ctx context.Context, name string) (*program, error) {
	if running := s.programs[name]; running != nil {
		return running, nil
	}
	vm, err := s.cloud.Machine(ctx, "nic-app")
	if err != nil {
		return nil, err
	}
	if name == "hub" {
		hub, err := s.cloud.Machine(ctx, "nic-hub")
		if err != nil {
			return nil, err
		}
		listener, err := hub.Listen(ctx, "tcp", ":8080")
		if err != nil {
			return nil, err
		}
		s.work.Go(func() { backend.Each(listener, backend.Echo) })
		s.ends = append(s.ends, func() { listener.Close() })
		s.programs[name] = s.begin(ctx, &pulse{from: vm, to: "10.14.0.4:8080", limit: s.pace.Timeout})
		return s.programs[name], nil
	}
	client, err := s.client(vm.DialContext, nil)
	if err != nil {
		return nil, err
	}
	s.ends = append(s.ends, client.Close)
	s.programs[name] = s.begin(ctx, &rows{stage: s.stage, from: vm, client: client, account: "staz" + name})
	return s.programs[name], nil
}

// azStory is a cloud that has nodes alone, its open door, and who takes part.
type azStory struct {
	*stage
	t        *testing.T
	az       *aztest.CLI
	door     client.Door
	programs map[string]*program

	work sync.WaitGroup
	ends []func()
}

// stop ends all that runs in the machines.
func (s *azStory) stop() {
	for _, end := range s.ends {
		end()
	}
	s.work.Wait()
}

func newAzStory(ctx context.Context, t *testing.T, running *cloud.Cloud) *azStory {
	t.Helper()
	az := aztest.New(t, running.CA())
	nodes, err := examples.Nodes()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := running.API().Apply(ctx, nodes, nil); err != nil {
		t.Fatal(err)
	}
	door, err := running.Control().OpenDoor(ctx, "localhost:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	az.SignIn(ctx, door.Door, door.Secret)
	return &azStory{stage: &stage{cloud: running, pace: Scaled}, t: t, az: az, door: door.Door,
		programs: map[string]*program{}}
}
