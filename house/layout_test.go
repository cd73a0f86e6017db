//go:build linux && (amd64 || arm64)

package house

import (
	"reflect"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"

	"postern/datapath/kernel/bpf"
	"postern/wire"
)

// btfOf reads the types that the compiled eBPF object was built with.
func btfOf(t *testing.T) *btf.Spec {
	t.Helper()
	collection, err := bpf.LoadPostern()
	if err != nil {
		t.Fatal(err)
	}
	return collection.Types
}

// structure is a C structure of the object, by its name.
func structure(t *testing.T, spec *btf.Spec, name string) *btf.Struct {
	t.Helper()
	var found *btf.Struct
	if err := spec.TypeByName(name, &found); err != nil {
		t.Fatalf("struct %s: %v", name, err)
	}
	return found
}

// A fabric address has its parts at the same bytes in C and in Go.
func TestAddressLayout(t *testing.T) {
	address := structure(t, btfOf(t), "address")
	if address.Size != wire.AddressLen {
		t.Errorf("struct address has %d bytes, package wire says %d", address.Size, wire.AddressLen)
	}
	want := map[string]uint32{"locator": 0, "function": wire.OffsetFunction, "identity": wire.OffsetIdentity, "ipv4": wire.OffsetIPv4}
	for _, member := range address.Members {
		offset, known := want[member.Name]
		if got := member.Offset.Bytes(); !known || got != offset {
			t.Errorf("%s of struct address begins at byte %d, package wire says %d", member.Name, got, offset)
		}
		delete(want, member.Name)
	}
	for name := range want {
		t.Errorf("struct address has no %s", name)
	}
}

// What the driver writes into maps has C's sizes and offsets.
func TestMapLayouts(t *testing.T) {
	spec := btfOf(t)
	for name, of := range map[string]any{
		"node": bpf.PosternNode{}, "nic_key": bpf.PosternNicKey{}, "nic": bpf.PosternNic{},
		"prefix_key": bpf.PosternPrefixKey{}, "route": bpf.PosternRoute{}, "hop": bpf.PosternHop{},
		"item_key": bpf.PosternItemKey{}, "rule": bpf.PosternRule{}, "service_entry": bpf.PosternServiceEntry{},
		"candidate": bpf.PosternCandidate{}, "target": bpf.PosternTarget{}, "directory_key": bpf.PosternDirectoryKey{},
		"place": bpf.PosternPlace{}, "policy_key": bpf.PosternPolicyKey{}, "flow_key": bpf.PosternFlowKey{},
		"flow": bpf.PosternFlow{}, "fragment_key": bpf.PosternFragmentKey{}, "fragment": bpf.PosternFragment{},
		"egress_key": bpf.PosternEgressKey{}, "egress": bpf.PosternEgress{}, "ingress": bpf.PosternIngress{},
		"address": bpf.PosternAddress{}, "locator": bpf.PosternLocator{}, "vip_key": bpf.PosternVipKey{}, "vip": bpf.PosternVip{},
		"backend": bpf.PosternBackend{}, "connection_key": bpf.PosternConnectionKey{}, "connection": bpf.PosternConnection{},
		"dialled": bpf.PosternDialled{}, "event": bpf.PosternEvent{},
	} {
		t.Run(name, func(t *testing.T) {
			c, twin := structure(t, spec, name), reflect.TypeOf(of)
			if uintptr(c.Size) != twin.Size() {
				t.Errorf("%d bytes in C, %d in Go", c.Size, twin.Size())
			}
			for _, member := range c.Members {
				if strings.HasPrefix(member.Name, "pad") {
					continue
				}
				same := func(other string) bool { return strings.EqualFold(other, strings.ReplaceAll(member.Name, "_", "")) }
				field, found := twin.FieldByNameFunc(same)
				if !found || field.Offset != uintptr(member.Offset.Bytes()) {
					t.Errorf("%s begins at byte %d in C, in Go at %d", member.Name, member.Offset.Bytes(), field.Offset)
				}
			}
		})
	}
}
