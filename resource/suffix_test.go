package resource

import "testing"

// The suffix of the services' zones is a DNS name in lower case, or nothing.
func TestServiceSuffix(t *testing.T) {
	for suffix, valid := range map[string]bool{"": true, "cloud.example": true, "a": true, "Cloud.example": false, "cloud..example": false, ".example": false, "-a.example": false} {
		_, err := decodeSettings(&Record{ID: "/providers/Postern.Fabric/settings/default", Body: []byte(`{"properties":{"serviceSuffix":"` + suffix + `"}}`)})
		if (err == nil) != valid {
			t.Errorf("the suffix %q: %v", suffix, err)
		}
	}
}
