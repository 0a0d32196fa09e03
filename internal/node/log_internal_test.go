package node

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A duration has its unit in both formats.
func TestConfig_loggerUnits(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{"text": "timeout=5m0s", "json": `"timeout":"5m0s"`} {
		var out bytes.Buffer
		cfg := DefaultConfig()
		cfg.Log.Format, cfg.Output = format, &out
		(&node{cfg: cfg, registry: prometheus.NewRegistry()}).logger().Info("draining", "timeout", 5*time.Minute)
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s: %q is not in %s", format, want, out.String())
		}
	}
}
