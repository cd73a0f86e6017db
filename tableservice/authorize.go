package tableservice

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"postern/token"
)

// Authorizer decides whether a request may act on an account, named in lower case. A *Fault among its errors is the answer
// as it is; any other error becomes 403 AuthenticationFailed. It must not read the body.
type Authorizer interface {
	Authorize(r *http.Request, account string) error
}

// Credentials authorises by an account's shared keys or by a token of the cloud's. Azure's roles on data are not asked:
// whoever has a token for storage may do everything to an account whose network rules let it in.
type Credentials struct {
	// Keys gives an account's keys in base64; false for an account that does not exist.
	Keys func(account string) ([2]string, bool)

	// Tokens gives the verifier with the keys that the issuer publishes now; nil refuses every token.
	Tokens func() token.Verifier

	// Suffix is the one of the accounts' names, for the audience https://ACCOUNT.table.SUFFIX.
	Suffix string

	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Unavailable refuses every request with 503: for a service whose rows cannot be read.
type Unavailable struct{}

// Authorize implements Authorizer.
func (Unavailable) Authorize(*http.Request, string) error { return faultGone }

// storageAudience is the audience of every account.
const storageAudience = "https://storage.azure.com/"

// maxSkew is how far the date of a request signed with a key may be from now ("Authorize with Shared Key").
const maxSkew = 15 * time.Minute

func faultAuthentication(detail string) *Fault {
	return fault(http.StatusForbidden, "AuthenticationFailed",
		"Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature. "+detail)
}

func (c Credentials) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

// Authorize implements Authorizer.
func (c Credentials) Authorize(r *http.Request, account string) error {
	keys, ok := c.Keys(account)
	if !ok {
		return fault(http.StatusNotFound, "ResourceNotFound", "The storage account "+account+" does not exist.")
	}
	header := r.Header.Get("Authorization")
	scheme, rest, _ := strings.Cut(header, " ")
	switch {
	case header == "" && r.URL.Query().Has("sig"):
		return faultAuthentication("Shared access signatures are not supported here: use an account key or a token.")
	case header == "":
		return c.challenge("NoAuthenticationInformation", "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.")
	case scheme == "SharedKey" || scheme == "SharedKeyLite":
		return c.sharedKey(r, account, keys, scheme == "SharedKeyLite", strings.TrimSpace(rest))
	case strings.EqualFold(scheme, "Bearer"):
		return c.bearer(account, strings.TrimSpace(rest))
	}
	return faultAuthentication("The authorization scheme is none of SharedKey, SharedKeyLite and Bearer.")
}

func (c Credentials) challenge(code, message string) *Fault {
	f := fault(http.StatusUnauthorized, code, message)
	f.Challenge = "Bearer resource_id=" + strings.TrimSuffix(storageAudience, "/")
	return f
}

func (c Credentials) bearer(account, raw string) error {
	if c.Tokens == nil {
		return c.challenge("InvalidAuthenticationInfo", "Tokens are not accepted here: use an account key.")
	}
	audiences := []string{storageAudience, "https://" + account + ".table." + c.Suffix}
	if _, err := c.Tokens().Verify(raw, audiences, c.now()); err != nil {
		return c.challenge("InvalidAuthenticationInfo", "Server failed to authenticate the request: "+err.Error()+".")
	}
	return nil
}

// sharedKey checks ACCOUNT:SIGNATURE, an HMAC-SHA256 in base64 over the string to sign. Either key will do, so that keys
// can be changed one at a time.
func (c Credentials) sharedKey(r *http.Request, account string, keys [2]string, lite bool, credential string) error {
	signer, signature, ok := strings.Cut(credential, ":")
	if !ok || !strings.EqualFold(signer, account) {
		return faultAuthentication("The account in the Authorization header is not the one of the host.")
	}
	given, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		return faultAuthentication("The signature is not base64.")
	}
	date := r.Header.Get("x-ms-date")
	if date == "" {
		date = r.Header.Get("Date")
	}
	at, err := http.ParseTime(date)
	if err != nil {
		return faultAuthentication("The request has no valid x-ms-date or Date header.")
	}
	if skew := c.now().Sub(at); skew > maxSkew || skew < -maxSkew {
		return faultAuthentication("The date header of the request is more than 15 minutes from the server's time.")
	}
	message := []byte(stringToSign(r, signer, date, lite))
	for _, text := range keys {
		secret, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(secret) == 0 { // an account without a second key
			continue
		}
		mac := hmac.New(sha256.New, secret)
		mac.Write(message)
		if hmac.Equal(mac.Sum(nil), given) {
			return nil
		}
	}
	return faultAuthentication("The MAC signature found in the HTTP request is not the same as any computed signature.")
}

// stringToSign is "Shared Key authorization for Table service": with lite the date and the resource alone. The resource is
// the path exactly as the client wrote it.
func stringToSign(r *http.Request, account, date string, lite bool) string {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if !strings.HasPrefix(path, "/") {
		path = r.URL.EscapedPath()
	}
	if path == "" {
		path = "/"
	}
	resource := "/" + account + path
	if comp := r.URL.Query().Get("comp"); comp != "" {
		resource += "?comp=" + comp
	}
	if lite {
		return date + "\n" + resource
	}
	return strings.Join([]string{r.Method, r.Header.Get("Content-MD5"), r.Header.Get("Content-Type"), date, resource}, "\n")
}
