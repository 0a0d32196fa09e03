package s3xml

import (
	"testing"

	"github.com/primecloudpro/primecloud/internal/testenv/pooled"
)

// A rewriter that goes back into its pool has nothing of the answer it rewrote.
func TestRewriter_releasedIsFresh(t *testing.T) {
	t.Parallel()
	used, fresh := rewriters.New().(*rewriter), rewriters.New().(*rewriter)
	if n := pooled.Fill(t, used, ErrDocument); n < 20 {
		t.Fatalf("only %d fields were filled", n)
	}
	used.window = fresh.window
	used.clear()
	pooled.Fresh(t, used, fresh, "rewriter.window")
}
