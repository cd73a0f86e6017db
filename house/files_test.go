package house

import (
	"path"
	"regexp"
	"strings"
	"testing"
)

// longest is how many lines a file may have: one idea is rarely longer.
const longest = 500

func TestFileLength(t *testing.T) {
	for _, file := range texts(t) {
		switch path.Ext(file) {
		case ".go", ".c", ".h", ".md", ".sh", ".txtar":
		default:
			continue // data
		}
		text := read(t, file)
		if generatedLine.MatchString(text) {
			continue
		}
		if lines := strings.Count(text, "\n"); lines > longest {
			t.Errorf("%s has %d lines, more than %d: it holds several ideas, part them", file, lines, longest)
		}
	}
}

// generatedLine is Go's mark of generated code.
var generatedLine = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// Nothing here knows the machine that it was written on, nor where modules come from: that is the user's choice.
func TestForeignPlaces(t *testing.T) {
	foreign := regexp.MustCompile(strings.Join([]string{
		`(^|[^\w.])/` + `work/`,
		`proxy\.` + `golang\.org`, `sum\.` + `golang\.org`, `registry\.` + `npmjs\.org`, `deb\.` + `debian\.org`,
		`pypi\.` + `org`, `GO` + `PROXY=`,
	}, "|"))
	for _, file := range texts(t) {
		for number, line := range strings.Split(read(t, file), "\n") {
			if found := foreign.FindString(line); found != "" {
				t.Errorf("%s:%d names %q: a place of one machine or of one registry", file, number+1, strings.TrimSpace(found))
			}
		}
	}
}

// The kernel asks for the GPL, the repository for the Apache licence: each eBPF source says that it is under both.
func TestLicences(t *testing.T) {
	const both = "SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only"
	found := 0
	for _, file := range texts(t) {
		if ext := path.Ext(file); ext != ".c" && ext != ".h" {
			continue
		}
		found++
		if first, _, _ := strings.Cut(read(t, file), "\n"); !strings.Contains(first, both) {
			t.Errorf("%s: the first line must say %s", file, both)
		}
	}
	if found == 0 {
		t.Error("no eBPF source found")
	}
	if !strings.Contains(read(t, "LICENSE"), "Apache License") {
		t.Error("LICENSE is not the Apache licence")
	}
}
