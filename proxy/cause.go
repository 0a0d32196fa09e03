package proxy

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strings"

	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/tenancy"
)

// faultError is what the backend said, for the log.
type faultError struct{ code, message string }

// Error has the backend's words, and of what is longer than words are only how
// long it is: a backend may quote the request, and with it a customer's key, a
// signature or a document that somebody made as large as he liked.
func (e *faultError) Error() string { return "backend: " + words(e.code) + ": " + words(e.message) }

const (
	longestWord = 24
	mostWords   = 40
)

// words is the words of s.
func words(s string) string {
	const most = mostWords * longestWord
	left := max(0, len(s)-most)
	list := strings.Fields(s[:len(s)-left])
	if left > 0 && len(list) > 0 {
		left += len(list[len(list)-1]) // may be the beginning of a longer one
		list = list[:len(list)-1]
	}
	for i, w := range list {
		if len(w) > longestWord {
			list[i] = fmt.Sprintf("<%d bytes>", len(w))
		}
	}
	if left > 0 {
		list = append(list, fmt.Sprintf("<%d bytes>", left))
	}
	return strings.Join(list, " ")
}

// causeText is what the log says of why a request failed: no text that a parser
// took from a client or a backend.
func causeText(err error) string {
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Sprintf("a document is not well-formed XML, in line %d", syntax.Line)
	}
	return err.Error()
}

// isFault reports whether the operator is to know of a response. A call that
// is not implemented is the client's mistake, and a bound that refuses does its
// work: whoever floods must not fill the log with that, and has a metric.
func (x *exchange) isFault() bool {
	switch x.code {
	case "NotImplemented", "SlowDown":
		var limited *limits.RefusalError
		return x.cause != nil && !errors.As(x.cause, &limited) && !errors.Is(x.cause, tenancy.ErrCrowded)
	}
	return x.status >= 500
}
