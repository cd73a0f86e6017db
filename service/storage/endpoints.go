package storage

import (
	"fmt"
	"hash/fnv"
	"strings"

	"postern/model"
	"postern/service"
)

// Accounts can have more names than NAME.PART.SUFFIX. With routingPreference two more labels are published, one for each
// way that Azure routes by (https://learn.microsoft.com/azure/storage/common/network-routing-preference): here both lead to the
// account's one address. With dnsEndpointType AzureDnsZone all names are in one of a hundred numbered zones
// (https://learn.microsoft.com/azure/storage/common/storage-account-overview#azure-dns-zone-endpoints-preview).
const (
	internetRouting  = "-internetrouting"
	microsoftRouting = "-microsoftrouting"
	numberedSpace    = "storage-zones" // of names in numbered zones
)

// routed are the sub-services that each kind of route has endpoints of.
var routed = []struct {
	suffix, member string
	parts          []string
}{
	{internetRouting, "internetEndpoints", []string{DFS, Web, Blob, File}},
	{microsoftRouting, "microsoftEndpoints", []string{DFS, Web, Blob, Queue, Table, File}},
}

// numberedZones are PART.storage.azure.net, in which names have the number of their zone between: NAME.z24.blob.storage.azure.net.
func numberedZones(settings model.Settings) []model.Zone {
	suffix, parent := "storage.azure.net", "storage.azure.net"
	if settings.StorageSuffix != model.DefaultSettings.StorageSuffix {
		suffix, parent = "storage."+settings.StorageSuffix, settings.StorageSuffix
	}
	var list []model.Zone
	for _, part := range parts {
		list = append(list, model.Zone{Suffix: part + "." + suffix, Service: "storage", Space: numberedSpace, Parent: parent, Part: part, Inner: true})
	}
	return list
}

// zoneOf is the numbered zone of an account: a name has the same one in every cloud.
func zoneOf(name string) string {
	hash := fnv.New32a()
	hash.Write([]byte(name))
	return fmt.Sprintf("z%02d", hash.Sum32()%100)
}

// validLabel tells whether a name in the zones can begin with a text: an account's name, or that of one of its routes.
func validLabel(label string) bool {
	for _, route := range routed {
		label = strings.TrimSuffix(label, route.suffix)
	}
	return ValidName(label)
}

// named says by what other names than its own an account is known.
func (b *accountBody) named(account *service.Instance) error {
	kind, err := service.OneOf(b.Properties.DNSEndpointType, "properties.dnsEndpointType", "Standard", "AzureDnsZone")
	if err != nil {
		return err
	}
	if kind != "Standard" {
		account.Space = numberedSpace
	}
	if b.Properties.RoutingPreference.PublishInternetEndpoints {
		account.Labels = append(account.Labels, account.Name+internetRouting)
	}
	if b.Properties.RoutingPreference.PublishMicrosoftEndpoints {
		account.Labels = append(account.Labels, account.Name+microsoftRouting)
	}
	return nil
}

// endpoints answers the addresses of an account's sub-services, and those of the routes that it publishes.
func endpoints(a *service.Answer, kind string) map[string]any {
	all := urls(a, a.Instance.Name, kinds[kind])
	for _, route := range routed {
		for _, label := range a.Instance.Labels {
			if strings.HasSuffix(label, route.suffix) {
				var own []string
				for _, part := range route.parts {
					if all[part] != nil {
						own = append(own, part)
					}
				}
				all[route.member] = urls(a, label, own)
			}
		}
	}
	return all
}

func urls(a *service.Answer, label string, parts []string) map[string]any {
	list := make(map[string]any)
	for _, zone := range a.Zones {
		for _, part := range parts {
			if zone.Part != part || zone.Space != a.Instance.Space {
				continue
			}
			if zone.Space == numberedSpace {
				list[part] = "https://" + label + "." + zoneOf(a.Instance.Name) + "." + zone.Suffix + "/"
			} else {
				list[part] = "https://" + label + "." + zone.Suffix + "/"
			}
		}
	}
	return list
}
