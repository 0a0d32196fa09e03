package proxy

import (
	"testing"

	"github.com/primecloudpro/primecloud/proxy/s3op"
)

// Every document of a backend has a way to become the client's.
func TestAnswers_everyOperation(t *testing.T) {
	t.Parallel()
	made := map[string]bool{}
	for _, op := range s3op.Operations {
		if op.Verdict != s3op.Forward || op.Answer != s3op.XML && op.Answer != s3op.JSON || specials[op.Name] != nil {
			continue
		}
		made[op.Name] = true
		if answers[op.Name] == nil {
			t.Errorf("%s has no answer", op.Name)
		}
	}
	for name := range answers {
		if !made[name] {
			t.Errorf("no answer of %s is made of a backend's", name)
		}
	}
}
