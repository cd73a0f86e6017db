// Package service is the contract between a service and the rest of the system. A service is a folder below this one
// that describes itself in a *Service; service/all lists them, and resource, compile, gateway, platform and arm work
// from that list. A description is data and pure functions: bodies in, nouns and answers out. docs/services.md tells how
// to write one.
//
// The way of a service through the system:
//
//	Type.Decode    an ARM body becomes a *model.ServiceInstance, its network rules in their one form
//	resource       judges and allots: unique name, address, keys, the identity of each subnet that a rule names
//	compile        puts the instance in the plan of its region's gateway, its address in the policies of hosts
//	Zones          say which names it has: platform answers them, the gateway finds the instance by them
//	Ports          say where it listens and how a connection is read: model.Way
//	HTTP, Startups say who is asked for, and how to say no
package service

import (
	"strings"

	"postern/model"
)

// Service describes one service. Nothing in it is changed after it was made.
type Service struct {
	Name     string // of its folder; plans have it, so it never changes
	Endpoint string // the name that subnets enable: "Microsoft.Storage"; "" where each instance has one of its own
	Space    string // in which names of instances are unique; "" is Name. Two services can share one
	Types    []Type

	// Zones are the DNS zones of its names. nil: its instances have full names alone (model.ServiceInstance.Hosts).
	Zones func(model.Settings) []model.Zone

	// ValidName tells whether a label, in lower case, can be an instance's name; nil: any can that DNS takes.
	ValidName func(label string) bool

	// Audiences are what tokens for the service are made for ("https://storage.azure.com"), so that the managed identity
	// of a caller can be known (FW-10). Trusted are the resource types that bypass AzureServices lets in by their managed
	// identity (FW-9).
	Audiences []string
	Trusted   []string

	// Actions are the requests about its resources beside those that all resources have.
	Actions []Action

	// HTTP is how it speaks HTTP; nil: in the plain words of DefaultHTTP.
	HTTP *HTTP

	// Startups are the protocols of its own, by the model.Way of its ports.
	Startups map[model.Way]Startup
}

// Type is one resource type of a service, and how it is read and answered.
type Type struct {
	Name     string // "Microsoft.Storage/storageAccounts"
	Noun     string // for messages: "storage account"
	Children []Child

	// Model and Update are the models of Azure's SDK that a PUT's and a PATCH's body follow, by their names in
	// resource/schema. "": the body is kept as it was written, and a PATCH merges what it has.
	Model, Update string

	Versions []string // API versions, newest first, that clients are told

	// Ours are members of properties that an answer has and no body: they are taken out of what is written.
	Ours []string

	// Kept: there is nothing behind its resources but what instances of the service refer to. They are kept and answered,
	// have no name, address or rules, and Decode may be nil.
	Kept bool

	Manners    Manners
	Keys       bool // instances get two shared keys
	KeysServed bool // the gateways are told them

	// Decode reads a body. Every error is a *Refusal. Name, Location, ID, Address, Keys and Service are set already.
	Decode func(*Body, *Instance) error

	// Render completes an answer, with what Azure fills in where a writer says nothing.
	Render func(*Answer)

	// NameTaken is the refusal of a name that another instance has; nil: a plain one.
	NameTaken func(name string, other model.ResourceID) *Refusal

	// InUse is the refusal to delete what an instance refers to (Instance.Uses); nil: a plain one.
	InUse func(name string, user model.ResourceID) *Refusal

	// EndpointMissing is the refusal of a rule for a subnet without the endpoint (FW-6); nil: a plain one.
	EndpointMissing func(subnet, vnet model.ResourceID) *Refusal
}

// Manners is what the clients of a type take for an answer, where it is not the usual: statuses of HTTP, 0 for the usual one.
type Manners struct {
	Created int // of a creation: 201
	Pending int // of a creation that goes on: Created
	Deleted int // of a deletion: 200

	// Patient are the methods whose clients follow no operation, and take the first answer for the last: it is given when
	// the operation has ended (ARM-1).
	Patient []string
}

// Child is a resource type inside a Type: a collection in ids, and the member of the parent's properties that it is kept
// in. Apart: the parent's own answer does not have it, and a write of the parent leaves it (firewallRules of a server).
type Child struct {
	Collection, Property string
	Apart                bool

	// Patched: it takes PATCH, whose properties replace its own one by one.
	Patched bool

	// Only is the one name that children have: "default" of networkRuleSets. That child is there from the instance's
	// creation, and stays. "": they come and go.
	Only string

	// Model and Manners are as the Type's. Render completes the answer about one child.
	Model   string
	Manners Manners
	Render  func(a *Answer, properties map[string]any)
}

// LabelSpace is Space or Name.
func (s *Service) LabelSpace() string {
	if s.Space != "" {
		return s.Space
	}
	return s.Name
}

// ZoneName is the name of a service's zone: Azure's own, or WORD.SUFFIX in a cloud with a suffix of its own.
func ZoneName(settings *model.Settings, word, azure string) string {
	if settings.ServiceSuffix == "" {
		return azure
	}
	return word + "." + settings.ServiceSuffix
}

// NameIsValid is ValidName, or DNS's own rule for a label (RFC 1123 section 2.1).
func (s *Service) NameIsValid(label string) bool {
	if s.ValidName != nil {
		return s.ValidName(label)
	}
	return ValidLabel(label)
}

// ValidLabel tells whether a text, in lower case, is a label of a DNS name.
func ValidLabel(label string) bool {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	return strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// Spoken is how it speaks HTTP.
func (s *Service) Spoken() *HTTP {
	if s.HTTP != nil {
		return s.HTTP
	}
	return &DefaultHTTP
}
