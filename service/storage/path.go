package storage

import (
	"net/url"
	"slices"
	"strings"
)

// The ports of path style, http://ADDRESS:PORT/ACCOUNT/…, as the emulator and Azurite have them
// (https://learn.microsoft.com/azure/storage/common/storage-use-emulator#addressing-resources-in-the-storage-emulator).
const (
	portBlob  = 10000
	portQueue = 10001
	portTable = 10002
)

// byPath reads the account out of a path. The port says the sub-service, since the path does not; any other than the three
// is blob's. The account is taken as it is written: no percent sign stands for any of it.
//
// What a server behind the gateway could read as another account's path is refused: segments that go up, however they are
// written.
func byPath(port uint16, path string) (label, part string, ok bool) {
	switch part = Blob; port {
	case portQueue:
		part = Queue
	case portTable:
		part = Table
	}
	path, absolute := strings.CutPrefix(path, "/")
	label, rest, _ := strings.Cut(path, "/")
	if !absolute || !ValidName(label) {
		return "", part, false
	}
	return label, part, !climbs(rest)
}

// climbs tells whether a server may find "." or ".." as a segment of an escaped path: after decoding it, once or twice, with
// a backslash as a separator, and without a segment's parameters.
func climbs(path string) bool {
	for range 3 {
		segments := strings.FieldsFunc(path, func(c rune) bool { return c == '/' || c == '\\' })
		if slices.ContainsFunc(segments, func(segment string) bool {
			segment, _, _ = strings.Cut(segment, ";")
			return segment == "." || segment == ".."
		}) {
			return true
		}
		decoded, err := url.PathUnescape(path)
		if err != nil || decoded == path {
			return false
		}
		path = decoded
	}
	return false
}
