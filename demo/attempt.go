package demo

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"postern/demo/application"
	"postern/firewall"
	"postern/gateway"
	"postern/resource"
)

// attempt is one row that somebody tried to write over a new connection: what the client met, and what the gateway's log
// says of it.
type attempt struct {
	Account     string `json:"account"`
	Status      int    `json:"status,omitempty"`      // 0: no answer
	Code        string `json:"code,omitempty"`        // the service's error
	Problem     string `json:"problem,omitempty"`     // why there was no answer
	Caller      string `json:"caller,omitempty"`      // as logged, without its port
	CallerKind  string `json:"callerKind,omitempty"`  //
	Rule        string `json:"rule,omitempty"`        // what let it in
	MissingRule string `json:"missingRule,omitempty"` // what would have
	RequestID   string `json:"requestId,omitempty"`

	err error
}

const statusCreated, statusForbidden = 201, 403

func (a attempt) stored() bool { return a.Status == statusCreated }

// denied tells whether the service's own refusal came, and the log names a missing rule.
func (a attempt) denied() bool {
	return a.Status == statusForbidden && a.Code == "AuthorizationFailure" && a.MissingRule != ""
}

// String is the attempt in few words.
func (a attempt) String() string {
	switch {
	case a.stored():
		return fmt.Sprintf("%s: stored, caller %s", a.Account, a.Caller)
	case a.Status != 0:
		return fmt.Sprintf("%s: %d %s, caller %s, %s", a.Account, a.Status, a.Code, a.Caller, a.MissingRule)
	}
	return fmt.Sprintf("%s: %s", a.Account, a.Problem)
}

// try writes one row. A connection that fails is a result and no error; a timeout is tried again, since a new connection
// on a busy machine may need more than one request's time.
func (s *stage) try(ctx context.Context, client *application.Client, account string) (attempt, error) {
	result := attempt{Account: account}
	err := s.until(ctx, "an answer of "+account, func(ctx context.Context) (bool, error) {
		client.Close() // what is kept open may have another caller's address
		row := application.Row{PartitionKey: s.partition("try"), RowKey: "1", MessageTime: time.Now(), Message: "let me in", MessageNumber: 1}
		result.RequestID, result.err = client.Insert(ctx, account, row)
		return result.err == nil || !application.IsTimeout(result.err), result.err
	})
	if err != nil {
		return result, err
	}
	var refusal *application.ServiceError
	switch {
	case result.err == nil:
		result.Status = statusCreated
	case errors.As(result.err, &refusal):
		result.Status, result.Code = refusal.Status, refusal.Code
	default:
		result.Problem = application.Reason(result.err)
		return result, nil
	}
	entry, err := s.logged(ctx, result.RequestID)
	if err == nil {
		result.read(entry)
	}
	return result, err
}

// read takes over what the log says.
func (a *attempt) read(entry gateway.Entry) {
	a.CallerKind, a.Rule, a.MissingRule = string(entry.CallerKind), entry.Rule, entry.MissingRule
	a.Caller = entry.CallerIPAddress
	if address, err := netip.ParseAddrPort(entry.CallerIPAddress); err == nil {
		a.Caller = address.Addr().String()
	}
}

// platformRange is where clients of a service's own region come from (FW-5).
var platformRange = netip.MustParsePrefix("100.64.0.0/10")

// fromPlatform tells whether the caller is a platform address.
func (a attempt) fromPlatform() bool {
	address, err := netip.ParseAddr(a.Caller)
	return err == nil && platformRange.Contains(address) && a.CallerKind == string(firewall.Platform)
}

// fromPublic and fromPrivate tell whether the caller is that address, come that way.
func (a attempt) fromPublic(address string) bool {
	return a.Caller == address && a.CallerKind == string(firewall.Public)
}

func (a attempt) fromPrivate(address netip.Addr) bool {
	return a.Caller == address.String() && a.CallerKind == string(firewall.Endpoint)
}

// misses tells whether the log's missing rule has all the words.
func (a attempt) misses(words ...string) bool {
	for _, word := range words {
		if !strings.Contains(a.MissingRule, word) {
			return false
		}
	}
	return true
}

// shorten leaves out of an id what all ids here have in common.
func shorten(text string) string {
	const common = "/subscriptions/" + resource.DefaultSubscription + "/resourceGroups/" + resource.DefaultResourceGroup + "/providers/Microsoft.Network/"
	return strings.ReplaceAll(text, common, "")
}
