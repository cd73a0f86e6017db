package cloud

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"postern/api/client"
)

// up is a running `postern up`.
type up struct {
	command *exec.Cmd
	output  *os.File
	ended   chan error
}

// startUp runs the real program on a folder until it says that it is up.
func startUp(ctx context.Context, t *testing.T, dir string, arguments ...string) *up {
	t.Helper()
	output, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(ctx, program, append([]string{"up", "--datapath", Kernel, "--dir", dir}, arguments...)...)
	command.Stderr = output
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	u := &up{command, output, make(chan error, 1)}
	said := make(chan bool, 1)
	go func() {
		scanner := bufio.NewScanner(stdout)
		for scanner.Scan() {
			if strings.HasPrefix(scanner.Text(), "up:") {
				said <- true
			}
		}
		close(said)
		u.ended <- command.Wait()
	}()
	t.Cleanup(func() {
		_ = command.Process.Kill() // fails where it has ended
		output.Close()
	})
	select {
	case ok := <-said:
		if ok {
			return u
		}
	case <-ctx.Done():
	}
	text, _ := os.ReadFile(output.Name())
	t.Fatalf("postern up did not come up: %s", text)
	return nil
}

func (u *up) signal(t *testing.T, signal os.Signal) error {
	t.Helper()
	if err := u.command.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-u.ended:
		return err
	case <-time.After(patience):
		t.Fatalf("postern up is there %s after %s", patience, signal)
		return nil
	}
}

// inside runs a function inside a namespace. It brings its thread back: one that stays there would count as a process
// of the namespace, and end with it.
func inside(name string, do func() error) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := netns.Get()
	if err != nil {
		return err
	}
	defer home.Close()
	there, err := netns.GetFromName(name)
	if err != nil {
		return err
	}
	defer there.Close()
	if err := netns.Set(there); err != nil {
		return err
	}
	return errors.Join(do(), netns.Set(home))
}

// namespaceMachine is a VM of another process's cloud.
type namespaceMachine struct{ name string }

func (m namespaceMachine) DialContext(ctx context.Context, network, address string) (conn net.Conn, err error) {
	err = inside(m.name, func() error {
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

func (m namespaceMachine) Listen(ctx context.Context, network, address string) (listener net.Listener, err error) {
	err = inside(m.name, func() error {
		listener, err = new(net.ListenConfig).Listen(ctx, network, address)
		return err
	})
	return listener, err
}

func (m namespaceMachine) ListenPacket(ctx context.Context, network, address string) (conn net.PacketConn, err error) {
	err = inside(m.name, func() error {
		conn, err = new(net.ListenConfig).ListenPacket(ctx, network, address)
		return err
	})
	return conn, err
}

func (m namespaceMachine) SendFrame(context.Context, []byte) error { return errNoFrames }

func TestControlPlaneKilled(t *testing.T) {
	needKernel(t)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	dir := t.TempDir()
	file := filepath.Join(t.TempDir(), "cloud.yaml")
	documents := strings.Join(append(application, subnet("vnet/late", "10.13.79.0/24")), "\n---\n")
	if err := os.WriteFile(file, []byte(strings.Replace(documents, "addressPrefix: 10.13.76.0/24", "addressPrefix: 10.13.76.0/24, "+withStorage, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	api := client.New(dir)
	defer api.Close()
	s := &stage{t: t, ctx: ctx}
	machine := func(nic string) Machine {
		t.Helper()
		how, err := api.Exec(ctx, nic)
		if err != nil {
			t.Fatal(err)
		}
		return namespaceMachine{how.Namespace}
	}
	resources := func() string {
		t.Helper()
		list, err := api.List(ctx, "")
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%s", list)
	}
	identity := func() string {
		t.Helper()
		plan, _, err := api.Plan(ctx, "host-we1")
		if err != nil {
			t.Fatal(err)
		}
		for _, nic := range plan.Host.NICs {
			if nic.ID.Name() == "nic-app" {
				return fmt.Sprint(nic.Number, nic.Subnet, nic.IPv4, nic.MAC)
			}
		}
		t.Fatal("the plan of host-we1 has no nic-app")
		return ""
	}

	first := startUp(ctx, t, dir, "-f", file)
	app, far := machine("nic-app"), machine("nic-far")
	before, was := resources(), identity()
	front := s.frontAddress(api)
	s.echo(far, 7000)
	open := s.dial(app, "10.13.77.5:7000")
	endpoint := s.mustConnect(app, front+":80")
	if err := errors.Join(endpoint.SetDeadline(time.Now().Add(limit)), ping(endpoint, own)); err != nil {
		t.Fatal(err)
	}
	nodes := childrenOf(first.command.Process.Pid)
	if len(nodes) < 7 {
		t.Fatalf("%d processes of 7 nodes", len(nodes))
	}

	if err := first.signal(t, syscall.SIGKILL); err == nil {
		t.Fatal("it ended by itself")
	}
	t.Run("the data path goes on without the control plane", func(t *testing.T) {
		s := &stage{t: t, ctx: ctx}
		for _, pid := range nodes {
			if err := syscall.Kill(pid, 0); err != nil {
				t.Errorf("process %d of a node is gone: %v", pid, err)
			}
		}
		s.roundTrip(open, 1<<20)
		s.roundTrip(s.dial(app, "10.13.77.5:7000"), 1000)
		if err := ping(endpoint, own); err != nil {
			t.Errorf("the connection by the endpoint: %v", err)
		}
		fresh := s.mustConnect(app, front+":80")
		if err := errors.Join(fresh.SetDeadline(time.Now().Add(patience)), ping(fresh, own)); err != nil {
			t.Errorf("a new connection by the endpoint: %v", err)
		}
	})
	open.Close()
	endpoint.Close()

	second := startUp(ctx, t, dir)
	t.Run("the next start sweeps, and has the same cloud", func(t *testing.T) {
		for _, pid := range nodes {
			s.eventually("wait for the end of the old nodes", func() error {
				if err := syscall.Kill(pid, 0); err == nil && !zombie(pid) {
					return fmt.Errorf("process %d is there", pid)
				}
				return nil
			})
		}
		if names, _ := filepath.Glob(fmt.Sprintf("/run/netns/postern-%d.*", first.command.Process.Pid)); len(names) > 0 {
			t.Errorf("the dead run's namespaces are there: %v", names)
		}
		// A write whose end was not on record is Updating until the new nodes have applied it too.
		s.eventually("wait for the same resources", func() error {
			if after := resources(); after != before {
				return fmt.Errorf("resources changed:\n%s\n%s", before, after)
			}
			return nil
		})
		if is := identity(); is != was {
			t.Errorf("nic-app was %s, is %s", was, is)
		}
		s := &stage{t: t, ctx: ctx}
		app, far := machine("nic-app"), machine("nic-far")
		s.echo(far, 7000)
		s.roundTrip(s.dial(app, "10.13.77.5:7000"), 1<<20)
		s.eventually("wait for the gateway", func() error {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			fresh, err := app.DialContext(ctx, "tcp", front+":80")
			if err != nil {
				return err
			}
			defer fresh.Close()
			return errors.Join(fresh.SetDeadline(time.Now().Add(time.Second)), ping(fresh, own))
		})
	})
	children := childrenOf(second.command.Process.Pid)
	if err := second.signal(t, syscall.SIGTERM); err != nil {
		t.Errorf("postern up ended with %v", err)
	}
	for _, pid := range children {
		if err := syscall.Kill(pid, 0); err == nil && !zombie(pid) {
			t.Errorf("process %d of a node is left", pid)
		}
	}
	if names, _ := filepath.Glob(fmt.Sprintf("/run/netns/postern-%d.*", second.command.Process.Pid)); len(names) > 0 {
		t.Errorf("namespaces are left: %v", names)
	}
	if left := leftovers(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// zombie tells whether a process has ended, and nobody has asked for its end yet.
func zombie(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.HasPrefix(string(data[strings.LastIndexByte(string(data), ')')+1:]), " Z")
}

// frontAddress is the address of the account own, from the gateway's plan.
func (s *stage) frontAddress(api *client.Client) string {
	s.t.Helper()
	plan, _, err := api.Plan(s.ctx, "gateway-we")
	if err != nil {
		s.t.Fatal(err)
	}
	return plan.Gateway.Names["storage/"+own]
}
