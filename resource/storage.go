package resource

import (
	"net"
	"net/netip"
	"strings"

	"postern/model"
)

type storageBody struct {
	header
	Properties struct {
		PublicNetworkAccess string           `json:"publicNetworkAccess"`
		NetworkACLs         *networkACLsBody `json:"networkAcls"`
	} `json:"properties"`
}

type networkACLsBody struct {
	DefaultAction string `json:"defaultAction"`
	Bypass        string `json:"bypass"`
	IPRules       []struct {
		Value  string `json:"value"`
		Action string `json:"action"`
	} `json:"ipRules"`
	VirtualNetworkRules []struct {
		ID     string `json:"id"`
		Action string `json:"action"`
		State  string `json:"state"` // read-only, but for stateDeleted: see ruleOf
	} `json:"virtualNetworkRules"`
}

// stateDeleted is the state of a rule whose subnet was deleted (FW-7).
const stateDeleted = "networkSourceDeleted"

// maxStorageRules bounds the VNet rules of a storage account, and its IP rules (FW-11).
const maxStorageRules = 400

// storageAccount is the noun with the keys of those rules that were written as deleted.
type storageAccount struct {
	model.StorageAccount
	writtenDeleted map[string]bool
}

func decodeStorageAccount(r *Record) (any, error) {
	var body storageBody
	if err := leniently(r.Body, &body); err != nil {
		return nil, err
	}
	location, err := body.location()
	if err != nil {
		return nil, err
	}
	account := &storageAccount{writtenDeleted: make(map[string]bool)}
	account.StorageAccount = model.StorageAccount{ID: model.ResourceID(r.ID), Name: model.ResourceID(r.ID).Name(), Location: location,
		Address: r.Allotted.Address, Keys: r.Allotted.Keys, Backend: body.Tags[TagBackend],
		NetworkACLs: model.NetworkACLs{DefaultAllow: true, Bypass: []string{"AzureServices"}}}
	if !validAccountName(account.Name) {
		return nil, refuse("AccountNameInvalid", "name", "%s is not a valid storage account name. Storage account name must be between 3 "+
			"and 24 characters in length and use numbers and lower-case letters only.", account.Name)
	}
	if account.Backend != "" {
		if _, port, err := net.SplitHostPort(account.Backend); err != nil || port == "" {
			return nil, refuse(CodeInvalidRequestFormat, "tags."+TagBackend, "The backend '%s' must be host:port.", account.Backend)
		}
	}
	access, err := oneOf(body.Properties.PublicNetworkAccess, "properties.publicNetworkAccess", "Enabled", "Disabled")
	if err != nil {
		return nil, err
	}
	account.PublicNetworkAccess = access == "Enabled"
	if acls := body.Properties.NetworkACLs; acls != nil {
		if err := decodeNetworkACLs(account, acls, r.Allotted.Rules); err != nil {
			return nil, err
		}
	}
	return account, nil
}

func validAccountName(name string) bool {
	if len(name) < 3 || len(name) > 24 {
		return false
	}
	for _, c := range []byte(name) {
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9') {
			return false
		}
	}
	return true
}

func decodeNetworkACLs(account *storageAccount, body *networkACLsBody, identities map[string]model.Identity) error {
	const at = "properties.networkAcls"
	acls := &account.NetworkACLs
	action, err := oneOf(body.DefaultAction, at+".defaultAction", "Allow", "Deny")
	if err != nil {
		return err
	}
	acls.DefaultAllow = action == "Allow"
	if acls.Bypass, err = bypass(body.Bypass, at+".bypass"); err != nil {
		return err
	}
	if len(body.IPRules) > maxStorageRules || len(body.VirtualNetworkRules) > maxStorageRules {
		return refuse("NetworkAclsLimitExceeded", at, "An account takes at most %d IP rules and %d virtual network rules.", maxStorageRules, maxStorageRules)
	}
	for i, rule := range body.IPRules {
		if _, err := oneOf(rule.Action, index(at+".ipRules", i)+".action", "Allow"); err != nil {
			return err
		}
		prefix, err := ipRule(rule.Value, index(at+".ipRules", i)+".value")
		if err != nil {
			return err
		}
		acls.IPRules = append(acls.IPRules, prefix)
	}
	for i, rule := range body.VirtualNetworkRules {
		field := index(at+".virtualNetworkRules", i)
		if _, err := oneOf(rule.Action, field+".action", "Allow"); err != nil {
			return err
		}
		subnet, err := referTo(&reference{ID: rule.ID}, TypeVirtualNetwork+"/subnets", field)
		if err != nil {
			return err
		}
		for _, other := range acls.VirtualNetworkRules {
			if other.Subnet.Is(subnet) {
				return refuse("InvalidValuesForRequestParameters", field+".id", "Values for request parameters are invalid: the subnet %s stands twice.", subnet)
			}
		}
		if strings.EqualFold(rule.State, stateDeleted) {
			account.writtenDeleted[subnet.Key()] = true
		}
		acls.VirtualNetworkRules = append(acls.VirtualNetworkRules, model.VirtualNetworkRule{Subnet: subnet, Identity: identities[subnet.Key()]})
	}
	return nil
}

// bypass reads the set that FW-9 names, written "AzureServices, Logging".
func bypass(text, field string) ([]string, error) {
	if text == "" {
		return []string{"AzureServices"}, nil
	}
	var set []string
	for word := range strings.SplitSeq(text, ",") {
		word, err := oneOf(strings.TrimSpace(word), field, "None", "AzureServices", "Logging", "Metrics")
		if err != nil {
			return nil, err
		}
		if word != "None" {
			set = append(set, word)
		}
	}
	return set, nil
}

// notPublic are the ranges that an IP rule must not name: private ones and those that no client has (FW-4).
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("224.0.0.0/3"),
}

// ipRule reads a public IPv4 address or a range up to /30 (FW-4).
func ipRule(text, field string) (netip.Prefix, error) {
	bad := func(reason string) (netip.Prefix, error) {
		return netip.Prefix{}, refuse("InvalidValuesForRequestParameters", field,
			"Values for request parameters are invalid: networkAcls.ipRules[*].value '%s' %s.", text, reason)
	}
	prefix, err := parsePrefixOrAddress(text, field)
	if err != nil {
		return bad("is neither an IPv4 address nor a range in CIDR form without host bits")
	}
	if strings.Contains(text, "/") && prefix.Bits() >= 31 {
		return bad("is a /31 or /32: write its addresses one by one, without a length")
	}
	for _, private := range notPublic {
		if private.Overlaps(prefix) {
			return bad("is in a private or reserved range: only public addresses can be allowed; for a subnet use a virtual network rule")
		}
	}
	return prefix, nil
}
