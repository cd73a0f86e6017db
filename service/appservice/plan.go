package appservice

import (
	"postern/model"
	"postern/service"
)

// renderPlan answers a plan. Nothing runs on it: it is what sites say they run on.
func renderPlan(a *service.Answer) {
	service.Fill(a.Object, "kind", "app")
	sku := service.ObjectIn(a.Object, "sku")
	service.Fill(sku, service.Member(sku, "name"), "B1")
	properties := a.Properties
	properties["status"] = "Ready"
	for name, value := range map[string]any{"reserved": false, "isXenon": false, "hyperV": false, "perSiteScaling": false, "zoneRedundant": false} {
		service.Fill(properties, service.Member(properties, name), value)
	}
}

func planInUse(name string, user model.ResourceID) *service.Refusal {
	return service.Conflict("Conflict", "name", "Server farm '%s' cannot be deleted because it has web app(s) %s assigned to it.", name, user.Name())
}
