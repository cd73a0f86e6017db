package cloud

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"
)

// cosmosBackend keeps items by their ids, and tells a client which regions its account has, as that asks first of all.
func cosmosBackend() http.Handler {
	var mu sync.Mutex
	items := make(map[string][]byte)
	answer := func(w http.ResponseWriter, status int, body []byte) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(body)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		regions := []any{map[string]any{"name": "West Europe", "databaseAccountEndpoint": "https://" + r.Host + ":443/"}}
		body, err := json.Marshal(map[string]any{"id": "cosmos-story", "writableLocations": regions, "readableLocations": regions,
			"userConsistencyPolicy": map[string]any{"defaultConsistencyLevel": "Session"}})
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		answer(w, http.StatusOK, body)
	})
	mux.HandleFunc("POST /dbs/store/colls/items/docs", func(w http.ResponseWriter, r *http.Request) {
		var item struct{ ID string }
		body, err := io.ReadAll(r.Body)
		if err != nil || json.Unmarshal(body, &item) != nil || r.Header.Get("Authorization") == "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		items[item.ID] = body
		answer(w, http.StatusCreated, body)
	})
	mux.HandleFunc("GET /dbs/store/colls/items/docs/{id}", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, ok := items[r.PathValue("id")]
		if !ok {
			answer(w, http.StatusNotFound, []byte(`{"code":"NotFound"}`))
			return
		}
		answer(w, http.StatusOK, body)
	})
	return mux
}

func cosmosStory() serviceStory {
	return serviceStory{
		endpoint: "Microsoft.AzureCosmosDB", policy: "Microsoft.DocumentDB/databaseAccounts/", backend: cosmosBackend(),
		document: `{type: Microsoft.DocumentDB/databaseAccounts, name: cosmos-story, location: westeurope, tags: {postern.backend: "%s"}, properties: {databaseAccountOfferType: Standard, RULES}}`,
		shut:     "isVirtualNetworkFilterEnabled: true", open: "isVirtualNetworkFilterEnabled: true, virtualNetworkRules: [{id: " + appSubnet + "}]",
		use: func(s *stage, from Machine) error {
			key, err := azcosmos.NewKeyCredential(base64.StdEncoding.EncodeToString([]byte("a-key")))
			if err != nil {
				return err
			}
			client, err := azcosmos.NewClientWithKey("https://cosmos-story.documents.azure.com", key, &azcosmos.ClientOptions{ClientOptions: s.azureClient(from)})
			if err != nil {
				return err
			}
			container, err := client.NewContainer("store", "items")
			if err != nil {
				return err
			}
			partition, item := azcosmos.NewPartitionKeyString("berlin"), `{"id":"1","city":"berlin","text":"Grüße"}`
			if _, err := container.CreateItem(s.ctx, partition, []byte(item), nil); err != nil {
				return err
			}
			got, err := container.ReadItem(s.ctx, partition, "1", nil)
			if err == nil && string(got.Value) != item {
				return fmt.Errorf("the item is %s", got.Value)
			}
			return err
		},
		denied: func(err error, address string) error {
			want := "through public internet"
			if address != "" {
				want = "Request originated from client VNET through service endpoint"
			}
			var response *azcore.ResponseError
			if !errors.As(err, &response) || response.StatusCode != http.StatusForbidden || !strings.Contains(err.Error(), want) ||
				!strings.Contains(err.Error(), "This is blocked by your Cosmos DB account firewall settings.") {
				return fmt.Errorf("the client says %w", err)
			}
			return nil
		},
	}
}
