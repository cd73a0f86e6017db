package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"postern/cloud"
	"postern/demo/application"
	"postern/demo/backend"
	"postern/gateway"
	"postern/model"
)

// The outsiders' addresses, of a block for documentation (RFC 5737).
var (
	outsiderAddress = netip.MustParseAddr("198.51.100.77")
	echoAddress     = netip.MustParseAddr("198.51.100.22")
)

// echoPort is that of the "ssh" server.
const echoPort = "22"

// stage is who takes part, and how the acts see what happens.
type stage struct {
	cloud    Cloud
	pace     Pace
	arranger *arranger

	app, other cloud.NICInfo
	appVM      cloud.Machine
	otherVM    cloud.Machine
	fronts     map[string]netip.Addr // accounts' public addresses
	public     string                // the VM's instance-level public IP

	writer   *application.Client // the program in vm-app
	neighbor *application.Client // the same in vm-other
	stranger *application.Client // a client on the Internet that has got hold of vm-app's token
	ssh      net.Listener
	number   int // of attempts and partitions

	behind        cloud.Machine // that the services' small servers are on; nil until there are any
	behindAddress netip.Addr
}

// prepare builds the cloud from the sample and puts everybody onto the stage.
func prepare(ctx context.Context, c Cloud, options Options) (_ *stage, err error) {
	ctx, cancel := context.WithTimeout(ctx, options.Pace.actLimit())
	defer cancel()
	s := &stage{cloud: c, pace: options.Pace, fronts: map[string]netip.Addr{}}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.arranger, err = newArranger(ctx, c.API()); err != nil {
		return nil, err
	}
	if err := s.meet(ctx); err != nil {
		return nil, err
	}
	outsider, err := c.Outsider(ctx, "outsider", outsiderAddress)
	if err != nil {
		return nil, err
	}
	echo, err := c.Outsider(ctx, "ssh", echoAddress)
	if err != nil {
		return nil, err
	}
	if s.ssh, err = echo.Listen(ctx, "tcp", ":"+echoPort); err != nil {
		return nil, err
	}
	go backend.Each(s.ssh, backend.Echo)
	if s.writer, err = s.client(s.appVM.DialContext, nil); err != nil {
		return nil, err
	}
	if s.neighbor, err = s.client(s.otherVM.DialContext, nil); err != nil {
		return nil, err
	}
	// An outsider has no platform to resolve names: it knows the public addresses.
	if s.stranger, err = s.client(func(ctx context.Context, network, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		for account, front := range s.fronts {
			if host == s.writer.Host(account) {
				host = front.String()
			}
		}
		return outsider.DialContext(ctx, network, net.JoinHostPort(host, port))
	}, s.writer.Token); err != nil {
		return nil, err
	}
	return s, s.makeTables(ctx)
}

// meet finds the VMs and what was allotted to resources.
func (s *stage) meet(ctx context.Context) (err error) {
	for _, vm := range []struct {
		nic     string
		info    *cloud.NICInfo
		machine *cloud.Machine
	}{{nicApp, &s.app, &s.appVM}, {nicOther, &s.other, &s.otherVM}} {
		if *vm.info, err = s.cloud.NIC(ctx, vm.nic); err != nil {
			return err
		}
		if *vm.machine, err = s.cloud.Machine(ctx, vm.nic); err != nil {
			return err
		}
	}
	for _, account := range []string{accountWest, accountGermany, accountRogue} {
		text, err := s.arranger.property(ctx, "storageAccounts/"+account, "posternFrontAddress")
		if err != nil {
			return err
		}
		if s.fronts[account], err = netip.ParseAddr(text); err != nil {
			return fmt.Errorf("front address of %s: %w", account, err)
		}
	}
	s.public, err = s.arranger.property(ctx, "publicIPAddresses/"+publicIP, "ipAddress")
	return err
}

func (s *stage) client(dial application.Dial, token func(context.Context) (string, error)) (*application.Client, error) {
	return application.New(application.Options{Dial: dial, CA: s.cloud.CA(), Timeout: s.pace.Timeout, Token: token})
}

// makeTables makes the table in each account while nothing is restricted. The first requests of a cloud may meet its
// beginning, so they are repeated.
func (s *stage) makeTables(ctx context.Context) error {
	if err := s.arrange(ctx, situation{publicIP: true}); err != nil {
		return err
	}
	for _, account := range []string{accountWest, accountGermany, accountRogue} {
		if err := s.until(ctx, "table in "+account, func(ctx context.Context) (bool, error) {
			err := s.writer.EnsureTable(ctx, account)
			return err == nil, err
		}); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) close() {
	for _, client := range []*application.Client{s.writer, s.neighbor, s.stranger} {
		if client != nil {
			client.Close()
		}
	}
	if s.ssh != nil {
		s.ssh.Close()
	}
}

func (s *stage) arrange(ctx context.Context, wanted situation) error {
	return s.arranger.arrange(ctx, wanted)
}

// ownRule lets the VM's public IP in and nobody else.
func (s *stage) ownRule() rules { return rules{deny: true, addresses: []string{s.public}} }

// pollEvery is how often a condition is looked at.
const pollEvery = 20 * time.Millisecond

// until looks at a condition until it holds. Its errors do not end the wait; the last one is told when patience does.
func (s *stage) until(ctx context.Context, what string, holds func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, s.pace.patience())
	defer cancel()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		ok, err := holds(ctx)
		if ok {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("wait for %s: %w", what, context.Cause(ctx)), err)
		}
	}
}

// counted is how many packets of a NIC met a reason on its node.
func (s *stage) counted(ctx context.Context, nic cloud.NICInfo, reason model.Reason) (uint64, error) {
	counters, err := s.cloud.Counters(ctx, nic.Node)
	if err != nil {
		return 0, fmt.Errorf("counters of %s: %w", nic.Node, err)
	}
	var packets uint64
	for _, counter := range counters {
		if counter.NIC == nic.Number && counter.Reason == reason {
			packets += counter.Packets
		}
	}
	return packets, nil
}

// countedMore waits until a count is at least some packets above before, and answers by how many.
func (s *stage) countedMore(ctx context.Context, nic cloud.NICInfo, reason model.Reason, before, atLeast uint64) (more uint64, err error) {
	err = s.until(ctx, fmt.Sprintf("%d packets counted as %s", atLeast, reason), func(ctx context.Context) (bool, error) {
		now, err := s.counted(ctx, nic, reason)
		more = now - min(before, now)
		return err == nil && more >= atLeast, err
	})
	return more, err
}

// logged waits for the access log's line of a request: it is written after the answer.
func (s *stage) logged(ctx context.Context, requestID string) (entry gateway.Entry, err error) {
	err = s.until(ctx, "the access log's line of request "+requestID, func(ctx context.Context) (bool, error) {
		entries, err := s.cloud.AccessLog(ctx)
		for i := len(entries) - 1; i >= 0; i-- {
			if entries[i].RequestID == requestID {
				entry = entries[i]
				return true, nil
			}
		}
		return false, err
	})
	return entry, err
}

// partition names a partition that no other act uses.
func (s *stage) partition(what string) string {
	s.number++
	return fmt.Sprintf("%s-%d", what, s.number)
}
