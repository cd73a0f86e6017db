package service

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"postern/model"
)

func database(t *testing.T, name, properties string) (*Instance, error) {
	t.Helper()
	into := &Instance{ServiceInstance: model.ServiceInstance{Name: name}}
	err := ReadDatabase(&Body{JSON: []byte(`{"properties":{` + properties + `}}`), Subnet: func(id, field string) (model.ResourceID, error) {
		if id == "" {
			return "", Refuse(CodeInvalidFormat, field, "no subnet")
		}
		return model.ResourceID(id), nil
	}}, into)
	return into, err
}

func TestReadDatabase(t *testing.T) {
	rule := func(first, last string) string {
		return fmt.Sprintf(`"firewallRules":[{"name":"office","properties":{"startIpAddress":"%s","endIpAddress":"%s"}}]`, first, last)
	}
	subnet := func(n int) string {
		return fmt.Sprintf(`{"name":"r%d","properties":{"virtualNetworkSubnetId":"/s/%d","ignoreMissingVnetServiceEndpoint":true}}`, n, n)
	}
	t.Run("FW-1 a server without rules lets nobody in", func(t *testing.T) {
		got, err := database(t, "Contoso", "")
		if err != nil || got.Name != "contoso" || got.Rules.DefaultAllow || got.Rules.AllowPlatform || len(got.Rules.Filters) != 0 || !got.Rules.PublicNetworkAccess {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	t.Run("FW-4 a range becomes the prefixes that have it exactly", func(t *testing.T) {
		got, err := database(t, "contoso", rule("203.0.113.5", "203.0.113.16"))
		if err != nil || len(got.Rules.Filters) != 1 {
			t.Fatalf("got %+v, %v", got, err)
		}
		if text := fmt.Sprint(got.Rules.Filters[0].Prefixes); text != "[203.0.113.5/32 203.0.113.6/31 203.0.113.8/29 203.0.113.16/32]" || got.Rules.Filters[0].Name != "firewallRules office" {
			t.Errorf("got %s", text)
		}
		if got, err = database(t, "contoso", rule("0.0.0.0", "255.255.255.255")); err != nil || fmt.Sprint(got.Rules.Filters[0].Prefixes) != "[0.0.0.0/0]" {
			t.Errorf("all addresses: got %+v, %v", got, err)
		}
	})
	t.Run("FW-5 the rule 0.0.0.0 is for Azure's own addresses alone", func(t *testing.T) {
		got, err := database(t, "contoso", rule("0.0.0.0", "0.0.0.0"))
		if err != nil || !got.Rules.AllowPlatform || len(got.Rules.Filters) != 0 {
			t.Errorf("got %+v, %v", got.Rules, err)
		}
	})
	t.Run("FW-6 FW-8 subnets and publicNetworkAccess", func(t *testing.T) {
		got, err := database(t, "contoso", `"publicNetworkAccess":"Disabled","virtualNetworkRules":[`+subnet(1)+`]`)
		if source := got.Sources["/s/1"]; err != nil || got.Rules.PublicNetworkAccess || !source.IgnoreMissing || !source.Apart {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	t.Run("FW-11 128 subnets", func(t *testing.T) {
		var list []string
		for n := range 129 {
			list = append(list, subnet(n))
		}
		if _, err := database(t, "contoso", `"virtualNetworkRules":[`+strings.Join(list[:128], ",")+`]`); err != nil {
			t.Errorf("128: got %v", err)
		}
		if _, err := database(t, "contoso", `"virtualNetworkRules":[`+strings.Join(list, ",")+`]`); err == nil {
			t.Error("129 are taken")
		}
	})
	for _, test := range []struct{ what, name, properties, code string }{
		{"a name of two letters", "ab", "", "InvalidServerName"},
		{"a name with a dot", "a.b.c", "", "InvalidServerName"},
		{"FW-4 no address", "contoso", rule("office", "203.0.113.5"), "InvalidFirewallRuleIpAddress"},
		{"FW-4 IPv6", "contoso", rule("203.0.113.5", "::1"), "InvalidFirewallRuleIpAddress"},
		{"FW-4 backwards", "contoso", rule("203.0.113.5", "203.0.113.4"), "InvalidFirewallRuleIpAddressRange"},
		{"a subnet twice", "contoso", `"virtualNetworkRules":[` + subnet(1) + "," + subnet(1) + `]`, "VirtualNetworkRuleAlreadyExists"},
		{"a rule without a subnet", "contoso", `"virtualNetworkRules":[{"name":"r","properties":{}}]`, CodeInvalidFormat},
		{"FW-8 no such word", "contoso", `"publicNetworkAccess":"Perhaps"`, CodeInvalidFormat},
	} {
		t.Run("refused: "+test.what, func(t *testing.T) {
			_, err := database(t, test.name, test.properties)
			var refusal *Refusal
			if !errors.As(err, &refusal) || refusal.Code != test.code {
				t.Errorf("got %v, want %s", err, test.code)
			}
		})
	}
}

// Any range is covered exactly: its ends are in, their neighbours are not, and no prefix overlaps another.
func FuzzPrefixesOf(f *testing.F) {
	f.Add(uint32(0), uint32(0xffffffff))
	f.Add(uint32(1), uint32(0xfffffffe))
	f.Add(uint32(0xffffffff), uint32(0xffffffff))
	f.Fuzz(func(t *testing.T, one, other uint32) {
		address := func(n uint32) netip.Addr {
			return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		}
		first, last := min(one, other), max(one, other)
		var covered uint64
		for _, prefix := range prefixesOf(address(first), address(last)) {
			if prefix != prefix.Masked() {
				t.Fatalf("%s has host bits", prefix)
			}
			if covered == 0 && prefix.Addr() != address(first) || covered > 0 && prefix.Addr() != address(first+uint32(covered)) {
				t.Fatalf("%s does not follow what is before it", prefix)
			}
			covered += 1 << (32 - prefix.Bits())
		}
		if covered != uint64(last-first)+1 {
			t.Fatalf("%d addresses are covered, want %d", covered, uint64(last-first)+1)
		}
	})
}
