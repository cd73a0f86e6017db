package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"postern/resource"
)

// SocketName is the API's socket in the state folder.
const SocketName = "api.sock"

// maxBody bounds a request's body: a tag file or a batch of many resources.
const maxBody = 64 << 20

// Listen makes the socket of a state folder. The folder's owner alone can connect. The folder must be locked by the
// caller's store: a socket that is there already is taken for a dead process's.
func Listen(dir string) (net.Listener, error) {
	path := filepath.Join(dir, SocketName)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("serve the API at %s: %w", path, err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("serve the API at %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("serve the API at %s: %w", path, err), listener.Close())
	}
	return listener, nil
}

// Serve answers requests until the context ends, and closes the listener. Requests that are being answered then have a
// second to come to their end.
func (a *API) Serve(ctx context.Context, listener net.Listener, log *slog.Logger) error {
	server := &http.Server{Handler: a.Handler(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			server.Close()
		}
	})
	err := server.Serve(listener)
	if !stop() {
		<-stopped
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the API at %s: %w", listener.Addr(), err)
	}
	return nil
}

// Handler answers these requests; bodies are JSON, errors are ARM's {"error": {…}}:
//
//	PUT, GET, DELETE  ID                          one resource, or a child of one
//	GET               /subscriptions/S[/resourceGroups/G]/providers/PROVIDER/TYPE
//	GET               /subscriptions/S[/resourceGroups/G]/resources
//	GET               /postern/resources[?type=T] all there are
//	POST              /postern/apply              {"resources": [{"id", "body"}], "delete": [ID]}
//	GET               /postern/plans/NODE         a node's plan and its revision
//	GET, PUT          /postern/catalogue          the service-tag catalogue, as stored
//
// and what Mount adds.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	for prefix, handler := range a.mounted {
		mux.Handle(prefix, handler)
	}
	handle := func(pattern string, answer func(*http.Request) (int, any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			status, body, err := answer(r)
			Respond(w, status, body, err)
		})
	}
	handle("PUT /subscriptions/", a.handlePut)
	handle("GET /subscriptions/", a.handleGet)
	handle("DELETE /subscriptions/", a.handleDelete)
	handle("GET /postern/resources", a.handleList)
	handle("POST /postern/apply", a.handleApply)
	handle("GET /postern/plans/{node}", a.handlePlan)
	handle("PUT /postern/catalogue", a.handlePutCatalogue)
	handle("GET /postern/catalogue", a.handleGetCatalogue)
	handle("/", func(r *http.Request) (int, any, error) {
		return 0, nil, &resource.Error{Code: "NotFound", Status: http.StatusNotFound, Message: fmt.Sprintf("There is nothing at %s %s.", r.Method, r.URL.Path)}
	})
	return mux
}

// Mount adds a handler for the paths that begin with a prefix, such as "/postern/inspect/". Call it before Serve and
// Handler. The handler answers by Respond, so that its errors have the form of all the others.
func (a *API) Mount(prefix string, handler http.Handler) {
	if a.mounted == nil {
		a.mounted = make(map[string]http.Handler)
	}
	a.mounted[prefix] = handler
}

// Respond writes an answer. Raw bytes go out as they are, everything else as JSON; an error goes out in ARM's form.
func Respond(w http.ResponseWriter, status int, body any, err error) {
	if err != nil {
		refusal := asRefusal(err)
		status, body = refusal.Status, map[string]any{"error": refusal}
	}
	if body == nil {
		w.WriteHeader(status)
		return
	}
	data, isBytes := body.([]byte)
	contentType := "application/octet-stream"
	if !isBytes {
		contentType = "application/json; charset=utf-8"
		if data, err = json.Marshal(body); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	if raw, ok := body.(json.RawMessage); ok {
		var tagged struct {
			ETag string `json:"etag"`
		}
		if json.Unmarshal(raw, &tagged) == nil && tagged.ETag != "" {
			w.Header().Set("ETag", tagged.ETag)
		}
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	w.Write(data)
}

// asRefusal is the one place where errors become ARM's.
func asRefusal(err error) *resource.Error {
	var refusal *resource.Error
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &refusal):
		copied := *refusal
		if copied.Status == 0 {
			copied.Status = http.StatusBadRequest
		}
		return &copied
	case errors.As(err, &tooLarge):
		return &resource.Error{Code: "RequestContentTooLarge", Status: http.StatusRequestEntityTooLarge,
			Message: fmt.Sprintf("The body is larger than %d bytes.", tooLarge.Limit)}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &resource.Error{Code: "ServerTimeout", Status: http.StatusServiceUnavailable, Message: err.Error()}
	}
	return &resource.Error{Code: "InternalServerError", Status: http.StatusInternalServerError, Message: err.Error()}
}

func conditionsOf(r *http.Request) Conditions {
	return Conditions{IfMatch: r.Header.Get("If-Match"), IfNoneMatch: r.Header.Get("If-None-Match")}
}

func (a *API) handlePut(r *http.Request) (int, any, error) {
	id, err := resource.ParseID(r.URL.Path)
	if err != nil {
		return 0, nil, err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, nil, err
	}
	answer, created, err := a.Put(r.Context(), id, body, conditionsOf(r))
	if created {
		return http.StatusCreated, answer, err
	}
	return http.StatusOK, answer, err
}

func (a *API) handleGet(r *http.Request) (int, any, error) {
	if filter, ok := collection(r.URL.Path); ok {
		list, err := a.List(r.Context(), filter)
		return http.StatusOK, map[string]any{"value": list}, err
	}
	id, err := resource.ParseID(r.URL.Path)
	if err != nil {
		return 0, nil, err
	}
	answer, err := a.Get(r.Context(), id)
	return http.StatusOK, answer, err
}

// collection reads the paths that name many resources.
func collection(path string) (Filter, bool) {
	segments := strings.Split(strings.Trim(path, "/"), "/")
	var filter Filter
	if len(segments) < 3 {
		return filter, false
	}
	filter.Subscription, segments = segments[1], segments[2:]
	if len(segments) > 2 && strings.EqualFold(segments[0], "resourceGroups") {
		filter.ResourceGroup, segments = segments[1], segments[2:]
	}
	if len(segments) == 3 && strings.EqualFold(segments[0], "providers") {
		filter.Type = segments[1] + "/" + segments[2]
		return filter, true
	}
	return filter, len(segments) == 1 && strings.EqualFold(segments[0], "resources")
}

func (a *API) handleDelete(r *http.Request) (int, any, error) {
	id, err := resource.ParseID(r.URL.Path)
	if err != nil {
		return 0, nil, err
	}
	existed, err := a.Delete(r.Context(), id, conditionsOf(r))
	if existed {
		return http.StatusOK, nil, err
	}
	return http.StatusNoContent, nil, err
}

func (a *API) handleList(r *http.Request) (int, any, error) {
	list, err := a.List(r.Context(), Filter{Type: r.URL.Query().Get("type")})
	return http.StatusOK, map[string]any{"value": list}, err
}

// wireBatch is a Batch as JSON.
type wireBatch struct {
	Resources []struct {
		ID   string          `json:"id"`
		Body json.RawMessage `json:"body"`
	} `json:"resources"`
	Delete []string `json:"delete"`
}

func (a *API) handleApply(r *http.Request) (int, any, error) {
	var wire wireBatch
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&wire); err != nil {
		return 0, nil, &resource.Error{Code: resource.CodeInvalidRequestContent, Status: http.StatusBadRequest, Message: "The batch cannot be read: " + err.Error() + "."}
	}
	var batch Batch
	for _, item := range wire.Resources {
		id, err := resource.ParseID(item.ID)
		if err != nil {
			return 0, nil, err
		}
		batch.Resources = append(batch.Resources, resource.Item{ID: id, Body: item.Body})
	}
	for _, text := range wire.Delete {
		id, err := resource.ParseID(text)
		if err != nil {
			return 0, nil, err
		}
		batch.Delete = append(batch.Delete, id)
	}
	result, err := a.Apply(r.Context(), batch)
	return http.StatusOK, result, err
}

func (a *API) handlePlan(r *http.Request) (int, any, error) {
	node := r.PathValue("node")
	update, _, err := a.store.Plan(r.Context(), node)
	if err == nil && update.Plan == nil {
		err = &resource.Error{Code: resource.CodeResourceNotFound, Status: http.StatusNotFound, Target: node,
			Message: fmt.Sprintf("There is no plan for a node '%s'.", node)}
	}
	return http.StatusOK, map[string]any{"plan": update.Plan, "revision": update.Revision}, err
}

func (a *API) handlePutCatalogue(r *http.Request) (int, any, error) {
	data, err := io.ReadAll(r.Body)
	if err == nil {
		err = a.PutCatalogue(r.Context(), data)
	}
	return http.StatusNoContent, nil, err
}

func (a *API) handleGetCatalogue(r *http.Request) (int, any, error) {
	data, err := a.store.Catalogue(r.Context())
	return http.StatusOK, data, err
}
