package platform

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"postern/model"
	"postern/plan"
)

// instance is the document about a VM, as far as the plan knows it. Members that Azure has and this has not (size, image,
// disks, MAC addresses) are left out, not made up.
type instance struct {
	Compute compute `json:"compute"`
	Network network `json:"network"`
}

type compute struct {
	Location          string `json:"location"`
	Name              string `json:"name"`
	Provider          string `json:"provider"`
	ResourceGroupName string `json:"resourceGroupName"`
	ResourceID        string `json:"resourceId"`
	SubscriptionID    string `json:"subscriptionId"`
}

type network struct {
	Interface []networkInterface `json:"interface"`
}

type networkInterface struct {
	IPv4 ipv4Addresses `json:"ipv4"`
}

type ipv4Addresses struct {
	IPAddress []ipAddress `json:"ipAddress"`
}

type ipAddress struct {
	PrivateIPAddress string `json:"privateIpAddress"`
}

// serveInstance answers about the VM that asks. path is what follows /metadata/instance: "" is the whole document,
// "compute" or "network/interface/0" a part of it; a leaf wants format=text.
func (s *Service) serveInstance(w http.ResponseWriter, r *http.Request, v *view, machine plan.Machine, path string) {
	if machine.VM == "" {
		s.refuse(w, http.StatusNotFound, "not_found", "The NIC belongs to no virtual machine.")
		return
	}
	found, ok := descend(v.describe(machine), path)
	if !ok {
		s.refuse(w, http.StatusNotFound, "not_found", "The instance has no such member.")
		return
	}
	leaf, isLeaf := found.(string)
	switch format := r.URL.Query().Get("format"); {
	case isLeaf && strings.EqualFold(format, "text"):
		s.counters.instances.Add(1)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write([]byte(leaf)) // the client is gone: nothing to tell it
	case !isLeaf && (format == "" || strings.EqualFold(format, "json")):
		s.counters.instances.Add(1)
		writeJSON(w, http.StatusOK, found)
	default:
		s.refuse(w, http.StatusBadRequest, "invalid_request", "A single value is answered with format=text, anything else with format=json.")
	}
}

func (v *view) describe(machine plan.Machine) instance {
	described := instance{
		Compute: compute{
			Location: string(v.location), Name: machine.VM.Name(), Provider: "Microsoft.Compute", ResourceID: string(machine.VM),
			SubscriptionID: segmentAfter(machine.VM, "subscriptions"), ResourceGroupName: segmentAfter(machine.VM, "resourceGroups"),
		},
		Network: network{Interface: []networkInterface{}},
	}
	for _, one := range v.byVM[machine.VM.Key()] {
		described.Network.Interface = append(described.Network.Interface,
			networkInterface{IPv4: ipv4Addresses{IPAddress: []ipAddress{{one.IPv4.String()}}}})
	}
	return described
}

// segmentAfter is the segment of an id that follows name: the subscription, the resource group.
func segmentAfter(id model.ResourceID, name string) string {
	segments := strings.Split(string(id), "/")
	for i := range len(segments) - 1 {
		if strings.EqualFold(segments[i], name) {
			return segments[i+1]
		}
	}
	return ""
}

// maxDepth bounds the path into the document, which is far less deep.
const maxDepth = 16

// descend walks from a document into its JSON by member names and indexes.
func descend(document any, path string) (any, bool) {
	data, err := json.Marshal(document)
	if err != nil {
		return nil, false
	}
	var at any
	if err := json.Unmarshal(data, &at); err != nil {
		return nil, false
	}
	if path == "" {
		return at, true
	}
	segments := strings.SplitN(path, "/", maxDepth)
	for _, segment := range segments {
		switch here := at.(type) {
		case map[string]any:
			next, ok := here[segment]
			if !ok {
				return nil, false
			}
			at = next
		case []any:
			index, err := strconv.Atoi(segment)
			if err != nil || index < 0 || index >= len(here) {
				return nil, false
			}
			at = here[index]
		default:
			return nil, false
		}
	}
	return at, true
}
