package explain

import (
	"sync"

	"postern/compile"
	"postern/model"
	"postern/servicetag"
)

// Newest remembers the newest cloud compiled, since questions come in bursts. It is safe for use from many goroutines.
type Newest struct {
	Compiler *compile.Compiler // may be the compile loop's own

	mu        sync.Mutex // guards what follows
	cloud     *Cloud     // nil before the first question
	catalogue *servicetag.Catalogue
}

// Of is the cloud of a snapshot and a catalogue: the one of the question before, where both are still the same.
func (n *Newest) Of(snapshot *model.Snapshot, catalogue *servicetag.Catalogue) (*Cloud, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cloud != nil && n.cloud.snapshot.Revision == snapshot.Revision && n.catalogue == catalogue {
		return n.cloud, nil
	}
	cloud, err := NewCloud(snapshot, catalogue, n.Compiler)
	if err != nil {
		return nil, err
	}
	n.cloud, n.catalogue = cloud, catalogue
	return cloud, nil
}
