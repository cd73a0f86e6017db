package lab

import (
	"errors"
	"testing"
)

func TestKernelRelease(t *testing.T) {
	for _, test := range []struct {
		release string
		missing Prerequisite // "" for good enough
	}{
		{"6.18.44-fc-v657", ""},
		{"6.6.0", ""},
		{"6.6-rc1", ""},
		{"7.0", ""},
		{"6.5.13-200.fc38", NeedsKernel},
		{"5.15.0-generic", NeedsKernel},
		{"six", NeedsKernel},
		{"", NeedsKernel},
		{"6.x", NeedsKernel},
	} {
		t.Run(test.release, func(t *testing.T) {
			err := checkKernelRelease(test.release)
			var typed *PrerequisiteError
			switch {
			case test.missing == "" && err != nil:
				t.Errorf("got %v, want no error", err)
			case test.missing != "" && (!errors.As(err, &typed) || typed.Missing != test.missing || typed.Remedy == ""):
				t.Errorf("got %v, want one about %s that says what to do", err, test.missing)
			}
		})
	}
}

func FuzzKernelRelease(f *testing.F) {
	f.Add("6.18.44-fc-v657")
	f.Add("6.")
	f.Add("-1.-1")
	f.Fuzz(func(t *testing.T, release string) {
		major, minor, err := parseKernelRelease(release)
		if err == nil && minor < 0 {
			t.Errorf("release %q: %d.%d", release, major, minor)
		}
	})
}
