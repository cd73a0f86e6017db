package arm

import (
	"maps"
	"slices"
	"strings"

	"postern/resource"
)

// RouteOf is a method and a path of the door; a star in the path stands for a name.
type RouteOf struct{ Method, Path string }

// Routes lists what the door answers, of every kind of path there is, below the default subscription.
func Routes() []RouteOf {
	subscription := "/subscriptions/" + resource.DefaultSubscription
	var list []RouteOf
	add := func(path string, found methods) {
		for _, method := range slices.Sorted(maps.Keys(found)) {
			list = append(list, RouteOf{method, path})
		}
	}
	for _, path := range slices.Sorted(maps.Keys(fixed)) {
		below, inside := strings.CutPrefix(path, "s/")
		if inside {
			add(subscription+"/"+below, fixed[path])
		} else {
			add("/"+path, fixed[path])
		}
	}
	for _, path := range slices.Sorted(maps.Keys(special)) {
		group := ""
		if _, types, _ := strings.Cut(path, "/"); !strings.HasPrefix(types, "locations/") && strings.Contains(types, "*") {
			group = "/resourceGroups/*"
		}
		add(subscription+group+"/providers/"+path, special[path])
	}
	for _, name := range resource.TypeNames() {
		if name == resource.TypeResourceGroup {
			continue
		}
		path := subscription + "/resourceGroups/*/providers/" + name
		add(path, collections)
		add(path+"/*", items)
		for _, child := range resource.ChildTypes(name) {
			add(path+"/*/"+child, collections)
			add(path+"/*/"+child+"/*", items)
		}
	}
	add(subscription+"/providers/Microsoft.Network/locations/*/operations/*", methods{"GET": {}})
	add(subscription+"/providers/Microsoft.Network/locations/*/operationResults/*", methods{"GET": {}})
	for _, path := range slices.Sorted(maps.Keys(fabric)) {
		add("/"+path, fabric[path])
	}
	return list
}
