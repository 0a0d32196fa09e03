package proxy

import (
	"errors"
	"fmt"
	"testing"

	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/tenancy"
)

// What is the operator's to know: nothing that whoever likes can cause as often
// as he likes.
func TestExchange_isFault(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want bool
	}{
		{errDenied, false},
		{errBusy, false},
		{s3err.New("NotImplemented", "no"), false},
		{&limits.RefusalError{Reason: limits.TooFast}, false},
		{fmt.Errorf("%w: %w", tenancy.ErrUnavailable, tenancy.ErrCrowded), false},
		{tenancy.ErrUnavailable, true},
		{errors.New("nobody knows it"), true},
		{&s3err.Error{Code: "SlowDown", Cause: &faultError{"SlowDown", "says the backend"}}, true},
	} {
		e := asS3(c.err)
		x := &exchange{request: request{status: e.Status(), code: e.Code, cause: e.Cause}}
		if x.isFault() != c.want {
			t.Errorf("%v (%d %s): %v", c.err, x.status, x.code, !c.want)
		}
	}
}
