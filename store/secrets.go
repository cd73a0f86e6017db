package store

import (
	"context"
	"encoding/json"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"postern/resource"
)

// Secret reads a secret (a CA's key, a signing key) and makes it if it is not there. Of several that make it at once
// one wins, and all get its bytes.
func (s *Store) Secret(ctx context.Context, name string, create func() ([]byte, error)) ([]byte, error) {
	key := secretsKey + name
	answer, err := s.client.Get(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("read secret %s: %w", name, err)
	}
	if len(answer.Kvs) > 0 {
		return answer.Kvs[0].Value, nil
	}
	made, err := create()
	if err != nil {
		return nil, fmt.Errorf("make secret %s: %w", name, err)
	}
	txn, err := s.client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, string(made))).Else(clientv3.OpGet(key)).Commit()
	if err != nil {
		return nil, fmt.Errorf("write secret %s: %w", name, err)
	}
	if txn.Succeeded {
		return made, nil
	}
	if kvs := txn.Responses[0].GetResponseRange().Kvs; len(kvs) > 0 {
		return kvs[0].Value, nil
	}
	return nil, fmt.Errorf("read secret %s: it was removed while it was read: repeat", name)
}

// PutSecret replaces a secret, or makes it.
func (s *Store) PutSecret(ctx context.Context, name string, value []byte) error {
	if _, err := s.client.Put(ctx, secretsKey+name, string(value)); err != nil {
		return fmt.Errorf("write secret %s: %w", name, err)
	}
	return nil
}

// currentHead is the value and revision of head, or those of an empty cloud.
func currentHead(answer *clientv3.GetResponse) (value string, revision int64, err error) {
	if len(answer.Kvs) > 0 {
		return string(answer.Kvs[0].Value), answer.Kvs[0].ModRevision, nil
	}
	first, err := json.Marshal(resource.FirstCounters)
	return string(first), 0, err
}
