package gateway

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"postern/plan"
)

// askedBy reads whom a request asks for: by its Host, as asked does, or in path style. root is what the path begins with
// in that case, "/NAME", and "" otherwise.
//
// Path style is for requests whose Host is the name of nobody and has not the form of one: an address, or a single label.
// They must have come to an address of a service that knows that style. So a Host that names an instance, or could, is
// never outvoted by a path, and a path means nothing but itself there.
func (s *Snapshot) askedBy(r *http.Request, caller Caller) (target Target, root string, err error) {
	serverName := ""
	if r.TLS != nil {
		serverName = r.TLS.ServerName
	}
	target, err = s.asked(r.Host, serverName)
	described := s.serviceFor(caller)
	if err == nil || s == nil || described == nil || described.Spoken().ByPath == nil || !nameless(r.Host) {
		return target, "", err
	}
	label, part, ok := described.Spoken().ByPath(caller.Port, r.URL.EscapedPath())
	if !ok {
		return Target{Service: described, Part: part}, "", err
	}
	target = Target{Service: described, Name: label, Part: part}
	key := plan.NameKey(described.LabelSpace(), label)
	if instance, here := s.names[key]; here && instance.Described == described {
		target = instance.target(part)
	} else {
		_, target.Elsewhere = s.plan.Names[key]
	}
	if serverName != "" {
		if negotiated, err := s.Find(serverName); err != nil || !negotiated.same(target) {
			return target, "", errMisdirected
		}
	}
	return target, "/" + label, nil
}

// nameless tells whether a Host is an address or a single label, with or without a port.
func nameless(host string) bool {
	if _, err := netip.ParseAddrPort(host); err == nil {
		return true
	}
	if _, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")); err == nil {
		return true
	}
	name, err := hostName(host)
	return err == nil && name != "" && !strings.Contains(name, ".")
}

// below is a request as it would be under the instance's own name: without the root of its path. It is to be looked at,
// not to be served.
func below(root string, r *http.Request) *http.Request {
	if root == "" {
		return r
	}
	looked := *r
	looked.URL = &url.URL{Path: "/" + strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, root), "/"), RawQuery: r.URL.RawQuery}
	return &looked
}
