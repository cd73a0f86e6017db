package arm_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/storage/armstorage"
)

// put makes an account of a SKU.
func (c *clients) putAccount(t *testing.T, name string, sku armstorage.SKUName, tags map[string]*string, properties *armstorage.AccountPropertiesCreateParameters) armstorage.AccountsClientCreateResponse {
	t.Helper()
	return done[armstorage.AccountsClientCreateResponse](t, c)(c.storage.NewAccountsClient().BeginCreate(c.ctx, "demo", name, armstorage.AccountCreateParameters{
		Kind: to.Ptr(armstorage.KindStorageV2), Location: to.Ptr("westeurope"), SKU: &armstorage.SKU{Name: to.Ptr(sku)}, Tags: tags, Properties: properties}, nil))
}

func (c *clients) account(t *testing.T, name string) armstorage.Account {
	t.Helper()
	return must[armstorage.AccountsClientGetPropertiesResponse](t)(c.storage.NewAccountsClient().GetProperties(c.ctx, "demo", name,
		&armstorage.AccountsClientGetPropertiesOptions{Expand: to.Ptr(armstorage.StorageAccountExpandGeoReplicationStats)})).Account
}

// TestSDKFailover follows an account to its second region and back, and to the second region for good.
func TestSDKFailover(t *testing.T) {
	c := startWatched(t)
	accounts := c.storage.NewAccountsClient()
	shared := map[string]*string{"postern.backend": to.Ptr("127.0.0.1:9")}
	c.putAccount(t, "stmoves", armstorage.SKUNameStandardGRS, shared, nil)
	fails := func(name, kind string) error {
		poller, err := accounts.BeginFailover(c.ctx, "demo", name, &armstorage.AccountsClientBeginFailoverOptions{FailoverType: to.Ptr(kind)})
		if err == nil {
			_, err = poller.PollUntilDone(c.ctx, nil)
		}
		return err
	}
	at := func(primary, secondary string) armstorage.Account {
		t.Helper()
		now := c.account(t, "stmoves")
		other := ""
		if now.Properties.SecondaryLocation != nil {
			other = *now.Properties.SecondaryLocation
		}
		if *now.Properties.PrimaryLocation != primary || other != secondary || *now.Location != "westeurope" {
			t.Errorf("it is in %s and %q, made in %s; want %s and %q", *now.Properties.PrimaryLocation, other, *now.Location, primary, secondary)
		}
		return now
	}
	before := at("westeurope", "northeurope")
	if stats := before.Properties.GeoReplicationStats; stats == nil || !*stats.CanFailover || *stats.Status != armstorage.GeoReplicationStatusLive || stats.LastSyncTime == nil {
		t.Errorf("its second region: %+v", stats)
	}
	if err := fails("stmoves", "Planned"); err != nil {
		t.Fatal(err)
	}
	at("northeurope", "westeurope")
	if err := fails("stmoves", "Planned"); err != nil {
		t.Fatal(err)
	}
	at("westeurope", "northeurope")
	poller, err := accounts.BeginFailover(c.ctx, "demo", "stmoves", nil)
	done[armstorage.AccountsClientFailoverResponse](t, c)(poller, err)
	if now := at("northeurope", ""); *now.SKU.Name != armstorage.SKUNameStandardLRS || now.Properties.GeoReplicationStats != nil {
		t.Errorf("after a failover for good: %s, %+v", *now.SKU.Name, now.Properties.GeoReplicationStats)
	}
	refused(t, fails("stmoves", "Planned"), http.StatusConflict, "AccountFailoverNotSupported")

	c.putAccount(t, "stalone", armstorage.SKUNameStandardGRS, nil, nil) // its rows are a gateway's own
	if stats := c.account(t, "stalone").Properties.GeoReplicationStats; *stats.Status != armstorage.GeoReplicationStatusUnavailable || *stats.CanPlannedFailover || stats.LastSyncTime != nil {
		t.Errorf("without a backend: %+v", stats)
	}
	refused(t, fails("stalone", "Planned"), http.StatusConflict, "AccountFailoverNotSupported")
}

func TestSDKAccountMigration(t *testing.T) {
	c := startWatched(t)
	accounts := c.storage.NewAccountsClient()
	c.putAccount(t, "stmigrates", armstorage.SKUNameStandardLRS, nil, nil)
	_, err := accounts.GetCustomerInitiatedMigration(c.ctx, "demo", "stmigrates", armstorage.MigrationNameDefault, nil)
	refused(t, err, http.StatusNotFound, "ResourceNotFound")
	wish := func(sku armstorage.SKUName) armstorage.AccountMigration {
		return armstorage.AccountMigration{StorageAccountMigrationDetails: &armstorage.AccountMigrationProperties{TargetSKUName: to.Ptr(sku)}}
	}
	done[armstorage.AccountsClientCustomerInitiatedMigrationResponse](t, c)(accounts.BeginCustomerInitiatedMigration(c.ctx, "demo", "stmigrates", wish(armstorage.SKUNameStandardZRS), nil))
	made := must[armstorage.AccountsClientGetCustomerInitiatedMigrationResponse](t)(accounts.GetCustomerInitiatedMigration(c.ctx, "demo", "stmigrates", armstorage.MigrationNameDefault, nil))
	if details := made.StorageAccountMigrationDetails; *details.MigrationStatus != armstorage.MigrationStatusComplete || *details.TargetSKUName != armstorage.SKUNameStandardZRS {
		t.Errorf("the migration: %+v", details)
	}
	now := c.account(t, "stmigrates")
	if *now.SKU.Name != armstorage.SKUNameStandardZRS || *now.Properties.StorageAccountSKUConversionStatus.SKUConversionStatus != armstorage.SKUConversionStatusSucceeded {
		t.Errorf("the account: %s, %+v", *now.SKU.Name, now.Properties.StorageAccountSKUConversionStatus)
	}
	for sku, code := range map[armstorage.SKUName]string{armstorage.SKUNameStandardZRS: "AccountMigrationNotAllowed", armstorage.SKUNamePremiumLRS: "InvalidRequestFormat"} {
		if _, err := accounts.BeginCustomerInitiatedMigration(c.ctx, "demo", "stmigrates", wish(sku), nil); err == nil || !strings.Contains(err.Error(), code) {
			t.Errorf("to %s: %v", sku, err)
		}
	}
	for kind, has := range map[string]bool{"HnsOnValidationRequest": false, "HnsOnHydrationRequest": true} {
		c.putAccount(t, strings.ToLower(kind[:15]), armstorage.SKUNameStandardLRS, nil, nil)
		done[armstorage.AccountsClientHierarchicalNamespaceMigrationResponse](t, c)(accounts.BeginHierarchicalNamespaceMigration(c.ctx, "demo", strings.ToLower(kind[:15]), kind, nil))
		if now := c.account(t, strings.ToLower(kind[:15])).Properties.IsHnsEnabled; (now != nil && *now) != has {
			t.Errorf("%s: isHnsEnabled %v", kind, now)
		}
	}
	_, err = accounts.BeginHierarchicalNamespaceMigration(c.ctx, "demo", "hnsonhydrationr", "HnsOnHydrationRequest", nil)
	refused(t, err, http.StatusConflict, "HnsMigrationNotAllowed")
}

func TestSDKSharedAccessSignatures(t *testing.T) {
	c := startWatched(t)
	accounts := c.storage.NewAccountsClient()
	c.putAccount(t, "stsigns", armstorage.SKUNameStandardLRS, nil, nil)
	until := to.Ptr(time.Date(2030, 1, 2, 3, 4, 5, 600, time.UTC))
	whole := must[armstorage.AccountsClientListAccountSASResponse](t)(accounts.ListAccountSAS(c.ctx, "demo", "stsigns", armstorage.AccountSasParameters{
		Permissions: to.Ptr(armstorage.PermissionsR), ResourceTypes: to.Ptr(armstorage.SignedResourceTypesS), Services: to.Ptr(armstorage.ServicesB), SharedAccessExpiryTime: until}, nil))
	if !strings.HasPrefix(*whole.AccountSasToken, "sv=2015-04-05&ss=b&srt=s&sp=r&se=2030-01-02T03%3A04%3A05Z&sig=") {
		t.Errorf("of the account: %s", *whole.AccountSasToken)
	}
	part := must[armstorage.AccountsClientListServiceSASResponse](t)(accounts.ListServiceSAS(c.ctx, "demo", "stsigns", armstorage.ServiceSasParameters{
		CanonicalizedResource: to.Ptr("/blob/stsigns/music"), Resource: to.Ptr(armstorage.SignedResourceC), Permissions: to.Ptr(armstorage.PermissionsL), SharedAccessExpiryTime: until}, nil))
	if !strings.HasPrefix(*part.ServiceSasToken, "sv=2015-04-05&sr=c&se=2030-01-02T03%3A04%3A05Z&sp=l&sig=") {
		t.Errorf("of a container: %s", *part.ServiceSasToken)
	}
	_, err := accounts.ListServiceSAS(c.ctx, "demo", "stsigns", armstorage.ServiceSasParameters{CanonicalizedResource: to.Ptr("/blob/another/music"),
		Resource: to.Ptr(armstorage.SignedResourceC), Permissions: to.Ptr(armstorage.PermissionsL), SharedAccessExpiryTime: until}, nil)
	refused(t, err, http.StatusBadRequest, "InvalidValuesForRequestParameters")
}

func TestSDKRegenerateKey(t *testing.T) {
	c := startWatched(t)
	accounts := c.storage.NewAccountsClient()
	done[armstorage.AccountsClientCreateResponse](t, c)(accounts.BeginCreate(c.ctx, "demo", "keyed", armstorage.AccountCreateParameters{Kind: to.Ptr(armstorage.KindStorageV2),
		Location: to.Ptr("westeurope"), SKU: &armstorage.SKU{Name: to.Ptr(armstorage.SKUNameStandardLRS)}}, nil))
	before := must[armstorage.AccountsClientListKeysResponse](t)(accounts.ListKeys(c.ctx, "demo", "keyed", nil))
	after := must[armstorage.AccountsClientRegenerateKeyResponse](t)(accounts.RegenerateKey(c.ctx, "demo", "keyed",
		armstorage.AccountRegenerateKeyParameters{KeyName: to.Ptr("key2")}, nil))
	if *before.Keys[0].Value != *after.Keys[0].Value || *before.Keys[1].Value == *after.Keys[1].Value || *after.Keys[1].Value == "" {
		t.Error("it must make key2 anew and leave key1")
	}
	kerberos := must[armstorage.AccountsClientRegenerateKeyResponse](t)(accounts.RegenerateKey(c.ctx, "demo", "keyed",
		armstorage.AccountRegenerateKeyParameters{KeyName: to.Ptr("kerb2")}, nil))
	if len(kerberos.Keys) != 3 || *kerberos.Keys[2].KeyName != "kerb2" || *kerberos.Keys[2].Value == "" || *kerberos.Keys[0].Value != *before.Keys[0].Value {
		t.Errorf("keys with one for Active Directory: %+v", kerberos.Keys)
	}
	if plain := must[armstorage.AccountsClientListKeysResponse](t)(accounts.ListKeys(c.ctx, "demo", "keyed", nil)); len(plain.Keys) != 2 {
		t.Errorf("%d keys without $expand=kerb", len(plain.Keys))
	}
	_, err := accounts.RegenerateKey(c.ctx, "demo", "keyed", armstorage.AccountRegenerateKeyParameters{KeyName: to.Ptr("kerb3")}, nil)
	refused(t, err, http.StatusBadRequest, "InvalidRequestContent")
}
