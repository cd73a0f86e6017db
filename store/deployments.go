package store

import (
	"context"
	"fmt"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	deploymentsKey          = root + "deployments/"
	deploymentInputsKey     = root + "deployment-inputs/"
	deploymentOperationsKey = root + "deployment-operations/"
)

// Deployment is a deployment of a template as it is kept. What the bytes say is known to package deployment.
type Deployment struct {
	ID       string // as an ARM id, in lower case
	Record   []byte // what is answered about it
	Revision int64  // of the record; 0 before the first write
}

// DeploymentWrite is one change of what is kept of a deployment, in one transaction.
type DeploymentWrite struct {
	ID         string
	Base       int64             // the revision that the record must have; 0: there must be none
	Record     []byte            // nil: the deployment goes, with its input and its operations
	Input      []byte            // what running it takes; nil leaves what is there
	Operations map[string][]byte // by operation id
	Anew       bool              // operations of a former deployment of the name go
}

// WriteDeployment makes a change, durable when it returns, and answers the record's revision. ErrConflict tells that the
// record is not at Base any more.
func (s *Store) WriteDeployment(ctx context.Context, w DeploymentWrite) (int64, error) {
	key := deploymentKey(w.ID)
	below := deploymentOperationsKey + key + "/"
	var ops []clientv3.Op
	if w.Anew || w.Record == nil {
		ops = append(ops, clientv3.OpDelete(below, clientv3.WithPrefix()))
	}
	if w.Record == nil {
		ops = append(ops, clientv3.OpDelete(deploymentsKey+key), clientv3.OpDelete(deploymentInputsKey+key))
	} else {
		ops = append(ops, clientv3.OpPut(deploymentsKey+key, string(w.Record)))
	}
	if w.Input != nil {
		ops = append(ops, clientv3.OpPut(deploymentInputsKey+key, string(w.Input)))
	}
	if !w.Anew { // a transaction writes no key twice; a new deployment has no operations yet
		for id, data := range w.Operations {
			ops = append(ops, clientv3.OpPut(below+id, string(data)))
		}
	}
	answer, err := s.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(deploymentsKey+key), "=", w.Base)).Then(ops...).Commit()
	if err != nil {
		return 0, fmt.Errorf("write deployment %s: %w", w.ID, err)
	}
	if !answer.Succeeded {
		return 0, ErrConflict
	}
	return answer.Header.Revision, nil
}

// Deployment reads a deployment; its Record is nil when there is none.
func (s *Store) Deployment(ctx context.Context, id string) (Deployment, error) {
	key := deploymentKey(id)
	answer, err := s.client.Get(ctx, deploymentsKey+key)
	if err != nil {
		return Deployment{}, fmt.Errorf("read deployment %s: %w", id, err)
	}
	if len(answer.Kvs) == 0 {
		return Deployment{ID: "/" + key}, nil
	}
	return Deployment{"/" + key, answer.Kvs[0].Value, answer.Kvs[0].ModRevision}, nil
}

// Deployments reads the deployments whose ids begin with a text, by id; "" for all.
func (s *Store) Deployments(ctx context.Context, prefix string) ([]Deployment, error) {
	answer, err := s.client.Get(ctx, deploymentsKey+deploymentKey(prefix), clientv3.WithPrefix())
	if err != nil {
		return nil, fmt.Errorf("read deployments: %w", err)
	}
	list := make([]Deployment, len(answer.Kvs))
	for i, kv := range answer.Kvs {
		list[i] = Deployment{"/" + strings.TrimPrefix(string(kv.Key), deploymentsKey), kv.Value, kv.ModRevision}
	}
	return list, nil
}

// DeploymentInput reads what running a deployment takes; nil for none.
func (s *Store) DeploymentInput(ctx context.Context, id string) ([]byte, error) {
	answer, err := s.client.Get(ctx, deploymentInputsKey+deploymentKey(id))
	if err != nil {
		return nil, fmt.Errorf("read deployment %s: %w", id, err)
	}
	if len(answer.Kvs) == 0 {
		return nil, nil
	}
	return answer.Kvs[0].Value, nil
}

// DeploymentOperations reads the operations of a deployment, by id.
func (s *Store) DeploymentOperations(ctx context.Context, id string) ([][]byte, error) {
	answer, err := s.client.Get(ctx, deploymentOperationsKey+deploymentKey(id)+"/", clientv3.WithPrefix())
	if err != nil {
		return nil, fmt.Errorf("read the operations of deployment %s: %w", id, err)
	}
	list := make([][]byte, len(answer.Kvs))
	for i, kv := range answer.Kvs {
		list[i] = kv.Value
	}
	return list, nil
}

// deploymentKey is an id, or the beginning of one, as a part of a key.
func deploymentKey(id string) string { return strings.ToLower(strings.TrimPrefix(id, "/")) }
