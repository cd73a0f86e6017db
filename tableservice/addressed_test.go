package tableservice

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
)

// Path style: the account is the first segment of the path, also in the parts of a batch and in what is signed.
func TestByPath(t *testing.T) {
	c := newCloud(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.service.ServeHTTP(w, ByPath(r, accountName))
	}))
	t.Cleanup(server.Close)
	options := c.options()
	options.Transport = server.Client()
	credential, err := aztables.NewSharedKeyCredential(accountName, keyOne)
	if err != nil {
		t.Fatal(err)
	}
	client, err := aztables.NewServiceClientWithSharedKey(server.URL+"/"+accountName, credential, options)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if _, err := client.CreateTable(ctx, "operations", nil); err != nil {
		t.Fatal(err)
	}
	table := client.NewClient("operations")
	if _, err := table.SubmitTransaction(ctx, []aztables.TransactionAction{
		{ActionType: aztables.TransactionTypeAdd, Entity: row("p", "1", nil)}, {ActionType: aztables.TransactionTypeAdd, Entity: row("p", "2", nil)},
	}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := table.GetEntity(ctx, "p", "2", nil); err != nil {
		t.Error(err)
	}
	response, err := server.Client().Get(server.URL + "/" + accountName + "/Tables")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a credential: %s", response.Status)
	}
	// The rows are the account's, whatever the style; addresses in answers have that of the question.
	byName := c.tables(t, accountName, keyTwo)
	if _, err := byName.NewClient("operations").GetEntity(ctx, "p", "1", nil); err != nil {
		t.Error(err)
	}
	full := aztables.MetadataFormatFull
	page, err := table.NewListEntitiesPager(&aztables.ListEntitiesOptions{Format: &full}).NextPage(ctx)
	if err != nil || len(page.Entities) != 2 || !strings.Contains(string(page.Entities[0]), `"odata.id":"`+server.URL+"/"+accountName+"/operations(") {
		t.Errorf("got %s, %v", page.Entities, err)
	}
	// A path of another account's is none.
	request := ByPath(httptest.NewRequest(http.MethodGet, "/otheraccount/Tables", nil), accountName)
	if _, f := (&call{name: accountName, request: request}).parsePath(request.URL); f == nil {
		t.Error("the path of another account is taken")
	}
}
