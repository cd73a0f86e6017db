package api

import (
	"context"

	"postern/resource"
)

// RegenerateKey makes one of a storage account's keys anew: 0 and 1 are the shared keys, 2 and 3 those for Active Directory.
// When it is enforced, the gateways take a former shared key no longer.
func (a *API) RegenerateKey(ctx context.Context, id resource.ID, number int) (Outcome, error) {
	return a.alter(ctx, id, func(change *resource.Change) error { return change.RegenerateKey(id, number) })
}

// FailOver brings a geo-redundant storage account to its second region.
func (a *API) FailOver(ctx context.Context, id resource.ID, planned bool) (Outcome, error) {
	return a.alter(ctx, id, func(change *resource.Change) error { return change.FailOver(id, planned) })
}

// Convert gives a storage account another SKU, as a migration that its owner asked for.
func (a *API) Convert(ctx context.Context, id resource.ID, sku string) (Outcome, error) {
	return a.alter(ctx, id, func(change *resource.Change) error { return change.Convert(id, sku) })
}

// UpgradeNamespace gives a storage account a hierarchical namespace; with checkOnly it but tells whether that can be.
func (a *API) UpgradeNamespace(ctx context.Context, id resource.ID, checkOnly bool) (Outcome, error) {
	return a.alter(ctx, id, func(change *resource.Change) error { return change.UpgradeNamespace(id, checkOnly) })
}
