package appservice

import (
	"math"
	"net/http"
	"strings"

	"postern/model"
	"postern/service"
)

// actions are what az and the SDKs ask about sites beside the usual: most of a site's settings are read and written as
// config/web, a view of properties.siteConfig.
var actions = []service.Action{
	service.CheckName("Microsoft.Web/checkNameAvailability", "Microsoft.Web/checknameavailability/read", TypeSite, refuseName, nameTaken,
		service.UsualName("Invalid", "AlreadyExists")),
	{Method: http.MethodGet, Path: "Microsoft.Web/webAppStacks", Right: "Microsoft.Web/webAppStacks/read", Tenant: true, Names: true,
		Answer: func(*service.Call) (any, error) { return map[string]any{"value": []any{stack}}, nil }},
	{Method: http.MethodPost, Path: TypeSite + "/*/publishxml", Answer: func(*service.Call) (any, error) { return []byte(profiles), nil }},
	{Method: http.MethodGet, Path: TypeSite + "/*/config", Answer: func(c *service.Call) (any, error) {
		return map[string]any{"value": []any{configuration(c, c.Object)}}, nil
	}},
	{Method: http.MethodGet, Path: TypeSite + "/*/config/*", Answer: func(c *service.Call) (any, error) { return configuration(c, c.Object), isWeb(c) }},
	{Method: http.MethodPut, Path: TypeSite + "/*/config/*", Answer: writeConfiguration(false)},
	{Method: http.MethodPatch, Path: TypeSite + "/*/config/*", Answer: writeConfiguration(true)},
}

func refuseName(name string) *service.Refusal {
	if ValidName(strings.ToLower(name)) {
		return nil
	}
	return service.Refuse("BadRequest", "name", "The name '%.80s' of a web app is not valid: it has 2 to 60 letters, digits and hyphens, and neither begins nor ends with a hyphen.", name)
}

// The restriction that stands behind all others, for who is in none: nobody writes it, and it cannot be taken away.
const (
	implicitPriority = math.MaxInt32
	implicitAllow    = "Allow all"
	implicitDeny     = "Deny all"
)

// configuration is the view of a site's settings.
func configuration(c *service.Call, site map[string]any) map[string]any {
	settings := service.ObjectIn(service.ObjectIn(site, "properties"), "siteConfig")
	list := service.Member(settings, "ipSecurityRestrictions")
	rules, _ := settings[list].([]any)
	last := map[string]any{"ipAddress": "Any", "action": "Allow", "priority": implicitPriority, "name": implicitAllow, "description": "Allow all access"}
	written, _ := settings[service.Member(settings, "ipSecurityRestrictionsDefaultAction")].(string)
	if strings.EqualFold(written, "Deny") || written == "" && len(rules) > 0 {
		last["action"], last["name"], last["description"] = "Deny", implicitDeny, "Deny all access"
	}
	settings[list] = append(rules, last)
	service.Fill(settings, service.Member(settings, "scmIpSecurityRestrictions"), []any{})
	service.Fill(settings, service.Member(settings, "scmIpSecurityRestrictionsUseMain"), false)
	id, _ := site["id"].(string)
	return map[string]any{"id": id + "/config/web", "name": "web", "type": TypeSite + "/config", "properties": settings}
}

// isWeb refuses any view but the one that there is.
func isWeb(c *service.Call) error {
	if strings.EqualFold(c.Names[1], "web") {
		return nil
	}
	return &service.Refusal{Code: "ResourceNotFound", Field: c.Names[1], Status: http.StatusNotFound, Message: "Of a site's settings there is config/web alone."}
}

// writeConfiguration writes the settings: some of them, or all.
func writeConfiguration(some bool) func(*service.Call) (any, error) {
	return func(c *service.Call) (any, error) {
		if err := isWeb(c); err != nil {
			return nil, err
		}
		var body struct {
			Properties map[string]any `json:"properties"`
		}
		if err := c.Read(&body); err != nil {
			return nil, err
		}
		written := make(map[string]any)
		if some {
			written = service.ObjectIn(service.ObjectIn(c.Object, "properties"), "siteConfig")
		}
		for name, value := range body.Properties {
			if value != nil {
				written[service.Member(written, name)] = value
			}
		}
		for _, name := range []string{"ipSecurityRestrictions", "scmIpSecurityRestrictions"} {
			if rules := service.ListIn(written, name); rules != nil {
				written[service.Member(written, name)] = explicit(rules)
			}
		}
		site, err := c.Change(map[string]any{"siteConfig": written})
		if err != nil {
			return nil, err
		}
		return configuration(c, site), nil
	}
}

// explicit are the restrictions that somebody wrote.
func explicit(rules []any) []any {
	kept := []any{}
	for _, element := range rules {
		rule, _ := element.(map[string]any)
		name := rule[service.Member(rule, "name")]
		priority, _ := rule[service.Member(rule, "priority")].(float64)
		if priority != implicitPriority || name != implicitAllow && name != implicitDeny {
			kept = append(kept, element)
		}
	}
	return kept
}

func nameTaken(name string, _ model.ResourceID) *service.Refusal {
	return service.Conflict("Conflict", "name", "Website with given name %s already exists.", name)
}
