package limits

import (
	"errors"
	"fmt"
	"time"

	"github.com/primecloudpro/primecloud/tenancy"
)

// Reason is why a request was refused.
type Reason uint8

// The reasons. Exhausted lasts until the period ends, the budget is raised or
// stored bytes are deleted; the others pass by themselves.
const (
	TooFast   Reason = iota // a rate or a transfer rate
	Crowded                 // the requests at once
	Exhausted               // a hard budget has not enough left
	Reserved                // it has, but other nodes hold it
	Unknown                 // whether it has cannot be found out now
)

// RefusalError refuses a request. Its message is for the client.
type RefusalError struct {
	Reason     Reason
	Message    string        // for the client
	RetryAfter time.Duration // when trying again may help; at least 1 s
}

func (e *RefusalError) Error() string { return "limits: " + e.Message }

// ErrEpochOver means that this node was declared dead: its readings are not
// accepted any more, so that nothing would count what it uses.
var ErrEpochOver = errors.New("limits: this node's epoch is over")

func tooFast(what string, wait int64) error {
	return &RefusalError{Reason: TooFast, Message: what + " Please reduce your request rate.", RetryAfter: atLeastSecond(wait)}
}

func crowded() error {
	return &RefusalError{Reason: Crowded, Message: "Too many requests at once. Please reduce your request rate.", RetryAfter: time.Second}
}

// atLeastSecond rounds up to whole seconds: Retry-After has no fractions.
func atLeastSecond(ns int64) time.Duration {
	return time.Duration(max(1, (ns+int64(time.Second)-1)/int64(time.Second))) * time.Second
}

func (h *subject) whose() string {
	if h.key != (tenancy.ID{}) {
		return "access key"
	}
	return "account"
}

func (h *subject) exhausted(b tenancy.Budget, start time.Time) error {
	message := fmt.Sprintf("The %s has not enough left of its %s budget for %s.", h.whose(), b, start.Format("2006-01"))
	if b == tenancy.Storage {
		message = "The account's storage quota does not allow this upload; delete objects or ask for more."
	}
	return &RefusalError{Reason: Exhausted, Message: message, RetryAfter: time.Second}
}

func (h *subject) reserved(b tenancy.Budget) error {
	return &RefusalError{
		Reason: Reserved, RetryAfter: 2 * h.l.cfg.Refresh,
		Message: fmt.Sprintf("What is left of the %s's %s budget is reserved by other requests. Please try again.", h.whose(), b),
	}
}

func (h *subject) unknown(b tenancy.Budget) error {
	return &RefusalError{
		Reason: Unknown, RetryAfter: 2 * time.Second,
		Message: fmt.Sprintf("The %s's %s budget cannot be checked now. Please try again.", h.whose(), b),
	}
}
