package cloud

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	servers "postern/demo/backend"
	"postern/resource"
)

// serviceStory is one service with a client of its own: a VM is refused in the service's own words until its subnet has
// the endpoint and the instance's rules name it.
type serviceStory struct {
	endpoint string
	document string       // with %s for the backend, and the rules of the variants for "RULES"
	shut     string       // rules that deny all
	open     string       // rules that name the subnet
	backend  http.Handler // what the service would do
	policy   string       // the instance, as a policy names it

	// use does what a client does; denied checks the client's own error, which is about an address.
	use    func(s *stage, from Machine) error
	denied func(err error, address string) error
}

const appSubnet = "virtualNetworks/vnet/subnets/app"

// fullSubnet is its full id, for fields that are not named id.
func fullSubnet() string {
	full, _ := resource.Expand(appSubnet)
	return full
}

func TestServices(t *testing.T) {
	onBothDataPaths(t, func(t *testing.T, dataPath string) {
		s := start(t, dataPath, "", application...)
		app, far := s.machine("nic-app"), s.machine("nic-far")
		for name, story := range map[string]serviceStory{
			"Key Vault": vaultStory(), "Cosmos DB": cosmosStory(), "Container Registry": registryStory(),
			"Cognitive Services": cognitiveStory(), "App Service": webStory(), "Data Lake Store": lakeStory(),
		} {
			t.Run(name, func(t *testing.T) {
				s := s.in(t)
				backend := s.serveHTTP(story.backend)
				with := func(rules string) string {
					return strings.Replace(fmt.Sprintf(story.document, backend), "RULES", rules, 1)
				}
				subnet := func(more ...string) string {
					return subnet("vnet/app", "10.13.76.0/24", append([]string{"serviceEndpoints: [{service: " + story.endpoint + "}]"}, more...)...)
				}
				refused := func(from Machine, address, why string) {
					t.Helper()
					if err := story.denied(story.use(s, from), address); err != nil {
						t.Errorf("%s: %v", why, err)
					}
				}
				s.apply(with(story.shut))
				refused(app, "", "FW-12 without the endpoint")
				s.apply(subnet())
				refused(app, "10.13.76.36", "FW-12 SE-2 with the endpoint, without a rule")
				s.apply(with(story.open))
				if err := story.use(s, app); err != nil {
					t.Errorf("FW-6 with the endpoint and a rule: %v", err)
				}
				refused(far, "", "FW-6 another subnet")
				s.apply(fmt.Sprintf(`{type: serviceEndpointPolicies, name: policy, location: westeurope, properties: {serviceEndpointPolicyDefinitions: [
  {name: other, properties: {service: %s, serviceResources: [%sother]}}]}}`, story.endpoint, story.policy), subnet(withPolicy))
				if err := story.use(s, app); err == nil {
					t.Error("SEP-1 SEP-2 a policy that names another instance lets it through")
				}
				s.apply(subnet())
				if err := story.use(s, app); err != nil {
					t.Errorf("SEP-2 without the policy: %v", err)
				}
				s.apply("{type: virtualNetworks/subnets, name: vnet/app, properties: {addressPrefix: 10.13.76.0/24}}")
				refused(app, "", "SE-3 the endpoint is taken away")
			})
		}
	})
}

// azureClient are the options of Azure's clients on a machine. Retries are off: a failure is the test's.
func (s *stage) azureClient(from Machine) policy.ClientOptions {
	return policy.ClientOptions{Transport: s.client(from, ""), Retry: policy.RetryOptions{MaxRetries: -1}}
}

// fixedToken is a credential for backends that take any token.
type fixedToken struct{}

func (fixedToken) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "a-token", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

func vaultStory() serviceStory {
	return serviceStory{
		endpoint: "Microsoft.KeyVault", policy: "Microsoft.KeyVault/vaults/", backend: servers.Secrets(),
		document: `{type: Microsoft.KeyVault/vaults, name: kv-story, location: westeurope, tags: {postern.backend: "%s"}, properties: {networkAcls: {RULES}}}`,
		shut:     "defaultAction: Deny", open: "defaultAction: Deny, virtualNetworkRules: [{id: " + appSubnet + "}]",
		use: func(s *stage, from Machine) error {
			client, err := azsecrets.NewClient("https://kv-story.vault.azure.net", fixedToken{}, &azsecrets.ClientOptions{ClientOptions: s.azureClient(from)})
			if err != nil {
				return err
			}
			value := "grüße"
			if _, err := client.SetSecret(s.ctx, "db", azsecrets.SetSecretParameters{Value: &value}, nil); err != nil {
				return err
			}
			got, err := client.GetSecret(s.ctx, "db", "", nil)
			if err == nil && *got.Value != value {
				return fmt.Errorf("the secret is %q", *got.Value)
			}
			return err
		},
		denied: func(err error, address string) error {
			var response *azcore.ResponseError
			if !errors.As(err, &response) || response.StatusCode != http.StatusForbidden || response.ErrorCode != "Forbidden" ||
				!strings.Contains(err.Error(), "ForbiddenByFirewall") || !strings.Contains(err.Error(), "Client address: "+address) {
				return fmt.Errorf("the client says %w", err)
			}
			return nil
		},
	}
}

// registryStory has a real registry behind it, and the client that crane is made of.
func registryStory() serviceStory {
	return serviceStory{
		endpoint: "Microsoft.ContainerRegistry", policy: "Microsoft.ContainerRegistry/registries/",
		backend:  registry.New(registry.Logger(log.New(io.Discard, "", 0))),
		document: `{type: Microsoft.ContainerRegistry/registries, name: crstory, location: westeurope, tags: {postern.backend: "%s"}, sku: {name: Premium}, properties: {networkRuleSet: {RULES}}}`,
		shut:     "defaultAction: Deny", open: "defaultAction: Deny, virtualNetworkRules: [{id: " + appSubnet + "}]",
		use: func(s *stage, from Machine) error {
			reference, err := name.ParseReference("crstory.azurecr.io/team/app:v1")
			if err != nil {
				return err
			}
			image, err := random.Image(1<<16, 2)
			if err != nil {
				return err
			}
			over := []remote.Option{remote.WithContext(s.ctx), remote.WithTransport(s.client(from, "").Transport), remote.WithRetryStatusCodes()}
			if err := remote.Write(reference, image, over...); err != nil {
				return err
			}
			pulled, err := remote.Image(reference, over...)
			if err != nil {
				return err
			}
			pushedDigest, err := image.Digest()
			if err != nil {
				return err
			}
			if digest, err := pulled.Digest(); err != nil || digest != pushedDigest {
				return fmt.Errorf("pulled %v instead of %v: %w", digest, pushedDigest, err)
			}
			layers, err := pulled.Layers()
			if err != nil || len(layers) != 2 {
				return fmt.Errorf("%d layers: %w", len(layers), err)
			}
			blob, err := layers[0].Compressed()
			if err != nil {
				return err
			}
			defer blob.Close()
			_, err = io.Copy(io.Discard, blob)
			return err
		},
		denied: func(err error, address string) error {
			var failed *transport.Error
			if !errors.As(err, &failed) || failed.StatusCode != http.StatusForbidden || len(failed.Errors) != 1 || failed.Errors[0].Code != transport.DeniedErrorCode ||
				!strings.HasPrefix(failed.Errors[0].Message, "client with IP '"+address) {
				return fmt.Errorf("the client says %w", err)
			}
			return nil
		},
	}
}

// plainError is an answer of a service that is no success.
type plainError struct {
	status int
	header http.Header
	body   string
}

func (e *plainError) Error() string { return fmt.Sprintf("%d %s", e.status, e.body) }

// plainUse sends one request as a client of no SDK does, and wants the backend's own answer.
func plainUse(method, url, body, want string) func(*stage, Machine) error {
	return func(s *stage, from Machine) error {
		request, err := http.NewRequestWithContext(s.ctx, method, url, strings.NewReader(body))
		if err != nil {
			return err
		}
		response, err := s.client(from, "").Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			return err
		}
		if response.StatusCode >= 300 {
			return &plainError{response.StatusCode, response.Header, string(text)}
		}
		if !bytes.Contains(text, []byte(want)) {
			return fmt.Errorf("the answer is %s", text)
		}
		return nil
	}
}

// plainDenied wants a 403 whose body has a text; ADDRESS in it stands for the caller's.
func plainDenied(texts ...string) func(error, string) error {
	return func(err error, address string) error {
		var failed *plainError
		if !errors.As(err, &failed) || failed.status != http.StatusForbidden {
			return fmt.Errorf("the client got %w", err)
		}
		for _, text := range texts {
			if !strings.Contains(failed.body, strings.ReplaceAll(text, "ADDRESS", address)) {
				return fmt.Errorf("%w has no %s", err, text)
			}
		}
		return nil
	}
}

func cognitiveStory() serviceStory {
	return serviceStory{
		endpoint: "Microsoft.CognitiveServices", policy: "Microsoft.CognitiveServices/accounts/",
		backend: servers.Answer(http.MethodPost, "/text/analytics/v3.1/languages", "application/json", `{"documents":[{"id":"1","detectedLanguage":{"iso6391Name":"de"}}]}`),
		document: `{type: Microsoft.CognitiveServices/accounts, name: text, location: westeurope, kind: TextAnalytics, sku: {name: S}, tags: {postern.backend: "%s"},
  properties: {customSubDomainName: text-story, networkAcls: {RULES}}}`,
		shut: "defaultAction: Deny", open: "defaultAction: Deny, virtualNetworkRules: [{id: " + appSubnet + "}]",
		use:    plainUse(http.MethodPost, "https://text-story.cognitiveservices.azure.com/text/analytics/v3.1/languages", `{"documents":[{"id":"1","text":"Grüße"}]}`, `"iso6391Name":"de"`),
		denied: plainDenied(`{"error":{"code":"403","message":"Access denied due to Virtual Network/Firewall rules."}}`),
	}
}

func webStory() serviceStory {
	return serviceStory{
		endpoint: "Microsoft.Web", policy: "Microsoft.Web/sites/",
		backend: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "the app at "+r.Host)
		}),
		document: `{type: Microsoft.Web/sites, name: web-story, location: westeurope, tags: {postern.backend: "%s"}, properties: {siteConfig: {RULES}}}`,
		shut:     "ipSecurityRestrictionsDefaultAction: Deny",
		open: `ipSecurityRestrictions: [{name: rest, priority: 200, action: Deny, ipAddress: Any}, {name: app, priority: 100, action: Allow,
  vnetSubnetResourceId: "` + fullSubnet() + `"}]`,
		use:    plainUse(http.MethodGet, "https://web-story.azurewebsites.net/", "", "the app at web-story.azurewebsites.net"),
		denied: plainDenied("<h1>Error 403 - Ip Forbidden</h1>"),
	}
}

func lakeStory() serviceStory {
	return serviceStory{
		endpoint: "Microsoft.AzureActiveDirectory", policy: "Microsoft.DataLakeStore/accounts/",
		backend:  servers.Answer(http.MethodGet, "/webhdfs/v1/", "application/json", `{"FileStatuses":{"FileStatus":[{"pathSuffix":"raw","type":"DIRECTORY"}]}}`),
		document: `{type: Microsoft.DataLakeStore/accounts, name: lakestory, location: westeurope, tags: {postern.backend: "%s"}, properties: {firewallState: Enabled, RULES}}`,
		shut:     "virtualNetworkRules: []", open: "virtualNetworkRules: [{name: app, properties: {subnetId: \"" + fullSubnet() + "\"}}]",
		use:    plainUse(http.MethodGet, "https://lakestory.azuredatalakestore.net/webhdfs/v1/?op=LISTSTATUS", "", `"pathSuffix":"raw"`),
		denied: plainDenied(`"exception":"AccessDeniedByFirewall"`, "The client IP 'ADDRESS"),
	}
}
