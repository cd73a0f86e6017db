package resource

import (
	"encoding/json"
	"net/netip"
	"strings"

	"postern/model"
)

type routeTableBody struct {
	header
	Properties struct {
		DisableBGPRoutePropagation bool                     `json:"disableBgpRoutePropagation"`
		Routes                     []child[routeProperties] `json:"routes"`
	} `json:"properties"`
}

type routeProperties struct {
	AddressPrefix    string          `json:"addressPrefix"`
	NextHopType      string          `json:"nextHopType"`
	NextHopIPAddress string          `json:"nextHopIpAddress"`
	NextHop          json.RawMessage `json:"nextHop"` // several next hops
}

// maxTagRoutes bounds the routes with a service tag in one table (ROUTE-11).
const maxTagRoutes = 25

// settableHops are the next hops that a user may write (ROUTE-10).
var settableHops = map[string]model.NextHopType{
	"virtualappliance": model.NextHopVirtualAppliance, "virtualnetworkgateway": model.NextHopVirtualNetworkGateway,
	"vnetlocal": model.NextHopVnetLocal, "internet": model.NextHopInternet, "none": model.NextHopNone,
}

func decodeRouteTable(r *Record) (any, error) {
	var body routeTableBody
	if err := leniently(r.Body, &body); err != nil {
		return nil, err
	}
	location, err := body.location()
	if err != nil {
		return nil, err
	}
	table := &model.RouteTable{ID: model.ResourceID(r.ID), Location: location,
		DisableBGPRoutePropagation: body.Properties.DisableBGPRoutePropagation}
	if err := uniqueNames(body.Properties.Routes, "properties.routes"); err != nil {
		return nil, err
	}
	seen, tags := make(map[string]string), 0
	for i := range body.Properties.Routes {
		at := index("properties.routes", i) + ".properties"
		route, err := decodeRoute(&body.Properties.Routes[i], at)
		if err != nil {
			return nil, err
		}
		key := strings.ToLower(route.ServiceTag)
		if route.ServiceTag == "" {
			key = route.Prefix.String()
		} else if tags++; tags > maxTagRoutes {
			return nil, refuse("RouteTableServiceTagLimitExceeded", at+".addressPrefix",
				"A route table holds at most %d routes with a service tag.", maxTagRoutes)
		}
		if other, ok := seen[key]; ok {
			return nil, refuse("RouteConflict", at+".addressPrefix", "Route: %s conflicts with Route: %s. Routes cannot have the "+
				"same AddressPrefix.", route.Name, other)
		}
		seen[key] = route.Name
		table.Routes = append(table.Routes, route)
	}
	return table, nil
}

func decodeRoute(body *child[routeProperties], at string) (model.UserRoute, error) {
	p := &body.Properties
	route := model.UserRoute{Name: body.Name}
	if p.NextHop != nil {
		return route, refuse(CodeInvalidRequestFormat, at+".nextHop", "Route '%s' has several next hops, which is not supported here: use nextHopIpAddress.", body.Name)
	}
	hop, ok := settableHops[strings.ToLower(p.NextHopType)]
	if !ok {
		return route, refuse(CodeInvalidRequestFormat, at+".nextHopType", "The next hop type '%s' of route '%s' cannot be set: use "+
			"VirtualAppliance, VirtualNetworkGateway, VnetLocal, Internet or None.", p.NextHopType, body.Name)
	}
	route.NextHopType = hop
	var err error
	if isServiceTag(p.AddressPrefix) {
		route.ServiceTag = p.AddressPrefix
	} else if route.Prefix, err = parsePrefix(p.AddressPrefix, at+".addressPrefix"); err != nil {
		return route, err
	}
	switch {
	case hop == model.NextHopVirtualAppliance && p.NextHopIPAddress == "":
		return route, refuse("MissingNextHopIpAddress", at+".nextHopIpAddress", "NextHopIpAddress cannot be Null or Empty in route "+
			"%s when NextHopType is VirtualAppliance.", body.Name)
	case hop == model.NextHopVirtualAppliance:
		if route.NextHopIPAddress, err = parseIPv4(p.NextHopIPAddress, at+".nextHopIpAddress"); err != nil {
			return route, err
		}
	case p.NextHopIPAddress != "":
		return route, refuse("InvalidNextHopIpAddress", at+".nextHopIpAddress", "Route %s has a nextHopIpAddress, which only the next hop "+
			"type VirtualAppliance takes; it is %s.", body.Name, hop)
	}
	return route, nil
}

// isServiceTag tells whether text has the form of a tag's name: a letter first, then letters, digits and dots. Whether
// such a tag exists is for the compiler, which has the catalogue.
func isServiceTag(text string) bool {
	if text == "" || len(text) > 80 {
		return false
	}
	for i, c := range []byte(text) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || !('0' <= c && c <= '9' || c == '.')) {
			return false
		}
	}
	_, err := netip.ParseAddr(text)
	return err != nil
}
