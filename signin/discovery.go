package signin

import (
	"net/http"
	"strings"
)

// Handle answers what belongs to signing in, which needs no token itself, and tells whether the request did. base is the
// address that the client sees the service under ("https://localhost:8443"), segments the path without empty parts:
//
//	GET  /metadata/endpoints                                    what a client must know of the cloud (see Metadata)
//	GET  /adfs/.well-known/openid-configuration                 where tokens come from
//	GET  /{tenant}[/v2.0]/.well-known/openid-configuration      the same
//	GET  /{tenant}/discovery/v2.0/keys                          the keys that tokens are signed with (RFC 7517)
//	POST /adfs[/{tenant}]/oauth2[/v2.0]/token, /{tenant}/oauth2[/v2.0]/token   a token
func (s *Service) Handle(w http.ResponseWriter, r *http.Request, base string, segments []string, suffix string) bool {
	if len(segments) < 2 {
		return false
	}
	if strings.EqualFold(segments[0], "metadata") && strings.EqualFold(segments[1], "endpoints") && len(segments) == 2 {
		respond(w, http.StatusOK, Metadata(base, suffix, r.URL.Query().Get("api-version")))
		return true
	}
	authority, rest, ok := s.authority(segments)
	if !ok {
		return false
	}
	switch path := strings.ToLower(strings.Join(rest, "/")); path {
	case ".well-known/openid-configuration", "v2.0/.well-known/openid-configuration":
		respond(w, http.StatusOK, s.configuration(base, authority, strings.HasPrefix(path, "v2.0")))
	case "discovery/v2.0/keys", "discovery/keys":
		respond(w, http.StatusOK, s.keys.Keys().Public())
	case "oauth2/token", "oauth2/v2.0/token":
		s.serveToken(w, r)
	default:
		return false
	}
	return true
}

// authority splits the path into who signs in ("adfs", "adfs/TENANT", "TENANT", "common", "organizations") and the rest.
func (s *Service) authority(segments []string) (authority string, rest []string, ok bool) {
	isTenant := func(name string) bool {
		return strings.EqualFold(name, s.tenant) || strings.EqualFold(name, "common") || strings.EqualFold(name, "organizations")
	}
	switch {
	case strings.EqualFold(segments[0], "adfs") && isTenant(segments[1]):
		return "adfs/" + s.tenant, segments[2:], true
	case strings.EqualFold(segments[0], "adfs"):
		return "adfs", segments[1:], true
	case isTenant(segments[0]):
		return s.tenant, segments[1:], true
	}
	return "", nil, false
}

// configuration is the document of OpenID Connect Discovery 1.0 section 3.
type configuration struct {
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	DeviceEndpoint        string   `json:"device_authorization_endpoint"`
	JWKSURI               string   `json:"jwks_uri"`
	ResponseTypes         []string `json:"response_types_supported"`
	SubjectTypes          []string `json:"subject_types_supported"`
	GrantTypes            []string `json:"grant_types_supported"`
	SigningAlgorithms     []string `json:"id_token_signing_alg_values_supported"`
	AuthMethods           []string `json:"token_endpoint_auth_methods_supported"`
}

// configuration names the issuer by the address that the document is read from: clients compare the two.
func (s *Service) configuration(base, authority string, second bool) configuration {
	root := base + "/" + authority
	issuer, version := root, ""
	if authority != "adfs" {
		issuer, version = root+"/", "/v2.0"
	}
	if second {
		issuer = root + "/v2.0"
	}
	return configuration{
		Issuer: issuer, AuthorizationEndpoint: root + "/oauth2" + version + "/authorize", TokenEndpoint: root + "/oauth2" + version + "/token",
		DeviceEndpoint: root + "/oauth2" + version + "/devicecode", JWKSURI: base + "/" + s.tenant + "/discovery/v2.0/keys",
		ResponseTypes: []string{"token"}, SubjectTypes: []string{"pairwise"}, GrantTypes: []string{"client_credentials"},
		SigningAlgorithms: []string{"RS256"}, AuthMethods: []string{"client_secret_post", "client_secret_basic"},
	}
}

// metadata2015 is the old form of the cloud's description.
type metadata2015 struct {
	GalleryEndpoint string             `json:"galleryEndpoint"`
	GraphEndpoint   string             `json:"graphEndpoint"`
	PortalEndpoint  string             `json:"portalEndpoint"`
	Authentication  authentication2015 `json:"authentication"`
}

type authentication2015 struct {
	LoginEndpoint string   `json:"loginEndpoint"`
	Audiences     []string `json:"audiences"`
}

type metadata struct {
	Name                     string            `json:"name"`
	Portal                   string            `json:"portal"`
	ResourceManager          string            `json:"resourceManager"`
	Graph                    string            `json:"graph"`
	GraphAudience            string            `json:"graphAudience"`
	MicrosoftGraphResourceID string            `json:"microsoftGraphResourceId"`
	Gallery                  string            `json:"gallery"`
	Authentication           authentication    `json:"authentication"`
	Suffixes                 map[string]string `json:"suffixes"`
}

type authentication struct {
	LoginEndpoint    string   `json:"loginEndpoint"`
	Audiences        []string `json:"audiences"`
	Tenant           string   `json:"tenant"`
	IdentityProvider string   `json:"identityProvider"`
}

// Metadata describes the cloud to a client: where its API and its token service are, and what names below its domain look
// like. Clients of 2015 get the form of then. suffix is the zone of storage accounts.
func Metadata(base, suffix, version string) any {
	if version < "2018" {
		return metadata2015{GalleryEndpoint: base + "/", GraphEndpoint: base + "/", PortalEndpoint: base + "/",
			Authentication: authentication2015{LoginEndpoint: base + "/adfs", Audiences: []string{base + "/"}}}
	}
	return metadata{
		Name: "Postern", Portal: base, ResourceManager: base, Graph: base, GraphAudience: base, MicrosoftGraphResourceID: base, Gallery: base,
		// An authority that ends in /adfs is what clients take without asking Microsoft whether they know it; azurerm, which reads
		// the provider's name, wants AAD.
		Authentication: authentication{LoginEndpoint: base + "/adfs", Audiences: []string{base + "/", base}, Tenant: "common", IdentityProvider: "AAD"},
		Suffixes: map[string]string{
			"storage": suffix, "keyVaultDns": "vault.azure.net", "sqlServerHostname": "database.windows.net", "acrLoginServer": "azurecr.io",
			"mysqlServerEndpoint": "mysql.database.azure.com", "postgresqlServerEndpoint": "postgres.database.azure.com",
			"mariadbServerEndpoint": "mariadb.database.azure.com",
		},
	}
}
