package resource

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// answered is ARM's answer about a resource.
func answered(t *testing.T, cloud *Cloud, short string) string {
	t.Helper()
	answer, err := cloud.Render(mustID(t, short), "Succeeded")
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

func publicAddress(t *testing.T, cloud *Cloud, name string) netip.Addr {
	t.Helper()
	for _, public := range cloud.Snapshot().PublicIPAddresses {
		if public.ID.Is(mustID(t, "publicIPAddresses/"+name).Model()) {
			return public.IPv4
		}
	}
	t.Fatalf("no public IP %s", name)
	return netip.Addr{}
}

// TestPublicIPPrefixes covers blocks of addresses that are nobody else's, and public IPs out of them.
func TestPublicIPPrefixes(t *testing.T) {
	const out = `{"location":"westeurope","sku":{"name":"Standard"},"properties":{"publicIPAllocationMethod":"Static","publicIPPrefix":{"id":"publicIPPrefixes/four"}}}`
	cloud := must(t, sample(t), `put publicIPPrefixes/four {"location":"westeurope","properties":{"prefixLength":30}}`,
		`put publicIPPrefixes/half {"location":"westeurope","properties":{"prefixLength":25}}`)
	block := func(name string) netip.Prefix {
		record, _ := cloud.Record(mustID(t, "publicIPPrefixes/"+name))
		return record.Allotted.Block
	}
	four, half := block("four"), block("half")
	if four.Bits() != 30 || four != four.Masked() || half.Bits() != 25 || four.Overlaps(half) || four.Contains(publicAddress(t, cloud, "pip-app")) || half.Contains(publicAddress(t, cloud, "pip-app")) {
		t.Fatalf("the blocks %s and %s beside %s", four, half, publicAddress(t, cloud, "pip-app"))
	}
	for i := range 4 {
		cloud = must(t, cloud, fmt.Sprintf("put publicIPAddresses/of-four-%d %s", i, out))
		if address := publicAddress(t, cloud, fmt.Sprintf("of-four-%d", i)); !four.Contains(address) {
			t.Errorf("%s is not in %s", address, four)
		}
	}
	if answer := answered(t, cloud, "publicIPPrefixes/four"); !strings.Contains(answer, four.String()) || !strings.Contains(answer, "of-four-3") {
		t.Errorf("the prefix: %s", answer)
	}
	_, err := change(t, cloud, "put publicIPAddresses/fifth "+out)
	refused(t, err, "PublicIPPrefixOutOfAddresses", "properties.publicIPPrefix.id")
	for _, want := range []struct{ write, code, field string }{
		{`put publicIPAddresses/of-four-0 {"location":"westeurope","sku":{"name":"Standard"},"properties":{"publicIPAllocationMethod":"Static"}}`, "PublicIPPrefixCannotBeChanged", "properties.publicIPPrefix"},
		{`put publicIPAddresses/thief {"location":"westeurope","properties":{"ipAddress":"` + half.Addr().String() + `"}}`, "PublicIPAddressInUse", "properties.ipAddress"},
		{`put publicIPAddresses/basic {"location":"westeurope","properties":{"publicIPPrefix":{"id":"publicIPPrefixes/half"}}}`, "PublicIPPrefixNeedsStaticStandardAddress", "properties.publicIPPrefix"},
		{`put publicIPPrefixes/four {"location":"westeurope","properties":{"prefixLength":29}}`, "PublicIPPrefixLengthCannotBeChanged", "properties.prefixLength"},
		{`put publicIPPrefixes/none {"location":"westeurope"}`, "InvalidPublicIPPrefixLength", "properties.prefixLength"},
		{`put publicIPPrefixes/large {"location":"westeurope","properties":{"prefixLength":23}}`, "InvalidPublicIPPrefixLength", "properties.prefixLength"},
		{`put publicIPPrefixes/six {"location":"westeurope","properties":{"prefixLength":30,"publicIPAddressVersion":"IPv6"}}`, "InvalidRequestFormat", "properties.publicIPAddressVersion"},
		{`put publicIPPrefixes/full {"location":"westeurope","properties":{"prefixLength":24}}`, "PublicIPPrefixCountLimitReached", "properties.prefixLength"},
		{`put natGateways/ng {"location":"westeurope","properties":{"publicIpPrefixesV6":[{"id":"publicIPPrefixes/four"}]}}`, "InvalidRequestFormat", "properties.publicIpPrefixesV6"},
	} {
		_, err := change(t, cloud, want.write)
		refused(t, err, want.code, want.field)
	}
	_, err = change(t, cloud, "delete publicIPPrefixes/four")
	refused(t, err, "PublicIPPrefixCannotBeDeleted", mustID(t, "publicIPPrefixes/four").String())
	cloud = must(t, cloud, `put natGateways/ng {"location":"westeurope","properties":{"publicIpPrefixes":[{"id":"publicIPPrefixes/half"}]}}`)
	if answer := answered(t, cloud, "publicIPPrefixes/half"); !strings.Contains(answer, "natGateways/ng") {
		t.Errorf("the prefix: %s", answer)
	}
	_, err = change(t, cloud, `put natGateways/second {"location":"westeurope","properties":{"publicIpPrefixes":[{"id":"publicIPPrefixes/half"}]}}`)
	refused(t, err, "PublicIPPrefixInUse", "properties.publicIpPrefixes[0].id")
	// In one batch the prefix comes first, and what was free is taken again.
	cloud = must(t, cloud, "delete natGateways/ng", "delete publicIPPrefixes/half")
	cloud = must(t, cloud, `put publicIPAddresses/together {"location":"westeurope","sku":{"name":"Standard"},"properties":{"publicIPAllocationMethod":"Static","publicIPPrefix":{"id":"publicIPPrefixes/two"}}}`,
		`put publicIPPrefixes/two {"location":"westeurope","properties":{"prefixLength":31}}`)
	if two := block("two"); !two.Contains(publicAddress(t, cloud, "together")) {
		t.Errorf("%s is not in %s", publicAddress(t, cloud, "together"), two)
	}
}

// TestManagedIdentities covers identities of accounts: their own, and such as are resources.
func TestManagedIdentities(t *testing.T) {
	const named = `{"location":"westeurope","identity":{"type":"SystemAssigned,UserAssigned","userAssignedIdentities":{"/subscriptions/00000000-0000-4000-8000-000000000000/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/app":{}}}}`
	_, err := change(t, sample(t), "put storageAccounts/stidentity "+named)
	refused(t, err, "FailedIdentityOperation", "identity.userAssignedIdentities")
	cloud := must(t, sample(t), `put /subscriptions/00000000-0000-4000-8000-000000000000/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/app {"location":"northeurope"}`,
		"put storageAccounts/stidentity "+named)
	id, err := ParseID("/subscriptions/00000000-0000-4000-8000-000000000000/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/app")
	if err != nil {
		t.Fatal(err)
	}
	principal, _ := cloud.Record(id)
	account, _ := cloud.Record(mustID(t, "storageAccounts/stidentity"))
	answer := answered(t, cloud, "storageAccounts/stidentity")
	for _, guid := range []string{principal.Allotted.PrincipalID, principal.Allotted.ClientID, account.Allotted.PrincipalID} {
		if guid == "" || !strings.Contains(answer, guid) {
			t.Errorf("%q is not in %s", guid, answer)
		}
	}
	cloud = must(t, cloud, "put storageAccounts/stidentity "+answer)
	if again := answered(t, cloud, "storageAccounts/stidentity"); again != answer {
		t.Errorf("written back:\n%s\n%s", answer, again)
	}
	cloud = must(t, cloud, `put storageAccounts/stidentity {"location":"westeurope","identity":{"type":"None"}}`)
	if answer := answered(t, cloud, "storageAccounts/stidentity"); strings.Contains(answer, "principalId") {
		t.Errorf("without an identity: %s", answer)
	}
}
