package resource

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"net/netip"

	"postern/model"
)

// accountIndex is what the judging of accounts needs of all the others.
type accountIndex struct {
	names     map[string]*storageAccount
	addresses map[netip.Addr]bool
}

func (j *judge) accountsIndex() *accountIndex {
	if j.accounts == nil {
		j.accounts = &accountIndex{make(map[string]*storageAccount), make(map[netip.Addr]bool)}
		for _, e := range j.claimants(TypeStorageAccount) {
			account := e.noun.(*storageAccount)
			if j.accounts.names[account.Name] == nil {
				j.accounts.names[account.Name] = account
			}
			j.accounts.addresses[account.Address] = true
		}
	}
	return j.accounts
}

// storageAccount allots address and keys, and the identities of the network rules.
func (j *judge) storageAccount(e *entry, account *storageAccount) error {
	x := j.accountsIndex()
	if other := x.names[account.Name]; other != account {
		return conflict("StorageAccountAlreadyTaken", "name", "The storage account named %s is already taken: by %s.", account.Name, other.ID)
	}
	if j.checkOnly {
		return j.rulesHold(account)
	}
	allotted := &e.record.Allotted
	rules := make(map[string]model.Identity)
	for i := range account.NetworkACLs.VirtualNetworkRules {
		rule := &account.NetworkACLs.VirtualNetworkRules[i]
		if !account.writtenDeleted[rule.Subnet.Key()] {
			identity, err := j.admit(rule.Subnet, index("properties.networkAcls.virtualNetworkRules", i)+".id")
			if err != nil {
				return err
			}
			rule.Identity = identity
		} else {
			rule.Identity = model.IdentityNone
		}
		rules[rule.Subnet.Key()] = rule.Identity
	}
	allotted.Rules = rules
	if err := j.frontAddress(account, x); err != nil {
		return err
	}
	allotted.Address = account.Address
	j.date(e)
	for i := range allotted.Keys {
		if allotted.Keys[i] == "" {
			var key [64]byte
			if _, err := io.ReadFull(j.options.Random, key[:]); err != nil {
				return fmt.Errorf("make a key for %s: %w", account.ID, err)
			}
			allotted.Keys[i] = base64.StdEncoding.EncodeToString(key[:])
		}
	}
	account.Keys = allotted.Keys
	return nil
}

// rulesHold judges the rules of an account without writing them.
func (j *judge) rulesHold(account *storageAccount) error {
	for i, rule := range account.NetworkACLs.VirtualNetworkRules {
		if !account.writtenDeleted[rule.Subnet.Key()] {
			if _, err := j.admit(rule.Subnet, index("properties.networkAcls.virtualNetworkRules", i)+".id"); err != nil {
				return err
			}
		}
	}
	return nil
}

// admit finds the identity of the subnet that a network rule lets in. The subnet must have the endpoint (FW-6).
func (j *judge) admit(id model.ResourceID, field string) (model.Identity, error) {
	subnet, vnet := j.after.subnet(id)
	if subnet == nil {
		return 0, refuse(CodeInvalidResourceReference, field, "The subnet %s of a virtual network rule was not found: create it first, or remove the rule.", id)
	}
	storage, _ := model.ServiceByEndpoint("Microsoft.Storage")
	if !enabled(subnet, storage) {
		return 0, refuse("NetworkAclsValidationFailure", field, "Validation of network acls failure: SubnetsHaveNoServiceEndpointsConfigured:"+
			"Subnets %s of virtual network %s do not have ServiceEndpoints for Microsoft.Storage resources configured. Add Microsoft.Storage to "+
			"subnet's ServiceEndpoints collection before trying to ACL Microsoft.Storage resources to these subnets..", subnet.ID.Name(), vnet.ID)
	}
	return subnet.Identity, nil
}

func (j *judge) frontAddress(account *storageAccount, x *accountIndex) error {
	if account.Address.IsValid() {
		return nil
	}
	if j.options.FrontAddresses != nil {
		for _, prefix := range j.options.FrontAddresses(account.Location) {
			if address, ok := free(prefix, account.Name, func(a netip.Addr) bool { return x.addresses[a] }); ok {
				account.Address = address
				x.addresses[address] = true
				return nil
			}
		}
	}
	return conflict("LocationNotAvailableForResourceType", "location", "There is no free public address for a storage account in region '%s': "+
		"the service tag Storage has no IPv4 prefix there. Use another region, or import a tag file that has it.", account.Location)
}

// free finds an address in an IPv4 prefix that is not taken, beginning at a place that a name's hash gives, so that
// the same resources get the same addresses. The first and the last address stay free where there are more than two.
func free(prefix netip.Prefix, name string, taken func(netip.Addr) bool) (netip.Addr, bool) {
	if !prefix.Addr().Is4() || prefix.Bits() < 8 {
		return netip.Addr{}, false
	}
	first, count := uint32(0), uint32(1)<<(32-prefix.Bits())
	if count > 2 {
		first, count = 1, count-2
	}
	hash := fnv.New32a()
	hash.Write([]byte(name))
	base := prefix.Masked().Addr().As4()
	start := hash.Sum32() % count
	for i := range count {
		var bytes [4]byte
		binary.BigEndian.PutUint32(bytes[:], binary.BigEndian.Uint32(base[:])+first+(start+i)%count)
		if address := netip.AddrFrom4(bytes); !taken(address) {
			return address, true
		}
	}
	return netip.Addr{}, false
}
