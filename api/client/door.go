package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// DoorPath is where the server tells about its Resource Manager door, over its socket.
const DoorPath = "/postern/door"

// Door is what a client of the Resource Manager API must know.
type Door struct {
	URL          string `json:"url"`      // "https://localhost:8443"
	Tenant       string `json:"tenant"`   // GUID
	ClientID     string `json:"clientId"` // of the owner
	Subscription string `json:"subscription"`
	Secret       string `json:"secret,omitempty"` // in an answer to NewSecret alone
}

// Door asks where the Resource Manager's door is.
func (c *Client) Door(ctx context.Context) (Door, error) {
	return c.door(ctx, http.MethodGet, DoorPath)
}

// NewSecret gives the owner a new secret, which the answer has; the former one no longer signs in.
func (c *Client) NewSecret(ctx context.Context) (Door, error) {
	return c.door(ctx, http.MethodPost, DoorPath+"/secret")
}

func (c *Client) door(ctx context.Context, method, path string) (Door, error) {
	data, err := c.do(ctx, method, path, nil, nil)
	if err != nil {
		return Door{}, err
	}
	var door Door
	if err := json.Unmarshal(data, &door); err != nil {
		return Door{}, fmt.Errorf("read the server's door: %w", err)
	}
	return door, nil
}
