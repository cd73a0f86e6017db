package cloud

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"postern/lab"
	"postern/model"
)

// processOf is the process of a node.
func (s *stage) processOf(node string) int {
	s.t.Helper()
	var found int
	s.eventually("wait for the process of node "+node, func() error {
		for _, child := range childrenOf(os.Getpid()) {
			arguments, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", child))
			if err == nil && strings.Contains(string(arguments), "\x00--node\x00"+node+"\x00") {
				found = child
				return nil
			}
		}
		return errors.New("not there")
	})
	return found
}

// kill ends the process of a node as a crash would, and waits for its end.
func (s *stage) kill(node string) (pid int) {
	s.t.Helper()
	pid = s.processOf(node)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		s.t.Fatal(err)
	}
	s.eventually("wait for the end of the process", func() error {
		for _, child := range childrenOf(os.Getpid()) {
			if child == pid {
				return errors.New("it is there")
			}
		}
		return nil
	})
	return pid
}

// programs counts what is attached to a link of a host.
func (s *stage) programs(host, link string, attach ebpf.AttachType) int {
	s.t.Helper()
	world := s.world.(*kernelWorld)
	world.mu.Lock()
	inside := world.nodes[host].host
	world.mu.Unlock()
	var count int
	err := inside.Do(func() error {
		ifindex, err := inside.LinkIndex(link)
		if err != nil {
			return err
		}
		programs, err := queryPrograms(ifindex, attach)
		count = programs
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return count
}

func queryPrograms(ifindex int, attach ebpf.AttachType) (int, error) {
	found, err := link.QueryPrograms(link.QueryOptions{Target: ifindex, Attach: attach})
	if err != nil {
		return 0, err
	}
	return len(found.Programs), nil
}

// stream sends and compares without end until stop, which says how many rounds went and what failed.
func stream(opened *session) (stop func() (rounds int, err error)) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	rounds := 0
	go func() {
		var err error
		for ctx.Err() == nil && err == nil {
			if err = opened.roundTrip(1 << 14); err == nil {
				rounds++
			}
		}
		ended <- err
	}()
	return func() (int, error) {
		cancel()
		err := <-ended
		return rounds, err
	}
}

func TestAgentKilled(t *testing.T) {
	needKernel(t)
	s := start(t, Kernel, "", application...)
	s.apply(subnet("vnet/app", "10.13.76.0/24", withStorage))
	app, far := s.machine("nic-app"), s.machine("nic-far")
	token := s.token(app)
	s.makeTable(s.client(app, ""), own, token)
	s.echo(far, 7000)
	endpoint, transfer := s.keepOpen(app, own), s.dial(app, "10.13.77.5:7000")
	// From here on only the flow's state lets the open connection in.
	s.apply(group("100 Inbound Deny * * * 7000"), subnet("vnet/other", "10.13.77.0/24", withGroup))
	s.wantBlocked(app, "10.13.77.5:7000", "nic-far", model.ReasonSecurityGroup)

	stop := stream(transfer)
	info, err := s.NIC(s.ctx, "nic-app")
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range []string{"host-we1", "host-we2", "edge-we"} {
		killed := s.kill(node)
		if err := ping(endpoint, own); err != nil {
			t.Fatalf("the connection by the endpoint, with the agent of %s killed: %v", node, err)
		}
		s.insertAcross(app, token)
		// A change made meanwhile is in force when Apply answers: the agent is there again, and has it.
		s.apply(account(own, "westeurope", ""), vm("late-"+node, "host-we1", "vnet/app", map[string]string{
			"host-we1": "10.13.76.41", "host-we2": "10.13.76.42", "edge-we": "10.13.76.43"}[node], ""))
		if again := s.processOf(node); again == killed {
			t.Errorf("node %s has its dead process %d", node, again)
		}
		s.echo(s.machine("nic-late-"+node), 7001)
	}
	s.roundTrip(s.dial(app, "10.13.76.41:7001"), 1000)
	rounds, err := stop()
	if err != nil {
		t.Errorf("the open connection broke after %d rounds: %v", rounds, err)
	}
	s.roundTrip(transfer, 1<<20)
	if err := ping(endpoint, own); err != nil {
		t.Errorf("the connection by the endpoint broke: %v", err)
	}
	s.wantBlocked(app, "10.13.77.5:7000", "nic-far", model.ReasonSecurityGroup)
	for name, count := range map[string]int{
		"of the NIC":    s.programs("host-we1", lab.NICLink(info.Number), ebpf.AttachTCXIngress),
		"of the fabric": s.programs("host-we1", lab.FabricLink, ebpf.AttachTCXIngress),
	} {
		if count != 1 {
			t.Errorf("%d programs at the link %s, want 1", count, name)
		}
	}
}

// insertAcross writes a row over a new connection.
func (s *stage) insertAcross(app Machine, token string) {
	s.t.Helper()
	s.wantInsert(app, "", own, token, http.StatusCreated, "")
}

func TestGatewayKilled(t *testing.T) {
	needKernel(t)
	s := start(t, Kernel, "", application...)
	s.apply(subnet("vnet/app", "10.13.76.0/24", withStorage),
		account(own, "westeurope", "defaultAction: Deny, virtualNetworkRules: [{id: virtualNetworks/vnet/subnets/app}]"))
	app, far := s.machine("nic-app"), s.machine("nic-far")
	token := s.token(app)
	s.makeTable(s.client(app, ""), own, token)
	open := s.keepOpen(app, own)
	s.kill("gateway-we")
	if err := open.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	err := ping(open, own)
	var timeout net.Error
	if err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("the connection to the dead gateway: %v, want a reset or an end", err)
	}
	s.eventually("wait for the gateway", func() error { _, err := s.askToken(app); return err })
	s.insertAcross(app, token) // into the table that was there before
	s.wantCaller(own, "10.13.76.36")
	s.wantInsert(far, "", own, token, http.StatusForbidden, denied)
}
