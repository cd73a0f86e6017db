package arm_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/arm/aztest"
)

// TestAz runs az as its users do, from the scripts testdata/az*.txt (package aztest tells their form). Each has a cloud of its
// own, that az knows and is signed in to; $URL, $CLIENT, $SECRET, $TENANT and $SUBSCRIPTION stand for that cloud's, $OTHER_APP,
// $OTHER_ID and $OTHER_SECRET for a principal without a role, $HOME for the folder with the templates of testdata/templates.
func TestAz(t *testing.T) {
	scripts, err := filepath.Glob(filepath.Join("testdata", "az*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range scripts {
		name := filepath.Base(script)
		t.Run(strings.TrimSuffix(name, ".txt"), func(t *testing.T) {
			t.Parallel() // az itself is what takes long
			text, err := os.ReadFile(script)
			if err != nil {
				t.Fatal(err)
			}
			f := start(t)
			az := aztest.New(t, f.ca)
			az.SignIn(f.ctx, f.door.Door, f.door.Secret)
			putTemplates(t, az)
			other, _ := f.principal(t, "other", "", "")
			variables := strings.NewReplacer("$HOME", az.Home(), "$URL", f.door.URL, "$CLIENT", f.door.ClientID, "$SECRET", f.door.Secret, "$TENANT", f.door.Tenant,
				"$SUBSCRIPTION", f.door.Subscription, "$OTHER_APP", other.AppID, "$OTHER_ID", other.ObjectID, "$OTHER_SECRET", other.Secret)
			steps := aztest.Parse(variables.Replace(string(text)))
			for _, step := range steps {
				for _, problem := range az.Do(f.ctx, step) {
					t.Errorf("%s:%d: az %s: %s", name, step.Line, step.Command, problem)
				}
			}
			t.Logf("%d commands of az", len(steps))
		})
	}
}

// putTemplates copies the templates to where az sees them.
func putTemplates(t *testing.T, az *aztest.CLI) {
	t.Helper()
	templates, err := filepath.Glob(filepath.Join("testdata", "templates", "*"))
	if err != nil || len(templates) == 0 {
		t.Fatal("no templates", err)
	}
	for _, name := range templates {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(os.Getenv(aztest.Variable), az.Home(), filepath.Base(name)), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
