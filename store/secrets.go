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

// ChangeSecret replaces a secret by what change makes of it (of nil, where there is none), nil to leave it. Of several that
// change it at once all come to pass, one after the other: change may be called again. It answers the bytes that hold.
func (s *Store) ChangeSecret(ctx context.Context, name string, change func(before []byte) ([]byte, error)) ([]byte, error) {
	key := secretsKey + name
	for {
		answer, err := s.client.Get(ctx, key)
		if err != nil {
			return nil, fmt.Errorf("read secret %s: %w", name, err)
		}
		var before []byte
		var revision int64
		if len(answer.Kvs) > 0 {
			before, revision = answer.Kvs[0].Value, answer.Kvs[0].ModRevision
		}
		after, err := change(before)
		if err != nil {
			return nil, err
		}
		if after == nil {
			return before, nil
		}
		txn, err := s.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", revision)).Then(clientv3.OpPut(key, string(after))).Commit()
		if err != nil {
			return nil, fmt.Errorf("write secret %s: %w", name, err)
		}
		if txn.Succeeded {
			return after, nil
		}
	}
}

// WatchSecret tells a secret's bytes, now and after every change, until the context ends; then the channel is closed. A
// secret that is not there tells nothing. A reader that is slow misses bytes in between, never the last.
func (s *Store) WatchSecret(ctx context.Context, name string) <-chan []byte {
	out := make(chan []byte, 1)
	go func() {
		defer close(out)
		last := int64(0)
		tell := func(value []byte, revision int64) {
			if revision > last && len(value) > 0 {
				last = revision
				offer(out, value)
			}
		}
		s.follow(ctx, secretsKey+name, false, func(ctx context.Context) (int64, error) {
			answer, err := s.client.Get(ctx, secretsKey+name)
			if err != nil {
				return 0, err
			}
			if len(answer.Kvs) > 0 {
				tell(answer.Kvs[0].Value, answer.Kvs[0].ModRevision)
			}
			return answer.Header.Revision, nil
		}, func(events []*clientv3.Event) error {
			newest := events[len(events)-1].Kv
			tell(newest.Value, newest.ModRevision)
			return nil
		})
	}()
	return out
}
