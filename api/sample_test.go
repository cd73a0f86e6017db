package api_test

import (
	"net/netip"
	"testing"

	"postern/compile"
	"postern/model"
	"postern/resource"
	"postern/servicetag"
)

// TestSampleCompiles covers the whole way of a resource but the store: file, change, nouns, plans. Accounts get
// addresses out of the built-in service tags.
func TestSampleCompiles(t *testing.T) {
	items, err := resource.LoadFile("../resource/testdata/cloud.yaml")
	if err != nil {
		t.Fatal(err)
	}
	tags := servicetag.BuiltIn()
	front := func(_ string, region model.Location) []netip.Prefix {
		tag, ok := tags.Regional("Storage", region)
		if !ok {
			return nil
		}
		return tags.IPv4(tag.Name)
	}
	empty, err := resource.NewCloud(nil, resource.FirstCounters, 0)
	if err != nil {
		t.Fatal(err)
	}
	change := resource.NewChange(empty, resource.Options{FrontAddresses: front})
	for _, item := range items {
		if _, err := change.Put(item.ID, item.Body); err != nil {
			t.Fatal(err)
		}
	}
	outcome, err := change.Finish()
	if err != nil {
		t.Fatal(err)
	}
	plans, err := new(compile.Compiler).Compile(outcome.After.Snapshot(), tags)
	if err != nil {
		t.Fatal(err)
	}
	if len(plans) != 4 || len(plans["host-b"].Host.NICs) != 1 || len(plans["gateway-we"].Gateway.Instances) != 1 || len(plans["edge-we"].Edge.NICs) != 2 {
		t.Errorf("plans: %+v", plans)
	}
	address := outcome.After.Snapshot().Instances[0].Address
	if region, ok := tags.RegionOf("Storage", address); !ok || region != "westeurope" {
		t.Errorf("the account's address %s is in region %s", address, region)
	}
	if entries := plans["host-b"].Host.Services; len(entries) == 0 {
		t.Error("the host has no service table")
	}
}
