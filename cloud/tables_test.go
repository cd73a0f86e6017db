package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
)

// managedIdentity is a credential that asks 169.254.169.254 from a VM, as a client in it would.
type managedIdentity struct {
	stage *stage
	from  Machine
}

func (m managedIdentity) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	token, err := m.stage.askToken(m.from)
	return azcore.AccessToken{Token: token, ExpiresOn: time.Now().Add(time.Hour)}, err
}

// tableOptions are those of Azure's client on a machine. Retries are off: a failure is the test's.
func (s *stage) tableOptions(from Machine) *aztables.ClientOptions {
	return &aztables.ClientOptions{ClientOptions: policy.ClientOptions{
		Transport: s.client(from, ""), Retry: policy.RetryOptions{MaxRetries: -1},
	}}
}

func (s *stage) byToken(from Machine, account string) *aztables.ServiceClient {
	s.t.Helper()
	client, err := aztables.NewServiceClient("https://"+tableHost(account), managedIdentity{s, from}, s.tableOptions(from))
	if err != nil {
		s.t.Fatal(err)
	}
	return client
}

func (s *stage) byKey(from Machine, account string) *aztables.ServiceClient {
	s.t.Helper()
	return s.tablesAt(from, account, "https://"+tableHost(account))
}

// tablesByPath is byKey in path style.
func (s *stage) tablesByPath(from Machine, account string) *aztables.ServiceClient {
	s.t.Helper()
	return s.tablesAt(from, account, s.byPath(account, "10002"))
}

// byPath is the address of an account in path style.
func (s *stage) byPath(account, port string) string {
	s.t.Helper()
	return "http://" + net.JoinHostPort(s.lookup(account).String(), port) + "/" + account
}

func (s *stage) tablesAt(from Machine, account, address string) *aztables.ServiceClient {
	s.t.Helper()
	credential, err := aztables.NewSharedKeyCredential(account, s.keyOf(account))
	if err != nil {
		s.t.Fatal(err)
	}
	client, err := aztables.NewServiceClientWithSharedKey(address, credential, s.tableOptions(from))
	if err != nil {
		s.t.Fatal(err)
	}
	return client
}

func (s *stage) keyOf(account string) string {
	s.t.Helper()
	for _, found := range s.snapshot().Instances {
		if found.Name == account {
			return found.Keys[0]
		}
	}
	s.t.Fatalf("no account %s", account)
	return ""
}

// useTables inserts, queries by a filter in pages, and deletes.
func (s *stage) useTables(client *aztables.ServiceClient, name string) {
	s.t.Helper()
	ctx := s.ctx
	fail := func(err error) {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	table := client.NewClient(name)
	_, err := table.CreateTable(ctx, nil)
	fail(err)
	for i := range 5 {
		row, err := json.Marshal(aztables.EDMEntity{
			Entity:     aztables.Entity{PartitionKey: "vm-app", RowKey: fmt.Sprint(i)},
			Properties: map[string]any{"Message": "grüße", "MessageNumber": int32(i), "MessageTime": aztables.EDMDateTime(time.Now().UTC())},
		})
		fail(err)
		_, err = table.AddEntity(ctx, row, nil)
		fail(err)
		if _, err := table.AddEntity(ctx, row, nil); i == 0 && errorCode(err) != "EntityAlreadyExists" {
			s.t.Errorf("the row a second time: %v, want EntityAlreadyExists", err)
		}
	}
	pages, rows := 0, []string{}
	query := &aztables.ListEntitiesOptions{Filter: new("PartitionKey eq 'vm-app' and MessageNumber ge 1"), Top: new(int32(2))}
	for pager := table.NewListEntitiesPager(query); pager.More() && pages < 10; pages++ {
		page, err := pager.NextPage(ctx)
		fail(err)
		for _, data := range page.Entities {
			var row aztables.EDMEntity
			fail(json.Unmarshal(data, &row))
			if row.Properties["Message"] != "grüße" {
				s.t.Errorf("row %s says %v", row.RowKey, row.Properties["Message"])
			}
			rows = append(rows, row.RowKey)
		}
	}
	if fmt.Sprint(rows) != "[1 2 3 4]" || pages < 2 {
		s.t.Errorf("rows %v in %d pages, want [1 2 3 4] in two or more", rows, pages)
	}
	_, err = table.DeleteEntity(ctx, "vm-app", "2", nil)
	fail(err)
	if _, err := table.GetEntity(ctx, "vm-app", "2", nil); errorCode(err) != "ResourceNotFound" {
		s.t.Errorf("the deleted row: %v, want ResourceNotFound", err)
	}
	_, err = table.Delete(ctx, nil)
	fail(err)
}

func errorCode(err error) string {
	var response *azcore.ResponseError
	if errors.As(err, &response) {
		return response.ErrorCode
	}
	return ""
}

// wantDenied checks the firewall's answer as Azure's client reads it.
func (s *stage) wantDenied(client *aztables.ServiceClient) {
	s.t.Helper()
	_, err := client.NewListTablesPager(nil).NextPage(s.ctx)
	var response *azcore.ResponseError
	if !errors.As(err, &response) || response.StatusCode != http.StatusForbidden || response.ErrorCode != denied {
		s.t.Errorf("a subnet that is not allowed: %v, want 403 %s", err, denied)
	}
}

const appAlone = "defaultAction: Deny, virtualNetworkRules: [{id: virtualNetworks/vnet/subnets/app}]"

func TestAzureClient(t *testing.T) {
	onBothDataPaths(t, func(t *testing.T, dataPath string) {
		s := start(t, dataPath, "", application...)
		s.apply(subnet("vnet/app", "10.13.76.0/24", withStorage), account(own, "westeurope", appAlone))
		app, far := s.machine("nic-app"), s.machine("nic-far")
		t.Run("by a token of the VM", func(t *testing.T) {
			s := s.in(t)
			s.useTables(s.byToken(app, own), "bytoken")
			s.wantCaller(own, "10.13.76.36")
		})
		t.Run("by the account's key", func(t *testing.T) { s := s.in(t); s.useTables(s.byKey(app, own), "bykey") })
		t.Run("by path style", func(t *testing.T) { s := s.in(t); s.useTables(s.tablesByPath(app, own), "bypath") })
		t.Run("FW-12 a subnet that is not allowed", func(t *testing.T) {
			s := s.in(t)
			s.wantDenied(s.byToken(far, own))
			s.wantDenied(s.byKey(far, own))
			s.wantDenied(s.tablesByPath(far, own))
		})
		t.Run("an account that is made again has nothing of the first", func(t *testing.T) {
			s := s.in(t)
			s.makeTable(s.client(app, ""), another, s.token(app))
			s.remove("storageAccounts/" + another)
			s.apply(account(another, "westeurope", ""))
			if page, err := s.byKey(app, another).NewListTablesPager(nil).NextPage(s.ctx); err != nil || len(page.Tables) != 0 {
				t.Errorf("got %d tables, %v", len(page.Tables), err)
			}
		})
	})
}

// freePort is a port that nobody had a moment ago.
func freePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}
