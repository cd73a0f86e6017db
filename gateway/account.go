package gateway

import (
	"errors"
	"fmt"
	"strings"
)

// The sub-services of a storage account, as the second label of its names and as the log's "service".
const (
	ServiceTable = "table"
	ServiceBlob  = "blob"
	ServiceQueue = "queue"
	ServiceFile  = "file"
	ServiceDFS   = "dfs"
	ServiceWeb   = "web"
)

// Endpoint is which account and which sub-service a name asks for.
type Endpoint struct {
	Account string // lower case, 3 to 24 letters and digits
	Service string // one of the Service constants
}

// maxHostLength is the longest DNS name (RFC 1035 section 2.3.4) with ":65535".
const maxHostLength = 253 + 6

// ParseHost reads a Host header or a server name (SNI): ACCOUNT.SERVICE.SUFFIX, and ACCOUNT.zNN.web.SUFFIX for static
// websites. A port and one final dot are ignored, letters may have any case. suffix is in lower case, without dots
// around it. The names follow https://learn.microsoft.com/azure/storage/common/storage-account-overview.
func ParseHost(host, suffix string) (Endpoint, error) {
	if len(host) > maxHostLength {
		return Endpoint{}, fmt.Errorf("read host: %d bytes is longer than any name: use ACCOUNT.table.%s", len(host), suffix)
	}
	for i := range len(host) {
		// Unicode has letters whose lower case is an ASCII one; DNS has not.
		if host[i] >= 0x80 {
			return Endpoint{}, fmt.Errorf("read host %q: it is not ASCII: use ACCOUNT.table.%s", host, suffix)
		}
	}
	name, port, hasPort := strings.Cut(strings.ToLower(host), ":")
	if hasPort && !digits(port) {
		return Endpoint{}, fmt.Errorf("read host %q: the port is no number: use ACCOUNT.table.%s", host, suffix)
	}
	name = strings.TrimSuffix(name, ".")
	labels, ok := strings.CutSuffix(name, "."+suffix)
	if !ok {
		return Endpoint{}, fmt.Errorf("read host %q: it does not end in .%s: use ACCOUNT.table.%s", host, suffix, suffix)
	}
	account, service, ok := strings.Cut(labels, ".")
	if zone, web, zoned := strings.Cut(service, "."); zoned && web == ServiceWeb && len(zone) > 1 && zone[0] == 'z' && digits(zone[1:]) {
		service = ServiceWeb
	}
	if !ok || !knownService(service) {
		return Endpoint{}, fmt.Errorf("read host %q: it names no storage service: use table, blob, queue, file, dfs or web before .%s", host, suffix)
	}
	if !validAccountName(account) {
		return Endpoint{}, fmt.Errorf("read host %q: %q is no account name: want 3 to 24 letters and digits", host, account)
	}
	return Endpoint{Account: account, Service: service}, nil
}

// errMisdirected says that a connection made for one account was used for another.
var errMisdirected = errors.New("read host: it names another account than the TLS server name: open a connection of its own")

// endpointOf reads whom a request asks for, by its Host and, under TLS, its server name, which must not name different
// accounts: what was negotiated for one is not to be used for the other (RFC 9110 section 7.4). A client without server
// name is judged by its Host alone.
func endpointOf(host, serverName, suffix string) (Endpoint, error) {
	endpoint, err := ParseHost(host, suffix)
	if err != nil || serverName == "" {
		return endpoint, err
	}
	negotiated, err := ParseHost(serverName, suffix)
	if err != nil || negotiated.Account != endpoint.Account {
		return endpoint, errMisdirected
	}
	return endpoint, nil
}

// serviceGuess is the sub-service that a host most likely means, for the form of an error about the host itself.
func serviceGuess(host string) string {
	labels := strings.SplitN(strings.ToLower(host), ".", 3)
	if len(labels) == 3 && knownService(labels[1]) {
		return labels[1]
	}
	return ""
}

func knownService(service string) bool {
	switch service {
	case ServiceTable, ServiceBlob, ServiceQueue, ServiceFile, ServiceDFS, ServiceWeb:
		return true
	}
	return false
}

func validAccountName(name string) bool {
	if len(name) < 3 || len(name) > 24 {
		return false
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

func digits(text string) bool {
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(text) <= 5
}
