// Package house holds the rules of this repository as tests: who may import whom, how long a file is, that every public
// symbol says what it is, that every rule promised is named by a test, and that C and Go agree on numbers and layouts.
// It has no code of its own. A rule that fails says what to do.
package house
