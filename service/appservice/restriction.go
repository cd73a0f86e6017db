package appservice

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"postern/model"
	"postern/service"
)

// Bounds of access restrictions (FW-11): "Set up Azure App Service access restrictions" for the first, "Azure App Service access
// restrictions" for the second.
const (
	maxRestrictions = 512
	maxAddresses    = 8 // of one restriction
	lastPriority    = 65000
)

// restriction is an element of ipSecurityRestrictions. What else one can have is refused, not ignored: it would narrow
// an Allow.
type restriction struct {
	Name       string              `json:"name"`
	Priority   *int                `json:"priority"`
	Action     string              `json:"action"`
	Tag        string              `json:"tag"`
	IPAddress  string              `json:"ipAddress"`
	SubnetMask string              `json:"subnetMask"`
	SubnetID   string              `json:"vnetSubnetResourceId"`
	State      string              `json:"state"`
	Headers    map[string][]string `json:"headers"`
}

func decode(b *service.Body, site *service.Instance) error {
	var body struct {
		Properties struct {
			PublicNetworkAccess string `json:"publicNetworkAccess"`
			Plan                string `json:"serverFarmId"`
			SiteConfig          struct {
				PublicNetworkAccess string        `json:"publicNetworkAccess"`
				Restrictions        []restriction `json:"ipSecurityRestrictions"`
				DefaultAction       string        `json:"ipSecurityRestrictionsDefaultAction"`
			} `json:"siteConfig"`
		} `json:"properties"`
	}
	if err := b.Read(&body); err != nil {
		return err
	}
	site.Name = strings.ToLower(site.Name)
	if refusal := refuseName(site.Name); refusal != nil {
		return refusal
	}
	if body.Properties.Plan != "" {
		const field = "properties.serverFarmId"
		plan, err := b.Resource(body.Properties.Plan, TypePlan, field)
		if err != nil {
			return err
		}
		site.Uses = []service.Use{{ID: plan, Field: field}}
	}
	site.Ports = ports
	config := &body.Properties.SiteConfig
	if err := service.ReadPublicAccess(cmp.Or(body.Properties.PublicNetworkAccess, config.PublicNetworkAccess), &site.Rules); err != nil {
		return err
	}
	const at = "properties.siteConfig.ipSecurityRestrictions"
	// Without a word for it, a list denies what it does not name, and no list lets all in.
	usual := "Allow"
	if len(config.Restrictions) > 0 {
		usual = "Deny"
	}
	action, err := service.OneOf(cmp.Or(config.DefaultAction, usual), at+"DefaultAction", "Allow", "Deny")
	if err != nil {
		return err
	}
	site.Rules.DefaultAllow = action == "Allow"
	if len(config.Restrictions) > maxRestrictions {
		return service.Refuse("BadRequest", at, "A web app takes at most %d access restrictions; it has %d.", maxRestrictions, len(config.Restrictions))
	}
	order := make(map[*model.Filter]int, len(config.Restrictions))
	filters := make([]*model.Filter, 0, len(config.Restrictions))
	for i := range config.Restrictions {
		filter, err := decodeRestriction(b, &config.Restrictions[i], service.Index(at, i), site)
		if err != nil {
			return err
		}
		priority := lastPriority
		if config.Restrictions[i].Priority != nil {
			priority = *config.Restrictions[i].Priority
		}
		order[filter] = priority
		filters = append(filters, filter)
	}
	slices.SortStableFunc(filters, func(x, y *model.Filter) int { return cmp.Compare(order[x], order[y]) })
	for _, filter := range filters {
		site.Rules.Filters = append(site.Rules.Filters, *filter)
	}
	return nil
}

func decodeRestriction(b *service.Body, r *restriction, at string, site *service.Instance) (*model.Filter, error) {
	action, err := service.OneOf(r.Action, at+".action", "Allow", "Deny")
	if err != nil {
		return nil, err
	}
	filter := &model.Filter{Name: "ipSecurityRestrictions " + r.Name, Allow: action == "Allow"}
	switch tag := cmp.Or(r.Tag, "Default"); {
	case !strings.EqualFold(tag, "Default"):
		return nil, service.Refuse("BadRequest", at+".tag", "A restriction with the tag %s is not enforced here, and so is not taken: name addresses or a subnet.", tag)
	case len(r.Headers) > 0:
		return nil, service.Refuse("BadRequest", at+".headers", "A restriction by headers is not enforced here, and so is not taken: name addresses or a subnet.")
	case r.SubnetMask != "":
		return nil, service.Refuse("BadRequest", at+".subnetMask", "A restriction with a subnetMask is not taken: write ipAddress in CIDR form.")
	case (r.IPAddress == "") == (r.SubnetID == ""):
		return nil, service.Refuse("BadRequest", at, "A restriction has one of ipAddress and vnetSubnetResourceId.")
	case r.SubnetID != "":
		subnet, err := b.Subnet(r.SubnetID, at+".vnetSubnetResourceId")
		if err != nil {
			return nil, err
		}
		filter.Subnet = subnet
		if _, again := site.Sources[subnet.Key()]; !again {
			site.AddSource(subnet, service.Source{Field: at + ".vnetSubnetResourceId", Deleted: strings.EqualFold(r.State, service.StateDeleted)})
		}
		return filter, nil
	case strings.EqualFold(r.IPAddress, "Any") || r.IPAddress == "0.0.0.0/0":
		filter.Any = true
		return filter, nil
	}
	addresses := strings.Split(r.IPAddress, ",")
	if len(addresses) > maxAddresses {
		return nil, service.Refuse("BadRequest", at+".ipAddress", "A restriction takes at most %d ranges; it has %d.", maxAddresses, len(addresses))
	}
	for _, text := range addresses {
		prefix, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil || prefix != prefix.Masked() {
			return nil, service.Refuse("BadRequest", at+".ipAddress", "'%s' is no range in CIDR form without host bits, such as 20.1.2.3/32.", strings.TrimSpace(text))
		}
		filter.Prefixes = append(filter.Prefixes, prefix)
	}
	return filter, nil
}
