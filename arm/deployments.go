package arm

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"

	"postern/deployment"
	"postern/resource"
	"postern/signin"
)

// deploymentRoutes are the requests about deployments of templates, at a resource group and at a subscription.
func deploymentRoutes() map[string]methods {
	const base = "microsoft.resources/deployments"
	return map[string]methods{
		base: {"GET": {"", listDeployments}},
		base + "/*": {"GET": {"", getDeployment}, "HEAD": {"", headDeployment}, "PUT": {"", putDeployment},
			"DELETE": {"", deleteDeployment}},
		base + "/*/validate":            {"POST": {"", validateDeployment}},
		base + "/*/whatif":              {"POST": {"", whatIfDeployment}},
		base + "/*/cancel":              {"POST": {"", cancelDeployment}},
		base + "/*/exporttemplate":      {"POST": {"", exportDeployment}},
		base + "/*/operations":          {"GET": {"", listDeploymentOperations}},
		base + "/*/operations/*":        {"GET": {"", getDeploymentOperation}},
		base + "/*/operationstatuses/*": {"GET": {"", getDeploymentStatus}},
	}
}

func (r *request) deploymentScope() deployment.Scope {
	return deployment.Scope{Subscription: r.at.subscription, ResourceGroup: r.at.group}
}

// deploymentName is the deployment's name; none in a request about all of them.
func (r *request) deploymentName() string { return r.at.names[0] }

// deploymentRequest reads a request's body as it is: az sends a template's own text in it, which need not be JSON.
func (r *request) deploymentRequest() (deployment.Request, error) {
	if err := r.checkGroup(); err != nil {
		return deployment.Request{}, err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return deployment.Request{}, err
	}
	data, err := json.Marshal(signin.Metadata(r.base, r.door.storageSuffix(r.Context()), "2022-09-01"))
	if err != nil {
		return deployment.Request{}, err
	}
	var cloud map[string]any
	if err := json.Unmarshal(data, &cloud); err != nil {
		return deployment.Request{}, err
	}
	return deployment.Request{Caller: r.caller, Scope: r.deploymentScope(), Name: r.deploymentName(), Body: body, Cloud: cloud,
		Correlation: r.header.Get("X-Ms-Correlation-Request-Id")}, nil
}

func putDeployment(r *request) (int, any, error) {
	asked, err := r.deploymentRequest()
	if err != nil {
		return 0, nil, err
	}
	record, operation, created, err := r.door.deployments.Create(r.Context(), asked)
	if err != nil {
		return 0, nil, err
	}
	r.header.Set("Azure-AsyncOperation", fmt.Sprintf("%s%s/operationStatuses/%s?api-version=%s", r.base, record.ID, operation, r.version))
	r.header.Set("Retry-After", "1") // seconds; clients read 0 as half a minute
	return createdOr200(created), record, nil
}

// deploymentStatus is the form of an operation that is polled.
type deploymentStatus struct {
	Status string          `json:"status"`
	Error  *resource.Error `json:"error,omitempty"`
}

func getDeploymentStatus(r *request) (int, any, error) {
	state, fault, err := r.door.deployments.Status(r.Context(), r.deploymentScope(), r.deploymentName(), r.at.names[1])
	if state == deployment.Accepted || state == deployment.Running {
		r.header.Set("Retry-After", "1")
	}
	return http.StatusOK, deploymentStatus{state, fault}, err
}

func getDeployment(r *request) (int, any, error) {
	record, err := r.door.deployments.Get(r.Context(), r.deploymentScope(), r.deploymentName())
	return http.StatusOK, record, r.missing(err)
}

func headDeployment(r *request) (int, any, error) {
	_, _, err := getDeployment(r)
	return http.StatusNoContent, nil, err
}

// deploymentFilter is the one filter of deployments.
var deploymentFilter = regexp.MustCompile(`(?i)^\s*provisioningState\s+eq\s+'([a-z]+)'\s*$`)

func listDeployments(r *request) (int, any, error) {
	if err := r.checkGroup(); err != nil {
		return 0, nil, err
	}
	list, err := r.door.deployments.List(r.Context(), r.deploymentScope())
	if err != nil {
		return 0, nil, err
	}
	if filter := r.URL.Query().Get("$filter"); filter != "" {
		wanted := deploymentFilter.FindStringSubmatch(filter)
		if wanted == nil {
			return 0, nil, &resource.Error{Code: "InvalidFilterInQueryString", Status: http.StatusBadRequest, Target: "$filter",
				Message: fmt.Sprintf("Invalid $filter '%.200s' specified in the query string: known is provisioningState eq 'STATE'.", filter)}
		}
		kept := list[:0]
		for _, one := range list {
			var state struct {
				Properties struct {
					State string `json:"provisioningState"`
				} `json:"properties"`
			}
			if json.Unmarshal(one, &state) == nil && strings.EqualFold(state.Properties.State, wanted[1]) {
				kept = append(kept, one)
			}
		}
		list = kept
	}
	return r.slice(list)
}

func deleteDeployment(r *request) (int, any, error) {
	_, err := r.door.deployments.Delete(r.Context(), r.deploymentScope(), r.deploymentName())
	return http.StatusNoContent, nil, err
}

func cancelDeployment(r *request) (int, any, error) {
	err := r.door.deployments.Cancel(r.Context(), r.deploymentScope(), r.deploymentName())
	return http.StatusNoContent, nil, err
}

func exportDeployment(r *request) (int, any, error) {
	text, err := r.door.deployments.Export(r.Context(), r.deploymentScope(), r.deploymentName())
	return http.StatusOK, map[string]json.RawMessage{"template": text}, err
}

// validation is the form of a validation (DeploymentValidateResult): the deployment as it would be, or why it would be refused.
type validation struct {
	*deployment.Record
	Error *resource.Error `json:"error,omitempty"`
}

// validateDeployment answers a refusal with status 200, which the form allows. Azure answers 400, and az up to 2.74 at least
// then loses the reason: it tells "The content for this response was already consumed" instead.
func validateDeployment(r *request) (int, any, error) {
	asked, err := r.deploymentRequest()
	if err != nil {
		return judged(err, func(fault *resource.Error) any { return validation{Error: fault} })
	}
	record, err := r.door.deployments.Validate(r.Context(), asked)
	if err != nil {
		return judged(err, func(fault *resource.Error) any { return validation{Error: fault} })
	}
	return http.StatusOK, validation{Record: record}, nil
}

// judged answers a refusal in a form of its own; any other error stays one, as does that of a request without a template.
func judged(err error, form func(*resource.Error) any) (int, any, error) {
	var unreadable *deployment.UnreadableError
	var fault *resource.Error
	if errors.As(err, &fault) && !errors.As(err, &unreadable) {
		return http.StatusOK, form(fault), nil
	}
	return 0, nil, err
}

// whatIfAnswer is the form of a what-if (WhatIfOperationResult).
type whatIfAnswer struct {
	Status     string            `json:"status"`
	Error      *resource.Error   `json:"error,omitempty"`
	Properties *whatIfProperties `json:"properties,omitempty"`
}

type whatIfProperties struct {
	Correlation string              `json:"correlationId"`
	Changes     []deployment.Change `json:"changes"`
}

// whatIfDeployment answers a refusal with status 200, as Azure does: asking has not failed.
func whatIfDeployment(r *request) (int, any, error) {
	failed := func(fault *resource.Error) any { return whatIfAnswer{Status: deployment.Failed, Error: fault} }
	asked, err := r.deploymentRequest()
	if err != nil {
		return judged(err, failed)
	}
	changes, err := r.door.deployments.WhatIf(r.Context(), asked)
	if err != nil {
		return judged(err, failed)
	}
	return http.StatusOK, whatIfAnswer{Status: deployment.Succeeded, Properties: &whatIfProperties{asked.Correlation, changes}}, nil
}

func listDeploymentOperations(r *request) (int, any, error) {
	operations, err := r.door.deployments.Operations(r.Context(), r.deploymentScope(), r.deploymentName())
	if err != nil {
		return 0, nil, err
	}
	list := make([]json.RawMessage, len(operations))
	for i := range operations {
		if list[i], err = json.Marshal(operations[i]); err != nil {
			return 0, nil, err
		}
	}
	return r.slice(list)
}

func getDeploymentOperation(r *request) (int, any, error) {
	operation, err := r.door.deployments.Operation(r.Context(), r.deploymentScope(), r.deploymentName(), r.at.names[1])
	return http.StatusOK, operation, err
}
