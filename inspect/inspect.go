// Package inspect answers questions about the cloud as it stands, over HTTP beside the API: effective routes, and what
// becomes of a packet. It only reads.
package inspect

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"postern/api"
	"postern/compile"
	"postern/explain"
	"postern/model"
	"postern/resource"
	"postern/routes"
	"postern/server"
	"postern/servicetag"
)

// Prefix is where the handler of New is to be mounted.
const Prefix = "/postern/inspect/"

// Routes is the answer about effective routes (ROUTE-12, ROUTE-18).
type Routes struct {
	Revision int64              `json:"revision"` // of the cloud
	NIC      model.ResourceID   `json:"nic"`
	Subnet   model.ResourceID   `json:"subnet"`
	Value    []routes.Effective `json:"value"`
}

// CatalogueSource gives the service-tag catalogue of now: (*server.Catalogues).Current.
type CatalogueSource func(context.Context) (*servicetag.Catalogue, error)

type inspector struct {
	cache     *server.Cache
	compiler  *compile.Compiler
	catalogue CatalogueSource
	newest    *explain.Newest
}

// New makes a handler of these requests; answers are JSON, errors ARM's {"error": {…}}:
//
//	GET /postern/inspect/routes?nic=NIC                             Routes
//	GET /postern/inspect/explain?from=NIC&to=HOST:PORT[&protocol=udp]   explain.Explanation
//
// NIC is an id or a name. The compiler may be the compile loop's own.
func New(cache *server.Cache, compiler *compile.Compiler, catalogue CatalogueSource) http.Handler {
	i := &inspector{cache, compiler, catalogue, &explain.Newest{Compiler: compiler}}
	mux := http.NewServeMux()
	handle := func(path string, answer func(*http.Request) (any, error)) {
		mux.HandleFunc("GET "+Prefix+path, func(w http.ResponseWriter, r *http.Request) {
			body, err := answer(r)
			api.Respond(w, http.StatusOK, body, refusal(err))
		})
	}
	handle("routes", i.routes)
	handle("explain", i.explain)
	return mux
}

func (i *inspector) routes(r *http.Request) (any, error) {
	cloud, catalogue, err := i.now(r.Context())
	if err != nil {
		return nil, err
	}
	nic, err := explain.FindNIC(cloud, r.URL.Query().Get("nic"))
	if err != nil {
		return nil, err
	}
	table, err := i.compiler.Effective(cloud, catalogue, nic)
	if err != nil {
		return nil, err
	}
	return Routes{Revision: cloud.Revision, NIC: nic.ID, Subnet: nic.Subnet, Value: table.Effective()}, nil
}

func (i *inspector) explain(r *http.Request) (any, error) {
	query := r.URL.Query()
	question := explain.Question{From: query.Get("from"), To: query.Get("to")}
	switch protocol := query.Get("protocol"); strings.ToLower(protocol) {
	case "", "tcp":
		question.Protocol = model.ProtocolTCP
	case "udp":
		question.Protocol = model.ProtocolUDP
	default:
		return nil, &explain.TargetError{Message: "protocol " + protocol + ": use tcp or udp"}
	}
	cloud, err := i.compiled(r.Context())
	if err != nil {
		return nil, err
	}
	return explain.Packet(cloud, question)
}

// now is the cloud and the catalogue as they stand.
func (i *inspector) now(ctx context.Context) (*model.Snapshot, *servicetag.Catalogue, error) {
	cloud, err := i.cache.Current(ctx)
	if err != nil {
		return nil, nil, err
	}
	catalogue, err := i.catalogue(ctx)
	return cloud.Snapshot(), catalogue, err
}

func (i *inspector) compiled(ctx context.Context) (*explain.Cloud, error) {
	snapshot, catalogue, err := i.now(ctx)
	if err != nil {
		return nil, err
	}
	return i.newest.Of(snapshot, catalogue)
}

// refusal turns explain's errors into ARM's.
func refusal(err error) error {
	var unknown *explain.NICError
	var target *explain.TargetError
	switch {
	case errors.As(err, &unknown):
		return &resource.Error{Code: resource.CodeResourceNotFound, Status: http.StatusNotFound, Message: err.Error()}
	case errors.As(err, &target):
		return &resource.Error{Code: resource.CodeInvalidRequestContent, Status: http.StatusBadRequest, Message: err.Error()}
	}
	return err
}
