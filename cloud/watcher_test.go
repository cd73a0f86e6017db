package cloud

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"postern/resource"
)

// door is a client of the cloud's Resource Manager API, without any SDK.
type door struct {
	*stage
	base, token string
	client      *http.Client
}

func (s *stage) openDoor() *door {
	s.t.Helper()
	opened, err := s.Control().OpenDoor(s.ctx, "localhost:0", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.CA())
	d := &door{stage: s, base: opened.URL, client: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}}
	s.t.Cleanup(d.client.CloseIdleConnections)
	answer, err := d.client.PostForm(opened.URL+"/adfs/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {opened.ClientID},
		"client_secret": {opened.Secret}, "resource": {opened.URL}})
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	var given struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&given); err != nil || given.Token == "" {
		s.t.Fatalf("no token: %s, %v", answer.Status, err)
	}
	d.token = given.Token
	return d
}

// ask posts a question to the network watcher of the group demo, and reads the answer into a value.
func (d *door) ask(action string, question map[string]any, answer any) {
	d.t.Helper()
	body, err := json.Marshal(question)
	if err != nil {
		d.t.Fatal(err)
	}
	address := fmt.Sprintf("%s/subscriptions/%s/resourceGroups/demo/providers/Microsoft.Network/networkWatchers/watcher/%s?api-version=2024-05-01",
		d.base, resource.DefaultSubscription, action)
	request, err := http.NewRequestWithContext(d.ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+d.token)
	got, err := d.client.Do(request)
	if err != nil {
		d.t.Fatal(err)
	}
	defer got.Body.Close()
	data, err := io.ReadAll(got.Body)
	if err != nil || got.StatusCode != http.StatusOK {
		d.t.Fatalf("%s: %s %s %v", action, got.Status, data, err)
	}
	if err := json.Unmarshal(data, answer); err != nil {
		d.t.Fatal(err)
	}
}

// connects tells whether a connection really comes about.
func (s *stage) connects(from Machine, target string) bool {
	ctx, cancel := context.WithTimeout(s.ctx, time.Second)
	defer cancel()
	conn, err := from.DialContext(ctx, "tcp", target)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// TestWatcher compares what the network watcher answers with what real packets do.
func TestWatcher(t *testing.T) {
	onBothDataPaths(t, func(t *testing.T, dataPath string) {
		s := start(t, dataPath, "", machines...)
		s.apply("{type: networkWatchers, name: watcher, location: westeurope}", subnet("vnet/app", "10.13.76.0/24", withRouteTable, withGroup), routeTable(), group())
		d := s.openDoor()
		app, far := s.machine("nic-app"), s.machine("nic-far")
		for _, port := range []int{7000, 7001} {
			s.echo(far, port)
			s.echo(app, port)
		}
		vm := func(name string) string { return idOf(t, "Microsoft.Compute/virtualMachines/"+name).String() }
		for _, world := range []struct {
			name          string
			rules, routes []string
		}{
			{"NSG-1 NSG-3 default rules", nil, nil},
			{"NSG-1 out denied", []string{"100 Outbound Deny Tcp VirtualNetwork 10.13.77.0/24 7001"}, nil},
			{"NSG-1 in denied", []string{"100 Inbound Deny Tcp VirtualNetwork * 7000"}, nil},
			{"ROUTE-2 a None route", nil, []string{"10.13.77.0/24 None"}},
			{"ROUTE-14 an appliance that nobody has", nil, []string{"10.13.77.0/24 VirtualAppliance 10.13.78.9"}},
		} {
			t.Run(world.name, func(t *testing.T) {
				s := s.in(t)
				d := &door{stage: s, base: d.base, token: d.token, client: d.client}
				s.apply(group(world.rules...), routeTable(world.routes...))
				for i, flow := range []struct {
					from         Machine
					vm, local    string
					other        Machine
					remote, port string
				}{
					{app, "vm-app", "10.13.76.36", far, "10.13.77.5", "7000"}, {app, "vm-app", "10.13.76.36", far, "10.13.77.5", "7001"},
					{far, "vm-far", "10.13.77.5", app, "10.13.76.36", "7000"}, {far, "vm-far", "10.13.77.5", app, "10.13.76.36", "7001"},
				} {
					target := flow.remote + ":" + flow.port
					real := s.connects(flow.from, target)
					var out, in struct{ Access, RuleName string }
					d.ask("ipFlowVerify", map[string]any{"targetResourceId": vm(flow.vm), "direction": "Outbound", "protocol": "TCP", "localIPAddress": flow.local,
						"localPort": "*", "remoteIPAddress": flow.remote, "remotePort": flow.port}, &out)
					other := map[string]string{"vm-app": "vm-far", "vm-far": "vm-app"}[flow.vm]
					d.ask("ipFlowVerify", map[string]any{"targetResourceId": vm(other), "direction": "Inbound", "protocol": "TCP", "localIPAddress": flow.remote,
						"localPort": flow.port, "remoteIPAddress": flow.local, "remotePort": "*"}, &in)
					var hop, back struct{ NextHopType, NextHopIPAddress string }
					d.ask("nextHop", map[string]any{"targetResourceId": vm(flow.vm), "sourceIPAddress": flow.local, "destinationIPAddress": flow.remote}, &hop)
					d.ask("nextHop", map[string]any{"targetResourceId": vm(other), "sourceIPAddress": flow.remote, "destinationIPAddress": flow.local}, &back)
					told := out.Access == "Allow" && in.Access == "Allow" && hop.NextHopType == "VnetLocal" && back.NextHopType == "VnetLocal"
					if told != real {
						t.Errorf("%s to %s: connects %v, and the watcher says out %+v, in %+v, hops %+v, %+v", flow.vm, target, real, out, in, hop, back)
					}
					if i%2 == 0 { // what is denied takes seconds
						d.wantConnectivity(vm(flow.vm), flow.remote, flow.port, real)
					}
				}
			})
		}
		t.Run("a port that nobody listens on", func(t *testing.T) {
			s := s.in(t)
			s.apply(group(), routeTable())
			d := &door{stage: s, base: d.base, token: d.token, client: d.client}
			issues := d.wantConnectivity(vm("vm-app"), "10.13.77.5", "7009", false)
			if !strings.Contains(issues, "the way is open") {
				t.Errorf("issues %s", issues)
			}
		})
	})
}

// wantConnectivity asks for a connectivity check, compares its outcome and answers what it found wrong.
func (d *door) wantConnectivity(vm, address, port string, real bool) string {
	d.t.Helper()
	var got struct {
		Status string `json:"connectionStatus"`
		Sent   int    `json:"probesSent"`
		Failed int    `json:"probesFailed"`
		Hops   []struct {
			Type   string
			Issues []json.RawMessage
		}
	}
	d.ask("connectivityCheck", map[string]any{"source": map[string]any{"resourceId": vm}, "destination": map[string]any{"address": address, "port": json.Number(port)}}, &got)
	var issues []string
	for _, hop := range got.Hops {
		for _, issue := range hop.Issues {
			issues = append(issues, string(issue))
		}
	}
	want, failed := "Connected", 0
	if !real {
		want, failed = "Disconnected", got.Sent
	}
	if got.Status != want || got.Sent == 0 || got.Failed != failed || (len(issues) == 0) != real {
		d.t.Errorf("connectivity of %s to %s:%s: %+v %v, want %s", vm, address, port, got, issues, want)
	}
	return strings.Join(issues, " ")
}
