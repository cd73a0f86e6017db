package keyvault

import (
	"fmt"
	"net/http"
	"strings"

	"postern/service"
)

// actions are what az and the SDKs ask about vaults beside the usual. A vault that is deleted is gone: none waits to be
// recovered or purged, and vaults answer that soft delete is off.
var actions = []service.Action{
	service.CheckName("Microsoft.KeyVault/checkNameAvailability", "Microsoft.KeyVault/checkNameAvailability/read", TypeVault, refuseName, nameTaken,
		service.UsualName("AccountNameInvalid", "AlreadyExists")),
	{Method: http.MethodGet, Path: "Microsoft.KeyVault/deletedVaults", Answer: func(*service.Call) (any, error) { return service.Empty, nil }},
	{Method: http.MethodGet, Path: "Microsoft.KeyVault/deletedManagedHSMs", Answer: func(*service.Call) (any, error) { return service.Empty, nil }},
	{Method: http.MethodGet, Path: "Microsoft.KeyVault/locations/*/deletedVaults/*", Answer: noDeletedVault},
	{Method: http.MethodPost, Path: "Microsoft.KeyVault/locations/*/deletedVaults/*/purge", Answer: noDeletedVault},
}

func refuseName(name string) *service.Refusal {
	if ValidName(strings.ToLower(name)) {
		return nil
	}
	return service.Refuse("VaultNameNotValid", "name", "The vault name '%.80s' is invalid. A vault's name must be between 3-24 alphanumeric characters. "+
		"The name must begin with a letter, end with a letter or digit, and not contain consecutive hyphens.", name)
}

func noDeletedVault(c *service.Call) (any, error) {
	return nil, &service.Refusal{Code: "DeletedVaultNotFound", Field: c.Names[1], Status: http.StatusNotFound,
		Message: fmt.Sprintf("The specified deleted vault '%s' does not exist.", c.Names[1])}
}
