package storage

import (
	"strings"
	"time"

	"postern/model"
	"postern/service"
)

// defaultSKU is that of an account whose writer names none.
const defaultSKU = "Standard_LRS"

// GeoRedundant tells whether a SKU has a secondary region: Standard_GRS, Standard_RAGZRS and their kin.
func GeoRedundant(sku string) bool {
	_, rest, _ := strings.Cut(sku, "_")
	return strings.Contains(strings.TrimPrefix(rest, "RA"), "G")
}

// AfterFailover is the SKU that an account has once it has failed over: where it has failed over for good, nothing is kept in
// its former region (https://learn.microsoft.com/azure/storage/common/storage-failover-customer-managed-unplanned).
func AfterFailover(sku string, planned bool) string {
	switch {
	case planned:
		return sku
	case strings.Contains(sku, "ZRS"):
		return "Standard_ZRS"
	}
	return defaultSKU
}

// Secondary is the other region of an account of a geo-redundant SKU, "" for none: the pair of the one that it is in, or
// the one that it was made in, when it has failed over.
func Secondary(sku string, primary, home model.Location) model.Location {
	switch {
	case !GeoRedundant(sku):
		return ""
	case home != "" && home != primary:
		return home
	}
	return model.RegionPair(primary)
}

// CannotFailOver is why an account cannot be failed over, "" if it can.
func CannotFailOver(sku, kind string, nfs bool, secondary model.Location) string {
	switch {
	case !GeoRedundant(sku):
		return "its SKU " + sku + " keeps nothing in a second region"
	case secondary == "":
		return "its region has no pair"
	case strings.EqualFold(kind, "BlockBlobStorage") || strings.EqualFold(kind, "FileStorage"):
		return "accounts of the kind " + kind + " have no failover"
	case nfs:
		return "accounts with NFS 3.0 have no failover"
	}
	return ""
}

// GeoReplication is geoReplicationStats of an account of a geo-redundant SKU. No bytes are copied here: where the account has a
// backend of the operator's own, the gateways of both regions lead to it, and the second has all that the first has.
// Rows that a gateway keeps are nowhere else: then the secondary is Unavailable.
func GeoReplication(sku, kind string, nfs bool, account *model.ServiceInstance, secondary model.Location, now time.Time) map[string]any {
	can := CannotFailOver(sku, kind, nfs, secondary) == ""
	stats := map[string]any{"status": "Unavailable", "canFailover": can, "canPlannedFailover": false,
		"postFailoverRedundancy": AfterFailover(sku, false), "postPlannedFailoverRedundancy": AfterFailover(sku, true)}
	if len(account.Backends) > 0 {
		stats["status"], stats["lastSyncTime"] = "Live", now.UTC().Truncate(time.Second).Format(time.RFC3339)
		stats["canPlannedFailover"] = can
	}
	return stats
}

// redundancy answers the second region, and the last change of SKU.
func redundancy(a *service.Answer, sku string) {
	if secondary := Secondary(sku, a.Instance.Location, a.Home); secondary != "" {
		a.Properties["secondaryLocation"], a.Properties["statusOfSecondary"] = string(secondary), "available"
	}
	if change := a.Conversion; change.Target != "" && change.Target == sku {
		a.Properties["storageAccountSkuConversionStatus"] = map[string]any{"skuConversionStatus": "Succeeded", "targetSkuName": change.Target,
			"startTime": change.At.Format(time.RFC3339Nano), "endTime": change.At.Format(time.RFC3339Nano)}
	}
}
