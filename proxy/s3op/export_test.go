package s3op

import (
	"maps"
	"slices"
)

// AnswerHeaderNames are the headers that any answer may have.
func AnswerHeaderNames() []string { return slices.Sorted(maps.Keys(answerHeaders)) }
