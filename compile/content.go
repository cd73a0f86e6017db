package compile

import "postern/plan"

// share puts content into one of a plan's maps and returns its name.
func share[T any](into map[plan.Ref]T, kind string, content T) plan.Ref {
	ref := plan.RefOf(kind, content)
	into[ref] = content
	return ref
}
