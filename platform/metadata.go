package platform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"postern/model"
	"postern/plan"
	"postern/token"
)

// ServeMetadata answers HTTP of listener until ctx ends, and closes it. It returns nil at the end of ctx.
func (s *Service) ServeMetadata(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
		IdleTimeout: idleTimeout, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	err := server.Serve(newFairListener(listener))
	if ctx.Err() != nil {
		return nil
	}
	return errors.Join(fmt.Errorf("serve metadata: %w", err), server.Close())
}

// ServeHTTP answers one request to the metadata service ("Azure Instance Metadata Service" in Microsoft's documentation).
// Who asks is in the connection's addresses: http.LocalAddrContextKey and RemoteAddr, which net/http sets.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", "Postern-IMDS/1.0")
	w.Header().Set("Cache-Control", "no-store")
	v := s.view.Load()
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	address, err := v.at(addressOf(local).Addr())
	switch {
	case errors.Is(err, errNoPlan):
		s.refuse(w, http.StatusServiceUnavailable, "temporarily_unavailable", "The platform service has no plan yet; try again.")
		return
	case err != nil || address != model.PlatformMetadata && address != model.PlatformDNS:
		s.refuse(w, http.StatusNotFound, "not_found", "Nothing answers at this address.")
		return
	}
	if s.serveDiscovery(w, r) {
		return
	}
	if address != model.PlatformMetadata || !strings.HasPrefix(r.URL.Path, "/metadata/") {
		s.refuse(w, http.StatusNotFound, "not_found", "Nothing answers at this path.")
		return
	}
	// Both checks keep away what a program in the VM was talked into fetching for somebody else: such a request has no
	// header of the attacker's choice, or came through a proxy.
	switch {
	case r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != "":
		s.refuse(w, http.StatusBadRequest, "invalid_request", "Requests with an X-Forwarded-For or Forwarded header are not answered.")
		return
	case !strings.EqualFold(r.Header.Get("Metadata"), "true"):
		s.refuse(w, http.StatusBadRequest, "invalid_request", "Required metadata header not specified")
		return
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		s.refuse(w, http.StatusMethodNotAllowed, "invalid_request", "Only GET is answered.")
		return
	}
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		remote = addressOf(nil)
	}
	machine, err := v.from(remote.Addr())
	if err != nil {
		s.counters.unknownCaller.Add(1)
		writeError(w, http.StatusForbidden, "access_denied", "The request is from no NIC of this region.")
		return
	}
	if !s.versionGiven(w, r) {
		return
	}
	switch path := strings.TrimSuffix(r.URL.Path, "/"); {
	case path == "/metadata/identity/oauth2/token":
		s.serveToken(w, r, machine)
	case path == "/metadata/instance" || strings.HasPrefix(path, "/metadata/instance/"):
		s.serveInstance(w, r, v, machine, strings.Trim(strings.TrimPrefix(path, "/metadata/instance"), "/"))
	default:
		s.refuse(w, http.StatusNotFound, "not_found", "Nothing answers at this path.")
	}
}

// versionGiven checks api-version: a date. Every date gets the same answers.
func (s *Service) versionGiven(w http.ResponseWriter, r *http.Request) bool {
	version := r.URL.Query().Get("api-version")
	if version == "" {
		s.refuse(w, http.StatusBadRequest, "invalid_request", "Required query variable 'api-version' is missing")
		return false
	}
	if _, err := time.Parse(time.DateOnly, version); err != nil {
		s.refuse(w, http.StatusBadRequest, "invalid_request", "Query variable 'api-version' is not a version such as 2018-02-01")
		return false
	}
	return true
}

// serveDiscovery answers the documents that verify tokens (ID-2). They are public.
func (s *Service) serveDiscovery(w http.ResponseWriter, r *http.Request) bool {
	var document any
	issuer := s.options.Issuer()
	switch r.URL.Path {
	case token.DiscoveryPath, "/" + issuer.Tenant + token.DiscoveryPath:
		document = issuer.Discovery()
	case token.KeysPath, "/" + issuer.Tenant + token.KeysPath:
		document = issuer.Keys.Public()
	default:
		return false
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		s.refuse(w, http.StatusMethodNotAllowed, "invalid_request", "Only GET is answered.")
		return true
	}
	writeJSON(w, http.StatusOK, document)
	return true
}

func (s *Service) refuse(w http.ResponseWriter, status int, code, description string) {
	s.counters.metadataRefused.Add(1)
	writeError(w, status, code, description)
}

func writeError(w http.ResponseWriter, status int, code, description string) {
	writeJSON(w, status, struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{code, description})
}

func writeJSON(w http.ResponseWriter, status int, document any) {
	data, err := json.Marshal(document)
	if err != nil {
		http.Error(w, "the answer cannot be written as JSON", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(data) // the client is gone: nothing to tell it
}

// identityOf is the managed identity of the VM that a NIC belongs to.
func identityOf(machine plan.Machine) token.Identity {
	return token.Identity{PrincipalID: machine.PrincipalID, ResourceID: string(machine.VM)}
}
