package application

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Table is the table that the program writes to.
const Table = "operations"

// Row is one row as the program writes it; Stored is the service's time of storing, when it was read back.
type Row struct {
	PartitionKey  string
	RowKey        string
	MessageTime   time.Time
	Message       string
	MessageNumber int

	Stored time.Time `json:"-"`
}

// wireRow is a Row in the table service's JSON.
type wireRow struct {
	PartitionKey    string     `json:"PartitionKey"`
	RowKey          string     `json:"RowKey"`
	Timestamp       *time.Time `json:"Timestamp,omitempty"`
	MessageTime     time.Time  `json:"MessageTime"`
	MessageTimeType string     `json:"MessageTime@odata.type,omitempty"`
	Message         string     `json:"Message"`
	MessageNumber   int        `json:"MessageNumber"`
}

// ServiceError is a refusal in the service's own words.
type ServiceError struct {
	Operation string
	Status    int
	Code      string // "AuthorizationFailure"
	Message   string
	RequestID string
}

func (e *ServiceError) Error() string {
	return fmt.Sprintf("%s: status %d, %s: %s", e.Operation, e.Status, e.Code, e.Message)
}

// Refusal reads a service's error out of an answer: odata.error in JSON.
func (a *Answer) Refusal(operation string) *ServiceError {
	refusal := &ServiceError{Operation: operation, Status: a.Status, RequestID: a.RequestID}
	var body struct {
		Error struct {
			Code    string `json:"code"`
			Message struct {
				Value string `json:"value"`
			} `json:"message"`
		} `json:"odata.error"`
	}
	if err := json.Unmarshal(a.Body, &body); err == nil {
		refusal.Code, refusal.Message = body.Error.Code, body.Error.Message.Value
	}
	return refusal
}

// NewRequest makes an authorised request to an account's table service, as Microsoft's "Table service REST API" wants it.
func (c *Client) NewRequest(ctx context.Context, method, account, path string, body any) (*http.Request, error) {
	token, err := c.options.Token(ctx)
	if err != nil {
		return nil, err
	}
	var data []byte
	if body != nil {
		if data, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, "https://"+c.Host(account)+path, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	request.Header.Set("Accept", "application/json;odata=nometadata")
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("x-ms-version", "2023-11-03")
	request.Header.Set("x-ms-date", time.Now().UTC().Format(http.TimeFormat))
	request.Header.Set("User-Agent", "postern-demo-application")
	return request, nil
}

func (c *Client) do(ctx context.Context, method, account, path string, body any) (*Answer, error) {
	request, err := c.NewRequest(ctx, method, account, path, body)
	if err != nil {
		return nil, err
	}
	return c.send(ctx, request)
}

// EnsureTable creates the table unless it is there. A refusal is a *ServiceError.
func (c *Client) EnsureTable(ctx context.Context, account string) error {
	answer, err := c.do(ctx, http.MethodPost, account, "/Tables", map[string]string{"TableName": Table})
	if err != nil {
		return fmt.Errorf("create table %s: %w", Table, err)
	}
	if answer.Status == http.StatusCreated || answer.Status == http.StatusConflict {
		return nil
	}
	return answer.Refusal("create table " + Table)
}

// Insert stores a row and answers the request's id. A row that is there already counts as stored: it is one whose first
// answer was lost. A refusal is a *ServiceError.
func (c *Client) Insert(ctx context.Context, account string, row Row) (requestID string, err error) {
	answer, err := c.do(ctx, http.MethodPost, account, "/"+Table, wireRow{
		PartitionKey: row.PartitionKey, RowKey: row.RowKey, MessageTime: row.MessageTime.UTC(), MessageTimeType: "Edm.DateTime",
		Message: row.Message, MessageNumber: row.MessageNumber,
	})
	if err != nil {
		return "", fmt.Errorf("insert row %s: %w", row.RowKey, err)
	}
	refusal := answer.Refusal("insert row " + row.RowKey)
	if answer.Status == http.StatusCreated || answer.Status == http.StatusNoContent ||
		answer.Status == http.StatusConflict && refusal.Code == "EntityAlreadyExists" {
		return answer.RequestID, nil
	}
	return answer.RequestID, refusal
}

// maxPages bounds a query: 1,000 rows a page.
const maxPages = 10_000

// Rows reads all rows of a partition, in the order of their row keys.
func (c *Client) Rows(ctx context.Context, account, partition string) ([]Row, error) {
	query := url.Values{"$filter": {"PartitionKey eq '" + partition + "'"}}
	var rows []Row
	for range maxPages {
		answer, err := c.do(ctx, http.MethodGet, account, "/"+Table+"()?"+query.Encode(), nil)
		if err != nil {
			return nil, fmt.Errorf("read rows: %w", err)
		}
		if answer.Status != http.StatusOK {
			return nil, answer.Refusal("read rows")
		}
		var page struct {
			Value []wireRow `json:"value"`
		}
		if err := json.Unmarshal(answer.Body, &page); err != nil {
			return nil, fmt.Errorf("read rows: %w", err)
		}
		for _, row := range page.Value {
			one := Row{PartitionKey: row.PartitionKey, RowKey: row.RowKey, MessageTime: row.MessageTime, Message: row.Message, MessageNumber: row.MessageNumber}
			if row.Timestamp != nil {
				one.Stored = *row.Timestamp
			}
			rows = append(rows, one)
		}
		next, nextRow := answer.Header.Get("x-ms-continuation-NextPartitionKey"), answer.Header.Get("x-ms-continuation-NextRowKey")
		if next == "" {
			return rows, nil
		}
		query.Set("NextPartitionKey", next)
		query.Set("NextRowKey", nextRow)
	}
	return nil, fmt.Errorf("read rows of %s: more than %d pages", partition, maxPages)
}
