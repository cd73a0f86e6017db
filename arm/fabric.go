package arm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"postern/api"
	"postern/explain"
	"postern/model"
	"postern/resource"
)

// What Azure has no request for is below /postern. It takes the same tokens, versions and rights; the rights are asked for
// at the root scope.
//
//	GET       /postern/resources[?type=T]                         all top-level resources there are
//	POST      /postern/apply                                      {"resources": [{"id", "body"}], "delete": [ID]}: all or nothing
//	GET       /postern/plans/NODE                                 a node's plan and its revision
//	GET, PUT  /postern/catalogue                                  the service-tag catalogue, as stored
//	GET       /postern/activity?since=TIME[&group=G&resource=ID&caller=C&status=S&correlation=ID&top=N]   {"value": [activity.Event]}, newest first
//	GET       /postern/inspect/routes?nic=NIC                     inspect.Routes
//	GET       /postern/inspect/explain?from=NIC&to=HOST:PORT[&protocol=udp]   explain.Explanation
var fabric map[string]methods

func init() {
	fabric = map[string]methods{
		"postern/resources":       {"GET": {"Postern.Fabric/resources/read", listEverything}},
		"postern/apply":           {"POST": {applyAction, applyBatch}},
		"postern/plans/*":         {"GET": {"Postern.Fabric/plans/action", getPlan}}, // plans hold keys of accounts
		"postern/catalogue":       {"GET": {"Postern.Fabric/serviceTags/read", getCatalogue}, "PUT": {"Postern.Fabric/serviceTags/write", putCatalogue}},
		"postern/activity":        {"GET": {"Postern.Fabric/activity/read", allActivity}},
		"postern/inspect/routes":  {"GET": {"Postern.Fabric/inspect/routes/action", inspectRoutes}},
		"postern/inspect/explain": {"GET": {"Postern.Fabric/inspect/explain/action", inspectExplain}},
	}
}

// applyAction is the right to write batches; each resource in one takes its own right besides.
const applyAction = "Postern.Fabric/apply/action"

// maxBatch bounds the body of a request below /postern, in bytes: a batch of many resources, or a file of service tags.
const maxBatch = 64 << 20

// Route is an answer that another package adds to a door.
type Route struct {
	Method string
	Path   string // "/postern/exec"
	Action string // the right that it takes, at the root scope: "Postern.Fabric/exec/action"

	// Answer gives a status and a body to be written as JSON, or an error; a *resource.Error is a refusal.
	Answer func(*http.Request) (status int, body any, err error)
}

// own finds a route below /postern, or one that was added.
func (d *Door) own(segments []string) methods {
	path := strings.ToLower(strings.Join(segments, "/"))
	if len(segments) == 3 && strings.HasPrefix(path, "postern/plans/") {
		path = "postern/plans/*"
	}
	if found := fabric[path]; found != nil {
		return found
	}
	return d.added[path]
}

func listEverything(r *request) (int, any, error) {
	found, err := r.door.API.List(r.Context(), api.Filter{Type: r.URL.Query().Get("type")})
	return http.StatusOK, list{Value: found}, err
}

// wireBatch is an api.Batch as JSON.
type wireBatch struct {
	Resources []struct {
		ID   string          `json:"id"`
		Body json.RawMessage `json:"body"`
	} `json:"resources"`
	Delete []string `json:"delete"`
}

func applyBatch(r *request) (int, any, error) {
	data, err := r.body()
	if err != nil {
		return 0, nil, err
	}
	var wire wireBatch
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&wire); err != nil {
		return 0, nil, &resource.Error{Code: resource.CodeInvalidRequestContent, Status: http.StatusBadRequest, Message: "The batch cannot be read: " + err.Error() + "."}
	}
	var batch api.Batch
	for _, item := range wire.Resources {
		id, err := r.mayWrite(item.ID, "write")
		if err == nil {
			err = r.authorizeBody(id, item.Body)
		}
		if err != nil {
			return 0, nil, err
		}
		batch.Resources = append(batch.Resources, resource.Item{ID: id, Body: item.Body})
	}
	for _, text := range wire.Delete {
		id, err := r.mayWrite(text, "delete")
		if err != nil {
			return 0, nil, err
		}
		batch.Delete = append(batch.Delete, id)
	}
	result, err := r.door.API.Apply(r.Context(), batch)
	r.recordBatch(batch, result.Operation, err)
	return r.accepted(result.Operation, http.StatusOK), result, err
}

// mayWrite reads the id of a resource in a batch, which its writer must have the right for (GOV-1).
func (r *request) mayWrite(text, verb string) (resource.ID, error) {
	id, err := resource.ParseID(text)
	if err != nil {
		return id, err
	}
	action := id.Type() + "/" + verb
	if id.IsGroup() {
		action = groupAction + verb
	}
	return id, r.door.Authorize(r.Context(), r.caller, action, id.String())
}

func getPlan(r *request) (int, any, error) {
	node := r.segments[len(r.segments)-1]
	made, revision, err := r.door.API.Plan(r.Context(), node)
	return http.StatusOK, map[string]any{"plan": made, "revision": revision}, err
}

func getCatalogue(r *request) (int, any, error) {
	data, err := r.door.API.Catalogue(r.Context())
	return http.StatusOK, data, err
}

func putCatalogue(r *request) (int, any, error) {
	data, err := io.ReadAll(r.Body)
	if err == nil {
		err = r.door.API.PutCatalogue(r.Context(), data)
	}
	return http.StatusNoContent, nil, err
}

func inspectRoutes(r *request) (int, any, error) {
	answer, err := r.door.Inspector.Routes(r.Context(), r.URL.Query().Get("nic"))
	return http.StatusOK, answer, err
}

func inspectExplain(r *request) (int, any, error) {
	query := r.URL.Query()
	question := explain.Question{From: query.Get("from"), To: query.Get("to")}
	switch protocol := query.Get("protocol"); strings.ToLower(protocol) {
	case "", "tcp":
		question.Protocol = model.ProtocolTCP
	case "udp":
		question.Protocol = model.ProtocolUDP
	default:
		return 0, nil, &resource.Error{Code: resource.CodeInvalidRequestContent, Status: http.StatusBadRequest, Target: "protocol",
			Message: fmt.Sprintf("protocol %.40s: use tcp or udp", protocol)}
	}
	answer, err := r.door.Inspector.Explain(r.Context(), question)
	return http.StatusOK, answer, err
}
