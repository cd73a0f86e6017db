package application

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// metadataAddress answers about the VM that asks, and to VMs alone (ID-1).
const metadataAddress = "http://169.254.169.254/metadata/identity/oauth2/token"

// storageResource is whom the token is for.
const storageResource = "https://storage.azure.com/"

// renewBefore is how long before its end a token is no longer used.
const renewBefore = 5 * time.Minute

// managedIdentity gets tokens for the VM, and keeps the last one until it is nearly over.
type managedIdentity struct {
	client *http.Client

	mu    sync.Mutex
	kept  string
	until time.Time
}

func (m *managedIdentity) token(ctx context.Context) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept != "" && time.Now().Before(m.until) {
		return m.kept, nil
	}
	query := url.Values{"api-version": {"2018-02-01"}, "resource": {storageResource}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, metadataAddress+"?"+query.Encode(), nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Metadata", "true")
	response, err := m.client.Do(request)
	if err != nil {
		return "", fmt.Errorf("ask for a token: %w", err)
	}
	answer, err := ReadAnswer(response)
	if err != nil {
		return "", fmt.Errorf("ask for a token: %w", err)
	}
	if answer.Status != http.StatusOK {
		return "", fmt.Errorf("ask for a token: status %d: %s; has the VM a system-assigned identity?", answer.Status, strings.TrimSpace(string(answer.Body)))
	}
	var token struct {
		AccessToken string      `json:"access_token"`
		ExpiresOn   json.Number `json:"expires_on"` // seconds since 1970, as a string
	}
	if err := json.Unmarshal(answer.Body, &token); err != nil {
		return "", fmt.Errorf("ask for a token: read the answer: %w", err)
	}
	expires, err := token.ExpiresOn.Int64()
	if err != nil || token.AccessToken == "" {
		return "", fmt.Errorf("ask for a token: the answer has no access_token, or expires_on %q is no number of seconds", token.ExpiresOn)
	}
	m.kept, m.until = token.AccessToken, time.Unix(expires, 0).Add(-renewBefore)
	return m.kept, nil
}
