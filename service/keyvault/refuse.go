package keyvault

import (
	"postern/firewall"
	"postern/service"
)

// words are the codes and messages of the vault's own answers
// (https://learn.microsoft.com/azure/key-vault/general/rest-error-codes).
var words = map[service.Fault][2]string{
	service.NoSuchName:     {"BadParameter", "The host is no key vault's name."},
	service.NoSuchInstance: {"VaultNotFound", "The vault was not found."},
	service.Misdirected:    {"BadParameter", "The vault is served elsewhere: open a connection of its own."},
	service.BadMethod:      {"BadParameter", "Method not allowed."},
	service.NotServed:      {"NotImplemented", "The vault has no backend."},
	service.BackendDown:    {"ServiceUnavailable", "The service is temporarily unavailable. Please retry."},
}

type inner struct {
	Code string `json:"code"`
}

type fault struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Inner   *inner `json:"innererror,omitempty"`
}

// refuse answers as a vault does: Forbidden, with an inner error that tells a firewall's no from a missing permission
// (FW-12). The vault names the client's address. It judges before it asks for a token, so that it cannot name the
// caller's application, as Azure does in one more line.
func refuse(d *service.Denial) service.Response {
	answer := fault{Code: words[d.Fault][0], Message: words[d.Fault][1]}
	if d.Fault == service.Forbidden {
		answer = fault{"Forbidden", "Client address is not authorized and caller is not a trusted service.\r\nClient address: " + d.Address() +
			"\r\nVault: " + d.Instance, &inner{"ForbiddenByFirewall"}}
		if d.Decision.Reason == firewall.ReasonPublicAccessOff {
			answer.Message = "Public network access is disabled and request is not from a trusted service nor via an approved private link.\r\nVault: " + d.Instance
			answer.Inner.Code = "ForbiddenByConnection"
		}
	}
	return service.JSON(d.Fault.Status(), map[string]fault{"error": answer})
}
