package explain

import (
	"encoding/json"
	"strings"
	"testing"

	"postern/model"
)

// TestCandidates shows every losing route with the rule that it lost by.
func TestCandidates(t *testing.T) {
	snapshot := demo()
	app(snapshot).ServiceEndpoints = []string{"Microsoft.Storage"}
	routeVia(snapshot, "0.0.0.0/0", model.NextHopVirtualAppliance, "10.10.10.10")
	e := explained(t, cloudOf(t, snapshot), Question{From: "nic-app", To: table(ownAccount)})

	t.Run("ROUTE-17 the winner first, every loser with its rule", func(t *testing.T) {
		want := []struct {
			state CandidateState
			hop   model.NextHopType
			rule  string
		}{
			{Winner, model.NextHopServiceEndpoint, "ROUTE-1"},
			{Loser, model.NextHopVirtualAppliance, "ROUTE-1"},
			{Loser, model.NextHopInternet, "ROUTE-1"}, // the pipeline does not know it: ROUTE-2 took it away before
			{NotEnabled, model.NextHopServiceEndpoint, "ROUTE-9"},
		}
		if len(e.Routes) != len(want) {
			t.Fatalf("got %d candidates, want %d\n%s", len(e.Routes), len(want), text(t, e))
		}
		for i, got := range e.Routes {
			if got.State != want[i].state || got.NextHopType != want[i].hop || got.Rule != want[i].rule || got.Why == "" {
				t.Errorf("candidate %d: got %+v, want %+v", i, got, want[i])
			}
		}
	})
	t.Run("ROUTE-18 names the tag", func(t *testing.T) {
		if e.Routes[0].ServiceTag != "Storage.WestEurope" || e.Routes[0].Name != "Microsoft.Storage" {
			t.Errorf("got %+v", e.Routes[0])
		}
	})
	t.Run("ROUTE-17 the step names the deciding rule", func(t *testing.T) {
		for _, step := range e.Steps {
			if step.Name == StepRoute && step.Rule == "ROUTE-1" && strings.Contains(step.Detail, "Microsoft.Storage") {
				return
			}
		}
		t.Errorf("no such step\n%s", text(t, e))
	})
	t.Run("the JSON form reads back", func(t *testing.T) {
		data, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var back Explanation
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatal(err)
		}
		if text(t, &back) != text(t, e) {
			t.Errorf("it reads back as\n%s", text(t, &back))
		}
		for _, name := range []string{`"verdict":{"allowed":true,"outcome":"service","at":"gateway-we"`, `"nextHopType":"VirtualNetworkServiceEndpoint"`,
			`"state":"Winner"`, `"protocol":"tcp"`, `"revision":7`} {
			if !strings.Contains(string(data), name) {
				t.Errorf("no %s in %s", name, data)
			}
		}
	})
	t.Run("a route that is overridden by ROUTE-13", func(t *testing.T) {
		prefix := e.Routes[0].Prefix.String()
		routeVia(snapshot, prefix, model.NextHopVirtualAppliance, "10.10.10.10")
		e := explained(t, cloudOf(t, snapshot), Question{From: "nic-app", To: table(ownAccount)})
		if e.Verdict.Reason != "appliance-unowned" || e.Routes[1].Rule != "ROUTE-13" || e.Routes[1].Name != "Microsoft.Storage" {
			t.Errorf("got\n%s", text(t, e))
		}
	})
}

func TestText(t *testing.T) {
	snapshot := demo()
	routeVia(snapshot, "0.0.0.0/0", model.NextHopVirtualAppliance, "10.10.10.10")
	e := explained(t, cloudOf(t, snapshot), Question{From: "NIC-APP", To: "198.51.100.9:443"})
	const want = `from  nic-app  10.13.76.36  vnet/snet-app  on host-we-1
to    198.51.100.9:443  tcp

  1  host-we-1  frame           ok    -         IPv4 10.13.76.36 to 198.51.100.9, protocol 6, 40 bytes
  2  host-we-1  source          ok    SE-13     10.13.76.36 is the NIC's own address
  3  host-we-1  flow            ok    NSG-2     no flow: protocol 6, local 10.13.76.36:49152, remote 198.51.100.9:443
  4  host-we-1  security-group  ok    NSG-3     the NIC's security group: there is none, so it allows
  5  host-we-1  security-group  ok    NSG-3     the subnet's security group: there is none, so it allows
  6  host-we-1  route           ok    ROUTE-2   0.0.0.0/0 to VirtualAppliance 10.10.10.10 (udr): wins over Default Internet: udr is preferred at equal length
  7  host-we-1  next-hop        DENY  ROUTE-14  the winning route's next hop is a VirtualAppliance whose address no NIC has

routes that have 198.51.100.9
      PREFIX     SOURCE   NEXT HOP                      NAME  TAG  RULE     WHY
WINS  0.0.0.0/0  User     VirtualAppliance 10.10.10.10  udr   -    ROUTE-2  wins over Default Internet: udr is preferred at equal length
lost  0.0.0.0/0  Default  Internet                      -     -    ROUTE-2  udr is preferred at equal length

DENIED at host-we-1 (appliance-unowned, ROUTE-14): the winning route's next hop is a VirtualAppliance whose address no NIC has
to change it: give a NIC with IP forwarding that address, or remove the route
`
	if got := text(t, e); got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestQuestions(t *testing.T) {
	cloud := cloudOf(t, demo())
	for _, test := range []struct{ name, from, to, want string }{
		{"an unknown NIC names those that exist", "nic-x", "10.0.0.1:80", `there is no NIC "nic-x": use one of nic-app, nic-other`},
		{"part of a name is none", "app", "10.0.0.1:80", `there is no NIC "app"`},
		{"no port", "nic-app", "10.0.0.1", "want HOST:PORT"},
		{"port 0", "nic-app", "10.0.0.1:0", "use 1 to 65535"},
		{"IPv6", "nic-app", "[fd00::1]:80", "IPv4 alone"},
		{"a name outside", "nic-app", "example.org:443", "give its IPv4 address"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := Packet(cloud, Question{From: test.from, To: test.to}); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	for _, from := range []string{"nic-app", string(nicID("nic-app")), "networkInterfaces/Nic-App", strings.ToUpper(string(nicID("nic-app")))} {
		if e := explained(t, cloud, Question{From: from, To: "10.13.77.4:22"}); !e.Verdict.Allowed {
			t.Errorf("from %q: %s", from, text(t, e))
		}
	}
}
