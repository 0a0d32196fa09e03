package health_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/primecloudpro/primecloud/internal/health"
)

// A node is ready when all checks are in order; what is only said decides nothing.
func TestLook(t *testing.T) {
	t.Parallel()
	is := func(name string, r health.Result) health.Check {
		return health.Check{Name: name, Look: func() health.Result { return r }}
	}
	good, notice, bad := is("good", health.Good()), is("notice", health.Notice("It is %s.", "warm")), is("bad", health.Bad("It is cold."))
	for name, c := range map[string]struct {
		checks []health.Check
		want   health.Status
		body   string
	}{
		"none":     {nil, health.Ready, `{"status":"ready","checks":[]}`},
		"good":     {[]health.Check{good, notice}, health.Ready, `{"status":"ready","checks":[{"name":"good","ok":true},{"name":"notice","ok":true,"reason":"It is warm."}]}`},
		"one bad":  {[]health.Check{bad, good}, health.NotReady, `{"status":"not ready","checks":[{"name":"bad","ok":false,"reason":"It is cold."},{"name":"good","ok":true}]}`},
		"last bad": {[]health.Check{good, bad}, health.NotReady, `{"status":"not ready","checks":[{"name":"good","ok":true},{"name":"bad","ok":false,"reason":"It is cold."}]}`},
	} {
		answer := httptest.NewRecorder()
		health.Handler(func() health.Report { return health.Look(c.checks) })(answer, nil)
		var got, want any
		if err := json.Unmarshal([]byte(c.body), &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(answer.Body.Bytes(), &got); err != nil || !cmp.Equal(got, want) {
			t.Errorf("%s: %v, %s", name, err, cmp.Diff(want, got))
		}
		if answer.Code != c.want.Code() || answer.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d, %v", name, answer.Code, answer.Header())
		}
	}
	for s, want := range map[health.Status]int{health.Ready: http.StatusOK, health.NotReady: http.StatusServiceUnavailable, health.Draining: http.StatusServiceUnavailable} {
		if s.Code() != want {
			t.Errorf("%s is %d", s, s.Code())
		}
	}
}
