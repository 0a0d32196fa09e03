// Package finding is what a check of an installation says.
package finding

// Result says how a check came out.
type Result string

// The results.
const (
	OK      Result = "ok"
	Warning Result = "warning" // it works, and somebody should know
	Failure Result = "failure"
)

// Finding is one thing that was looked at.
type Finding struct {
	Check  string `json:"check"`
	Result Result `json:"result"`
	Detail string `json:"detail"` // for OK what is good, else what to do
}

// Of is a failure with err's text, or OK with good.
func Of(check string, err error, good string) Finding {
	if err != nil {
		return Finding{check, Failure, err.Error()}
	}
	return Finding{check, OK, good}
}
