// Package application is the small program that runs in vm-app: it writes one row after another to a table of Azure Table
// Storage over its REST API, as any client on a VM would. It gets its token from the managed identity's address, trusts
// the cloud's certificate, and knows nothing of the network but how to dial.
package application

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Dial connects from the machine that the program runs on. The address has a name or an IPv4 address, and a port.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Options are what a Client is made of. All but Token and Suffix are needed.
type Options struct {
	Dial    Dial
	CA      []byte        // PEM of the certificates that services are trusted by
	Timeout time.Duration // for one request, from the dialling to the answer's end

	// Token gives the bearer token; nil asks the managed identity's address once, and keeps the answer.
	Token func(ctx context.Context) (string, error)

	// Suffix of the accounts' names; "" is core.windows.net.
	Suffix string
}

// Client speaks to the table services of accounts. Its methods may be called from any goroutine.
type Client struct {
	options   Options
	transport *http.Transport
	roots     *x509.CertPool
}

// New makes a client. It connects with the first request.
func New(options Options) (*Client, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(options.CA) {
		return nil, errors.New("make a table client: there is no certificate in CA: give the cloud's in PEM")
	}
	if options.Dial == nil || options.Timeout <= 0 {
		return nil, errors.New("make a table client: Dial and Timeout are needed")
	}
	if options.Suffix == "" {
		options.Suffix = "core.windows.net"
	}
	c := &Client{options: options, roots: roots}
	c.transport = &http.Transport{
		DialContext:         c.dial,
		TLSClientConfig:     c.TLS(""),
		TLSHandshakeTimeout: options.Timeout,
		MaxIdleConnsPerHost: 1,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true,
	}
	if options.Token == nil {
		identity := &managedIdentity{client: &http.Client{Transport: c.transport, Timeout: options.Timeout}}
		c.options.Token = identity.token
	}
	return c, nil
}

// dial bounds a connection's making by itself: net/http lets it go on after its request was given up, and in an outage
// those would pile up.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	return c.options.Dial(ctx, network, address)
}

// Close drops idle connections.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Token is the bearer token that the client uses.
func (c *Client) Token(ctx context.Context) (string, error) { return c.options.Token(ctx) }

// Host is the name of an account's table service.
func (c *Client) Host(account string) string { return account + ".table." + c.options.Suffix }

// TLS is how the client trusts; serverName may be "" where the user of the answer fills it in.
func (c *Client) TLS(serverName string) *tls.Config {
	return &tls.Config{RootCAs: c.roots, ServerName: serverName, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}
}

// maxAnswer bounds what is read of an answer, in bytes; a page of rows is far below.
const maxAnswer = 8 << 20

// send sends a request and reads the whole answer, within the timeout. Any status is an answer.
func (c *Client) send(ctx context.Context, request *http.Request) (*Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	response, err := c.transport.RoundTrip(request.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", request.Method, request.URL.Redacted(), err)
	}
	return ReadAnswer(response)
}

// Answer is what a service said.
type Answer struct {
	Status    int
	Header    http.Header
	Body      []byte
	RequestID string // x-ms-request-id, which the access log has too
}

// ReadAnswer reads a response to its end and closes it.
func ReadAnswer(response *http.Response) (*Answer, error) {
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read an answer: %w", err)
	}
	return &Answer{Status: response.StatusCode, Header: response.Header, Body: body, RequestID: response.Header.Get("x-ms-request-id")}, nil
}
