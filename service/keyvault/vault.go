package keyvault

import (
	"postern/model"
	"postern/service"
)

func decode(b *service.Body, vault *service.Instance) error {
	var body struct {
		Properties struct {
			TenantID            string               `json:"tenantId"`
			PublicNetworkAccess string               `json:"publicNetworkAccess"`
			NetworkACLs         *service.NetworkACLs `json:"networkAcls"`
		} `json:"properties"`
	}
	if err := b.Read(&body); err != nil {
		return err
	}
	if refusal := refuseName(vault.Name); refusal != nil {
		return refusal
	}
	vault.Ports = ports
	vault.Rules = model.NetworkRules{DefaultAllow: true, Bypass: []string{"AzureServices"}}
	if err := service.ReadPublicAccess(body.Properties.PublicNetworkAccess, &vault.Rules); err != nil {
		return err
	}
	acls := body.Properties.NetworkACLs
	if acls == nil {
		return nil
	}
	if _, err := service.OneOf(acls.Bypass, "properties.networkAcls.bypass", "AzureServices", "None"); err != nil {
		return err
	}
	if len(acls.ResourceAccessRules) > 0 {
		return service.Refuse(service.CodeInvalidFormat, "properties.networkAcls.resourceAccessRules", "A key vault has no resourceAccessRules: "+
			"trusted services come in by bypass AzureServices.")
	}
	return service.ReadNetworkACLs(b, acls, "properties.networkAcls", limits, vault)
}

// render answers the vault's address, what Azure fills in, and the state of each network rule (FW-7).
func render(a *service.Answer) {
	properties := a.Properties
	service.Fill(properties, "sku", map[string]any{"family": "A", "name": "standard"})
	service.Fill(properties, "tenantId", a.Settings.Tenant)
	service.Fill(properties, "accessPolicies", []any{})
	service.Fill(properties, "enabledForDeployment", false)
	properties["enableSoftDelete"] = false // what is deleted is gone
	service.Fill(properties, "publicNetworkAccess", "Enabled")
	properties["vaultUri"] = "https://" + a.Host("") + "/"
	properties["posternFrontAddress"] = a.Instance.Address.String()
	acls := service.ObjectIn(properties, "networkAcls")
	service.RenderNetworkACLs(a, acls)
	service.WithoutActions(acls)
	// Addresses stand as ranges in answers, whatever they were written as.
	for i, element := range service.ListIn(acls, "ipRules") {
		rule := element.(map[string]any)
		rule[service.Member(rule, "value")] = a.Instance.Rules.IPRules[i].String()
	}
}
