package model

import (
	"net/netip"
	"strings"
)

// ServiceInstance is one instance of a service, whatever the service is: a storage account, a vault, a server, a
// service of the operator's own. Package service says how each type's body becomes one.
type ServiceInstance struct {
	ID       ResourceID
	Service  string  // the name of its description, a folder of service/: "storage"
	Endpoint Service // by which subnets reach it
	Name     string  // as names begin with it: "stvnetstorageendpoints"
	Space    string  // of zones, in which Name is its own; "" where it has no names in zones
	Location Location
	Address  netip.Addr // its own public IPv4 address, out of its service's tag; allotted at creation
	Keys     [2]string  // shared keys, base64; allotted at creation. "" where the service has none
	Created  int64      // when it was made, in microseconds since 1970: another instance of the id has another time
	Rules    NetworkRules
	Ports    []ServicePort
	Labels   []string // what names in zones may begin with beside Name; lower case
	Hosts    []string // full names of its own, beside NAME.ZONE; lower case
	Backends []Backend
	Delivery Delivery

	// Aliases are what policies with the service Global can list it by: "/services/Azure/DataFactory" (SEP-5).
	Aliases []string

	// Prefixes are this instance's share of the service tag of an endpoint of the operator's own: nil where the tag is in
	// the tag file.
	Prefixes []netip.Prefix
}

// NetworkRules is whom an instance lets in, in the one form that all services' rules are brought to. Package firewall
// judges by them.
type NetworkRules struct {
	PublicNetworkAccess bool
	DefaultAllow        bool
	AllowPlatform       bool     // lets in callers of the region without an endpoint, as "allow Azure services" does
	Bypass              []string // AzureServices, Logging, Metrics (FW-9)
	IPRules             []netip.Prefix
	VirtualNetworkRules []VirtualNetworkRule
	ResourceAccessRules []ResourceAccessRule
	Filters             []Filter // named rules, asked in this order before the rest; most services have none
}

// VirtualNetworkRule lets one subnet in. Identity is the subnet's at the time the rule was written, IdentityNone when
// the subnet has since been deleted (networkSourceDeleted, FW-7).
type VirtualNetworkRule struct {
	Subnet   ResourceID
	Identity Identity
}

// ResourceAccessRule lets the managed identity of a resource in (FW-10). The resource may have "*" for its name, and for
// its group: every resource of the type in the scope.
type ResourceAccessRule struct {
	Tenant   string // GUID; "" is the cloud's own, where a service's rules name none
	Resource ResourceID
}

// Matches tells whether the rule is for a resource.
func (r ResourceAccessRule) Matches(id ResourceID) bool {
	want, have := strings.Split(r.Resource.Key(), "/"), strings.Split(id.Key(), "/")
	if len(want) != len(have) {
		return false
	}
	for i := range want {
		if want[i] != have[i] && want[i] != "*" {
			return false
		}
	}
	return true
}

// Filter is a named rule that stands in an order: it allows or denies what it matches. One of Any, Subnet and Prefixes
// is set.
type Filter struct {
	Name     string // as logs call it: "ipSecurityRestrictions office", "firewallRules office"
	Allow    bool
	Any      bool
	Prefixes []netip.Prefix
	Subnet   ResourceID
	Identity Identity // of Subnet, as in VirtualNetworkRule
}

// ServicePort is a TCP port that an instance answers on, and how connections to it are read.
type ServicePort struct {
	Number uint16
	Way    Way
}

// Way is how a connection to a port is read, judged and handed on. A word that is none of the constants is a start-up
// protocol of the service's own: see service.Service.Startups.
type Way string

// The ways that every service can have.
const (
	WayHTTP  Way = "http"  // plain HTTP, terminated: the Host header names the instance
	WayHTTPS Way = "https" // TLS terminated with the cloud's certificate, then HTTP
	WayTLS   Way = "tls"   // TLS passed through: the server name of the ClientHello names the instance
	WayTCP   Way = "tcp"   // passed through unread: the address that it was made to names the instance

	// WayDirect is WayTCP without a proxy: each packet is judged on its way to the backend, in the kernel where the gateway
	// can.
	WayDirect Way = "direct"
)

// Backend is one server behind an instance.
type Backend struct {
	Part    string // sub-service that it serves: "blob"; "" for all
	Address string // host:port
	Weight  int    // share of new connections; at least 1
}

// Delivery is how connections are handed to backends.
type Delivery struct {
	ProxyProtocol bool   // begin each with a PROXY protocol v2 header, which has the caller's private address
	HealthPath    string // of an HTTP GET that a living backend answers below 400; "": that it accepts connections
}

// Zone is a DNS zone below which the instances of a service have names: LABEL.SUFFIX.
type Zone struct {
	Suffix  string // lower case, without dots around it: "blob.core.windows.net"
	Service string // whose description it is
	Space   string // in which labels are unique: instances of several services can share one
	Part    string // the sub-service that the names mean; "" where there is one
	Parent  string // the zone that answers for it and its siblings: "core.windows.net"; "" is Suffix
	Inner   bool   // one more label may stand between label and suffix: st.z6.web.core.windows.net
}

// Apex is Parent or Suffix.
func (z Zone) Apex() string {
	if z.Parent != "" {
		return z.Parent
	}
	return z.Suffix
}

// Label is the label that a name of the zone begins with: of an instance's, or of none. name is in lower case.
func (z Zone) Label(name string) (string, bool) {
	label, ok := strings.CutSuffix(name, "."+z.Suffix)
	if z.Inner {
		label, _, _ = strings.Cut(label, ".")
	}
	return label, ok && label != "" && !strings.Contains(label, ".")
}
