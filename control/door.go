package control

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"postern/api/client"
	"postern/arm"
	"postern/certificate"
	"postern/node"
	"postern/resource"
	"postern/signin"
)

// DefaultListen is where the Resource Manager's door is opened when nobody says otherwise.
const DefaultListen = "localhost:8443"

// Door is the open door of a plane: where az, the SDKs and Terraform come in.
type Door struct {
	client.Door
	Secret string // of the first principal, when it was made just now; "" otherwise
}

// OpenDoor opens the door at an address: "host:port" or "https://host:port" with TLS, by the certificate given or, without
// one, by a leaf of the cloud's own authority for localhost and the address; "http://host:port" without TLS, on loopback
// alone. Port 0 takes any. Close closes it. A plane tells of the door that was opened last.
func (p *Plane) OpenDoor(ctx context.Context, listen string, given *tls.Certificate) (*Door, error) {
	address, plain := strings.CutPrefix(strings.TrimSuffix(listen, "/"), "http://")
	address = strings.TrimPrefix(address, "https://")
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("open the API's door at %q: want host:port, like %s", listen, DefaultListen)
	}
	if plain && !loopback(host) {
		return nil, fmt.Errorf("open the API's door at %q: without TLS it may only be at a loopback address: write https", listen)
	}
	service, secret, err := p.beginSignIn(ctx)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("open the API's door at %s: %w", address, err)
	}
	door := &Door{Secret: secret}
	door.Tenant, door.ClientID, door.Subscription = service.Tenant(), ownerID(service), resource.DefaultSubscription
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "localhost"
	}
	door.URL = "http://" + net.JoinHostPort(host, port)
	if !plain {
		door.URL = "https://" + net.JoinHostPort(host, port)
		certificates, err := p.certificates(ctx, host, given)
		if err != nil {
			return nil, errors.Join(err, listener.Close())
		}
		listener = tls.NewListener(listener, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certificates, NextProtos: []string{"http/1.1"}})
	}
	p.handler.LetIn(service)
	p.serve(listener, nil)
	p.door.Store(door)
	return door, nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	address := net.ParseIP(host)
	return address != nil && address.IsLoopback()
}

// certificates gives the door its certificate: the one given, or a leaf that is made anew when it has little time left.
func (p *Plane) certificates(ctx context.Context, host string, given *tls.Certificate) (func(*tls.ClientHelloInfo) (*tls.Certificate, error), error) {
	if given != nil {
		return func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return given, nil }, nil
	}
	names := []string{"localhost", "127.0.0.1", "::1"}
	switch {
	case net.ParseIP(host) != nil && !net.ParseIP(host).IsLoopback():
		names = append(names, host)
	case !loopback(host):
		return nil, fmt.Errorf("open the API's door at %s: the cloud's own authority signs for localhost and addresses alone: "+
			"give a certificate for the name, or listen at an address", host)
	}
	authority, err := node.Authority(ctx, p.Store.Store)
	if err != nil {
		return nil, err
	}
	leaf := &renewed{authority: authority, names: names}
	_, err = leaf.get(nil)
	return leaf.get, err
}

// renewed is a leaf certificate that is made anew in the last third of its life.
type renewed struct {
	authority *certificate.Authority
	names     []string

	mu      sync.Mutex // guards current
	current *tls.Certificate
}

func (r *renewed) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if r.current != nil && now.Before(r.current.Leaf.NotAfter.Add(-certificate.LeafLifetime/3)) {
		return r.current, nil
	}
	fresh, err := r.authority.Issue(r.names, now)
	if err != nil {
		return nil, err
	}
	r.current = fresh
	return fresh, nil
}

// doorRoutes tell where the door is, and make new secrets.
func (p *Plane) doorRoutes() []arm.Route {
	return []arm.Route{
		{Method: http.MethodGet, Path: client.DoorPath, Action: "Postern.Fabric/door/read", Answer: p.tellDoor},
		{Method: http.MethodPost, Path: client.DoorPath + "/secret", Action: "Postern.Fabric/door/secret/action", Answer: p.newSecret},
	}
}

func (p *Plane) tellDoor(*http.Request) (int, any, error) {
	if door := p.door.Load(); door != nil {
		return http.StatusOK, door.Door, nil
	}
	return 0, nil, &resource.Error{Code: "NotFound", Status: http.StatusNotFound, Message: "The API has no door open: start postern up with --listen."}
}

func (p *Plane) newSecret(r *http.Request) (int, any, error) {
	if _, _, err := p.tellDoor(r); err != nil {
		return 0, nil, err
	}
	service, err := p.openSignIn(r.Context())
	if err != nil {
		return 0, nil, err
	}
	answer := p.door.Load().Door
	_, answer.Secret, err = service.Reset(r.Context(), signin.OwnerName)
	return http.StatusOK, answer, err
}
