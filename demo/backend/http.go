package backend

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
)

// HTTP serves a handler until the server that it answers is closed.
func HTTP(listener net.Listener, handler http.Handler) *http.Server {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: talk}
	go func() { _ = server.Serve(listener) }()
	return server
}

// Answer has one answer, for a method and a path: 404 to all else.
func Answer(method, path, contentType, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method || r.URL.Path != path {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", contentType)
		_, _ = io.WriteString(w, body)
	})
}

// maxObject bounds what Objects and Secrets take in one request, in bytes.
const maxObject = 1 << 20

// Objects keeps what is PUT under a path, and gives it to GET: as much as it takes to be a store of blobs.
func Objects() http.Handler {
	var mu sync.Mutex
	kept := map[string][]byte{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxObject))
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		switch r.Method {
		case http.MethodPut:
			kept[r.URL.Path] = data
			w.WriteHeader(http.StatusCreated)
		case http.MethodGet:
			found, ok := kept[r.URL.Path]
			if !ok {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			w.Header().Set("Content-Type", "application/octet-stream")
			_, _ = w.Write(found)
		default:
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
	})
}

// Secrets keeps the secrets of a vault: set and get. As a vault does, it tells who has no token where to get one; it takes
// any.
func Secrets() http.Handler {
	var mu sync.Mutex
	secrets := map[string]string{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			w.Header().Set("WWW-Authenticate", `Bearer authorization="https://login.microsoftonline.com/tenant", resource="https://vault.azure.net"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		name := strings.Trim(strings.TrimPrefix(r.URL.Path, "/secrets/"), "/")
		if r.Method == http.MethodPut {
			var body struct{ Value string }
			if json.NewDecoder(http.MaxBytesReader(w, r.Body, maxObject)).Decode(&body) != nil {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			secrets[name] = body.Value
		}
		value, ok := secrets[name]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(struct {
			Value string `json:"value"`
			ID    string `json:"id"`
		}{value, "https://" + r.Host + "/secrets/" + name + "/1"})
	})
}
