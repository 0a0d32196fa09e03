package proxy

import (
	"context"
	"log/slog"

	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/tenancy"
)

// settle runs exactly once for each exchange, when its response has reached the
// socket or has failed. It may not touch fasthttp's request: after a broken
// connection that belongs to somebody else already.
func (x *exchange) settle() {
	if x.status == 0 {
		// The connection broke before there was a response.
		x.status, x.code = 499, "ClientDisconnected"
	}
	x.finish()
	x.settleCharge()
	elapsed := x.srv.cfg.now().Sub(x.started)
	x.srv.metrics.observe(x, elapsed)
	x.logLine(elapsed)

	// What went well is in the access log; here it would cost as much as the
	// rest of a small request's way.
	level := slog.LevelDebug
	if x.isFault() {
		level = slog.LevelError
	}
	if !x.srv.log.Enabled(context.Background(), level) {
		return
	}
	attrs := make([]slog.Attr, 0, 14)
	attrs = append(attrs,
		slog.String("request", string(x.id[:])),
		slog.String("operation", operationName(x.op)),
		slog.Int("status", x.status),
		slog.Duration("elapsed", elapsed),
		slog.Int64("sent", x.conn.Sent()),
		slog.Int64("declared", x.declared),
		slog.String("client", x.remote.String()),
	)
	if x.code != "" {
		attrs = append(attrs, slog.String("code", x.code))
	}
	if x.account != nil && x.account.ID != (tenancy.ID{}) {
		attrs = append(attrs, slog.String("account", x.account.Name))
	}
	if x.identity != nil {
		attrs = append(attrs, slog.String("key", x.identity.KeyID))
	}
	if x.bucket != nil {
		attrs = append(attrs, slog.String("bucket", x.bucket.Name))
	}
	if x.cause != nil {
		attrs = append(attrs, slog.String("cause", causeText(x.cause)))
	}
	x.srv.log.LogAttrs(context.Background(), level, "request", attrs...)
}

// operationName is "-" for what was no operation.
func operationName(o *s3op.Operation) string {
	if o == nil {
		return "-"
	}
	return o.Name
}
