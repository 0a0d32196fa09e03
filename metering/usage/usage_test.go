package usage_test

import (
	"testing"

	"github.com/primecloudpro/primecloud/metering/usage"
)

func TestClass_text(t *testing.T) {
	t.Parallel()
	for c := range usage.ClassUnbilled + 2 {
		text, err := c.MarshalText()
		var back usage.Class
		if err != nil || back.UnmarshalText(text) != nil || back != c%(usage.ClassUnbilled+1) {
			t.Errorf("%d: %q, %v", c, text, back)
		}
	}
	if new(usage.Class).UnmarshalText([]byte("C")) == nil {
		t.Error("took C for a class")
	}
}
