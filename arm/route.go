package arm

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"postern/resource"
)

// route is what is done about a kind of path.
type route struct {
	operation string // Azure's action, where it does not follow from the method and the type
	answer    func(*request) (int, any, error)
}

// methods are the routes of one path by method.
type methods map[string]route

// fixed are paths without a provider, in lower case; a star stands for a name. It and the next are filled below because
// the functions refer to them.
var fixed, special map[string]methods

// generic are the requests about any type of package resource: items, and collections of them.
var items, collections methods

func init() {
	fixed = map[string]methods{
		"tenants":                      {"GET": {"Microsoft.Resources/tenants/read", listTenants}},
		"subscriptions":                {"GET": {"Microsoft.Resources/subscriptions/read", listSubscriptions}},
		"subscriptions/*":              {"GET": {"Microsoft.Resources/subscriptions/read", getSubscription}},
		"providers":                    {"GET": {"Microsoft.Resources/providers/read", listProviders}},
		"s/locations":                  {"GET": {"Microsoft.Resources/subscriptions/locations/read", listLocations}},
		"s/providers":                  {"GET": {"Microsoft.Resources/subscriptions/providers/read", listProviders}},
		"s/resources":                  {"GET": {"Microsoft.Resources/subscriptions/resources/read", listResources}},
		"s/resourcegroups":             {"GET": {"Microsoft.Resources/subscriptions/resourceGroups/read", listGroups}},
		"s/tagnames":                   {"GET": {"Microsoft.Resources/tags/read", listTags}},
		"s/resourcegroups/*":           {"GET": {groupAction + "read", getGroup}, "HEAD": {groupAction + "read", headGroup}, "PUT": {groupAction + "write", putGroup}, "PATCH": {groupAction + "write", patchGroup}, "DELETE": {groupAction + "delete", deleteGroup}},
		"s/resourcegroups/*/resources": {"GET": {groupAction + "resources/read", listResources}},
	}
	special = map[string]methods{
		"microsoft.network/locations/*/virtualnetworkavailableendpointservices": {"GET": {"", listEndpointServices}},
		"microsoft.network/locations/*/servicetags":                             {"GET": {"", listServiceTags}},
		"microsoft.network/networksecuritygroups/*/defaultsecurityrules":        {"GET": {"", defaultRules}},
		"microsoft.network/networksecuritygroups/*/defaultsecurityrules/*":      {"GET": {"", defaultRules}},
		"microsoft.network/locations/*/usages":                                  {"GET": {"", listNetworkUsages}},
		"microsoft.network/virtualnetworks/*/usages":                            {"GET": {"", listSubnetUsages}},
		"microsoft.network/virtualnetworks/*/checkipaddressavailability":        {"GET": {"", checkIPAddress}},
		"microsoft.network/networkinterfaces/*/effectiveroutetable":             {"POST": {"", effectiveRoutes}},
	}
	maps.Copy(special, serviceRoutes())
	maps.Copy(special, accountRoutes())
	maps.Copy(special, deploymentRoutes())
	maps.Copy(special, accessRoutes())
	maps.Copy(special, activityRoutes())
	maps.Copy(special, machineRoutes())
	maps.Copy(special, watcherRoutes())
	maps.Copy(special, imageRoutes())
	items = methods{"GET": {"", getResource}, "HEAD": {"", headResource}, "PUT": {"", putResource}, "PATCH": {"", patchResource}, "DELETE": {"", deleteResource}}
	collections = methods{"GET": {"", listCollection}}
}

const groupAction = "Microsoft.Resources/subscriptions/resourceGroups/"

// action is the right that a request needs (Azure's "resource provider operations").
func (r route) action(method string, at target) string {
	if r.operation != "" {
		return r.operation
	}
	verb := map[string]string{"GET": "read", "HEAD": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete", "POST": "action"}[method]
	return at.provider + "/" + strings.Join(append(slices.Clone(at.types), verb), "/")
}

// find chooses the route of a request. The error says what is wrong about the path or the method.
func (d *Door) find(method string, segments []string) (route, target, error) {
	at, rest := parse(segments)
	if len(segments) > 2 && strings.EqualFold(segments[0], "providers") && at.provider == "" {
		at, rest = belowProvider(target{}, segments), nil
	}
	var found methods
	switch {
	case isFabric(segments):
		if found = d.own(segments); found == nil {
			return route{}, at, nothingAt(segments)
		}
	case at.provider == "":
		found = fixed[pattern(at, rest, segments)]
		if found == nil {
			return route{}, at, nothingAt(segments)
		}
	case len(at.types) == 0:
		found = methods{"GET": {"Microsoft.Resources/subscriptions/providers/read", getProvider}}
	case isOperation(at):
		if _, ok := providerNamed(at.provider); !ok {
			return route{}, at, at.known()
		}
		found = methods{"GET": {"", getOperation}}
		if strings.EqualFold(at.types[1], "operationResults") {
			found = methods{"GET": {"", getOperationResult}}
		}
	default:
		key := strings.ToLower(at.provider)
		for i, typ := range at.types {
			key += "/" + strings.ToLower(typ)
			if i < len(at.names) {
				key += "/*"
			}
		}
		if found = special[key]; found != nil {
			break
		}
		if len(at.types) == 1 && len(at.names) == 0 && (strings.EqualFold(at.types[0], "register") || strings.EqualFold(at.types[0], "unregister")) {
			found = methods{"POST": {at.provider + "/register/action", getProvider}}
			break
		}
		if err := at.known(); err != nil {
			return route{}, at, err
		}
		if found = items; len(at.names) < len(at.types) {
			found = collections
		}
	}
	if chosen, ok := found[method]; ok {
		return chosen, at, nil
	}
	return route{}, at, &resource.Error{Code: "MethodNotAllowed", Status: http.StatusMethodNotAllowed, Message: fmt.Sprintf("The method %s is not known "+
		"here; known are %s.", method, strings.Join(slices.Sorted(maps.Keys(found)), ", "))}
}

func nothingAt(segments []string) error {
	return &resource.Error{Code: "NotFound", Status: http.StatusNotFound, Message: fmt.Sprintf("There is nothing at /%s.", strings.Join(segments, "/"))}
}

// pattern is a path without a provider as the key of fixed.
func pattern(at target, rest, segments []string) string {
	switch {
	case at.subscription == "":
		return strings.ToLower(strings.Join(segments, "/"))
	case at.group == "" && len(rest) == 0:
		return "subscriptions/*"
	case at.group == "":
		return strings.ToLower("s/" + strings.Join(rest, "/"))
	}
	return strings.ToLower(strings.TrimSuffix("s/resourcegroups/*/"+strings.Join(rest, "/"), "/"))
}
