package resource

import (
	"encoding/json"
	"testing"
)

// HYB-3: the state of a half follows the other one.
func TestPeeringState(t *testing.T) {
	cloud := sample(t)
	revision := cloud.Revision
	change := func(do func(*Change) error) {
		t.Helper()
		c := NewChange(cloud, testOptions())
		if err := do(c); err != nil {
			t.Fatal(err)
		}
		outcome, err := c.Finish()
		if err != nil {
			t.Fatal(err)
		}
		revision++
		cloud = outcome.After.At(revision, outcome.Puts)
	}
	put := func(short, body string) {
		t.Helper()
		change(func(c *Change) error { _, err := c.Put(mustID(t, short), json.RawMessage(body)); return err })
	}
	remove := func(short string) {
		t.Helper()
		change(func(c *Change) error { _, err := c.Delete(mustID(t, short)); return err })
	}
	const east, west = "virtualNetworks/east/virtualNetworkPeerings/to-west", "virtualNetworks/west/virtualNetworkPeerings/to-east"
	want := func(what, half, state string) {
		t.Helper()
		if have := at(t, rendered(t, cloud, half), "properties", "peeringState"); have != state {
			t.Errorf("HYB-3 %s: %s is %v, want %s", what, half, have, state)
		}
	}
	network := func(name, space string) {
		put("virtualNetworks/"+name, `{"location":"westeurope","properties":{"addressSpace":{"addressPrefixes":["`+space+`"]}}}`)
	}
	join := func(half, to string) {
		put(half, `{"properties":{"remoteVirtualNetwork":{"id":"`+mustID(t, "virtualNetworks/"+to).String()+`"}}}`)
	}
	network("east", "172.20.0.0/24")
	network("west", "172.20.1.0/24")
	join(east, "west")
	want("one half", east, "Initiated")
	join(west, "east")
	want("both", east, "Connected")
	want("both", west, "Connected")
	remove(west)
	want("the other half has gone", east, "Disconnected")
	put("virtualNetworks/west/subnets/a", `{"properties":{"addressPrefix":"172.20.1.0/25"}}`)
	want("the other network is written", east, "Disconnected")
	join(west, "east")
	want("both again", east, "Connected")
	remove(west)
	remove(east)
	join(east, "west")
	want("a new half", east, "Initiated")
	join(west, "east")
	remove("virtualNetworks/west")
	want("the other network has gone", east, "Disconnected")
}
