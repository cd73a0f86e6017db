package explain

import (
	"net/netip"

	"postern/model"
	"postern/pipeline"
)

// Explanation is what becomes of one packet. Its JSON form is stable: members may be added, none is renamed.
type Explanation struct {
	Revision int64       `json:"revision"` // of the cloud that was judged by
	From     Origin      `json:"from"`
	To       Target      `json:"to"`
	Steps    []Step      `json:"steps"`  // in the order of the way; the one that denied is the last
	Routes   []Candidate `json:"routes"` // every route that has the destination, the winner first; empty where none was asked
	Notes    []string    `json:"notes,omitempty"`
	Verdict  Verdict     `json:"verdict"`
}

// Origin is the NIC that the packet is from.
type Origin struct {
	NIC    model.ResourceID `json:"nic"`
	IPv4   netip.Addr       `json:"ipv4"`
	Subnet model.ResourceID `json:"subnet"`
	Node   string           `json:"node"`
}

// Target is where the packet is to go.
type Target struct {
	Host     string     `json:"host"` // as it was asked for: a name or an address
	Address  netip.Addr `json:"address,omitzero"`
	Port     uint16     `json:"port"`
	Protocol string     `json:"protocol"` // "tcp" or "udp"
}

// Step is one step of the judging.
type Step struct {
	Node   string `json:"node"` // whose step it is
	Name   string `json:"name"` // a pipeline step's, or one of the Step constants
	Denied bool   `json:"denied,omitempty"`
	Reason string `json:"reason,omitempty"` // of a denial, and of what a node lets out
	Rule   string `json:"rule,omitempty"`   // id of the rule that decided
	Detail string `json:"detail"`

	Decided *pipeline.Decided `json:"-"` // of a security group's step: the rule that matched
}

// Names of the steps that are not the pipeline's.
const (
	StepResolve      = "resolve"       // a name becomes an address
	StepRoute        = "route"         // the pipeline's too; Routes has the candidates
	StepEdge         = "edge"          // between fabric and Internet
	StepNAT          = "nat"           // default outbound access
	StepInternet     = "internet"      // who has an address there
	StepIdentity     = "identity"      // the gateway reads who calls
	StepNetworkRules = "network-rules" // the gateway judges
	StepOwnAddress   = "own-address"   // the gateway's host judges the packet
	StepListener     = "listener"      // whether anything listens on a port
	StepPlatform     = "platform"      // whose question it is
)

// CandidateState tells what became of a route.
type CandidateState string

// The states of a candidate.
const (
	Winner     CandidateState = "Winner"
	Loser      CandidateState = "Loser"
	NotEnabled CandidateState = "NotEnabled" // an endpoint that would have the destination, if the subnet enabled it
)

// Candidate is one route that has the destination (ROUTE-17).
type Candidate struct {
	State       CandidateState    `json:"state"`
	Prefix      netip.Prefix      `json:"prefix"`
	Source      model.RouteSource `json:"source"`
	NextHopType model.NextHopType `json:"nextHopType"`
	NextHopIP   netip.Addr        `json:"nextHopIpAddress,omitzero"`
	Name        string            `json:"name,omitempty"`       // the user's route, the peer, the endpoint
	ServiceTag  string            `json:"serviceTag,omitempty"` // where the prefix comes from (ROUTE-18)
	Rule        string            `json:"rule"`                 // that decided for or against it
	Why         string            `json:"why"`
}

// Outcome is where a packet ends.
type Outcome string

// The outcomes. All but Denied let the packet through.
const (
	Denied    Outcome = "denied"
	Delivered Outcome = "delivered" // to another NIC
	Appliance Outcome = "appliance" // to a NIC that forwards, whose business the rest is
	Service   Outcome = "service"   // to an instance of a service
	Platform  Outcome = "platform"  // to name resolution or metadata
	Internet  Outcome = "internet"  // out of the cloud
)

// Verdict is the end of the way.
type Verdict struct {
	Allowed bool    `json:"allowed"`
	Outcome Outcome `json:"outcome"`
	At      string  `json:"at"`               // the node that decided, "internet" outside
	Reason  string  `json:"reason"`           // model.Reason or gateway.Reason in words, or no-listener, no-such-name, no-such-host
	Rule    string  `json:"rule,omitempty"`   // id of the rule that decided
	Detail  string  `json:"detail"`           // in words
	Hint    string  `json:"hint,omitempty"`   // what would change a denial
	Caller  string  `json:"caller,omitempty"` // what the other side sees as the sender: IP:port
}

// Reasons of a denial that neither a data path nor a gateway's judgement gives.
const (
	ReasonNoListener = "no-listener"  // nothing listens on the port
	ReasonNoSuchName = "no-such-name" // the platform resolves the name to nothing
	ReasonNoSuchHost = "no-such-host" // nobody on the Internet side has the address
)
