package arm

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"postern/explain"
	"postern/model"
	"postern/resource"
)

// Probe opens a TCP connection from a NIC's machine to HOST:PORT and closes it, and tells how long the opening took.
type Probe func(ctx context.Context, nic model.ResourceID, target string) (time.Duration, error)

// probes is how many connections a check opens, at the same time, and probePatience how long each may take.
const (
	probes        = 4
	probePatience = 2 * time.Second
)

type connectivity struct {
	Hops    []hop  `json:"hops"`
	Status  string `json:"connectionStatus"`
	Average *int64 `json:"avgLatencyInMs,omitempty"`
	Minimum *int64 `json:"minLatencyInMs,omitempty"`
	Maximum *int64 `json:"maxLatencyInMs,omitempty"`
	Sent    int    `json:"probesSent"`
	Failed  int    `json:"probesFailed"`
}

type hop struct {
	Type       string   `json:"type"`
	ID         string   `json:"id"`
	Address    string   `json:"address,omitempty"`
	ResourceID string   `json:"resourceId,omitempty"`
	Next       []string `json:"nextHopIds"`
	Previous   []string `json:"previousHopIds"`
	Issues     []issue  `json:"issues"`
}

type issue struct {
	Origin   string              `json:"origin"`
	Severity string              `json:"severity"`
	Type     string              `json:"type"`
	Context  []map[string]string `json:"context"`
}

// checkConnectivity answers whether a VM reaches a destination: the way and what is wrong with it by the pipeline, and where
// the machines are within reach, whether connections that are really opened come about.
func checkConnectivity(r *request) (int, any, error) {
	var question struct {
		Source struct {
			ID string `json:"resourceId"`
		} `json:"source"`
		Destination struct {
			ID      string `json:"resourceId"`
			Address string `json:"address"`
			Port    int    `json:"port"`
		} `json:"destination"`
		Protocol string `json:"protocol"`
	}
	w, err := r.watch(&question)
	if err != nil {
		return 0, nil, err
	}
	machine, err := w.machine(question.Source.ID)
	if err != nil {
		return 0, nil, err
	}
	own := w.interfaces(machine)
	if len(own) == 0 {
		return 0, nil, badQuestion("source.resourceId", "Virtual machine %s has no network interface.", machine.ID.Name())
	}
	host, port := question.Destination.Address, question.Destination.Port
	if question.Destination.ID != "" {
		if host, err = w.addressOf(question.Destination.ID); err != nil {
			return 0, nil, err
		}
	}
	target, err := destination(host, port, question.Protocol)
	if err != nil {
		return 0, nil, err
	}
	cloud, err := w.cloud()
	if err != nil {
		return 0, nil, err
	}
	told, err := explain.Packet(cloud, explain.Question{From: string(own[0].ID), To: target, Protocol: model.ProtocolTCP})
	if err != nil {
		return 0, nil, unjudged(err)
	}
	answer := connectivity{Hops: w.hops(told, own[0]), Status: "Disconnected"}
	if told.Verdict.Allowed {
		answer.Status = "Connected"
	}
	if r.door.Probe != nil && !machine.Stopped {
		answer.probe(r.Context(), r.door.Probe, own[0].ID, target)
	}
	return http.StatusOK, answer, nil
}

// addressOf is the private address of a VM's first NIC.
func (w *watch) addressOf(target string) (string, error) {
	id, err := resource.ParseID(target)
	if err != nil {
		return "", badQuestion("destination.resourceId", "'%.200s' is not the id of a resource.", target)
	}
	if err := w.readable(id); err != nil {
		return "", err
	}
	for i := range w.snapshot.VirtualMachines {
		machine := w.snapshot.VirtualMachines[i]
		if own := w.interfaces(machine); machine.ID.Is(id.Model()) && len(own) > 0 {
			return own[0].IPv4.String(), nil
		}
	}
	return "", resource.NotFound(id)
}

// destination reads what to connect to: an address or a name with a port, or a URL, as HOST:PORT.
func destination(host string, port int, protocol string) (string, error) {
	standard := 0
	switch strings.ToLower(protocol) {
	case "", "tcp":
	case "http":
		standard = 80
	case "https":
		standard = 443
	default:
		return "", badQuestion("protocol", "The protocol '%.40s' cannot be checked: use Tcp, Http or Https.", protocol)
	}
	if address, err := url.Parse(host); err == nil && address.Host != "" {
		host = address.Hostname()
		standard = map[string]int{"http": 80, "https": 443}[address.Scheme]
		if number, err := strconv.Atoi(address.Port()); err == nil {
			standard = number
		}
	}
	if port == 0 {
		port = standard
	}
	if host == "" {
		return "", badQuestion("destination", "A destination has an address or a resourceId.")
	}
	if port < 1 || port > 65535 {
		return "", badQuestion("destination.port", "The port %d is none: use 1 to 65535.", port)
	}
	return net.JoinHostPort(host, strconv.Itoa(port)), nil
}

// hops is the way that explain told: the source, then where the packet ends, with what is wrong at either.
func (w *watch) hops(told *explain.Explanation, nic *model.NetworkInterface) []hop {
	source := hop{Type: "Source", ID: uuid.NewString(), Address: nic.IPv4.String(), ResourceID: string(nic.ID), Next: []string{}, Previous: []string{}, Issues: []issue{}}
	last := hop{Type: "Internet", ID: uuid.NewString(), Previous: []string{source.ID}, Next: []string{}, Issues: []issue{}}
	if told.To.Address.IsValid() {
		last.Address = told.To.Address.String()
	}
	switch {
	case told.Verdict.Outcome == explain.Appliance, len(told.Routes) > 0 && told.Routes[0].NextHopType == model.NextHopVirtualAppliance:
		last.Type = "VirtualAppliance"
		if len(told.Routes) > 0 && told.Routes[0].NextHopIP.IsValid() {
			last.Address = told.Routes[0].NextHopIP.String()
		}
	case len(told.Routes) > 0 && told.Routes[0].State == explain.Winner && told.Routes[0].NextHopType != model.NextHopInternet:
		last.Type = told.Routes[0].NextHopType.String()
	}
	for i := range w.snapshot.NetworkInterfaces {
		other := w.snapshot.NetworkInterfaces[i]
		if other.IPv4.String() == last.Address && last.Type != "Internet" && told.Verdict.At == other.Node {
			last.ResourceID = string(other.ID)
			if last.Type != "VirtualAppliance" {
				last.Type = "VirtualNetwork"
			}
		}
	}
	source.Next = []string{last.ID}
	if !told.Verdict.Allowed {
		wrong := issueOf(told)
		if wrong.Origin == "Outbound" {
			source.Issues = append(source.Issues, wrong)
		} else {
			last.Issues = append(last.Issues, wrong)
		}
	}
	return []hop{source, last}
}

// issueOf is a denial as ARM has it.
func issueOf(told *explain.Explanation) issue {
	wrong := issue{Origin: "Inbound", Severity: "Error", Type: "Platform"}
	if told.Verdict.At == told.From.Node {
		wrong.Origin = "Outbound"
	}
	context := func(key, value string) {
		wrong.Context = append(wrong.Context, map[string]string{"key": key, "value": value})
	}
	switch told.Verdict.Reason {
	case model.ReasonSecurityGroup.String():
		wrong.Type = "NetworkSecurityRule"
		if last := told.Steps[len(told.Steps)-1]; last.Decided != nil {
			name := "UserRule_" + last.Decided.Rule
			if last.Decided.Default() {
				name = "DefaultRule_" + last.Decided.Rule
			}
			context("RuleName", name)
		}
		// A host may carry both ends: the step's list says whose rule it was.
		if delivered(told) {
			wrong.Origin = "Inbound"
		}
	case model.ReasonRouteNone.String(), model.ReasonNoGateway.String(), model.ReasonApplianceUnowned.String(),
		model.ReasonApplianceNotForwarding.String(), model.ReasonApplianceLoop.String():
		if len(told.Routes) > 0 && told.Routes[0].Source == model.SourceUser {
			wrong.Type = "UserDefinedRoute"
			context("RouteName", told.Routes[0].Name)
			context("NextHopType", told.Routes[0].NextHopType.String())
		}
	case explain.ReasonNoSuchName:
		wrong.Type = "DnsResolution"
	}
	context("Reason", told.Verdict.Reason)
	context("Detail", told.Verdict.Detail)
	return wrong
}

// delivered tells whether a packet got over the fabric before it was denied: it has been routed.
func delivered(told *explain.Explanation) bool {
	for _, step := range told.Steps[:len(told.Steps)-1] {
		if step.Name == explain.StepRoute {
			return true
		}
	}
	return false
}

// probe opens connections, and says what came of them in place of the pipeline's verdict.
func (c *connectivity) probe(ctx context.Context, try Probe, nic model.ResourceID, target string) {
	ctx, cancel := context.WithTimeout(ctx, probePatience)
	defer cancel()
	var took [probes]time.Duration
	var failed [probes]error
	var all sync.WaitGroup
	for i := range probes {
		all.Go(func() { took[i], failed[i] = try(ctx, nic, target) })
	}
	all.Wait()
	var good []int64
	for i := range probes {
		if failed[i] == nil {
			good = append(good, took[i].Milliseconds())
		}
	}
	c.Sent, c.Failed = probes, probes-len(good)
	if len(good) > 0 {
		low, high, sum := good[0], good[0], int64(0)
		for _, one := range good {
			low, high, sum = min(low, one), max(high, one), sum+one
		}
		average := sum / int64(len(good))
		c.Minimum, c.Maximum, c.Average = &low, &high, &average
	}
	allowed := c.Status == "Connected"
	switch {
	case c.Failed == 0:
		c.Status = "Connected"
	case len(good) > 0:
		c.Status = "Degraded"
	default:
		c.Status = "Disconnected"
	}
	if allowed && c.Failed > 0 {
		last := &c.Hops[len(c.Hops)-1]
		last.Issues = append(last.Issues, issue{Origin: "Inbound", Severity: "Warning", Type: "Unknown",
			Context: []map[string]string{{"key": "Detail", "value": "the way is open; " + errors.Join(failed[:]...).Error()}}})
	}
}
