package arm

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"postern/resource"
	"postern/signin"
)

// The part of Microsoft Graph by which az finds who a role is for (--assignee) and the names of who has one. It takes a token
// and no role. There are no users and no groups.
//
//	GET  /v1.0/servicePrincipals[?$filter=…]     by servicePrincipalNames/any(c:c eq 'X') or displayName eq 'X'
//	GET  /v1.0/servicePrincipals/ID
//	POST /v1.0/directoryObjects/getByIds         {"ids": […]}

func isGraph(segments []string) bool {
	return len(segments) > 1 && (segments[0] == "v1.0" || segments[0] == "beta")
}

type directoryObject struct {
	Type        string   `json:"@odata.type"`
	ID          string   `json:"id"`
	AppID       string   `json:"appId"`
	DisplayName string   `json:"displayName"`
	Names       []string `json:"servicePrincipalNames"`
	Kind        string   `json:"servicePrincipalType"`
}

func principalObject(name, objectID, kind string) directoryObject {
	app := signin.ClientID(objectID)
	return directoryObject{Type: "#microsoft.graph.servicePrincipal", ID: objectID, AppID: app, DisplayName: name, Names: []string{app}, Kind: kind}
}

// directory is every principal there is.
func (r *request) directory() ([]directoryObject, error) {
	list := []directoryObject{}
	if service := r.door.signIn.Load(); service != nil {
		for _, one := range service.Principals() {
			list = append(list, principalObject(one.Name, one.ObjectID, "Application"))
		}
	}
	snapshot, err := r.snapshot(r.Context())
	if err != nil {
		return nil, err
	}
	for _, vm := range snapshot.VirtualMachines {
		if vm.PrincipalID != "" {
			list = append(list, principalObject(vm.ID.Name(), vm.PrincipalID, "ManagedIdentity"))
		}
	}
	return list, nil
}

var (
	byServiceName = regexp.MustCompile(`^servicePrincipalNames/any\(([a-z]):([a-z]) eq ('.*')\)$`)
	byDisplayName = regexp.MustCompile(`^displayName eq ('.*')$`)
)

func graph(r *request) (int, any, error) {
	list, err := r.directory()
	if err != nil {
		return 0, nil, err
	}
	path := strings.ToLower(strings.Join(r.segments[1:], "/"))
	switch {
	case path == "serviceprincipals" && r.Method == http.MethodGet:
		list, err = chosenObjects(list, r.URL.Query().Get("$filter"))
		return http.StatusOK, map[string]any{"value": list}, err
	case strings.HasPrefix(path, "serviceprincipals/") && len(r.segments) == 3 && r.Method == http.MethodGet:
		at := slices.IndexFunc(list, func(o directoryObject) bool { return strings.EqualFold(o.ID, r.segments[2]) })
		if at < 0 {
			return 0, nil, noObject(r.segments[2])
		}
		return http.StatusOK, list[at], nil
	case path == "directoryobjects/getbyids" && r.Method == http.MethodPost:
		data, err := r.body()
		if err != nil {
			return 0, nil, err
		}
		var wanted struct {
			IDs []string `json:"ids"`
		}
		if err := json.Unmarshal(data, &wanted); err != nil {
			return 0, nil, unreadable(err)
		}
		list = slices.DeleteFunc(list, func(o directoryObject) bool {
			return !slices.ContainsFunc(wanted.IDs, func(id string) bool { return strings.EqualFold(id, o.ID) })
		})
		return http.StatusOK, map[string]any{"value": list}, nil
	}
	return 0, nil, &resource.Error{Code: "Request_ResourceNotFound", Status: http.StatusNotFound, Message: "Of Microsoft Graph there is what reads " +
		"service principals alone: make them by postern principal create."}
}

func noObject(id string) error {
	return &resource.Error{Code: "Request_ResourceNotFound", Status: http.StatusNotFound, Message: fmt.Sprintf("Resource '%s' does not exist or one of "+
		"its queried reference-property objects are not present.", id)}
}

func chosenObjects(all []directoryObject, filter string) ([]directoryObject, error) {
	if filter = strings.TrimSpace(filter); filter == "" {
		return all, nil
	}
	if parts := byServiceName.FindStringSubmatch(filter); parts != nil && parts[1] == parts[2] {
		if value, rest, ok := quoted(parts[3]); ok && rest == "" {
			return slices.DeleteFunc(all, func(o directoryObject) bool { return !strings.EqualFold(o.AppID, value) }), nil
		}
	}
	if parts := byDisplayName.FindStringSubmatch(filter); parts != nil {
		if value, rest, ok := quoted(parts[1]); ok && rest == "" {
			return slices.DeleteFunc(all, func(o directoryObject) bool { return o.DisplayName != value }), nil
		}
	}
	return nil, &resource.Error{Code: "Request_UnsupportedQuery", Status: http.StatusBadRequest, Target: "$filter",
		Message: fmt.Sprintf("The filter '%.200s' is not supported: known are servicePrincipalNames/any(c:c eq 'ID') and displayName eq 'NAME'.", filter)}
}
