package template

import (
	"fmt"
	"strings"
)

// scopeFunctions tell what is around an expression: parameters, variables, loops, the deployment and where it goes to.
var scopeFunctions = map[string]function{
	"parameters":    {1, 1, parameterValue, nil, false},
	"variables":     {1, 1, variableValue, nil, false},
	"copyIndex":     {0, 2, copyIndex, nil, false},
	"deployment":    {0, 0, deploymentInfo, nil, true},
	"environment":   {0, 0, func(s *scope, _ []any) (any, error) { return copied(s.target().Cloud), nil }, nil, false},
	"subscription":  {0, 0, func(s *scope, _ []any) (any, error) { return copied(s.target().Subscription), nil }, nil, false},
	"resourceGroup": {0, 0, resourceGroupInfo, nil, false},
	"tenant":        {0, 0, tenantInfo, nil, false},
	"deployer":      {0, 0, func(s *scope, _ []any) (any, error) { return copied(s.target().Deployer), nil }, nil, false},
}

// target is where functions say that the deployment goes to: of a nested one in the outer scope, where the outer one does.
func (s *scope) target() *Environment {
	e := s.evaluation
	for e.outer != nil {
		e = e.outer
	}
	return e.where
}

func parameterValue(s *scope, arguments []any) (any, error) {
	name, err := textAt(arguments, 0)
	if err != nil {
		return nil, err
	}
	if s.arguments != nil {
		value, ok := s.arguments[strings.ToLower(name)]
		if !ok {
			return nil, final("The function's parameter '%s' is not found. A function of a template sees its own parameters alone.", name)
		}
		return value, nil
	}
	e := s.evaluation
	for e.outer != nil {
		e = e.outer
	}
	p, ok := e.parameters[strings.ToLower(name)]
	if !ok {
		return nil, final("The template parameter '%s' is not found. Please see https://aka.ms/arm-syntax-parameters for usage details.", name)
	}
	return p.evaluate(e)
}

func variableValue(s *scope, arguments []any) (any, error) {
	name, err := textAt(arguments, 0)
	if err != nil {
		return nil, err
	}
	if s.place == inDefault || s.arguments != nil {
		return nil, final("The template function 'variables' is not expected at this location. Please see https://aka.ms/arm-functions for usage details.")
	}
	e := s.evaluation
	for e.outer != nil {
		e = e.outer
	}
	v, ok := e.variables[strings.ToLower(name)]
	if !ok {
		return nil, final("The template variable '%s' is not found. Please see https://aka.ms/arm-syntax-variables for usage details.", name)
	}
	return v.evaluate(e)
}

func deploymentInfo(s *scope, _ []any) (any, error) {
	where := s.target()
	properties := map[string]any{"templateHash": s.template.Hash(), "mode": where.Mode, "provisioningState": "Accepted",
		"template": map[string]any{"contentVersion": s.template.root.Member("contentVersion").Value(), "$schema": s.template.root.Member("$schema").Value()}}
	info := map[string]any{"name": where.DeploymentName, "properties": properties}
	if where.Location != "" {
		info["location"] = where.Location
	}
	return info, nil
}

func resourceGroupInfo(s *scope, _ []any) (any, error) {
	group := s.target().ResourceGroup
	if group == nil {
		return nil, fmt.Errorf("there is no resource group: the deployment goes to a subscription")
	}
	return group, nil
}

func tenantInfo(s *scope, _ []any) (any, error) {
	tenant := s.target().Tenant
	return map[string]any{"tenantId": tenant, "id": "/tenants/" + tenant, "displayName": "Postern", "countryCode": ""}, nil
}
