package model

import (
	"encoding/json"
	"testing"
)

// A plan goes through the store as JSON: what cannot be read back never reaches a node.
func TestEnumsReadBack(t *testing.T) {
	for hop := NextHopNone; hop <= NextHopInterfaceEndpoint; hop++ {
		readBack(t, hop)
	}
	for source := SourceDefault; source <= SourceUser; source++ {
		readBack(t, source)
	}
	var hop NextHopType
	if err := json.Unmarshal([]byte(`"Elsewhere"`), &hop); err == nil {
		t.Error("an unknown next hop type was read")
	}
	var source RouteSource
	if err := json.Unmarshal([]byte(`"Nobody"`), &source); err == nil {
		t.Error("an unknown route source was read")
	}
}

func readBack[T comparable](t *testing.T, want T) {
	t.Helper()
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got T
	if err := json.Unmarshal(text, &got); err != nil || got != want {
		t.Errorf("%s was read back as %v, %v", text, got, err)
	}
}
