// Package inspect answers questions about the cloud as it stands: effective routes, and what becomes of a packet. It only
// reads.
package inspect

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"postern/compile"
	"postern/explain"
	"postern/model"
	"postern/resource"
	"postern/routes"
	"postern/server"
	"postern/servicetag"
)

// Routes is the answer about effective routes (ROUTE-12, ROUTE-18).
type Routes struct {
	Revision int64              `json:"revision"` // of the cloud
	NIC      model.ResourceID   `json:"nic"`
	Subnet   model.ResourceID   `json:"subnet"`
	Value    []routes.Effective `json:"value"`
}

// CatalogueSource gives the service-tag catalogue of now: (*server.Catalogues).Current.
type CatalogueSource func(context.Context) (*servicetag.Catalogue, error)

// Inspector answers questions. It remembers the newest cloud compiled, since questions come in bursts. It is safe for
// concurrent use.
type Inspector struct {
	cache     *server.Cache
	compiler  *compile.Compiler
	catalogue CatalogueSource

	mu       sync.Mutex // guards what follows
	cloud    *explain.Cloud
	cloudOf  *servicetag.Catalogue
	revision int64
}

// New makes an inspector. The compiler may be the compile loop's own.
func New(cache *server.Cache, compiler *compile.Compiler, catalogue CatalogueSource) *Inspector {
	return &Inspector{cache: cache, compiler: compiler, catalogue: catalogue}
}

// Routes answers the effective routes of a NIC, given by its id or name. A NIC that is not there is a *resource.Error.
func (i *Inspector) Routes(ctx context.Context, name string) (Routes, error) {
	cloud, catalogue, err := i.now(ctx)
	if err != nil {
		return Routes{}, err
	}
	nic, err := explain.FindNIC(cloud, name)
	if err != nil {
		return Routes{}, refusal(err)
	}
	table, err := i.compiler.Effective(cloud, catalogue, nic)
	if err != nil {
		return Routes{}, err
	}
	return Routes{Revision: cloud.Revision, NIC: nic.ID, Subnet: nic.Subnet, Value: table.Effective()}, nil
}

// Explain tells what becomes of the first packet of a connection. A NIC or a target that makes no sense is a
// *resource.Error.
func (i *Inspector) Explain(ctx context.Context, question explain.Question) (*explain.Explanation, error) {
	cloud, err := i.compiled(ctx)
	if err != nil {
		return nil, err
	}
	explanation, err := explain.Packet(cloud, question)
	return explanation, refusal(err)
}

// now is the cloud and the catalogue as they stand.
func (i *Inspector) now(ctx context.Context) (*model.Snapshot, *servicetag.Catalogue, error) {
	cloud, err := i.cache.Current(ctx)
	if err != nil {
		return nil, nil, err
	}
	catalogue, err := i.catalogue(ctx)
	return cloud.Snapshot(), catalogue, err
}

func (i *Inspector) compiled(ctx context.Context) (*explain.Cloud, error) {
	snapshot, catalogue, err := i.now(ctx)
	if err != nil {
		return nil, err
	}
	return i.At(snapshot, catalogue)
}

// At is the cloud of a snapshot and a catalogue, compiled for questions to package explain.
func (i *Inspector) At(snapshot *model.Snapshot, catalogue *servicetag.Catalogue) (*explain.Cloud, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.cloud != nil && i.revision == snapshot.Revision && i.cloudOf == catalogue {
		return i.cloud, nil
	}
	cloud, err := explain.NewCloud(snapshot, catalogue, i.compiler)
	if err != nil {
		return nil, err
	}
	i.cloud, i.cloudOf, i.revision = cloud, catalogue, snapshot.Revision
	return cloud, nil
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
