package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	catalogueKey = root + "catalogue"
	partsKey     = root + "catalogue-parts/"

	// partBytes keeps a part below the request limit of an etcd with default settings, 1.5 MiB.
	partBytes = 1 << 20
)

// generation names the parts that make a catalogue.
type generation struct {
	Sum   string `json:"sum"` // SHA-256 of the whole, hex
	Parts int    `json:"parts"`
	Bytes int    `json:"bytes"`
}

// PutCatalogue stores the service-tag catalogue, in whatever form its reader understands, and makes a new revision of
// the cloud, which it answers: plans depend on it. The parts go first; the last transaction makes them count.
func (s *Store) PutCatalogue(ctx context.Context, data []byte) (int64, error) {
	sum := sha256.Sum256(data)
	next := generation{Sum: hex.EncodeToString(sum[:]), Bytes: len(data)}
	for rest := data; len(rest) > 0; next.Parts++ {
		part := rest[:min(len(rest), partBytes)]
		rest = rest[len(part):]
		if _, err := s.client.Put(ctx, partKey(next.Sum, next.Parts), string(part)); err != nil {
			return 0, fmt.Errorf("write the service-tag catalogue: %w", err)
		}
	}
	value, err := json.Marshal(next)
	if err != nil {
		return 0, fmt.Errorf("write the service-tag catalogue: %w", err)
	}
	for ctx.Err() == nil {
		state, err := s.client.Get(ctx, headKey)
		if err != nil {
			return 0, fmt.Errorf("write the service-tag catalogue: %w", err)
		}
		head, base, err := currentHead(state)
		if err != nil {
			return 0, err
		}
		answer, err := s.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(headKey), "=", base)).
			Then(clientv3.OpPut(catalogueKey, string(value)), clientv3.OpPut(headKey, head),
				clientv3.OpDelete(partsKey, clientv3.WithRange(partsKey+next.Sum)),
				clientv3.OpDelete(partsKey+next.Sum+"0", clientv3.WithRange(clientv3.GetPrefixRangeEnd(partsKey)))).Commit()
		if err != nil {
			return 0, fmt.Errorf("write the service-tag catalogue: %w", err)
		}
		if answer.Succeeded {
			return answer.Header.Revision, nil
		}
	}
	return 0, fmt.Errorf("write the service-tag catalogue: %w", ctx.Err())
}

// CatalogueSum names the service-tag catalogue that holds by its SHA-256 in hex, "" when none was stored: cheap, to see
// whether one that was read is still the newest.
func (s *Store) CatalogueSum(ctx context.Context) (string, error) {
	current, _, err := s.catalogueGeneration(ctx)
	return current.Sum, err
}

func (s *Store) catalogueGeneration(ctx context.Context) (current generation, revision int64, err error) {
	answer, err := s.client.Get(ctx, catalogueKey)
	if err != nil {
		return generation{}, 0, fmt.Errorf("read the service-tag catalogue: %w", err)
	}
	if len(answer.Kvs) > 0 {
		if err := json.Unmarshal(answer.Kvs[0].Value, &current); err != nil {
			return generation{}, 0, fmt.Errorf("read the service-tag catalogue: %w", err)
		}
	}
	return current, answer.Header.Revision, nil
}

// Catalogue reads the service-tag catalogue; nil when none was stored.
func (s *Store) Catalogue(ctx context.Context) ([]byte, error) {
	current, revision, err := s.catalogueGeneration(ctx)
	if err != nil || current.Sum == "" {
		return nil, err
	}
	data := make([]byte, 0, current.Bytes)
	for i := range current.Parts {
		part, err := s.client.Get(ctx, partKey(current.Sum, i), clientv3.WithRev(revision))
		if err != nil || len(part.Kvs) == 0 {
			return nil, fmt.Errorf("read part %d of the service-tag catalogue: it is missing, or %w: import the file again", i, err)
		}
		data = append(data, part.Kvs[0].Value...)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != current.Sum {
		return nil, fmt.Errorf("read the service-tag catalogue: its bytes do not fit its sum: import the file again")
	}
	return data, nil
}

// partKey ends in digits after a slash, so that "SUM0" is the first key behind all parts of SUM.
func partKey(sum string, i int) string { return fmt.Sprintf("%s%s/%06d", partsKey, sum, i) }
