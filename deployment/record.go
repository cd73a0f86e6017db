package deployment

import (
	"encoding/json"
	"slices"
	"strings"

	"postern/resource"
	"postern/template"
)

// Provisioning states of deployments and of their operations.
const (
	Accepted  = "Accepted"
	Running   = "Running"
	Succeeded = "Succeeded"
	Failed    = "Failed"
	Canceled  = "Canceled"
)

// Record is a deployment in Azure's form (DeploymentExtended).
type Record struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Type       string            `json:"type"`
	Location   string            `json:"location,omitempty"`
	Tags       map[string]string `json:"tags,omitempty"`
	Properties Properties        `json:"properties"`
}

// Properties are a deployment's.
type Properties struct {
	TemplateHash       string           `json:"templateHash"`
	Parameters         map[string]Value `json:"parameters,omitempty"`
	Mode               string           `json:"mode"` // "Incremental", "Complete"
	ProvisioningState  string           `json:"provisioningState"`
	Timestamp          string           `json:"timestamp"` // of the last change
	Duration           string           `json:"duration"`  // ISO 8601
	CorrelationID      string           `json:"correlationId"`
	Providers          []Provider       `json:"providers"`
	Dependencies       []Dependency     `json:"dependencies"`
	Outputs            map[string]Value `json:"outputs,omitempty"`
	OutputResources    []Reference      `json:"outputResources,omitempty"`
	ValidatedResources []Reference      `json:"validatedResources,omitempty"` // of a validation
	Error              *resource.Error  `json:"error,omitempty"`
}

// Value is a parameter or an output. A secure one has no value here.
type Value struct {
	Type  string          `json:"type"`
	Value json.RawMessage `json:"value,omitempty"`
}

// Provider names the types that a template has of one namespace.
type Provider struct {
	Namespace string         `json:"namespace"`
	Types     []ResourceType `json:"resourceTypes"`
}

// ResourceType is a type, and where the template puts its resources.
type ResourceType struct {
	Type      string    `json:"resourceType"`
	Locations []*string `json:"locations"` // one null: not known
}

// Reference names a resource.
type Reference struct {
	ID   string `json:"id"`
	Type string `json:"resourceType,omitempty"`
	Name string `json:"resourceName,omitempty"`
}

// Dependency is a resource and what it waits for.
type Dependency struct {
	DependsOn []Reference `json:"dependsOn"`
	Reference
}

// kept is a deployment as it is stored.
type kept struct {
	Record
	Operation string `json:"operationId"` // of the accepted request, for its poller
	Started   string `json:"started"`
	Parent    string `json:"parent,omitempty"`  // the deployment that it is nested in
	Resumed   int    `json:"resumed,omitempty"` // how often it was taken up again after the control plane had stopped
}

func (k *kept) ended() bool {
	state := k.Properties.ProvisioningState
	return state == Succeeded || state == Failed || state == Canceled
}

// input is what it takes to run a deployment, kept until it has ended; afterwards the template alone stays, for its export.
type input struct {
	Template string          `json:"template"`         // its text
	Values   json.RawMessage `json:"values,omitempty"` // of all parameters
	Caller   callerRecord    `json:"caller,omitzero"`
	Cloud    map[string]any  `json:"cloud,omitempty"`
}

// callerRecord is who asked for the deployment. What they may do is asked anew at every write.
type callerRecord struct {
	Name     string `json:"name"`
	ClientID string `json:"clientId"`
	ObjectID string `json:"objectId"`
	Owner    bool   `json:"owner"`
}

// value is a parameter or an output as it is answered.
func value(kind string, v any, secure bool) (Value, error) {
	if secure {
		return Value{Type: kind}, nil
	}
	data, err := json.Marshal(v)
	return Value{kind, data}, err
}

// describe fills in what is known of a deployment from its template.
func (p *Properties) describe(t *template.Template, x *template.Expansion) error {
	p.TemplateHash = t.Hash()
	p.Parameters = map[string]Value{}
	for _, parameter := range x.Parameters() {
		var err error
		if p.Parameters[parameter.Name], err = value(parameter.Type, parameter.Value, parameter.Secure); err != nil {
			return err
		}
	}
	p.Providers, p.Dependencies = []Provider{}, []Dependency{}
	for _, r := range x.Resources {
		if !r.Condition || r.Existing {
			continue
		}
		p.addType(r.Type)
		if len(r.DependsOn) == 0 {
			continue
		}
		dependency := Dependency{Reference: Reference{r.ID, r.Type, r.Name}}
		for _, other := range r.DependsOn {
			dependency.DependsOn = append(dependency.DependsOn, Reference{other.ID, other.Type, other.Name})
		}
		p.Dependencies = append(p.Dependencies, dependency)
	}
	return nil
}

func (p *Properties) addType(typ string) {
	namespace, short, _ := strings.Cut(typ, "/")
	at := slices.IndexFunc(p.Providers, func(known Provider) bool { return strings.EqualFold(known.Namespace, namespace) })
	if at < 0 {
		at, p.Providers = len(p.Providers), append(p.Providers, Provider{Namespace: namespace})
	}
	for _, known := range p.Providers[at].Types {
		if strings.EqualFold(known.Type, short) {
			return
		}
	}
	p.Providers[at].Types = append(p.Providers[at].Types, ResourceType{short, []*string{nil}})
}

// Operation is what was done about one resource, in Azure's form (DeploymentOperation).
type Operation struct {
	ID          string              `json:"id"`
	OperationID string              `json:"operationId"`
	Properties  OperationProperties `json:"properties"`
}

// OperationProperties are an operation's.
type OperationProperties struct {
	Kind      string          `json:"provisioningOperation"` // "Create", "Delete", "EvaluateDeploymentOutput", "Waiting"
	State     string          `json:"provisioningState"`
	Timestamp string          `json:"timestamp"`
	Duration  string          `json:"duration"`
	Tracking  string          `json:"trackingId"`
	Service   string          `json:"serviceRequestId,omitempty"`
	Status    string          `json:"statusCode,omitempty"` // "OK", "Created", "BadRequest"
	Message   json.RawMessage `json:"statusMessage,omitempty"`
	Target    *TargetResource `json:"targetResource,omitempty"`
}

// TargetResource is the resource that an operation is about.
type TargetResource struct {
	ID     string `json:"id"`
	Type   string `json:"resourceType"`
	Name   string `json:"resourceName"`
	Symbol string `json:"symbolicName,omitempty"`
}
