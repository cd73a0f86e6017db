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

// follow reads something once and then hands over every change of its keys, until the context ends. It outlives
// restarts of the server, compactions and errors: then it begins anew with a read. read answers the revision that it
// read at; a watch takes over from there, so that nothing is missed. change gets the events of one or more whole
// transactions; an error makes follow begin anew after a pause.
func (s *Store) follow(ctx context.Context, key string, prefix bool, read func(context.Context) (int64, error), change func([]*clientv3.Event) error) {
	retry := firstRetry
	for ctx.Err() == nil {
		if err := s.followOnce(ctx, key, prefix, read, change); err == nil {
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

func (s *Store) followOnce(ctx context.Context, key string, prefix bool, read func(context.Context) (int64, error), change func([]*clientv3.Event) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	readCtx, readDone := context.WithTimeout(ctx, readTimeout)
	revision, err := read(readCtx)
	readDone()
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
		if len(answer.Events) == 0 {
			continue
		}
		if err := change(answer.Events); err != nil {
			return err
		}
	}
	return nil
}

// Watch tells the cloud's revision, now and after every change, until the context ends; then the channel is closed. A
// reader that is slow misses revisions in between, never the last.
func (s *Store) Watch(ctx context.Context) <-chan int64 { return s.watchKey(ctx, headKey) }

// watchKey tells the revision of one key; 0 while it is not there.
func (s *Store) watchKey(ctx context.Context, key string) <-chan int64 {
	out := make(chan int64, 1)
	go func() {
		defer close(out)
		last := int64(-1)
		tell := func(head int64) {
			if head != last {
				last = head
				offer(out, head)
			}
		}
		s.follow(ctx, key, false, func(ctx context.Context) (int64, error) {
			answer, err := s.client.Get(ctx, key, clientv3.WithKeysOnly())
			if err != nil {
				return 0, err
			}
			var head int64
			if len(answer.Kvs) > 0 {
				head = answer.Kvs[0].ModRevision
			}
			tell(head)
			return answer.Header.Revision, nil
		}, func(events []*clientv3.Event) error {
			tell(events[len(events)-1].Kv.ModRevision)
			return nil
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
