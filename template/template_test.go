package template

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

// wholeTemplates are the templates of the scripts.
func wholeTemplates(t testing.TB) (list []string) {
	files, err := filepath.Glob("testdata/templates/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, name := range files {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, string(archive.Files[0].Data))
	}
	return list
}

// Each script is a template, its parameters if it has any, and what it comes to: the resources in their order with what they
// depend on and their bodies, the outputs, or the refusal. -update writes that part anew.
func TestTemplates(t *testing.T) {
	files, err := filepath.Glob("testdata/templates/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			parts := map[string]string{}
			for _, file := range archive.Files {
				parts[file.Name] = string(file.Data)
			}
			have := told(t, parts["main.json"], parts["parameters.json"])
			if have == parts["want"] {
				return
			}
			if os.Getenv("POSTERN_UPDATE") != "" {
				parts["want"] = have
				for i := range archive.Files {
					archive.Files[i].Data = []byte(parts[archive.Files[i].Name])
				}
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			t.Errorf("%s comes to\n%s\nwant\n%s", name, have, parts["want"])
		})
	}
}

// told is what a template comes to.
func told(t *testing.T, template, parameters string) string {
	var b strings.Builder
	x, err := expanded(template, parameters)
	if err == nil {
		err = tell(&b, x, "")
	}
	var refusal *Error
	if errors.As(err, &refusal) {
		fmt.Fprintf(&b, "error %s at %d:%d %s\n  %s\n", refusal.Code, refusal.Line, refusal.Column, refusal.Path, refusal.Message)
	} else if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func expanded(template, parameters string) (*Expansion, error) {
	parsed, err := Parse([]byte(template))
	if err != nil {
		return nil, err
	}
	values := map[string]any{}
	if parameters != "" {
		file, err := Read([]byte(parameters))
		if err != nil {
			return nil, err
		}
		if values, err = Values(file.Value().(map[string]any)); err != nil {
			return nil, err
		}
	}
	return parsed.Expand(testEnvironment(), values)
}

func tell(b *strings.Builder, x *Expansion, indent string) error {
	for _, p := range x.Parameters() {
		value, _ := json.Marshal(p.Value)
		if p.Secure {
			value = []byte("(secure)")
		}
		fmt.Fprintf(b, "%sparameter %s %s %s\n", indent, p.Name, p.Type, value)
	}
	for _, r := range x.Order() {
		fmt.Fprintf(b, "%s%s", indent, strings.TrimPrefix(r.ID, "/subscriptions/00000000-0000-4000-8000-000000000000"))
		if !r.Condition || r.Existing {
			fmt.Fprintf(b, " (condition %v, existing %v)\n", r.Condition, r.Existing)
			continue
		}
		for i, other := range r.DependsOn {
			fmt.Fprintf(b, "%s%s", map[bool]string{true: " after ", false: ", "}[i == 0], other.Name)
		}
		b.WriteByte('\n')
		if strings.EqualFold(r.Type, TypeDeployment) {
			n, err := r.Nested(testRuntime())
			if err != nil {
				return err
			}
			where := testEnvironment()
			where.DeploymentName, where.Mode = n.Name, n.Mode
			if where.ResourceGroup = nil; n.ResourceGroup != "" {
				where.ResourceGroup = map[string]any{"name": n.ResourceGroup}
			}
			inner, err := n.Expand(where)
			if err != nil {
				return err
			}
			if err := tell(b, inner, indent+"    "); err != nil {
				return err
			}
			continue
		}
		body, err := r.Body(testRuntime())
		if err != nil {
			return err
		}
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		fmt.Fprintf(b, "%s  %s\n", indent, text)
	}
	outputs, err := x.Outputs(testRuntime())
	for _, output := range outputs {
		value, _ := json.Marshal(output.Value)
		if output.Secure {
			value = []byte("(secure)")
		}
		fmt.Fprintf(b, "%soutput %s %s %s\n", indent, output.Name, output.Type, value)
	}
	return err
}

// Small templates that mean much work are refused, soon.
func TestBounds(t *testing.T) {
	wrap := func(sections string) string {
		return `{"$schema": "s", "contentVersion": "1.0.0.0", ` + sections + `}`
	}
	doubling := func(function string) string {
		var b strings.Builder
		b.WriteString(`"a0": "[` + function + `('x', 'x')]"`)
		for i := range 60 {
			fmt.Fprintf(&b, `, "a%d": "[%s(variables('a%d'), variables('a%d'))]"`, i+1, function, i, i)
		}
		return `"variables": {` + b.String() + `}, "resources": [], "outputs": {"o": {"type": "int", "value": "[length(variables('a60'))]"}}`
	}
	nested := `"variables": {"b0": ["x"], ` + strings.TrimSuffix(func() string {
		var b strings.Builder
		for i := range 60 {
			fmt.Fprintf(&b, `"b%d": {"l": "[variables('b%d')]", "r": "[variables('b%d')]"},`, i+1, i, i)
		}
		return b.String()
	}(), ",") + `}, "resources": [], "outputs": {"o": {"type": "string", "value": "[string(variables('b60'))]"}}`
	loops := func(count int) string {
		return fmt.Sprintf(`"resources": [{"type": "A.B/c", "apiVersion": "1", "name": "[concat('n', copyIndex())]", "copy": {"name": "l", "count": %d}}]`, count)
	}
	for name, text := range map[string]string{
		"strings that double":        doubling("concat"),
		"arrays that double":         doubling("createArray"),
		"objects that double":        nested,
		"a loop too long":            loops(801),
		"two loops too many":         strings.Replace(loops(800), `}]`, `}, {"type": "A.B/c", "apiVersion": "1", "name": "one"}]`, 1),
		"too deep":                   `"resources": [` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `]`,
		"an expression too long":     `"resources": [], "outputs": {"o": {"type": "string", "value": "['` + strings.Repeat("a", MaxExpression) + `']"}}`,
		"functions that call anew":   `"functions": [{"namespace": "f", "members": {"f": {"output": {"value": "[concat(f.f(), f.f())]"}}}}], "resources": [], "outputs": {"o": {"type": "string", "value": "[f.f()]"}}`,
		"a variable of itself":       `"variables": {"a": "[variables('b')]", "b": "[variables('a')]"}, "resources": [], "outputs": {"o": {"type": "string", "value": "[variables('a')]"}}`,
		"a parameter of itself":      `"parameters": {"a": {"type": "string", "defaultValue": "[parameters('a')]"}}, "resources": []`,
		"lambdas within each other":  `"resources": [], "outputs": {"o": {"type": "array", "value": "[map(range(0, 10000), lambda('a', map(range(0, 10000), lambda('b', 1))))]"}}`,
		"too many parameters":        `"parameters": {` + strings.TrimSuffix(strings.Repeat(`"p": 1,`, 1), ",") + many(`, "p%d": {"type": "int", "defaultValue": 1}`, 256) + `}, "resources": []`,
		"a member that stands twice": `"resources": [], "Resources": []`,
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			x, err := expanded(wrap(text), "")
			if err == nil {
				_, err = x.Outputs(testRuntime())
			}
			var refusal *Error
			if !errors.As(err, &refusal) {
				t.Fatalf("it is taken: %v", err)
			}
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func many(form string, count int) string {
	var b strings.Builder
	for i := range count {
		fmt.Fprintf(&b, form, i)
	}
	return b.String()
}

// What nobody may read is in no refusal.
func TestSecureValuesAreNotTold(t *testing.T) {
	_, err := expanded(`{"$schema": "s", "contentVersion": "1.0.0.0", "parameters": {"p": {"type": "securestring", "minLength": 40}}, "resources": []}`,
		`{"p": {"value": "hunter2"}}`)
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "greater than or equal to '40'") {
		t.Errorf("got %v", err)
	}
}

// az sends the template's own text, comments and all, behind a name without quotes.
func TestReadAsAzSends(t *testing.T) {
	body, err := Read([]byte(`{"properties": {"mode": "Incremental", template:{
  // a comment
  "$schema": "s", /* another */ "contentVersion": "1.0.0.0",
  "resources": [{"type": "A.B/c", "name": "[nope()]", "apiVersion": "1"},],
}}}`))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := New(body.Member("properties").Member("template"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = parsed.Expand(testEnvironment(), nil)
	var refusal *Error
	if !errors.As(err, &refusal) || refusal.Line != 4 || refusal.Column != 43 || refusal.Path != "resources[0].name" {
		t.Errorf("got %+v", refusal)
	}
}
