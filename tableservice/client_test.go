package tableservice

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"postern/token"
)

const (
	suffix      = "core.windows.net"
	accountName = "stvnetstorageendpoints"
	tenant      = "7e57ab1e-0000-4000-8000-000000000001"
)

var (
	keyOne = base64.StdEncoding.EncodeToString([]byte("the first key of the account...."))
	keyTwo = base64.StdEncoding.EncodeToString([]byte("the second key of the account..."))
)

// cloud is a service behind TLS, with a client whose every connection goes to it whatever the host is.
type cloud struct {
	service *Service
	client  *http.Client
	issuer  token.Issuer
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	keys, err := token.NewKeySet(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c := &cloud{issuer: token.Issuer{URL: "http://169.254.169.254", Tenant: tenant, Keys: keys}}
	c.service, err = New(Options{Suffix: suffix, Authorizer: Credentials{
		Suffix: suffix,
		Keys: func(account string) ([2]string, bool) {
			return [2]string{keyOne, keyTwo}, account == accountName || account == "otheraccount"
		},
		Tokens: c.issuer.Verifier,
	}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(c.service)
	t.Cleanup(server.Close)
	transport := server.Client().Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.ServerName = "example.com" // what the test server's certificate names
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
	}
	c.client = &http.Client{Transport: transport, Timeout: 10 * time.Second}
	return c
}

func (c *cloud) options() *aztables.ClientOptions {
	return &aztables.ClientOptions{ClientOptions: azcore.ClientOptions{
		Transport: c.client, Retry: policy.RetryOptions{MaxRetries: -1}}}
}

func (c *cloud) tables(t *testing.T, account, key string) *aztables.ServiceClient {
	t.Helper()
	credential, err := aztables.NewSharedKeyCredential(account, key)
	if err != nil {
		t.Fatal(err)
	}
	client, err := aztables.NewServiceClientWithSharedKey("https://"+account+".table."+suffix, credential, c.options())
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// wantFault checks that a client saw a status and a code.
func wantFault(t *testing.T, err error, status int, code string) {
	t.Helper()
	var answer *azcore.ResponseError
	if !errors.As(err, &answer) || answer.StatusCode != status || answer.ErrorCode != code {
		t.Errorf("got %v, want %d %s", err, status, code)
	}
}

// row is an entity in JSON. The client's own EDMEntity doubles the quotes of a key in the body too, where they stand for
// two, so the keys are put in by hand.
func row(partition, name string, properties map[string]any) []byte {
	typed, err := json.Marshal(aztables.EDMEntity{Properties: properties})
	if err != nil {
		panic(err)
	}
	var entity map[string]any
	if err := json.Unmarshal(typed, &entity); err != nil {
		panic(err)
	}
	entity["PartitionKey"], entity["RowKey"] = partition, name
	text, err := json.Marshal(entity)
	if err != nil {
		panic(err)
	}
	return text
}

func TestOfficialClient(t *testing.T) {
	ctx := context.Background()
	c := newCloud(t)
	service := c.tables(t, accountName, keyOne)
	table := service.NewClient("operations")

	_, err := table.AddEntity(ctx, row("p", "r", nil), nil)
	wantFault(t, err, 404, "TableNotFound")
	if _, err := table.CreateTable(ctx, nil); err != nil {
		t.Fatal(err)
	}
	_, err = service.CreateTable(ctx, "OPERATIONS", nil)
	wantFault(t, err, 409, "TableAlreadyExists")
	_, err = service.CreateTable(ctx, "a-b", nil)
	wantFault(t, err, 400, "InvalidResourceName")

	moment := time.Date(2026, 9, 1, 12, 30, 15, 123456700, time.UTC)
	properties := map[string]any{
		"Message": "grüß \"Gott\"", "MessageNumber": int32(7), "Big": aztables.EDMInt64(1 << 60), "Ratio": 2.5, "Open": true,
		"MessageTime": aztables.EDMDateTime(moment), "ID": aztables.EDMGUID("c9da6455-213d-42c9-9a79-3e9149a57833"),
		"Bytes": aztables.EDMBinary{0, 255, 7},
	}
	added, err := table.AddEntity(ctx, row("o'brien", "1 ä+%", properties), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = table.AddEntity(ctx, row("o'brien", "1 ä+%", properties), nil)
	wantFault(t, err, 409, "EntityAlreadyExists")

	got, err := table.GetEntity(ctx, "o'brien", "1 ä+%", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.ETag != added.ETag || got.ETag == "" {
		t.Errorf("etag %s of the get, %s of the insert", got.ETag, added.ETag)
	}
	var read aztables.EDMEntity
	if err := json.Unmarshal(got.Value, &read); err != nil {
		t.Fatal(err)
	}
	for name, want := range properties {
		have := read.Properties[name]
		if at, ok := have.(aztables.EDMDateTime); ok {
			if !time.Time(at).Equal(moment) {
				t.Errorf("%s is %v, want %v", name, time.Time(at), moment)
			}
		} else if fmt.Sprintf("%T %v", have, have) != fmt.Sprintf("%T %v", want, want) {
			t.Errorf("%s is %T %v, want %T %v", name, have, have, want, want)
		}
	}

	full := aztables.MetadataFormatFull
	got, err = table.GetEntity(ctx, "o'brien", "1 ä+%", &aztables.GetEntityOptions{Format: &full})
	if err != nil || !strings.Contains(string(got.Value), `"odata.type":"`+accountName+`.operations"`) {
		t.Errorf("full metadata: %v %s", err, got.Value)
	}
	_, err = table.GetEntity(ctx, "o'brien", "2", nil)
	wantFault(t, err, 404, "ResourceNotFound")

	t.Run("upsert, update and delete with etags", func(t *testing.T) {
		if _, err := table.UpsertEntity(ctx, row("u", "1", map[string]any{"A": "a", "B": int32(1)}),
			&aztables.UpsertEntityOptions{UpdateMode: aztables.UpdateModeMerge}); err != nil {
			t.Fatal(err)
		}
		first, err := table.UpsertEntity(ctx, row("u", "1", map[string]any{"B": int32(2)}),
			&aztables.UpsertEntityOptions{UpdateMode: aztables.UpdateModeMerge})
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := table.GetEntity(ctx, "u", "1", nil); !strings.Contains(string(got.Value), `"A":"a"`) || !strings.Contains(string(got.Value), `"B":2`) {
			t.Errorf("after the merge: %s", got.Value)
		}
		if _, err := table.UpsertEntity(ctx, row("u", "1", map[string]any{"C": true}),
			&aztables.UpsertEntityOptions{UpdateMode: aztables.UpdateModeReplace}); err != nil {
			t.Fatal(err)
		}
		if got, _ := table.GetEntity(ctx, "u", "1", nil); strings.Contains(string(got.Value), `"A"`) || !strings.Contains(string(got.Value), `"C":true`) {
			t.Errorf("after the replacement: %s", got.Value)
		}
		_, err = table.UpdateEntity(ctx, row("u", "1", nil), &aztables.UpdateEntityOptions{IfMatch: &first.ETag, UpdateMode: aztables.UpdateModeReplace})
		wantFault(t, err, 412, "UpdateConditionNotSatisfied")
		_, err = table.UpdateEntity(ctx, row("u", "none", nil), &aztables.UpdateEntityOptions{UpdateMode: aztables.UpdateModeMerge})
		wantFault(t, err, 404, "ResourceNotFound")
		_, err = table.DeleteEntity(ctx, "u", "1", &aztables.DeleteEntityOptions{IfMatch: &first.ETag})
		wantFault(t, err, 412, "UpdateConditionNotSatisfied")
		if _, err := table.DeleteEntity(ctx, "u", "1", nil); err != nil {
			t.Fatal(err)
		}
		_, err = table.DeleteEntity(ctx, "u", "1", nil)
		wantFault(t, err, 404, "ResourceNotFound")
	})

	t.Run("query with filter, select and paging", func(t *testing.T) {
		for i := range 25 {
			if _, err := table.AddEntity(ctx, row("rows", fmt.Sprintf("%03d", i), map[string]any{"N": int32(i), "Big": aztables.EDMInt64(i)}), nil); err != nil {
				t.Fatal(err)
			}
		}
		filter, selected, top := "PartitionKey eq 'rows' and (N ge 5 and not (Big gt 20L))", "RowKey,N", int32(7)
		pager := table.NewListEntitiesPager(&aztables.ListEntitiesOptions{Filter: &filter, Select: &selected, Top: &top})
		var names []string
		pages := 0
		for ; pager.More() && pages < 10; pages++ {
			page, err := pager.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, entity := range page.Entities {
				var fields map[string]any
				if err := json.Unmarshal(entity, &fields); err != nil {
					t.Fatal(err)
				}
				names = append(names, fields["RowKey"].(string))
				if _, more := fields["Big"]; more || fields["N"] == nil || fields["PartitionKey"] != nil {
					t.Errorf("selected properties: %s", entity)
				}
			}
		}
		if pages != 3 || len(names) != 16 || names[0] != "005" || names[15] != "020" {
			t.Errorf("%d pages with %v", pages, names)
		}
		bad := "N eq"
		_, err := table.NewListEntitiesPager(&aztables.ListEntitiesOptions{Filter: &bad}).NextPage(ctx)
		wantFault(t, err, 400, "InvalidInput")
	})

	t.Run("tables", func(t *testing.T) {
		for _, name := range []string{"alpha", "beta", "gamma"} {
			if _, err := service.CreateTable(ctx, name, nil); err != nil {
				t.Fatal(err)
			}
		}
		top := int32(2)
		pager := service.NewListTablesPager(&aztables.ListTablesOptions{Top: &top})
		var names []string
		for pages := 0; pager.More() && pages < 10; pages++ {
			page, err := pager.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, one := range page.Tables {
				names = append(names, *one.Name)
			}
		}
		if strings.Join(names, " ") != "alpha beta gamma operations" {
			t.Errorf("tables %v", names)
		}
		if _, err := service.DeleteTable(ctx, "beta", nil); err != nil {
			t.Fatal(err)
		}
		_, err := service.DeleteTable(ctx, "beta", nil)
		wantFault(t, err, 404, "ResourceNotFound")
	})

	t.Run("accounts are apart", func(t *testing.T) {
		page, err := c.tables(t, "otheraccount", keyOne).NewListTablesPager(nil).NextPage(ctx)
		if err != nil || len(page.Tables) != 0 {
			t.Errorf("another account sees %d tables, %v", len(page.Tables), err)
		}
	})
}

func TestOfficialClientTransaction(t *testing.T) {
	ctx := context.Background()
	c := newCloud(t)
	table := c.tables(t, accountName, keyTwo).NewClient("batches")
	if _, err := table.CreateTable(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := table.AddEntity(ctx, row("p", "old", map[string]any{"A": "a"}), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := table.SubmitTransaction(ctx, []aztables.TransactionAction{
		{ActionType: aztables.TransactionTypeAdd, Entity: row("p", "1", map[string]any{"A": "x"})},
		{ActionType: aztables.TransactionTypeInsertReplace, Entity: row("p", "2", nil)},
		{ActionType: aztables.TransactionTypeUpdateMerge, Entity: row("p", "old", map[string]any{"B": "b"})},
	}, nil); err != nil {
		t.Fatal(err)
	}
	got, err := table.GetEntity(ctx, "p", "old", nil)
	if err != nil || !strings.Contains(string(got.Value), `"A":"a"`) || !strings.Contains(string(got.Value), `"B":"b"`) {
		t.Errorf("after the transaction: %s, %v", got.Value, err)
	}
	fails := func(what string, actions ...aztables.TransactionAction) {
		t.Helper()
		if _, err := table.SubmitTransaction(ctx, actions, nil); err == nil {
			t.Errorf("%s: the transaction went through", what)
		}
		if _, err := table.GetEntity(ctx, "p", "new", nil); err == nil {
			t.Errorf("%s: a part of a failed transaction stayed", what)
		}
	}
	fresh := aztables.TransactionAction{ActionType: aztables.TransactionTypeAdd, Entity: row("p", "new", nil)}
	fails("exists already", fresh, aztables.TransactionAction{ActionType: aztables.TransactionTypeAdd, Entity: row("p", "1", nil)})
	fails("not there", fresh, aztables.TransactionAction{ActionType: aztables.TransactionTypeDelete, Entity: row("p", "never", nil)})
	fails("two partitions", fresh, aztables.TransactionAction{ActionType: aztables.TransactionTypeAdd, Entity: row("q", "1", nil)})
	fails("twice the same", fresh, fresh)
	if _, err := table.SubmitTransaction(ctx, []aztables.TransactionAction{
		{ActionType: aztables.TransactionTypeDelete, Entity: row("p", "1", nil)},
		{ActionType: aztables.TransactionTypeDelete, Entity: row("p", "2", nil)},
	}, nil); err != nil {
		t.Fatal(err)
	}
	page, err := table.NewListEntitiesPager(nil).NextPage(ctx)
	if err != nil || len(page.Entities) != 1 {
		t.Errorf("%d entities left, %v", len(page.Entities), err)
	}
}

// identity is a credential that has a token already, as a program in a VM has.
type identity struct{ raw string }

func (i identity) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: i.raw, ExpiresOn: time.Now().Add(time.Hour)}, nil
}

func TestOfficialClientToken(t *testing.T) {
	ctx := context.Background()
	c := newCloud(t)
	other, err := token.NewKeySet(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	forged := c.issuer
	forged.Keys = other
	raw := func(issuer token.Issuer, audience string, at time.Time) string {
		text, _, err := issuer.Issue(token.Identity{PrincipalID: "11111111-2222-4333-8444-555555555555"}, audience, at)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for i, test := range []struct {
		name, raw string
		good      bool
	}{
		{"ID-2 audience storage", raw(c.issuer, "https://storage.azure.com", time.Now()), true},
		{"ID-2 audience account", raw(c.issuer, "https://"+accountName+".table."+suffix+"/", time.Now()), true},
		{"ID-2 audience of another account", raw(c.issuer, "https://otheraccount.table."+suffix, time.Now()), false},
		{"ID-2 audience of another service", raw(c.issuer, "https://vault.azure.net", time.Now()), false},
		{"ID-2 expired", raw(c.issuer, "https://storage.azure.com", time.Now().Add(-2*token.Lifetime)), false},
		{"ID-2 forged", raw(forged, "https://storage.azure.com", time.Now()), false},
		{"ID-2 rubbish", "x", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			service, err := aztables.NewServiceClient("https://"+accountName+".table."+suffix, identity{test.raw}, c.options())
			if err != nil {
				t.Fatal(err)
			}
			_, err = service.CreateTable(ctx, fmt.Sprintf("table%d", i), nil)
			if test.good && err != nil {
				t.Error(err)
			}
			if !test.good {
				wantFault(t, err, 401, "InvalidAuthenticationInfo")
			}
		})
	}
}
