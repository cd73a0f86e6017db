package tableservice

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
)

type pathKey struct{}

// ByPath says that a request is in path style: its path begins with the account, "/ACCOUNT", because its Host names none.
// Whoever calls it has checked that.
func ByPath(r *http.Request, account string) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), pathKey{}, account))
}

// addressed finds the account that a request is for, and what the addresses of its resources begin with.
func (s *Service) addressed(r *http.Request) (account, base string, ok bool) {
	scheme := "https://"
	if r.TLS == nil {
		scheme = "http://"
	}
	if account, ok = r.Context().Value(pathKey{}).(string); ok {
		return account, scheme + r.Host + "/" + account, true
	}
	if account, ok = s.accountName(r.Host); !ok {
		return "", "", false
	}
	return account, scheme + account + ".table." + s.options.Suffix, true
}

// parsePath reads the path of a request, or of a part of its batch.
func (c *call) parsePath(address *url.URL) (resource, *Fault) {
	path := address.Path
	if _, byPath := c.request.Context().Value(pathKey{}).(string); byPath {
		var ok bool
		if path, ok = strings.CutPrefix(path, "/"+c.name); !ok || path != "" && path[0] != '/' {
			return resource{}, faultURI
		}
		if path == "" {
			path = "/"
		}
	}
	return parsePath(path)
}

// accountName takes the account out of a Host header: ACCOUNT.table.SUFFIX, with or without a port.
func (s *Service) accountName(host string) (string, bool) {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	name, ok := strings.CutSuffix(strings.TrimSuffix(strings.ToLower(host), "."), ".table."+s.options.Suffix)
	if !ok || len(name) < 3 || len(name) > 24 {
		return "", false
	}
	for _, c := range []byte(name) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return "", false
		}
	}
	return name, true
}
