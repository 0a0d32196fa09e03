package s3xml

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/primecloudpro/primecloud/proxy/s3err"
)

// Values of elements. A backend reads what it is sent into types of its own and
// has words of its own for what does not fit, 500 among them; what S3's schema
// does not have is refused here. White space around a value is read over, as a
// schema's own reader does (www.w3.org/TR/xmlschema-2/#rf-whiteSpace), and the
// backend gets the value alone.

// checks are done in order; the first that fails is told.
func checks(each ...func() error) error {
	for _, check := range each {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// whole wants a number of at least least in the element's text, when there is one.
func whole(element string, text *string, least int64) func() error {
	return func() error {
		if *text == "" {
			return nil
		}
		n, err := strconv.ParseInt(strings.TrimSpace(*text), 10, 64)
		switch {
		case err != nil:
			return malformed("The value of <" + element + "> is not a whole number.")
		case n < least || n > 1<<53: // what every reader holds exactly
			return s3err.New("InvalidArgument", fmt.Sprintf("'%s' must be a whole number of at least %d.", element, least))
		}
		*text = strconv.FormatInt(n, 10)
		return nil
	}
}

// count is whole for what counts days or versions: S3 has 32 bits for them.
func count(element string, text *string) func() error {
	return func() error {
		if err := whole(element, text, 1)(); err != nil {
			return err
		}
		if n, _ := strconv.ParseInt(*text, 10, 64); n > 1<<31-1 {
			return s3err.New("InvalidArgument", fmt.Sprintf("'%s' is too large.", element))
		}
		return nil
	}
}

// oneOf wants one of the words; "" stands for an element that is not there.
func oneOf(element string, text *string, words ...string) func() error {
	return func() error {
		*text = strings.TrimSpace(*text)
		if slices.Contains(words, *text) {
			return nil
		}
		return malformed("The value of <" + element + "> must be " + strings.Join(slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "" }), " or ") + ".")
	}
}

// truth wants true or false, which a schema's reader takes as 1 and 0 too.
func truth(element string, text *string) func() error {
	return func() error {
		switch strings.TrimSpace(*text) {
		case "", "true", "false":
			*text = strings.TrimSpace(*text)
		case "1":
			*text = "true"
		case "0":
			*text = "false"
		default:
			return malformed("The value of <" + element + "> must be true or false.")
		}
		return nil
	}
}

// moment wants a point in time of ISO 8601, and gives the backend one of RFC 3339.
func moment(element string, text *string, midnight bool) func() error {
	return func() error {
		if *text == "" {
			return nil
		}
		at, err := time.Parse(time.RFC3339, strings.TrimSpace(*text))
		if err != nil {
			at, err = time.Parse(time.DateOnly, strings.TrimSpace(*text))
		}
		if err != nil || at.Year() < 1970 || at.Year() > 9999 {
			return malformed("The value of <" + element + "> is not a date of ISO 8601.")
		}
		if at = at.UTC(); midnight && !at.Equal(at.Truncate(24*time.Hour)) {
			return s3err.New("InvalidArgument", "'"+element+"' must be at midnight GMT")
		}
		*text = at.Format("2006-01-02T15:04:05.999999999Z07:00")
		return nil
	}
}
