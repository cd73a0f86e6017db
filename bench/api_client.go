package bench

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"postern/cloud"
)

// door is a client of the Resource Manager's door, signed in.
type door struct {
	http  *http.Client
	url   string
	token string
}

// apiVersion is one that every type here has.
const apiVersion = "2024-05-01"

// openDoor opens the door of a cloud at a free port and signs in.
func openDoor(ctx context.Context, running *cloud.Cloud) (*door, error) {
	opened, err := running.Control().OpenDoor(ctx, "localhost:0", nil)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(running.CA())
	d := &door{url: opened.URL, http: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {opened.ClientID}, "client_secret": {opened.Secret}, "scope": {d.url + "/.default"}}
	var given struct {
		Token string `json:"access_token"`
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+"/"+opened.Tenant+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if err := d.do(request, &given); err != nil {
		return nil, err
	}
	d.token = given.Token
	return d, nil
}

func (d *door) close() { d.http.CloseIdleConnections() }

// do sends a request and reads the answer, which must be a good one, to its end.
func (d *door) do(request *http.Request, into any) error {
	if d.token != "" {
		request.Header.Set("Authorization", "Bearer "+d.token)
	}
	answer, err := d.http.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", request.Method, request.URL.Path, err)
	}
	if answer.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %.500s", request.Method, request.URL.Path, answer.Status, data)
	}
	return json.Unmarshal(data, into)
}

func (d *door) ask(ctx context.Context, method, address string, content json.RawMessage, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(content))
	if err != nil {
		return err
	}
	if content != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	return d.do(request, into)
}

func (d *door) at(path string) string { return d.url + path + "?api-version=" + apiVersion }

// resourceState is what the benchmark reads of an answer.
type resourceState struct {
	ID         string `json:"id"`
	Properties struct {
		State string `json:"provisioningState"`
	} `json:"properties"`
}

// get reads one resource.
func (d *door) get(ctx context.Context, path string) error {
	var have resourceState
	err := d.ask(ctx, http.MethodGet, d.at(path), nil, &have)
	if err == nil && !strings.EqualFold(have.ID, path) {
		err = fmt.Errorf("GET %s: the answer is %q", path, have.ID)
	}
	return err
}

// askAgain is how long put waits between two readings of a state.
const askAgain = time.Millisecond

// put writes one resource and returns when it is enforced: the answer, or one to a later GET, says Succeeded.
func (d *door) put(ctx context.Context, path string, content json.RawMessage) error {
	var have resourceState
	if err := d.ask(ctx, http.MethodPut, d.at(path), content, &have); err != nil {
		return err
	}
	for have.Properties.State != "Succeeded" {
		if have.Properties.State == "Failed" {
			return fmt.Errorf("PUT %s: it failed", path)
		}
		select {
		case <-time.After(askAgain):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := d.ask(ctx, http.MethodGet, d.at(path), nil, &have); err != nil {
			return err
		}
	}
	return nil
}

// list follows a list to its end and answers how many resources it has, and each page's time in milliseconds.
func (d *door) list(ctx context.Context, path string) (count int, pages []float64, err error) {
	for next := d.at(path); next != ""; {
		var page struct {
			Value    []json.RawMessage `json:"value"`
			NextLink string            `json:"nextLink"`
		}
		began := time.Now()
		if err := d.ask(ctx, http.MethodGet, next, nil, &page); err != nil {
			return 0, nil, err
		}
		pages = append(pages, milliseconds(time.Since(began)))
		count, next = count+len(page.Value), page.NextLink
	}
	return count, pages, nil
}
