package s3op

import (
	"maps"
	"slices"
)

// ResponseHeaderNames are the headers that any answer may have.
func ResponseHeaderNames() []string { return slices.Sorted(maps.Keys(responseHeaders)) }
