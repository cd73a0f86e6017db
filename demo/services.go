package demo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	_ "embed" // of services.yaml
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"postern/certificate"
	"postern/cloud"
	"postern/demo/backend"
	"postern/demo/visit"
	"postern/resource"
)

// Names of act services, as services.yaml has them.
const accountServices = "demostorage"

// servicesEndpoints are the endpoints that snet-app has in act services.
var servicesEndpoints = []string{
	"Microsoft.Storage", "Microsoft.KeyVault", "Microsoft.AzureCosmosDB", "Microsoft.ContainerRegistry", "Microsoft.CognitiveServices",
	"Microsoft.Web", "Microsoft.AzureActiveDirectory", "Microsoft.ServiceBus", "Microsoft.EventHub", "Microsoft.Sql", "Contoso.Redis",
}

//go:embed services.yaml
var servicesFile string

// serversAddress is where the servers are in the kernel data path, of a block for documentation (RFC 5737).
var serversAddress = netip.MustParseAddr("198.51.100.60")

// servers are the small servers behind the gateways, by the name that services.yaml has of each.
type servers struct {
	authority *certificate.Authority // of the servers that take TLS themselves
	addresses map[string]string
	opened    []io.Closer
}

// openServers starts them where the gateways reach them.
func (s *stage) openServers(ctx context.Context) (_ *servers, err error) {
	behind := &servers{addresses: map[string]string{}}
	defer func() {
		if err != nil {
			behind.close()
		}
	}()
	if behind.authority, err = certificate.NewAuthority("demo backends", nil, time.Now()); err != nil {
		return nil, err
	}
	leaf, err := behind.authority.Issue([]string{sqlHost, synapseHost, hubHost}, time.Now())
	if err != nil {
		return nil, err
	}
	if s.behind == nil { // of an earlier playing
		if s.behind, s.behindAddress, err = s.cloud.Backend(ctx, "backends", serversAddress); err != nil {
			return nil, err
		}
	}
	config := &tls.Config{Certificates: []tls.Certificate{*leaf}}
	for name, serve := range map[string]func(net.Conn) error{
		"amqp": backend.AMQP(), "kafka": backend.Kafka(config), "sql": backend.SQL(config), "postgresql": backend.PostgreSQL(),
		"mysql": backend.MySQL("8.0 (demo)"), "mariadb": backend.MySQL("10.11-MariaDB (demo)"), "redis": backend.Redis,
	} {
		if err := behind.listen(ctx, s, name, func(l net.Listener) io.Closer { go backend.Each(l, serve); return l }); err != nil {
			return nil, err
		}
	}
	for name, handler := range map[string]http.Handler{"web": websites(), "blob": backend.Objects(), "vault": backend.Secrets()} {
		if err := behind.listen(ctx, s, name, func(l net.Listener) io.Closer { return backend.HTTP(l, handler) }); err != nil {
			return nil, err
		}
	}
	return behind, nil
}

func (b *servers) listen(ctx context.Context, s *stage, name string, serve func(net.Listener) io.Closer) error {
	listener, err := s.behind.Listen(ctx, "tcp", net.JoinHostPort(s.behindAddress.String(), "0"))
	if err != nil {
		return err
	}
	b.addresses[name] = listener.Addr().String()
	b.opened = append(b.opened, serve(listener))
	return nil
}

func (b *servers) close() {
	for _, one := range b.opened {
		_ = one.Close() // nobody waits for what they still say
	}
}

// instances are the resources of services.yaml in front of the servers.
func (b *servers) instances(subnet string) ([]resource.Item, error) {
	var unknown error
	text := os.Expand(servicesFile, func(name string) string {
		address, ok := b.addresses[name]
		switch {
		case ok:
			return address
		case name == "subnet":
			return subnet
		}
		unknown = errors.Join(unknown, errors.New("services.yaml asks for "+name))
		return ""
	})
	items, err := resource.Load("services.yaml", []byte(text))
	return items, errors.Join(unknown, err)
}

// idsOf are the ids of resources, children last as they stand.
func idsOf(items []resource.Item) []resource.ID {
	var ids []resource.ID
	for _, item := range items {
		ids = append(ids, item.ID)
	}
	return ids
}

// visitor is a program in a VM that trusts the cloud and the servers.
func (s *stage) visitor(from cloud.Machine, behind *servers) *visit.Visitor {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.cloud.CA())
	roots.AppendCertsFromPEM(behind.authority.CertificatePEM())
	return &visit.Visitor{Dial: from.DialContext, Roots: roots, Timeout: s.pace.patience()}
}

// Names that clients ask for.
const (
	sqlHost      = "demo-sql.database.windows.net"
	synapseHost  = "demo-synapse.sql.azuresynapse.net"
	hubHost      = "demo-hub.servicebus.windows.net"
	cosmosHost   = "demo-cosmos.documents.azure.com"
	registryHost = "demoregistry.azurecr.io"
	textHost     = "demo-text.cognitiveservices.azure.com"
	webHost      = "demo-web.azurewebsites.net"
	lakeHost     = "demolake.azuredatalakestore.net"
)

func storageHost(part string) string { return accountServices + "." + part + ".core.windows.net" }

// websites has one answer for each service over HTTP that keeps nothing.
func websites() http.Handler {
	answers := map[string]http.Handler{
		storageHost("queue"): backend.Answer(http.MethodGet, "/jobs/messages", "application/xml", "<QueueMessagesList/>"),
		storageHost("file"):  backend.Answer(http.MethodGet, "/share", "application/xml", "<EnumerationResults/>"),
		storageHost("dfs"):   backend.Answer(http.MethodGet, "/raw", "application/json", `{"paths":[]}`),
		cosmosHost:           backend.Answer(http.MethodGet, "/dbs/store", "application/json", `{"id":"store"}`),
		registryHost:         backend.Answer(http.MethodGet, "/v2/team/app/tags/list", "application/json", `{"name":"team/app","tags":["v1"]}`),
		textHost:             backend.Answer(http.MethodPost, "/language/:analyze-text", "application/json", `{"language":"de"}`),
		webHost:              backend.Answer(http.MethodGet, "/", "text/html", "<h1>The app</h1>"),
		lakeHost:             backend.Answer(http.MethodGet, "/webhdfs/v1/", "application/json", `{"FileStatuses":{}}`),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if handler := answers[r.Host]; handler != nil {
			handler.ServeHTTP(w, r)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	})
}

// fromPlatformText is how refusals name vm-other, which comes from a platform address (FW-5).
const fromPlatformText = "100.64."

// servicesAsked are the services of the act in the order of docs/services.md. The token is for the storage account alone.
func servicesAsked(token string) []asked {
	request := func(method, url, body string, header http.Header) func(context.Context, *visit.Visitor) (string, error) {
		return func(ctx context.Context, v *visit.Visitor) (string, error) {
			return v.HTTP(ctx, visit.Request{Method: method, URL: url, Body: body, Header: header.Clone()})
		}
	}
	get := func(url string) func(context.Context, *visit.Visitor) (string, error) {
		return request(http.MethodGet, url, "", nil)
	}
	tables := http.Header{"Authorization": {"Bearer " + token}, "X-Ms-Version": {"2023-11-03"}, "Accept": {"application/json;odata=nometadata"}}
	secret, _ := json.Marshal(map[string]string{"value": "hush"})
	const storageRefuses = "403 Forbidden (AuthorizationFailure) This request is not authorized to perform this operation."
	return []asked{
		{"storage: blob", accountServices, "blob", request(http.MethodPut, "https://"+storageHost("blob")+"/container/hello", "hello", nil), "201 Created", storageRefuses},
		{"storage: queue", accountServices, "queue", get("https://" + storageHost("queue") + "/jobs/messages"), "<QueueMessagesList/>", storageRefuses},
		{"storage: table", accountServices, "table", request(http.MethodGet, "https://"+storageHost("table")+"/Tables", "", tables), `"value"`, storageRefuses},
		{"storage: file", accountServices, "file", get("https://" + storageHost("file") + "/share?restype=directory&comp=list"), "<EnumerationResults/>", storageRefuses},
		{"storage: dfs", accountServices, "dfs", get("https://" + storageHost("dfs") + "/raw?resource=filesystem"), `"paths"`, storageRefuses},
		{"key vault", "demo-vault", "", request(http.MethodPut, "https://demo-vault.vault.azure.net/secrets/db?api-version=7.4", string(secret),
			http.Header{"Authorization": {"Bearer any"}, "Content-Type": {"application/json"}}), "hush", "(ForbiddenByFirewall) Client address is not authorized"},
		{"cosmos db", "demo-cosmos", "", get("https://" + cosmosHost + "/dbs/store"), `"id":"store"`, "This is blocked by your Cosmos DB account firewall settings."},
		{"container registry", "demoregistry", "", get("https://" + registryHost + "/v2/team/app/tags/list"), `"tags":["v1"]`, "(DENIED) client with IP '" + fromPlatformText},
		{"cognitive services", "demo-text", "", request(http.MethodPost, "https://"+textHost+"/language/:analyze-text", "{}", nil), `"language":"de"`,
			"Access denied due to Virtual Network/Firewall rules."},
		{"web app", "demo-web", "", get("https://" + webHost + "/"), "The app", "Error 403 - Ip Forbidden"},
		{"data lake store", "demolake", "", get("https://" + lakeHost + "/webhdfs/v1/?op=LISTSTATUS"), "FileStatuses", "(AccessDeniedByFirewall)"},
		{"service bus", "demo-bus", "", func(ctx context.Context, v *visit.Visitor) (string, error) {
			return v.AMQP(ctx, "demo-bus.servicebus.windows.net")
		}, "session opened", "amqp:unauthorized-access: Ip has been prevented to connect to the endpoint."},
		{"event hubs: AMQP", "demo-hub", "", func(ctx context.Context, v *visit.Visitor) (string, error) { return v.AMQP(ctx, hubHost) },
			"session opened", "amqp:unauthorized-access: Ip has been prevented to connect to the endpoint."},
		{"event hubs: Kafka", "demo-hub", "", func(ctx context.Context, v *visit.Visitor) (string, error) { return v.Kafka(ctx, hubHost) },
			"broker speaks", "tls: access denied"},
		{"sql", "demo-sql", "", func(ctx context.Context, v *visit.Visitor) (string, error) { return v.SQL(ctx, sqlHost, "bob") },
			"logged in", "Msg 40615, Level 14, State 1, Server demo-sql: Cannot open server 'demo-sql' requested by the login. Client with IP address '" + fromPlatformText},
		{"synapse", "demo-synapse", "", func(ctx context.Context, v *visit.Visitor) (string, error) { return v.SQL(ctx, synapseHost, "bob") },
			"logged in", "Msg 40615, Level 14, State 1, Server demo-synapse: Cannot open server"},
		{"postgresql", "demo-postgresql", "", func(ctx context.Context, v *visit.Visitor) (string, error) {
			return v.PostgreSQL(ctx, "demo-postgresql.postgres.database.azure.com", "bob", "shop")
		}, "logged in", `FATAL:  no pg_hba.conf entry for host "` + fromPlatformText},
		{"mysql", "demo-mysql", "", func(ctx context.Context, v *visit.Visitor) (string, error) {
			return v.MySQL(ctx, "demo-mysql.mysql.database.azure.com", "bob")
		}, "logged in", "is not allowed to connect to this MySQL server."},
		{"mariadb", "demo-mariadb", "", func(ctx context.Context, v *visit.Visitor) (string, error) {
			return v.MySQL(ctx, "demo-mariadb.mariadb.database.azure.com", "bob")
		}, "logged in", "is not allowed to connect to this MariaDB server."},
		{"your own: Redis", "demo-cache", "", func(ctx context.Context, v *visit.Visitor) (string, error) {
			return v.Redis(ctx, "demo-cache.services.internal", "6379")
		}, "+PONG", "connection reset by peer"},
	}
}
