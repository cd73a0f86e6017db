package authorization

import "strings"

// Root is the scope of the whole tenant.
const Root = "/"

// scopeKey is the form of a scope that compares: in lower case, without a final slash; "" for the root.
func scopeKey(scope string) string { return strings.TrimRight(strings.ToLower(scope), "/") }

// Covers tells whether a right at scope holds at inner: they are the same, or inner lies in scope. Case does not count.
func Covers(scope, inner string) bool { return covers(scopeKey(scope), scopeKey(inner)) }

func covers(scope, inner string) bool {
	return strings.HasPrefix(inner, scope) && (len(inner) == len(scope) || inner[len(scope)] == '/')
}

// subscriptionOf is the "/subscriptions/S" that a scope begins with; "" for the root.
func subscriptionOf(scope string) string {
	segments := strings.Split(scope, "/")
	if len(segments) < 3 || !strings.EqualFold(segments[1], "subscriptions") {
		return ""
	}
	return "/subscriptions/" + segments[2]
}
