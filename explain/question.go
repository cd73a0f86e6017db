package explain

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"postern/model"
)

// Question asks about one packet.
type Question struct {
	From     string         // a NIC: its id, or its name
	To       string         // HOST:PORT, where HOST is an IPv4 address or a name that the platform resolves
	Protocol model.Protocol // ProtocolTCP or ProtocolUDP; 0 is TCP
}

// ParseTarget reads HOST:PORT. HOST is not looked up.
func ParseTarget(text string) (host string, port uint16, err error) {
	host, number, err := net.SplitHostPort(text)
	if err != nil || host == "" {
		return "", 0, fmt.Errorf("target %q: want HOST:PORT, for example 20.60.1.1:443", text)
	}
	parsed, err := strconv.ParseUint(number, 10, 16)
	if err != nil || parsed == 0 {
		return "", 0, fmt.Errorf("target %q: port %q is none: use 1 to 65535", text, number)
	}
	if address, err := netip.ParseAddr(host); err == nil && !address.Unmap().Is4() {
		return "", 0, fmt.Errorf("target %q: VMs have IPv4 alone: use an IPv4 address or a name", text)
	}
	return host, uint16(parsed), nil
}

// TargetError tells that a question's target cannot be read, or that its name is none of the cloud's.
type TargetError struct{ Message string }

func (e *TargetError) Error() string { return e.Message }

// NICError tells that a text names no NIC, or several.
type NICError struct {
	Name  string
	Found []model.ResourceID // several NICs of that name; empty: there is none
	Known []string           // the names of all NICs, sorted
}

// maxNamed bounds the names that an error lists.
const maxNamed = 12

func (e *NICError) Error() string {
	if len(e.Found) > 0 {
		ids := make([]string, len(e.Found))
		for i, id := range e.Found {
			ids[i] = string(id)
		}
		return fmt.Sprintf("several NICs are called %q: use the id, one of %s", e.Name, strings.Join(ids, ", "))
	}
	if len(e.Known) == 0 {
		return fmt.Sprintf("there is no NIC %q, and no other one: apply a resource file with network interfaces first", e.Name)
	}
	names, more := e.Known, ""
	if len(names) > maxNamed {
		names, more = names[:maxNamed], fmt.Sprintf(" and %d more", len(names)-maxNamed)
	}
	return fmt.Sprintf("there is no NIC %q: use one of %s%s", e.Name, strings.Join(names, ", "), more)
}

// FindNIC finds a NIC by its id, by the end of its id ("networkInterfaces/nic-app") or by its name, whatever the case. The
// error is a *NICError.
func FindNIC(snapshot *model.Snapshot, text string) (*model.NetworkInterface, error) {
	var found []*model.NetworkInterface
	key := strings.ToLower(strings.Trim(text, "/"))
	for i := range snapshot.NetworkInterfaces {
		nic := snapshot.NetworkInterfaces[i]
		if key != "" && strings.HasSuffix(nic.ID.Key(), "/"+key) {
			found = append(found, nic)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	err := &NICError{Name: text}
	for _, nic := range found {
		err.Found = append(err.Found, nic.ID)
	}
	for _, nic := range snapshot.NetworkInterfaces {
		err.Known = append(err.Known, nic.ID.Name())
	}
	slices.Sort(err.Known)
	return nil, err
}
