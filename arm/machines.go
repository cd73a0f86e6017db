package arm

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"postern/api"
	"postern/resource"
)

// machineRoutes are those of VMs.
func machineRoutes() map[string]methods {
	return map[string]methods{
		"microsoft.compute/virtualmachines/*": {"GET": {"", getMachine}, "HEAD": {"", headResource}, "PUT": {"", putResource},
			"PATCH": {"", patchResource}, "DELETE": {"", deleteResource}},
		"microsoft.compute/virtualmachines/*/instanceview": {"GET": {"", instanceView}},
		"microsoft.compute/virtualmachines/*/start":        {"POST": {"", power(resource.PowerRunning)}},
		"microsoft.compute/virtualmachines/*/poweroff":     {"POST": {"", power(resource.PowerStopped)}},
		"microsoft.compute/virtualmachines/*/deallocate":   {"POST": {"", power(resource.PowerDeallocated)}},
		"microsoft.compute/virtualmachines/*/restart":      {"POST": {"", power(resource.PowerStopped, resource.PowerRunning)}},
	}
}

// getMachine answers a VM, with $expand=instanceView how it is doing too.
func getMachine(r *request) (int, any, error) {
	status, answer, err := getResource(r)
	if err != nil || !expands(r.URL.Query().Get("$expand"), "instanceView") {
		return status, answer, err
	}
	id, err := r.at.id()
	if err != nil {
		return 0, nil, err
	}
	view, err := r.door.API.InstanceView(r.Context(), id)
	if err != nil {
		return 0, nil, r.missing(err)
	}
	body, _ := answer.(json.RawMessage)
	var machine, properties map[string]json.RawMessage
	if err := json.Unmarshal(body, &machine); err != nil {
		return 0, nil, fmt.Errorf("expand %s: %w", id, err)
	}
	if err := json.Unmarshal(machine["properties"], &properties); err != nil {
		return 0, nil, fmt.Errorf("expand %s: %w", id, err)
	}
	properties["instanceView"] = view
	if machine["properties"], err = json.Marshal(properties); err != nil {
		return 0, nil, fmt.Errorf("expand %s: %w", id, err)
	}
	return status, machine, nil
}

// expands tells whether a word is in a list such as "instanceView,userData".
func expands(list, word string) bool {
	for one := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(one), word) {
			return true
		}
	}
	return false
}

// instanceView answers how a VM is doing.
func instanceView(r *request) (int, any, error) {
	id, err := r.at.parent()
	if err != nil {
		return 0, nil, err
	}
	view, err := r.door.API.InstanceView(r.Context(), id)
	return http.StatusOK, view, r.missing(err)
}

// power makes the answer of an action that brings a VM through power states, one after the other.
func power(states ...string) func(*request) (int, any, error) {
	return func(r *request) (int, any, error) {
		id, err := r.at.parent()
		if err != nil {
			return 0, nil, err
		}
		var last *api.Operation
		for _, state := range states {
			if err := r.door.API.Await(r.Context(), last); err != nil {
				return 0, nil, err
			}
			made, err := r.door.API.SetPower(r.Context(), id, state)
			if err != nil {
				return 0, nil, r.missing(err)
			}
			last = made.Operation
		}
		return r.accepted(last, http.StatusOK), nil, nil
	}
}
