package aztest

import "testing"

func TestJudge(t *testing.T) {
	const answer = `{"name":"app","subnets":[{"id":7},{"id":8}],"on":true,"none":null}`
	for _, c := range []struct {
		name, wants    string
		stdout, stderr string
		code, problems int
	}{
		{"all is true", "    name = app\n    subnets[#] = 2\n    subnets[1].id = 8\n    on = true\n    none missing", answer, "", 0, 0},
		{"another value", "    name = web", answer, "", 0, 1},
		{"beyond a list", "    subnets[2].id = 9", answer, "", 0, 1},
		{"there after all", "    name missing", answer, "", 0, 1},
		{"no JSON", "    name missing", "what", "", 0, 1},
		{"a failure as wanted", "    exit 3\n    error NotFound", "", "(ResourceNotFound) no", 3, 0},
		{"another failure", "    exit 3\n    error NotFound", "", "(Conflict) no", 1, 2},
		{"a failure that nobody wants", "", "", "no", 1, 1},
		{"a line that says nothing", "    name", answer, "", 0, 1},
		{"a text", "    prints 12", "12\n", "", 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			steps := Parse("# comment\n\nshow -n x\n" + c.wants)
			if len(steps) != 1 || steps[0].Line != 3 || steps[0].Command != "show -n x" {
				t.Fatalf("parsed as %+v", steps)
			}
			if problems := steps[0].judge([]byte(c.stdout), c.stderr, c.code); len(problems) != c.problems {
				t.Errorf("%d problems, want %d: %q", len(problems), c.problems, problems)
			}
		})
	}
}

func TestWords(t *testing.T) {
	have := words(`list --query [?a=='b'].c -p '{"a": "b"}'`)
	if len(have) != 5 || have[2] != "[?a=='b'].c" || have[4] != `{"a": "b"}` {
		t.Errorf("%q", have)
	}
}
