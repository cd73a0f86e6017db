package service

import (
	"maps"
	"slices"
	"strings"
	"time"

	"postern/model"
)

// Answer is ARM's answer about an instance while it is made: the body as it was written, with id, name, type and
// provisioningState, which a Type completes.
type Answer struct {
	Object, Properties map[string]any
	Instance           *model.ServiceInstance
	Settings           *model.Settings
	Zones              []model.Zone // of the service
	Created            time.Time
	Home               model.Location // where it was made; Instance.Location is where it is
	Conversion         Conversion

	// RuleState is the state of a rule that lets a subnet in: Succeeded, or StateDeleted (FW-7).
	RuleState func(subnet model.ResourceID) string
}

// Conversion is an instance's last change of SKU. Nothing is moved here, so it ends when it begins.
type Conversion struct {
	Target  string    `json:"target"`
	At      time.Time `json:"at"`
	Started bool      `json:"started,omitempty"` // by a migration that was asked for, and not by a write of the body
}

// Host is the name of the instance in the zone of a sub-service; "" where there is no such zone.
func (a *Answer) Host(part string) string {
	for _, zone := range a.Zones {
		if zone.Part == part {
			return a.Instance.Name + "." + zone.Suffix
		}
	}
	return ""
}

// Member is the name under which an object has a member, whatever its case; the name itself if it has none.
func Member(object map[string]any, name string) string {
	if _, ok := object[name]; ok {
		return name
	}
	for _, have := range slices.Sorted(maps.Keys(object)) {
		if strings.EqualFold(have, name) {
			return have
		}
	}
	return name
}

// Fill sets a member that the writer left out.
func Fill(object map[string]any, name string, value any) {
	if _, ok := object[name]; !ok {
		object[name] = value
	}
}

// ObjectIn is a member that is an object; it is made where there is none.
func ObjectIn(object map[string]any, name string) map[string]any {
	name = Member(object, name)
	inner, ok := object[name].(map[string]any)
	if !ok {
		inner = make(map[string]any)
		object[name] = inner
	}
	return inner
}

// ListIn is a member that is a list, or nil.
func ListIn(object map[string]any, name string) []any {
	list, _ := object[Member(object, name)].([]any)
	return list
}
