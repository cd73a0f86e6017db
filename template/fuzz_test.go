package template

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
)

// Any text between brackets is refused with an error or evaluated, within bounds.
func FuzzExpression(f *testing.F) {
	data, err := os.ReadFile("testdata/functions.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, line := range strings.Split(string(data), "\n") {
		if line != "" && !strings.HasPrefix(line, "#") {
			expression, _, _ := strings.Cut(line, " => ")
			expression, _, _ = strings.Cut(expression, " !! ")
			f.Add(expression)
		}
	}
	budget = maxWork / 20
	f.Cleanup(func() { budget = maxWork })
	f.Add(strings.Repeat("concat(", 200) + "'a'" + strings.Repeat(")", 200))
	f.Add("reduce(range(0, 10000), 'a', lambda('a', 'b', concat(lambdaVariables('a'), lambdaVariables('a'))))")
	f.Add("map(range(0, 10000), lambda('a', map(range(0, 10000), lambda('b', map(range(0, 10000), lambda('c', 1))))))")
	f.Fuzz(func(t *testing.T, expression string) {
		value, err := evaluated(expression)
		if err == nil && !json.Valid([]byte(value)) {
			t.Errorf("%s: %s is not JSON", expression, value)
		}
		parsed, err := parseExpression(expression)
		if err != nil {
			return
		}
		again, err := parseExpression(parsed.text())
		if err != nil || again.text() != parsed.text() {
			t.Errorf("%s is written as %s, which reads as %v %v", expression, parsed.text(), again, err)
		}
	})
}

// Any bytes are refused with an *Error or expand to resources in an order that holds, within bounds.
func FuzzTemplate(f *testing.F) {
	budget = maxWork / 20
	f.Cleanup(func() { budget = maxWork })
	for _, text := range wholeTemplates(f) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var refusal *Error
		parsed, err := Parse(data)
		if err != nil {
			if !errors.As(err, &refusal) || refusal.Line < 1 || refusal.Column < 1 {
				t.Errorf("parse: %#v", err)
			}
			return
		}
		x, err := parsed.Expand(testEnvironment(), nil)
		if err != nil {
			if !errors.As(err, &refusal) {
				t.Errorf("expand: %#v", err)
			}
			return
		}
		seen := map[*Resource]bool{}
		for _, r := range x.Order() {
			for _, other := range r.DependsOn {
				if !seen[other] {
					t.Errorf("%s stands before %s, which it depends on", r.ID, other.ID)
				}
			}
			seen[r] = true
			if _, err := r.Body(testRuntime()); err != nil && !errors.As(err, &refusal) {
				t.Errorf("body: %#v", err)
			}
		}
		if len(seen) != len(x.Resources) || len(seen) > MaxResources {
			t.Errorf("%d of %d resources are in order", len(seen), len(x.Resources))
		}
		if _, err := x.Outputs(testRuntime()); err != nil && !errors.As(err, &refusal) {
			t.Errorf("outputs: %#v", err)
		}
	})
}
