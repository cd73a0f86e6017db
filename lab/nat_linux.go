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
//	    chain untracked {
//	        type filter hook prerouting priority raw;
//	        meta mark 1 notrack
//	        ip daddr POOL notrack
//	        ip saddr @public ip daddr != OUTBOUND notrack
//	        ip daddr @public ip saddr & MASK != POOL notrack
//	    }
//	    chain outbound {
//	        type nat hook postrouting priority srcnat;
//	        meta mark != 1 ip saddr & MASK == POOL snat to OUTBOUND
//	    }
//	}
//
// Between a public address of this edge and its own OutboundAddress packets are tracked: that is a VM without a public
// address which talks to one that has.
type translation struct {
	namespace *Namespace
	table     *nftables.Table
	public    *nftables.Set
}

// Offsets of the addresses in an IPv4 header, in bytes.
const (
	offsetSource      = 12
	offsetDestination = 16
)

func newTranslation(namespace *Namespace, outbound netip.Addr, pool netip.Prefix) (*translation, error) {
	t := &translation{namespace: namespace, table: &nftables.Table{Family: nftables.TableFamilyIPv4, Name: "postern"}}
	t.public = &nftables.Set{Table: t.table, Name: "public", KeyType: nftables.TypeIPAddr}
	if err := t.change(func(conn *nftables.Conn) error {
		conn.AddTable(t.table)
		if err := conn.AddSet(t.public, nil); err != nil {
			return err
		}
		t.addUntracked(conn, outbound, pool)
		chain := conn.AddChain(&nftables.Chain{Name: "outbound", Table: t.table, Type: nftables.ChainTypeNAT,
			Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource})
		conn.AddRule(&nftables.Rule{Table: t.table, Chain: chain, Exprs: join(
			mark(expr.CmpOpNeq),
			within(offsetSource, expr.CmpOpEq, pool),
			[]expr.Any{
				&expr.Immediate{Register: 1, Data: outbound.AsSlice()},
				&expr.NAT{Type: expr.NATTypeSourceNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1},
			})})
		return nil
	}); err != nil {
		return nil, fmt.Errorf("set up outbound NAT in %s: %w", namespace.Name, err)
	}
	return t, nil
}

func (t *translation) addUntracked(conn *nftables.Conn, outbound netip.Addr, pool netip.Prefix) {
	chain := conn.AddChain(&nftables.Chain{Name: "untracked", Table: t.table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityRaw})
	for _, match := range [][]expr.Any{
		mark(expr.CmpOpEq),
		within(offsetDestination, expr.CmpOpEq, pool),
		join(t.isPublic(offsetSource), within(offsetDestination, expr.CmpOpNeq, single(outbound))),
		join(t.isPublic(offsetDestination), within(offsetSource, expr.CmpOpNeq, pool)),
	} {
		conn.AddRule(&nftables.Rule{Table: t.table, Chain: chain, Exprs: join(match, []expr.Any{&expr.Notrack{}})})
	}
}

// addPublic adds to the set of addresses that are rewritten without state; one that is there already is no error.
func (t *translation) addPublic(address netip.Addr) error {
	err := t.change(func(conn *nftables.Conn) error {
		return conn.SetAddElements(t.public, []nftables.SetElement{{Key: address.AsSlice()}})
	})
	if err != nil {
		return fmt.Errorf("outbound NAT in %s: add public address %s: %w", t.namespace.Name, address, err)
	}
	return nil
}

// removePublic takes an address out of the set; that it is gone already is no error.
func (t *translation) removePublic(address netip.Addr) error {
	err := t.change(func(conn *nftables.Conn) error {
		return conn.SetDeleteElements(t.public, []nftables.SetElement{{Key: address.AsSlice()}})
	})
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("outbound NAT in %s: remove public address %s: %w", t.namespace.Name, address, err)
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

// mark compares the packet's mark with RegionalMark.
func mark(operator expr.CmpOp) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Cmp{Op: operator, Register: 1, Data: binaryutil.NativeEndian.PutUint32(RegionalMark)},
	}
}

// address loads an address of the IPv4 header into register 1.
func address(offset uint32) expr.Any {
	return &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4}
}

// isPublic looks an address up in the set.
func (t *translation) isPublic(offset uint32) []expr.Any {
	return []expr.Any{address(offset), &expr.Lookup{SourceRegister: 1, SetName: t.public.Name, SetID: t.public.ID}}
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
