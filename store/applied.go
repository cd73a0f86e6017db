package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// Applied is what a node said about its plan.
type Applied struct {
	Revision int64  `json:"revision"`        // of the plan that it has applied, or failed to apply
	Error    string `json:"error,omitempty"` // why it failed; then the former plan is in force
}

// reaches tells whether the plan of a revision, or a later one, is in force.
func (a Applied) reaches(revision int64) bool { return a.Revision >= revision && a.Error == "" }

// ReportApplied notes that a node has applied the plan of a revision, or, with a cause, that it could not.
func (s *Store) ReportApplied(ctx context.Context, node string, revision int64, cause error) error {
	report := Applied{Revision: revision}
	if cause != nil {
		report.Error = cause.Error()
	}
	value, err := json.Marshal(report)
	if err == nil {
		_, err = s.client.Put(ctx, appliedKey+node, string(value))
	}
	if err != nil {
		return fmt.Errorf("report what node %s has applied: %w", node, err)
	}
	return nil
}

// Lag is a node that has not applied its plan.
type Lag struct {
	Node    string
	Plan    int64 // the revision of its plan
	Applied Applied
}

// failed tells whether the node said that it cannot apply this plan.
func (l Lag) failed() bool { return l.Applied.Error != "" && l.Applied.Revision >= l.Plan }

func (l Lag) String() string {
	switch {
	case l.failed():
		return fmt.Sprintf("node %s could not apply its plan: %s", l.Node, l.Applied.Error)
	case l.Applied.Revision == 0:
		return fmt.Sprintf("node %s has not applied any plan: is its agent running?", l.Node)
	}
	return fmt.Sprintf("node %s has applied revision %d of its plan and not yet %d: is its agent running?", l.Node, l.Applied.Revision, l.Plan)
}

// LagError tells which nodes have not applied the plans of a revision.
type LagError struct {
	Revision int64
	Lagging  []Lag // those that failed first, then by node; empty: the compiler itself has not come so far
	Cause    error // what ended the waiting; nil when a node said that it could not
}

func (e *LagError) Error() string {
	if len(e.Lagging) == 0 {
		return fmt.Sprintf("wait for revision %d: the compiler has not come so far: is the server's compile loop running?", e.Revision)
	}
	const most = 3
	texts := make([]string, 0, most)
	for _, lag := range e.Lagging[:min(most, len(e.Lagging))] {
		texts = append(texts, lag.String())
	}
	if more := len(e.Lagging) - most; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more nodes", more))
	}
	return fmt.Sprintf("wait for revision %d: %s", e.Revision, strings.Join(texts, "; "))
}

func (e *LagError) Unwrap() error { return e.Cause }

// CompileError tells that a revision of the cloud could not be compiled. The plans of an earlier one hold.
type CompileError struct {
	Revision int64
	Message  string
}

func (e *CompileError) Error() string {
	return fmt.Sprintf("compile revision %d: %s", e.Revision, e.Message)
}
