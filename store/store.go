// Package store keeps a cloud in etcd: the resources and what was allotted to them, the plans of the nodes and what
// the nodes have applied, the service-tag catalogue, and secrets. It is the client's side alone, so that an agent can
// use it; package embedded runs a server of its own.
//
// Keys, all under "/postern/":
//
//	head                     Counters; every change of what plans are made from writes it, in the same transaction
//	resources/KEY            a resource.Record, KEY its id in lower case without the first slash
//	catalogue                which generation of the service-tag catalogue holds
//	catalogue-parts/SUM/N    its bytes, in parts
//	plans/NODE               a plan.Node
//	status/compiled          how far the compiler has come
//	status/applied/NODE      which revision of its plan a node has applied
//	operations/ID            an Operation, while somebody may ask for its end
//	secrets/NAME             a secret
//	deployments/KEY          what is answered about a deployment of a template; deployment-inputs/KEY what running it
//	                         takes; deployment-operations/KEY/ID what was done
//	documents/KIND/NAME      what no plan depends on: roles and their assignments
//
// A revision is always etcd's own. The revision of a cloud is that of the last write of head: transactions that
// change a cloud compare it, so that writers never overtake each other.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"postern/resource"
)

const (
	root          = "/postern/"
	headKey       = root + "head"
	resourcesKey  = root + "resources/"
	plansKey      = root + "plans/"
	statusKey     = root + "status/"
	compiledKey   = statusKey + "compiled"
	appliedKey    = statusKey + "applied/"
	operationsKey = root + "operations/"
	secretsKey    = root + "secrets/"
)

// MaxRequestBytes is the largest request that the embedded server takes, and MaxTxnOps the most writes in one
// transaction. A cluster of the operator's own needs the same settings for clouds and batches of that size.
const (
	MaxRequestBytes = 64 << 20
	MaxTxnOps       = 16384
)

// ErrConflict tells that the cloud has changed since it was read: read it again and repeat.
var ErrConflict = errors.New("write to the store: the cloud has changed since it was read: read it again and repeat")

// Store is a connection to etcd. It is safe for concurrent use.
type Store struct {
	client *clientv3.Client

	plansLock sync.Mutex
	plans     map[string]writtenPlan // what PutPlans last wrote or read, by node

	progress progress
}

// Connect makes a store of an etcd at endpoints: "unix:///path/to/socket" or "host:port". It does not wait for the
// server to be there; operations wait, as long as their contexts let them, and go on after a restart of the server.
func Connect(endpoints ...string) (*Store, error) {
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            endpoints,
		Logger:               zap.NewNop(),
		MaxCallSendMsgSize:   2 * MaxRequestBytes,
		MaxCallRecvMsgSize:   math.MaxInt32,
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 5 * time.Second,
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: 2 * time.Second,
			Backoff: backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second}})},
	})
	if err != nil {
		return nil, fmt.Errorf("connect to the store at %s: %w", strings.Join(endpoints, ", "), err)
	}
	s := &Store{client: client, plans: make(map[string]writtenPlan)}
	s.progress.changed, s.progress.waiting = make(chan struct{}), make(map[*waiter]bool)
	return s, nil
}

// Close ends the connection. Watches of it end.
func (s *Store) Close() error { return s.client.Close() }

// State is every resource at one revision.
type State struct {
	Revision int64 // of head; 0 for a cloud that nobody has written to
	Counters resource.Counters
	Records  []resource.Record // by key
}

// pageSize bounds the records of one answer.
const pageSize = 4096

// Snapshot reads all resources at one revision.
func (s *Store) Snapshot(ctx context.Context) (State, error) {
	state := State{Counters: resource.FirstCounters}
	end := clientv3.GetPrefixRangeEnd(resourcesKey)
	answer, err := s.client.Txn(ctx).Then(clientv3.OpGet(headKey),
		clientv3.OpGet(resourcesKey, clientv3.WithRange(end), clientv3.WithLimit(pageSize))).Commit()
	if err != nil {
		return state, fmt.Errorf("read the cloud from the store: %w", err)
	}
	if kvs := answer.Responses[0].GetResponseRange().Kvs; len(kvs) > 0 {
		state.Revision = kvs[0].ModRevision
		if err := json.Unmarshal(kvs[0].Value, &state.Counters); err != nil {
			return state, fmt.Errorf("read the counters from the store: %w", err)
		}
	}
	page := (*clientv3.GetResponse)(answer.Responses[1].GetResponseRange())
	for {
		for _, kv := range page.Kvs {
			record := resource.Record{Revision: kv.ModRevision}
			if err := json.Unmarshal(kv.Value, &record); err != nil {
				return state, fmt.Errorf("read %s from the store: %w", kv.Key, err)
			}
			state.Records = append(state.Records, record)
		}
		if !page.More {
			return state, nil
		}
		next := string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
		page, err = s.client.Get(ctx, next, clientv3.WithRange(end), clientv3.WithLimit(pageSize),
			clientv3.WithRev(answer.Header.Revision))
		if err != nil {
			return state, fmt.Errorf("read the cloud from the store: %w", err)
		}
	}
}

// Write is one change of a cloud.
type Write struct {
	Base     int64 // the revision of the cloud that the change was made from
	Puts     []resource.Record
	Deletes  []string // keys of records
	Counters resource.Counters

	Operation *Operation // what the change is recorded as; nil for nothing
}

// Put makes a change in one transaction, all of it or nothing, and answers the cloud's new revision. When it returns
// without an error the change is on disk. ErrConflict tells that Base is no longer the cloud's revision. Any other
// error leaves open whether the change was made, as with every database whose answer gets lost.
func (s *Store) Put(ctx context.Context, w Write) (int64, error) {
	head, err := json.Marshal(w.Counters)
	if err != nil {
		return 0, fmt.Errorf("write counters: %w", err)
	}
	ops := []clientv3.Op{clientv3.OpPut(headKey, string(head))}
	for i := range w.Puts {
		value, err := json.Marshal(&w.Puts[i])
		if err != nil {
			return 0, fmt.Errorf("write %s: %w", w.Puts[i].ID, err)
		}
		ops = append(ops, clientv3.OpPut(recordKey(w.Puts[i].Key()), string(value)))
	}
	for _, key := range w.Deletes {
		ops = append(ops, clientv3.OpDelete(recordKey(key)))
	}
	if most := MaxTxnOps - 2; len(ops) > most+1 { // head and the operation stand beside the resources
		return 0, fmt.Errorf("write to the store: %d resources in one change, and %d is the most: part them", len(ops)-1, most)
	}
	if w.Operation != nil {
		value, err := json.Marshal(w.Operation)
		if err != nil {
			return 0, fmt.Errorf("write operation %s: %w", w.Operation.ID, err)
		}
		ops = append(ops, clientv3.OpPut(operationsKey+w.Operation.ID, string(value)))
	}
	answer, err := s.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(headKey), "=", w.Base)).Then(ops...).Commit()
	if err != nil {
		return 0, fmt.Errorf("write to the store: %w", err)
	}
	if !answer.Succeeded {
		return 0, ErrConflict
	}
	return answer.Header.Revision, nil
}

func recordKey(key string) string { return resourcesKey + strings.TrimPrefix(key, "/") }

// Revision is the cloud's revision now: cheap, to see whether a cloud that one has is still the newest.
func (s *Store) Revision(ctx context.Context) (int64, error) {
	answer, err := s.client.Get(ctx, headKey, clientv3.WithKeysOnly())
	if err != nil {
		return 0, fmt.Errorf("read the cloud's revision from the store: %w", err)
	}
	if len(answer.Kvs) == 0 {
		return 0, nil
	}
	return answer.Kvs[0].ModRevision, nil
}
