// Package appservice describes Microsoft.Web/sites: web apps with access restrictions.
package appservice

import (
	"html"
	"net/http"
	"strings"

	"postern/model"
	"postern/service"
)

// The resource types.
const (
	TypeSite = "Microsoft.Web/sites"
	TypePlan = "Microsoft.Web/serverfarms"
)

var versions = []string{"2024-11-01", "2024-04-01", "2023-12-01", "2023-01-01", "2022-09-01", "2021-02-01"}

// manners is what clients of both types take for an answer.
var manners = service.Manners{Created: http.StatusOK, Patient: []string{http.MethodPatch, http.MethodDelete}}

// headerForbiddenIP has the address that a restriction keeps out.
const headerForbiddenIP = "X-Ms-Forbidden-Ip"

// Service is the description. The site of tools (NAME.scm) has rules of its own on Azure; it is not served here.
var Service = &service.Service{
	Name:     "appservice",
	Endpoint: "Microsoft.Web",
	Zones: func(settings model.Settings) []model.Zone {
		return []model.Zone{{Suffix: service.ZoneName(&settings, "websites", "azurewebsites.net"), Service: "appservice", Space: "appservice"}}
	},
	ValidName: ValidName,
	HTTP:      &service.HTTP{RequestID: "X-Ms-Request-Id", Refuse: refuse},
	Actions:   actions,
	Types: []service.Type{{
		Name:      TypeSite,
		Noun:      "web app",
		Model:     "appservice.Site",
		Update:    "appservice.SitePatchResource",
		Versions:  versions,
		Manners:   manners,
		Ours:      []string{"posternFrontAddress"},
		Decode:    decode,
		Render:    render,
		NameTaken: nameTaken,
	}, {
		Name:     TypePlan,
		Noun:     "App Service plan",
		Model:    "appservice.Plan",
		Update:   "appservice.PlanPatchResource",
		Versions: versions,
		Kept:     true,
		Manners:  manners,
		Render:   renderPlan,
		InUse:    planInUse,
	}},
}

var ports = []model.ServicePort{{Number: 80, Way: model.WayHTTP}, {Number: 443, Way: model.WayHTTPS}}

// ValidName tells whether a text, in lower case, can be the name of a site: 2 to 60 letters, digits and hyphens.
func ValidName(name string) bool {
	return len(name) >= 2 && len(name) <= 60 && service.ValidLabel(name)
}

// render answers the site's names and what Azure fills in.
func render(a *service.Answer) {
	service.Fill(a.Object, "kind", "app")
	properties := a.Properties
	host := a.Host("")
	properties["defaultHostName"], properties["hostNames"], properties["enabledHostNames"] = host, []any{host}, []any{host}
	properties["state"], properties["posternFrontAddress"] = "Running", a.Instance.Address.String()
	properties["outboundIpAddresses"], properties["possibleOutboundIpAddresses"] = "", "" // what a site sends, its backend sends
	service.Fill(properties, "enabled", true)
	service.Fill(properties, "httpsOnly", false)
	service.Fill(properties, "publicNetworkAccess", "Enabled")
	config := service.ObjectIn(properties, "siteConfig")
	service.Fill(config, service.Member(config, "ipSecurityRestrictions"), []any{})
	// A default action that nobody wrote is not answered: a client that writes back what it read would make it one that holds
	// also when the list gets its first restriction.
	for _, element := range service.ListIn(config, "ipSecurityRestrictions") {
		rule := element.(map[string]any)
		service.Fill(rule, service.Member(rule, "action"), "Allow")
		service.Fill(rule, service.Member(rule, "tag"), "Default")
		service.Fill(rule, service.Member(rule, "priority"), lastPriority)
		if subnet, _ := rule[service.Member(rule, "vnetSubnetResourceId")].(string); subnet != "" {
			rule["state"] = a.RuleState(model.ResourceID(subnet))
		}
	}
}

// pages are the headings of the pages that a site's front answers with.
var pages = map[service.Fault]string{
	service.Forbidden:      "Error 403 - Ip Forbidden",
	service.NoSuchName:     "Error 400 - Bad Request",
	service.NoSuchInstance: "Error 404 - Web app not found.",
	service.Misdirected:    "Error 421 - Misdirected Request",
	service.BadMethod:      "Error 405 - Method Not Allowed",
	service.NotServed:      "Error 501 - Not Implemented",
	service.BackendDown:    "Error 503 - Service Unavailable",
}

// refuse answers with a page for people, and the caller's address in a header, as a site's front does (FW-12).
func refuse(d *service.Denial) service.Response {
	message := service.Sentence(d)
	header := http.Header{"Content-Type": {"text/html; charset=utf-8"}}
	if d.Fault == service.Forbidden {
		message = "The web app you have attempted to reach has blocked your access."
		if address := d.Address(); address != "" {
			header.Set(headerForbiddenIP, address)
		}
	}
	var page strings.Builder
	heading := html.EscapeString(pages[d.Fault])
	page.WriteString("<!DOCTYPE html>\n<html>\n<head><title>" + heading + "</title></head>\n<body><h1>" + heading + "</h1><p>" + html.EscapeString(message) + "</p></body>\n</html>\n")
	return service.Response{Status: d.Fault.Status(), Header: header, Body: []byte(page.String())}
}
