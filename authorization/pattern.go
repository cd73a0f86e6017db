package authorization

import "strings"

// pattern is an action with wildcards, ready to compare: the texts between the stars, in lower case.
type pattern []string

// newPattern reads an action such as "Microsoft.Network/*/read". A star stands for any text, also for none and for slashes.
func newPattern(action string) pattern { return strings.Split(strings.ToLower(action), "*") }

// matches compares with an action in lower case: the first text must begin it, the last end it, and the others stand
// between in their order. The leftmost place for each leaves the most room for those behind it.
func (p pattern) matches(action string) bool {
	last := len(p) - 1
	if last == 0 {
		return action == p[0]
	}
	rest, ok := strings.CutPrefix(action, p[0])
	if !ok {
		return false
	}
	for _, text := range p[1:last] {
		at := strings.Index(rest, text)
		if at < 0 {
			return false
		}
		rest = rest[at+len(text):]
	}
	return strings.HasSuffix(rest, p[last])
}
