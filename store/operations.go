package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"postern/resource"
)

// Operation is the record of a write whose end somebody may ask for. It is written in the transaction of the write, so that
// whoever runs the control plane next knows what was on its way.
type Operation struct {
	ID       string    `json:"id"`                 // GUID
	Method   string    `json:"method"`             // of HTTP: PUT, PATCH, DELETE, POST
	Resource string    `json:"resource,omitempty"` // id of what was written; "" for a batch
	Location string    `json:"location"`           // region of that, "global" for none
	Started  time.Time `json:"started"`

	Ended time.Time       `json:"ended,omitzero"` // zero while it goes on
	Error *resource.Error `json:"error,omitempty"`

	// Revision is that of the cloud which the write made; 0 before.
	Revision int64 `json:"-"`
}

// Operations reads all records, by revision.
func (s *Store) Operations(ctx context.Context) ([]Operation, error) {
	answer, err := s.client.Get(ctx, operationsKey, clientv3.WithPrefix())
	if err != nil {
		return nil, fmt.Errorf("read the operations: %w", err)
	}
	list := make([]Operation, len(answer.Kvs))
	for i, kv := range answer.Kvs {
		if err := json.Unmarshal(kv.Value, &list[i]); err != nil {
			return nil, fmt.Errorf("read %s: %w", kv.Key, err)
		}
		list[i].Revision = kv.CreateRevision // the end is a later write of the same key
	}
	slices.SortFunc(list, func(a, b Operation) int {
		return cmp.Or(cmp.Compare(a.Revision, b.Revision), strings.Compare(a.ID, b.ID))
	})
	return list, nil
}

// EndOperation notes how an operation ended. One whose record is gone stays gone.
func (s *Store) EndOperation(ctx context.Context, operation Operation) error {
	value, err := json.Marshal(operation)
	if err == nil {
		key := operationsKey + operation.ID
		_, err = s.client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(key), ">", 0)).Then(clientv3.OpPut(key, string(value))).Commit()
	}
	if err != nil {
		return fmt.Errorf("write the end of operation %s: %w", operation.ID, err)
	}
	return nil
}

// RemoveOperations forgets operations by their ids.
func (s *Store) RemoveOperations(ctx context.Context, ids []string) error {
	for some := range slices.Chunk(ids, maxPlanOps) {
		ops := make([]clientv3.Op, len(some))
		for i, id := range some {
			ops[i] = clientv3.OpDelete(operationsKey + id)
		}
		if _, err := s.client.Txn(ctx).Then(ops...).Commit(); err != nil {
			return fmt.Errorf("remove operations: %w", err)
		}
	}
	return nil
}
