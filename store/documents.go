package store

import (
	"context"
	"fmt"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// documentsKey holds what no plan depends on: "documents/KIND" is written with every change of a kind, "documents/KIND/NAME"
// are its documents.
const documentsKey = root + "documents/"

// Documents are all documents of a kind at one revision.
type Documents struct {
	Revision int64 // of the kind's last change; 0 for a kind that nobody has written to
	Values   map[string][]byte
}

// Documents reads all documents of a kind.
func (s *Store) Documents(ctx context.Context, kind string) (Documents, error) {
	key := documentsKey + kind
	answer, err := s.client.Txn(ctx).Then(clientv3.OpGet(key), clientv3.OpGet(key+"/", clientv3.WithPrefix())).Commit()
	if err != nil {
		return Documents{}, fmt.Errorf("read %s from the store: %w", kind, err)
	}
	found := Documents{Values: map[string][]byte{}}
	if head := answer.Responses[0].GetResponseRange().Kvs; len(head) > 0 {
		found.Revision = head[0].ModRevision
	}
	for _, kv := range answer.Responses[1].GetResponseRange().Kvs {
		found.Values[strings.TrimPrefix(string(kv.Key), key+"/")] = kv.Value
	}
	return found, nil
}

// PutDocuments changes documents of a kind in one transaction, all of it or nothing, and answers the kind's new revision.
// When it returns without an error the change is on disk. ErrConflict tells that base is no longer the kind's revision.
func (s *Store) PutDocuments(ctx context.Context, kind string, base int64, puts map[string][]byte, deletes []string) (int64, error) {
	key := documentsKey + kind
	ops := []clientv3.Op{clientv3.OpPut(key, "")}
	for name, value := range puts {
		ops = append(ops, clientv3.OpPut(key+"/"+name, string(value)))
	}
	for _, name := range deletes {
		ops = append(ops, clientv3.OpDelete(key+"/"+name))
	}
	if len(ops) > MaxTxnOps {
		return 0, fmt.Errorf("write %s to the store: %d documents in one change, and %d is the most", kind, len(ops)-1, MaxTxnOps-1)
	}
	answer, err := s.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", base)).Then(ops...).Commit()
	if err != nil {
		return 0, fmt.Errorf("write %s to the store: %w", kind, err)
	}
	if !answer.Succeeded {
		return 0, ErrConflict
	}
	return answer.Header.Revision, nil
}

// WatchDocuments tells a kind's revision, now and after every change, until the context ends; then the channel is closed.
func (s *Store) WatchDocuments(ctx context.Context, kind string) <-chan int64 {
	return s.watchKey(ctx, documentsKey+kind)
}
