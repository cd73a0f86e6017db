//go:build linux

package kernel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"postern/datapath/kernel/bpf"
	"postern/model"
)

// Flags of a connection; enum connection_flag of bpf/connection.h.
const (
	connectionFinCaller = 1 << iota
	connectionFinServer
	connectionRst
	connectionRevoked
	connectionTold
	connectionAnswered
)

// How long a connection is remembered: after its end, for what is sent again; without any packet; and before the caller has
// answered.
const (
	connectionLinger = 10 * time.Second
	connectionOpens  = time.Minute
	connectionIdle   = 30 * time.Minute
	sweepInterval    = 5 * time.Second
)

// each calls do for every connection. Entries that come or go meanwhile may be left out or come twice.
func (d *Direct) each(do func(key bpf.PosternConnectionKey, connection bpf.PosternConnection) error) error {
	const batch = 1024
	keys, values := make([]bpf.PosternConnectionKey, batch), make([]bpf.PosternConnection, batch)
	var cursor ebpf.MapBatchCursor
	for {
		n, err := d.objects.Connections.BatchLookup(&cursor, keys, values, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("read map connections: %w", err)
		}
		for i := range n {
			if err := do(keys[i], values[i]); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}

// revoke ends every connection that the content does not admit: marks it, so that nothing of it passes, resets both ends,
// and has it told. The caller holds d.mu.
func (d *Direct) revoke(content directContent) error {
	return d.each(func(key bpf.PosternConnectionKey, c bpf.PosternConnection) error {
		if c.Generation == d.generation || c.Flags&(connectionRst|connectionRevoked) != 0 || content.admits(key) {
			return nil
		}
		// Once more: what passed since it was read counts.
		if err := d.objects.Connections.Lookup(&key, &c); err != nil {
			return ignoreGone(err)
		}
		told := c.Flags&connectionTold != 0
		c.Flags |= connectionRevoked | connectionTold
		if err := d.objects.Connections.Update(&key, &c, ebpf.UpdateExist); err != nil {
			return ignoreGone(err)
		}
		if told {
			return nil
		}
		d.resets.send(key, c)
		d.tell(d.describe(key, c, model.ReasonRevoked))
		return nil
	})
}

func ignoreGone(err error) error {
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	return fmt.Errorf("mark a connection as revoked: %w", err)
}

// tell keeps a connection for Follow. The caller holds d.mu.
func (d *Direct) tell(connection model.Connection) {
	d.ended = append(d.ended, connection)
	select {
	case d.told <- struct{}{}:
	default:
	}
}

// Follow tells of each connection at its end, and of each that was refused, and forgets those that are over, until the
// context ends. One process may follow at a time.
//
// lost hears of connections that nobody could be told of, since events came faster than they were read.
func (d *Direct) Follow(ctx context.Context, told func(model.Connection), lost func(uint64)) error {
	reader, err := ringbuf.NewReader(d.objects.Events)
	if err != nil {
		return fmt.Errorf("follow connections: %w", err)
	}
	done := make(chan error, 1)
	go func() { done <- d.read(reader, told) }()
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			err := reader.Close()
			<-done
			d.tellEnded(told)
			return err
		case err := <-done:
			return errors.Join(err, reader.Close())
		case <-d.told:
			d.tellEnded(told)
		case <-ticker.C:
			if err := errors.Join(d.sweep(time.Duration(monotonic())), d.tellLost(lost)); err != nil {
				return errors.Join(err, reader.Close())
			}
		}
	}
}

func (d *Direct) tellEnded(told func(model.Connection)) {
	d.mu.Lock()
	ended := d.ended
	d.ended = nil
	d.mu.Unlock()
	for _, connection := range ended {
		told(connection)
	}
}

// tellLost tells of the events that were lost since it last did, whichever process that was.
func (d *Direct) tellLost(lost func(uint64)) error {
	all, err := d.Lost()
	if err != nil {
		return err
	}
	told, err := sumOf(d.objects.EventsLost, 1)
	if err != nil || all == told {
		return err
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return err
	}
	perCPU := make([]uint64, cpus)
	perCPU[0] = all
	if err := d.objects.EventsLost.Put(uint32(1), perCPU); err != nil {
		return fmt.Errorf("note which events were lost: %w", err)
	}
	lost(all - told)
	return nil
}

// read takes events until the reader is closed.
func (d *Direct) read(reader *ringbuf.Reader, told func(model.Connection)) error {
	for {
		record, err := reader.Read()
		if errors.Is(err, ringbuf.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		var event bpf.PosternEvent
		if len(record.RawSample) < int(unsafe.Sizeof(event)) {
			return fmt.Errorf("read events: one has %d bytes, want %d", len(record.RawSample), unsafe.Sizeof(event))
		}
		if _, err := binary.Decode(record.RawSample, binary.NativeEndian, &event); err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		told(d.describe(event.Key, event.Connection, model.Reason(event.Reason)))
	}
}

// sweep forgets the connections that ended some time ago, and ends those that nobody has used for long.
func (d *Direct) sweep(now time.Duration) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.each(func(key bpf.PosternConnectionKey, c bpf.PosternConnection) error {
		most := connectionIdle
		switch {
		case c.Flags&connectionTold != 0:
			most = connectionLinger
		case c.Flags&connectionAnswered == 0:
			most = connectionOpens
		}
		if now-time.Duration(c.LastSeen) < most {
			return nil
		}
		var again bpf.PosternConnection
		if err := d.objects.Connections.Lookup(&key, &again); err != nil || again.Opened != c.Opened || again.LastSeen != c.LastSeen {
			return nil // it is gone, or used again
		}
		if c.Flags&connectionTold == 0 {
			c.Flags |= connectionRst
			d.resets.send(key, c)
			d.tell(d.describe(key, c, model.ReasonOwnAddress))
		}
		side := key
		side.ServerPort = c.BackendPort
		if c.Backend != (bpf.PosternAddress{}) {
			side.Server = c.Backend
		}
		if side != key {
			if err := d.objects.ServerSides.Delete(&side); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
				return fmt.Errorf("forget a connection: %w", err)
			}
		}
		if err := d.objects.Connections.Delete(&key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("forget a connection: %w", err)
		}
		return nil
	})
}

// describe puts an entry of the map into words of the model.
func (d *Direct) describe(key bpf.PosternConnectionKey, c bpf.PosternConnection, reason model.Reason) model.Connection {
	ago := time.Duration(monotonic() - int64(c.Opened))
	out := model.Connection{Reason: reason, Caller: callerOf(key), Dialled: dialledOf(key), Opened: time.Now().Add(-ago),
		Duration: time.Duration(c.LastSeen - c.Opened), Received: c.Received, Sent: c.Sent, Broken: c.Flags&connectionRst != 0}
	if reason != model.ReasonOwnAddress && reason != model.ReasonRevoked {
		return out
	}
	server := netip.IPv6Loopback()
	if c.Backend != (bpf.PosternAddress{}) {
		server = ofAddress(c.Backend)
	}
	out.Backend = netip.AddrPortFrom(server, be16(c.BackendPort))
	return out
}

// Open tells how many connections there are.
func (d *Direct) Open() (open int, err error) {
	err = d.each(func(_ bpf.PosternConnectionKey, c bpf.PosternConnection) error {
		if c.Flags&connectionTold == 0 {
			open++
		}
		return nil
	})
	return open, err
}

// monotonic is the clock of the programs, in nanoseconds.
func monotonic() int64 {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // fails for no clock that exists
	return now.Nano()
}
