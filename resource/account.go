package resource

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"strings"

	"postern/service/all"
	"postern/service/storage"
)

// What is done to a storage account beside writing its body.

// account finds the account that an id names, and what its body and its answers say of it.
func (c *Change) account(id ID) (*Record, *instance, accountFacts, error) {
	record := c.record(id.Root().Key())
	if record == nil || record.Type != TypeStorageAccount || id.IsChild() {
		return nil, nil, accountFacts{}, NotFound(id)
	}
	e, err := decode(record)
	if err != nil {
		return nil, nil, accountFacts{}, err
	}
	facts := accountFacts{Kind: "StorageV2"}
	if err := json.Unmarshal(record.Body, &facts); err != nil {
		return nil, nil, facts, fmt.Errorf("read %s: %w", id, err)
	}
	return record, e.noun.(*instance), facts, nil
}

type accountFacts struct {
	Kind       string `json:"kind"`
	Properties struct {
		IsHnsEnabled   bool `json:"isHnsEnabled"`
		IsNfsV3Enabled bool `json:"isNfsV3Enabled"`
	} `json:"properties"`
}

// RegenerateKey makes one of an instance's keys anew: numbers 0 and 1 are the shared keys, which not all types have; 2 and 3
// those of a storage account for Active Directory, which an account has not before it is asked for them.
func (c *Change) RegenerateKey(id ID, number int) error {
	record := c.record(id.Root().Key())
	if record == nil || id.IsChild() {
		return NotFound(id)
	}
	if _, typ := all.Type(record.Type); typ == nil || !typ.Keys || number > 1 && record.Type != TypeStorageAccount {
		return NotFound(id)
	}
	if number < len(record.Allotted.Keys) {
		record.Allotted.Keys[number] = "" // the judge allots what is missing
	} else {
		record.Allotted.Kerberos[number-len(record.Allotted.Keys)] = wanted
	}
	c.written[record.Key()] = record
	return nil
}

// FailOver brings a geo-redundant account to its second region, where it has another address. A planned failover can be made
// undone by another; after one for good the account is in one region alone.
func (c *Change) FailOver(id ID, planned bool) error {
	record, account, facts, err := c.account(id)
	if err != nil {
		return err
	}
	secondary := storage.Secondary(account.SKU, account.Location, account.home)
	reason := storage.CannotFailOver(account.SKU, facts.Kind, facts.Properties.IsNfsV3Enabled, secondary)
	if reason == "" && planned && len(account.Backends) == 0 {
		reason = "what its gateway keeps is in no second region: only a failover that may lose it can be made"
	}
	if reason != "" {
		return conflict("AccountFailoverNotSupported", "", "The storage account %s cannot be failed over: %s.", id.Name(), reason)
	}
	if record.Allotted.Region = secondary; secondary == account.home {
		record.Allotted.Region = ""
	}
	record.Allotted.Address = netip.Addr{} // the judge allots one of the other region
	return c.setMember(record, "sku", "name", storage.AfterFailover(account.SKU, planned))
}

// Convert gives an account another SKU, as its owner asks Azure to migrate it.
func (c *Change) Convert(id ID, sku string) error {
	record, account, _, err := c.account(id)
	if err != nil {
		return err
	}
	target, err := oneOf(sku, "properties.targetSkuName", "", "Standard_LRS", "Standard_GRS", "Standard_RAGRS", "Standard_ZRS", "Standard_GZRS", "Standard_RAGZRS")
	if err != nil || target == "" {
		return refuse(CodeInvalidRequestFormat, "properties.targetSkuName", "The targetSkuName '%.40s' is not known, or none that an account can be migrated to.", sku)
	}
	if strings.HasPrefix(account.SKU, "Premium") || target == account.SKU {
		return conflict("AccountMigrationNotAllowed", "properties.targetSkuName", "The storage account %s of the SKU %s cannot be migrated to %s.",
			id.Name(), account.SKU, target)
	}
	record.Allotted.Conversion.Started, record.Allotted.Conversion.Target = true, target
	return c.setMember(record, "sku", "name", target)
}

// UpgradeNamespace gives an account a hierarchical namespace, for good. checkOnly: it is but found out whether that can be.
func (c *Change) UpgradeNamespace(id ID, checkOnly bool) error {
	record, _, facts, err := c.account(id)
	if err != nil {
		return err
	}
	if facts.Properties.IsHnsEnabled || !strings.EqualFold(facts.Kind, "StorageV2") && !strings.EqualFold(facts.Kind, "BlockBlobStorage") {
		return conflict("HnsMigrationNotAllowed", "", "The storage account %s cannot be given a hierarchical namespace: it has one, or is of the "+
			"kind %s.", id.Name(), facts.Kind)
	}
	if checkOnly {
		return nil
	}
	return c.setMember(record, "properties", "isHnsEnabled", true)
}

// setMember writes one member of an object in a record's body.
func (c *Change) setMember(record *Record, in, name string, value any) error {
	object, err := c.object(record)
	if err != nil {
		return err
	}
	object = maps.Clone(object)
	inner, _ := object[member(object, in)].(map[string]any)
	if inner = maps.Clone(inner); inner == nil {
		inner = make(map[string]any)
	}
	inner[member(inner, name)] = value
	object[member(object, in)] = inner
	if record.Body, err = json.Marshal(object); err != nil {
		return fmt.Errorf("write %s: %w", record.ID, err)
	}
	c.written[record.Key()], c.objects[record.Key()] = record, object
	return nil
}

// MigrationOf is how the last migration that an account's owner asked for has gone: the SKU that it was for.
func (c *Cloud) MigrationOf(id ID) (target string, err error) {
	e := c.entries.find(id.Root().Key())
	if e == nil || e.record.Type != TypeStorageAccount {
		return "", NotFound(id.Root())
	}
	if change := e.record.Allotted.Conversion; change.Started {
		return change.Target, nil
	}
	return "", &Error{Code: CodeResourceNotFound, Status: http.StatusNotFound, Message: fmt.Sprintf("No migration of the storage account %s was asked for.", e.record.ID)}
}

// KerberosKeys are those of an account for Active Directory, "" for one that there is not.
func (c *Cloud) KerberosKeys(id ID) [2]string {
	if e := c.entries.find(id.Root().Key()); e != nil {
		return e.record.Allotted.Kerberos
	}
	return [2]string{}
}
