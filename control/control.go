// Package control is the control plane in one process: the store, the API, its door with a socket in the state folder and
// an address for everybody else, and the compile loop between resources and plans.
package control

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"postern/activity"
	"postern/api"
	"postern/arm"
	"postern/compile"
	"postern/inspect"
	"postern/model"
	"postern/plan"
	"postern/resource"
	"postern/server"
	"postern/servicetag"
	"postern/store/embedded"
)

// Plane is a running control plane.
type Plane struct {
	Store    *embedded.Server
	Cache    *server.Cache
	API      *api.API
	Access   *server.Access
	Activity *activity.Log
	Compiler *compile.Compiler

	handler    *arm.Door
	door       atomic.Pointer[Door] // nil before OpenDoor
	signIn     signIn
	catalogues *server.Catalogues
	log        *slog.Logger
	ctx        context.Context // of what runs
	stop       context.CancelFunc
	work       sync.WaitGroup
}

// Options are what a control plane's surroundings add to it; the zero value adds nothing.
type Options struct {
	Routes []arm.Route                                     // answers at the API's doors
	Wired  func(ctx context.Context, revision int64) error // see api.API
	Probe  arm.Probe                                       // see arm.Options

	Wait, Bound time.Duration // of writes: see api.API; 0 for its defaults
}

// Start opens the state folder and runs a control plane on it until Close, with the API's socket in the folder. A folder that another process has gives embedded.ErrTaken.
func Start(dir string, log *slog.Logger, options Options) (*Plane, error) {
	opened, err := embedded.Open(dir)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &Plane{
		Store: opened, Cache: server.NewCache(opened.Store), Compiler: new(compile.Compiler),
		catalogues: server.NewCatalogues(opened.Store), log: log, ctx: ctx, stop: stop,
	}
	p.API = api.New(opened.Store, p.Cache, resource.Options{FrontAddresses: p.frontAddresses, KnownTag: p.knownTag, Regions: p.regions})
	p.API.Wired = options.Wired
	p.API.Wait, p.API.Bound = cmp.Or(options.Wait, api.DefaultWait), cmp.Or(options.Bound, api.DefaultBound)
	if _, err := p.Catalogue(ctx); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	if p.Access, err = p.openAccess(ctx); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	if p.Activity, err = activity.Open(filepath.Join(dir, "activity"), activity.DefaultLimits); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	p.work.Go(func() { p.Activity.Run(ctx) })
	p.work.Go(func() {
		server.RunCompiler(ctx, opened.Store, p.Cache, func(snapshot *model.Snapshot) (map[string]plan.Node, error) {
			catalogue, err := p.Catalogue(ctx)
			if err != nil {
				return nil, err
			}
			return p.Compiler.Compile(snapshot, catalogue)
		}, log)
	})
	p.handler = arm.New(arm.Options{API: p.API, Cache: p.Cache, Compiler: p.Compiler, Catalogue: p.Catalogue,
		Inspector: inspect.New(p.Cache, p.Compiler, p.Catalogue), Tenant: model.DefaultSettings.Tenant, Access: p.Access, Activity: p.Activity,
		Principal: p.principalExists, Store: opened.Store, Routes: slices.Concat(p.doorRoutes(), p.principalRoutes(), options.Routes), Probe: options.Probe, Log: log})
	p.API.Ended = p.handler.RecordEnd
	if err := p.API.Resume(ctx); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	p.work.Go(func() {
		if err := p.handler.Run(ctx); err != nil {
			log.Error("deployments are not worked on; start again", "error", err)
		}
	})
	listener, err := listenLocally(dir)
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	p.serve(listener, arm.AsLocalOwner)
	return p, nil
}

// Catalogue is the service-tag catalogue that holds: the imported one, or the built-in one.
func (p *Plane) Catalogue(ctx context.Context) (*servicetag.Catalogue, error) {
	return p.catalogues.Current(ctx)
}

// frontAddresses are what a region's instances get their public addresses from: the service tag's prefixes in the region or,
// of a tag without regions, all.
func (p *Plane) frontAddresses(name string, region model.Location) []netip.Prefix {
	catalogue, err := p.catalogues.Current(p.ctx)
	if err != nil {
		p.log.Error("read the service tags, which instances get addresses from", "error", err)
		return nil
	}
	tag, ok := catalogue.Regional(name, region)
	if !ok && len(catalogue.Regions(name)) == 0 {
		tag, ok = catalogue.Tag(name)
	}
	if !ok {
		return nil
	}
	var prefixes []netip.Prefix
	for _, prefix := range tag.Prefixes {
		if prefix.Addr().Is4() {
			prefixes = append(prefixes, prefix)
		}
	}
	return prefixes
}

// knownTag tells whether the catalogue has a service tag. Without a catalogue nothing is refused: the compiler says more.
func (p *Plane) knownTag(name string) bool {
	catalogue, err := p.catalogues.Current(p.ctx)
	if err != nil {
		p.log.Error("read the service tags, which routes and rules are checked with", "error", err)
		return true
	}
	_, ok := catalogue.Tag(name)
	return ok
}

// regions are those that the catalogue names. Without a catalogue it is the one that is built in.
func (p *Plane) regions() []model.Location {
	catalogue, err := p.catalogues.Current(p.ctx)
	if err != nil {
		p.log.Error("read the service tags, which locations are checked with", "error", err)
		catalogue = servicetag.BuiltIn()
	}
	return catalogue.Regions("Storage")
}

// Close stops everything. It is safe to call twice.
func (p *Plane) Close() error {
	p.stop()
	p.work.Wait()
	p.API.Close()
	var err error
	if p.Activity != nil {
		err = p.Activity.Close()
	}
	return errors.Join(err, p.Store.Close())
}
