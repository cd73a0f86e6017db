package gateway

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"postern/model"
	"postern/plan"
	"postern/service"
	"postern/service/all"
)

// Instance is a plan's instance with its description.
type Instance struct {
	plan.Instance
	Described *service.Service
	key       string // of the id, which endpoint policies are asked for
}

// Target is whom a name asks for.
type Target struct {
	Instance  *Instance        // nil: nobody of this region
	Service   *service.Service // nil where nobody knows
	Name      string           // of the instance, in lower case
	Part      string           // sub-service; "" where there is one
	Elsewhere bool             // another region has it
}

// same tells whether both ask for one instance, of whichever sub-service.
func (t Target) same(other Target) bool {
	if t.Instance != nil || other.Instance != nil {
		return t.Instance == other.Instance
	}
	return t.Service == other.Service && t.Name == other.Name
}

// maxHostLength is the longest DNS name (RFC 1035 section 2.3.4) with ":65535".
const maxHostLength = 253 + 6

// hostName is the name in a Host header or a server name (SNI): in lower case, without a port and one final dot.
func hostName(host string) (string, error) {
	if len(host) > maxHostLength {
		return "", fmt.Errorf("read host: %d bytes is longer than any name", len(host))
	}
	for i := range len(host) {
		// Unicode has letters whose lower case is an ASCII one; DNS has not.
		if host[i] <= ' ' || host[i] >= 0x7f {
			return "", fmt.Errorf("read host %q: it has bytes that no name has", host)
		}
	}
	name, port, hasPort := strings.Cut(strings.ToLower(host), ":")
	if hasPort && !digits(port) {
		return "", fmt.Errorf("read host %q: the port is no number", host)
	}
	return strings.TrimSuffix(name, "."), nil
}

func digits(text string) bool {
	return text != "" && len(text) <= 5 && strings.Trim(text, "0123456789") == ""
}

// zones are the DNS zones of a plan, by suffix.
type zones map[string][]model.Zone

func zonesOf(list []model.Zone) zones {
	z := make(zones, len(list))
	for _, zone := range list {
		z[zone.Suffix] = append(z[zone.Suffix], zone)
	}
	return z
}

// defaultZones stand in while there is no plan: a refusal has the form of the service that was asked for.
var defaultZones = zonesOf(all.Zones(model.DefaultSettings))

// of finds the zones that a name is in, and the label that it begins with. They differ in their service alone.
func (z zones) of(name string) (list []model.Zone, label string) {
	label, rest, _ := strings.Cut(name, ".")
	list = z[rest]
	if len(list) == 0 {
		_, rest, _ = strings.Cut(rest, ".")
		if list = z[rest]; len(list) == 0 || !list[0].Inner {
			return nil, ""
		}
	}
	if _, ok := list[0].Label(name); !ok {
		return nil, ""
	}
	return list, label
}

// guess is the sub-service that a name most likely means, for the form of an error about the name itself.
func (z zones) guess(host string) (*service.Service, string) {
	labels := strings.SplitN(strings.ToLower(host), ".", 3)
	if len(labels) < 3 {
		return nil, ""
	}
	for _, list := range z {
		for _, zone := range list {
			if zone.Part != "" && zone.Part == labels[1] {
				return all.Named(zone.Service), zone.Part
			}
		}
	}
	return nil, ""
}

// Find reads whom a Host header or a server name asks for: LABEL.ZONE of a service's zones, or a full name of an
// instance's own. The error says what is wrong with a name that is nobody's form.
func (s *Snapshot) Find(host string) (Target, error) {
	name, err := hostName(host)
	if err != nil {
		return Target{}, err
	}
	if s != nil {
		if instance, ok := s.names[name]; ok {
			return instance.target(""), nil
		}
		if _, known := s.plan.Names[name]; known {
			return Target{Name: name, Elsewhere: true}, nil
		}
		if address, err := netip.ParseAddr(name); err == nil {
			// A name of its own is what an address is to a service whose instances have no zone.
			if instance := s.addresses[address]; instance != nil && instance.Space == "" {
				return instance.target(""), nil
			}
		}
	}
	list, label := s.zonesInForce().of(name)
	if len(list) == 0 {
		return Target{}, fmt.Errorf("read host %q: it is in none of the services' zones", host)
	}
	zone := list[0]
	described := all.Named(zone.Service)
	if described == nil || !described.NameIsValid(label) {
		return Target{}, fmt.Errorf("read host %q: %q can be no name of an instance below %s", host, label, zone.Suffix)
	}
	target := Target{Service: described, Name: label, Part: zone.Part}
	if s == nil {
		return target, nil
	}
	key := plan.NameKey(zone.Space, label)
	if instance, ok := s.names[key]; ok {
		// Services that share a space share the zone, each with its own words for the part.
		for _, zone := range list {
			if zone.Service == instance.Service {
				return instance.target(zone.Part), nil
			}
		}
		return instance.target(zone.Part), nil
	}
	_, target.Elsewhere = s.plan.Names[key]
	return target, nil
}

func (i *Instance) target(part string) Target {
	return Target{Instance: i, Service: i.Described, Name: strings.ToLower(i.Name), Part: part}
}

func (s *Snapshot) zonesInForce() zones {
	if s == nil {
		return defaultZones
	}
	return s.zones
}

// errMisdirected says that a connection made for one instance was used for another.
var errMisdirected = errors.New("read host: it names another instance than the TLS server name: open a connection of its own")

// asked reads whom a request asks for, by its Host and, under TLS, its server name, which must not name different
// instances: what was negotiated for one is not to be used for the other (RFC 9110 section 7.4). A client without server
// name is judged by its Host alone.
func (s *Snapshot) asked(host, serverName string) (Target, error) {
	target, err := s.Find(host)
	if err != nil || serverName == "" {
		return target, err
	}
	negotiated, err := s.Find(serverName)
	if err != nil || !negotiated.same(target) {
		return target, errMisdirected
	}
	return target, nil
}
