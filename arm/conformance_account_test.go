package arm_test

import (
	"maps"
	"strings"

	"postern/resource"
	"postern/resource/sdktest"
	"postern/service"
)

// sharedBackend is where an account's bytes lie for both of its regions. Nothing is asked of it.
const sharedBackend = "127.0.0.1:9"

// account is the body of an account whose properties are asked for, and what was before it: a documented answer tells of a
// second region that has all bytes, and of a change of SKU.
func (w *world) account(id resource.ID, example sdktest.Example, answer map[string]any) (map[string]any, error) {
	seed := maps.Clone(answer)
	properties := maps.Clone(objectAt(answer, "properties"))
	if stats := objectAt(properties, "geoReplicationStats"); stats != nil {
		tags := maps.Clone(objectAt(answer, "tags"))
		tags[service.TagBackend] = sharedBackend
		seed["tags"] = tags
		if stats["canFailover"] == false {
			properties["isNfsV3Enabled"] = true // Azure fails none of those over
			seed["properties"] = properties
		}
	}
	if objectAt(properties, "storageAccountSkuConversionStatus") != nil {
		before := maps.Clone(answer)
		before["sku"] = map[string]any{"name": "Standard_LRS"}
		if err := w.put(id, before); err != nil {
			return nil, err
		}
	}
	return seed, nil
}

// identities makes the identities that a body names.
func (w *world) identities(body map[string]any) error {
	for name := range objectAt(objectAt(body, "identity"), "userAssignedIdentities") {
		id, ok := parse(name)
		if !ok || !strings.EqualFold(id.Type(), resource.TypeManagedIdentity) {
			continue
		}
		if err := w.require(id); err != nil {
			return err
		}
	}
	return nil
}
