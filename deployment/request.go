package deployment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"postern/resource"
	"postern/signin"
	"postern/template"
)

// asked is a request that was read.
type asked struct {
	Request
	mode      string
	location  string
	tags      map[string]string
	template  *template.Template
	values    map[string]any
	idsAlone  bool // of a what-if
	expansion *template.Expansion
}

// Modes of a deployment.
const (
	Incremental = "Incremental"
	Complete    = "Complete"
)

// UnreadableError refuses a request that is no JSON or has no template: there is nothing in it to judge.
type UnreadableError struct{ refusal *resource.Error }

func (e *UnreadableError) Error() string { return e.refusal.Error() }

func (e *UnreadableError) Unwrap() error { return e.refusal }

// read reads a request's body and expands its template. The error is or wraps a *resource.Error.
func (s *Service) read(ctx context.Context, r Request) (*asked, error) {
	if err := checkName(r.Name); err != nil {
		return nil, err
	}
	body, err := template.Read(r.Body)
	if err != nil {
		return nil, &UnreadableError{invalid(resource.CodeInvalidRequestContent, "", "The request content was invalid and could not be deserialized: %s", plainOf(err))}
	}
	a := &asked{Request: r, mode: Incremental, tags: map[string]string{}}
	properties := body.Member("properties")
	if link := properties.Member("templateLink"); link.Value() != nil {
		return nil, invalid("InvalidTemplateLink", "properties.templateLink", "Templates are not fetched from anywhere: send the template itself, in "+
			"'properties.template' (az: --template-file).")
	}
	inline := properties.Member("template")
	if inline.Value() == nil {
		return nil, &UnreadableError{invalid(template.CodeInvalidTemplate, "properties.template", "The deployment has no template: send it in 'properties.template'.")}
	}
	text := func(n *template.Node) string {
		value, _ := n.Value().(string)
		return value
	}
	if mode := text(properties.Member("mode")); mode != "" {
		switch {
		case strings.EqualFold(mode, Incremental):
		case strings.EqualFold(mode, Complete) && r.Scope.ResourceGroup != "":
			a.mode = Complete
		default:
			return nil, invalid("InvalidDeploymentMode", "properties.mode", "The deployment mode '%.40s' is not possible here: it is Incremental, or at a resource "+
				"group Complete.", mode)
		}
	}
	if a.location = text(body.Member("location")); a.location == "" && r.Scope.ResourceGroup == "" {
		return nil, invalid("LocationRequired", "location", "The 'location' property must be specified for '%s'. Please see https://aka.ms/deploy-to-subscription "+
			"for usage details.", r.Name)
	}
	if r.Scope.ResourceGroup != "" && a.location != "" {
		return nil, invalid("LocationNotAllowed", "location", "The 'location' property is not allowed for '%s': a deployment to a resource group has the group's.", r.Name)
	}
	if tags, ok := body.Member("tags").Value().(map[string]any); ok {
		for name, value := range tags {
			a.tags[name] = fmt.Sprint(value)
		}
	}
	if properties.Member("parametersLink").Value() != nil {
		return nil, invalid("InvalidParametersLink", "properties.parametersLink", "Parameters are not fetched from anywhere: send them in 'properties.parameters'.")
	}
	if properties.Member("onErrorDeployment").Value() != nil {
		return nil, invalid(resource.CodeInvalidRequestContent, "properties.onErrorDeployment", "Going back to a former deployment on an error is not supported: "+
			"deploy that one again.")
	}
	a.idsAlone = strings.EqualFold(text(properties.Member("whatIfSettings").Member("resultFormat")), "ResourceIdOnly")
	if a.template, err = template.New(inline); err != nil {
		return nil, refusalOf(err)
	}
	given, _ := properties.Member("parameters").Value().(map[string]any)
	if a.values, err = template.Values(given); err != nil {
		return nil, refusalOf(err)
	}
	where, err := s.environment(ctx, r.Caller, r.Scope, r.Name, a.mode, a.location, r.Cloud)
	if err != nil {
		return nil, err
	}
	if a.expansion, err = a.template.Expand(where, a.values); err != nil {
		return nil, refusalOf(err)
	}
	return a, nil
}

// plainOf is the message of an error without its code.
func plainOf(err error) string {
	var known *template.Error
	if errors.As(err, &known) {
		return known.Message
	}
	return err.Error()
}

// refusalOf gives an error of a template ARM's form, with its place.
func refusalOf(err error) error {
	var known *template.Error
	if !errors.As(err, &known) {
		return err
	}
	refusal := invalid(known.Code, "", "%s", known.Message)
	if known.Line > 0 {
		path := "properties.template"
		if known.Path != "" {
			path += "." + known.Path
		}
		refusal.More = []resource.ErrorInfo{{Type: "TemplateViolation", Info: map[string]any{"lineNumber": known.Line, "linePosition": known.Column, "path": path}}}
	}
	return refusal
}

// environment is what a template is told about where it goes to. The group must be there.
func (s *Service) environment(ctx context.Context, caller signin.Caller, scope Scope, name, mode, location string, cloud map[string]any) (template.Environment, error) {
	where := template.Environment{
		Tenant: s.Tenant, DeploymentName: name, Mode: mode, Location: location, Cloud: cloud,
		Subscription: map[string]any{"id": "/subscriptions/" + scope.Subscription, "subscriptionId": scope.Subscription, "tenantId": s.Tenant,
			"displayName": "Postern"},
		Deployer: map[string]any{"objectId": caller.ObjectID, "tenantId": s.Tenant},
		Now:      func() string { return stamp(now()) },
		NewGUID:  newGUID,
	}
	if scope.ResourceGroup == "" {
		return where, nil
	}
	_, answer, err := s.Do(ctx, Call{Caller: caller, Method: http.MethodGet, Path: scope.Path(), Version: groupVersion})
	if err != nil {
		return where, err
	}
	where.ResourceGroup, err = object(answer)
	return where, err
}

// groupVersion is the api-version that groups are asked in.
const groupVersion = "2024-11-01"

// object reads an answer as a template's functions see it: whole numbers as such.
func object(answer json.RawMessage) (map[string]any, error) {
	node, err := template.Read(answer)
	if err != nil {
		return nil, fmt.Errorf("read an answer: %w", err)
	}
	value, _ := node.Value().(map[string]any)
	return value, nil
}
