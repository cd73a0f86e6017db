package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// PrincipalsPath and KeysPath are where the server makes principals and new signing keys, over its socket.
const (
	PrincipalsPath = "/postern/principals"
	KeysPath       = "/postern/keys"
)

// Kinds of principals.
const (
	Application     = "Application"     // signs in with a secret
	ManagedIdentity = "ManagedIdentity" // of a VM, which gets tokens inside it
)

// Principal is who can be given roles.
type Principal struct {
	Name     string    `json:"name"` // of a managed identity, the VM's id
	Kind     string    `json:"kind"`
	AppID    string    `json:"appId"`    // what it signs in as
	ObjectID string    `json:"objectId"` // what roles are assigned to
	Created  time.Time `json:"created,omitzero"`
	Roles    []Role    `json:"roles"`
	Tenant   string    `json:"tenant,omitempty"` // with a secret alone
	Secret   string    `json:"secret,omitempty"` // when it was made just now
}

// Role is a role that a principal has.
type Role struct {
	Name  string `json:"name"`
	Scope string `json:"scope"`
}

// NewPrincipal is a principal to be made.
type NewPrincipal struct {
	Name  string `json:"name"`
	Role  string `json:"role,omitempty"` // name or GUID of a role to give it; "" for none
	Scope string `json:"scope,omitempty"`
}

// Keys are the signing keys of the API's tokens.
type Keys struct {
	KeyID     string   `json:"keyId"`     // of the one that signs
	Published []string `json:"published"` // ids of all that tokens are verified with
}

// Principals lists who can be given roles.
func (c *Client) Principals(ctx context.Context) ([]Principal, error) {
	var list struct {
		Value []Principal `json:"value"`
	}
	return list.Value, c.ask(ctx, http.MethodGet, PrincipalsPath, nil, nil, &list)
}

// CreatePrincipal makes a principal; the answer has its secret, which is not kept.
func (c *Client) CreatePrincipal(ctx context.Context, wanted NewPrincipal) (made Principal, err error) {
	return made, c.ask(ctx, http.MethodPost, PrincipalsPath, nil, wanted, &made)
}

// DeletePrincipal removes a principal, given by its name, app id or object id, and its roles.
func (c *Client) DeletePrincipal(ctx context.Context, which string) (deleted Principal, err error) {
	return deleted, c.ask(ctx, http.MethodDelete, PrincipalsPath, url.Values{"principal": {which}}, nil, &deleted)
}

// ResetPrincipal gives a principal a new secret, which the answer has.
func (c *Client) ResetPrincipal(ctx context.Context, which string) (changed Principal, err error) {
	return changed, c.ask(ctx, http.MethodPost, PrincipalsPath+"/secret", url.Values{"principal": {which}}, nil, &changed)
}

// RotateKeys lets the next signing keys take over.
func (c *Client) RotateKeys(ctx context.Context) (keys Keys, err error) {
	return keys, c.ask(ctx, http.MethodPost, KeysPath+"/rotate", nil, nil, &keys)
}

// ask sends a body as JSON, nil for none, and reads the answer into a value.
func (c *Client) ask(ctx context.Context, method, path string, query url.Values, body, answer any) error {
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return fmt.Errorf("ask the server: %w", err)
		}
	}
	got, err := c.do(ctx, method, path, query, data)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(got, answer); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	return nil
}
