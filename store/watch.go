package store

import (
	"context"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Times between attempts to reach the server again.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 2 * time.Second
)

// follow reads something and reads it again whenever one of its keys changes, until the context ends. It outlives
// restarts of the server, compactions and errors of read: then it begins anew. read answers the revision that it read
// at; a watch takes over from there, so that nothing is missed. Changes that come together cause one read.
func (s *Store) follow(ctx context.Context, key string, prefix bool, read func(context.Context) (int64, error)) {
	retry := firstRetry
	for ctx.Err() == nil {
		if err := s.followOnce(ctx, key, prefix, read); err == nil {
			retry = firstRetry
		} else {
			retry = min(2*retry, lastRetry)
		}
		select {
		case <-ctx.Done():
		case <-time.After(retry):
		}
	}
}

// readTimeout bounds one read inside follow, so that a server that hangs is left.
const readTimeout = 10 * time.Second

func (s *Store) followOnce(ctx context.Context, key string, prefix bool, read func(context.Context) (int64, error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	bounded := func() (int64, error) {
		ctx, cancel := context.WithTimeout(ctx, readTimeout)
		defer cancel()
		return read(ctx)
	}
	revision, err := bounded()
	if err != nil {
		return err
	}
	options := []clientv3.OpOption{clientv3.WithRev(revision + 1)}
	if prefix {
		options = append(options, clientv3.WithPrefix())
	}
	for answer := range s.client.Watch(clientv3.WithRequireLeader(ctx), key, options...) {
		if err := answer.Err(); err != nil {
			return err
		}
		// A change that an earlier read has already seen needs no other.
		if len(answer.Events) == 0 || answer.Events[len(answer.Events)-1].Kv.ModRevision <= revision {
			continue
		}
		if revision, err = bounded(); err != nil {
			return err
		}
	}
	return nil
}

// Watch tells the cloud's revision, now and after every change, until the context ends; then the channel is closed. A
// reader that is slow misses revisions in between, never the last.
func (s *Store) Watch(ctx context.Context) <-chan int64 {
	out := make(chan int64, 1)
	go func() {
		defer close(out)
		last := int64(-1)
		s.follow(ctx, headKey, false, func(ctx context.Context) (int64, error) {
			answer, err := s.client.Get(ctx, headKey, clientv3.WithKeysOnly())
			if err != nil {
				return 0, err
			}
			var head int64
			if len(answer.Kvs) > 0 {
				head = answer.Kvs[0].ModRevision
			}
			if head != last {
				last = head
				offer(out, head)
			}
			return answer.Header.Revision, nil
		})
	}()
	return out
}

// offer puts the newest value into a channel of one place, in the place of an unread older one. It has one sender.
func offer[T any](out chan T, value T) {
	select {
	case <-out:
	default:
	}
	out <- value
}
