//go:build linux

package lab

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// RegionalMark is the firewall mark of packets that leave under their platform address (FW-5).
const RegionalMark = 1

// translation is the edge's shared outbound NAT, as an nftables table:
//
//	table ip postern {
//	    set public { type ipv4_addr; }
//	    set outbound { type ipv4_addr; elements = { OUTBOUND } }
//	    chain untracked {
//	        type filter hook prerouting priority raw;
//	        meta mark 1 notrack
//	        ip daddr POOL notrack
//	        ip saddr @public ip daddr != @outbound notrack
//	        ip daddr @public ip saddr & MASK != POOL notrack
//	    }
//	    chain unknown {
//	        type filter hook forward priority filter;
//	        meta mark != 1 ip saddr & MASK == POOL ct state new meta l4proto tcp tcp flags & (fin|syn|rst|ack) != syn reject with tcp reset
//	    }
//	    chain outbound {
//	        type nat hook postrouting priority srcnat;
//	        meta mark > 1 ip saddr & MASK == POOL snat to meta mark
//	        meta mark 0 ip saddr & MASK == POOL snat to OUTBOUND
//	    }
//	}
//
// A mark above 1 is the address to leave from, as it stands in a packet: a NAT gateway's. Between a public address of this
// edge and one that connections are translated to, packets are tracked: that is a VM that leaves by NAT and talks to one with a
// public address. A TCP packet in the middle of a connection that the NAT does not know is answered with a reset: of one
// whose NAT gateway went, say.
type translation struct {
	namespace *Namespace
	table     *nftables.Table
	public    *nftables.Set
	outbound  *nftables.Set // what packets leave from
}

// Offsets of the addresses in an IPv4 header, and of the flags in TCP's, in bytes.
const (
	offsetSource      = 12
	offsetDestination = 16
	offsetTCPFlags    = 13
)

// Flags of TCP that tell where in a connection a packet is.
const (
	tcpFin, tcpSyn, tcpRst, tcpAck = 0x01, 0x02, 0x04, 0x10
)

func newTranslation(namespace *Namespace, outbound netip.Addr, pool netip.Prefix) (*translation, error) {
	t := &translation{namespace: namespace, table: &nftables.Table{Family: nftables.TableFamilyIPv4, Name: "postern"}}
	t.public = &nftables.Set{Table: t.table, Name: "public", KeyType: nftables.TypeIPAddr}
	t.outbound = &nftables.Set{Table: t.table, Name: "outbound", KeyType: nftables.TypeIPAddr}
	if err := t.change(func(conn *nftables.Conn) error {
		conn.AddTable(t.table)
		if err := conn.AddSet(t.public, nil); err != nil {
			return err
		}
		if err := conn.AddSet(t.outbound, []nftables.SetElement{{Key: outbound.AsSlice()}}); err != nil {
			return err
		}
		t.addUntracked(conn, pool)
		t.addUnknown(conn, pool)
		t.addOutbound(conn, outbound, pool)
		return nil
	}); err != nil {
		return nil, fmt.Errorf("set up outbound NAT in %s: %w", namespace.Name, err)
	}
	return t, nil
}

// addOutbound says from where packets leave.
func (t *translation) addOutbound(conn *nftables.Conn, outbound netip.Addr, pool netip.Prefix) {
	chain := conn.AddChain(&nftables.Chain{Name: "outbound", Table: t.table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource})
	leave := &expr.NAT{Type: expr.NATTypeSourceNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1}
	for _, rule := range [][]expr.Any{
		join(mark(expr.CmpOpNeq, 0), mark(expr.CmpOpNeq, RegionalMark), within(offsetSource, expr.CmpOpEq, pool),
			[]expr.Any{&expr.Meta{Key: expr.MetaKeyMARK, Register: 1}, leave}),
		join(mark(expr.CmpOpEq, 0), within(offsetSource, expr.CmpOpEq, pool),
			[]expr.Any{&expr.Immediate{Register: 1, Data: outbound.AsSlice()}, leave}),
	} {
		conn.AddRule(&nftables.Rule{Table: t.table, Chain: chain, Exprs: rule})
	}
}

// addUnknown resets TCP connections that the NAT does not know.
func (t *translation) addUnknown(conn *nftables.Conn, pool netip.Prefix) {
	chain := conn.AddChain(&nftables.Chain{Name: "unknown", Table: t.table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter})
	conn.AddRule(&nftables.Rule{Table: t.table, Chain: chain, Exprs: join(
		mark(expr.CmpOpNeq, RegionalMark), within(offsetSource, expr.CmpOpEq, pool),
		[]expr.Any{
			&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
			&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(expr.CtStateBitNEW), Xor: make([]byte, 4)},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: offsetTCPFlags, Len: 1},
			&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{tcpFin | tcpSyn | tcpRst | tcpAck}, Xor: []byte{0}},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte{tcpSyn}},
			&expr.Reject{Type: unix.NFT_REJECT_TCP_RST},
		})})
}

func (t *translation) addUntracked(conn *nftables.Conn, pool netip.Prefix) {
	chain := conn.AddChain(&nftables.Chain{Name: "untracked", Table: t.table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityRaw})
	for _, match := range [][]expr.Any{
		mark(expr.CmpOpEq, RegionalMark),
		within(offsetDestination, expr.CmpOpEq, pool),
		join(isIn(t.public, offsetSource, false), isIn(t.outbound, offsetDestination, true)),
		join(isIn(t.public, offsetDestination, false), within(offsetSource, expr.CmpOpNeq, pool)),
	} {
		conn.AddRule(&nftables.Rule{Table: t.table, Chain: chain, Exprs: join(match, []expr.Any{&expr.Notrack{}})})
	}
}

// add adds an address to a set; one that is there already is no error.
func (t *translation) add(set *nftables.Set, address netip.Addr) error {
	err := t.change(func(conn *nftables.Conn) error {
		return conn.SetAddElements(set, []nftables.SetElement{{Key: address.AsSlice()}})
	})
	if err != nil {
		return fmt.Errorf("outbound NAT in %s: add %s address %s: %w", t.namespace.Name, set.Name, address, err)
	}
	return nil
}

// remove takes an address out of a set; that it is gone already is no error.
func (t *translation) remove(set *nftables.Set, address netip.Addr) error {
	err := t.change(func(conn *nftables.Conn) error {
		return conn.SetDeleteElements(set, []nftables.SetElement{{Key: address.AsSlice()}})
	})
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("outbound NAT in %s: remove %s address %s: %w", t.namespace.Name, set.Name, address, err)
	}
	return nil
}

// change makes several changes in one transaction.
func (t *translation) change(make func(*nftables.Conn) error) error {
	return t.namespace.Do(func() error {
		conn, err := nftables.New()
		if err != nil {
			return err
		}
		if err := make(conn); err != nil {
			return err
		}
		return conn.Flush()
	})
}

// mark compares the packet's mark with a number.
func mark(operator expr.CmpOp, number uint32) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Cmp{Op: operator, Register: 1, Data: binaryutil.NativeEndian.PutUint32(number)},
	}
}

// address loads an address of the IPv4 header into register 1.
func address(offset uint32) expr.Any {
	return &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4}
}

// isIn looks an address up in a set, and matches where it is there, or where it is not.
func isIn(set *nftables.Set, offset uint32, not bool) []expr.Any {
	return []expr.Any{address(offset), &expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID, Invert: not}}
}

// within compares the network of an address with a prefix.
func within(offset uint32, operator expr.CmpOp, prefix netip.Prefix) []expr.Any {
	return []expr.Any{
		address(offset),
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: ipNet(prefix).Mask, Xor: make([]byte, 4)},
		&expr.Cmp{Op: operator, Register: 1, Data: prefix.Masked().Addr().AsSlice()},
	}
}

// join puts the parts of a rule behind each other.
func join(parts ...[]expr.Any) []expr.Any {
	var all []expr.Any
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}
