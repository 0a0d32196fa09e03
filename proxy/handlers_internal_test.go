package proxy

import (
	"maps"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/primecloudpro/primecloud/proxy/s3op"
)

// Every operation has a handler that fits its row, and no function in a handler
// can be left out, or added, unnoticed.
func TestHandlers_everyOperation(t *testing.T) {
	t.Parallel()
	if err := checkHandlers(s3op.Operations, newHandlers()); err != nil {
		t.Fatal(err)
	}
	serve := func(*exchange) error { return nil }
	document := func(_ *exchange, doc []byte) ([]byte, error) { return doc, nil }
	spoilt := func(name string, spoil func(*handler)) {
		handlers := newHandlers()
		h := handlers[name]
		spoil(&h)
		handlers[name] = h
		if checkHandlers(s3op.Operations, handlers) == nil {
			t.Errorf("%s: %+v passes", name, h)
		}
	}
	for name, h := range newHandlers() {
		if h.serve != nil && s3op.ByName(name).Action == s3op.Local {
			spoilt(name, func(h *handler) { h.serve = nil })
		}
		if h.serve != nil {
			spoilt(name, func(h *handler) { h.query = func(*exchange) {} })
			spoilt(name, func(h *handler) { h.document = document })
			spoilt(name, func(h *handler) { h.response = serve })
			spoilt(name, func(h *handler) { h.headers = func(*fasthttp.ResponseHeader) {} })
		}
		if h.document != nil {
			spoilt(name, func(h *handler) { h.document = nil })
		}
		if h.response != nil {
			spoilt(name, func(h *handler) { h.response = nil })
		}
	}
	spoilt("PostObject", func(h *handler) { h.serve = nil })
	spoilt("DeleteObjects", func(h *handler) { h.serve = nil })
	spoilt("PutObject", func(h *handler) { h.document = document })
	spoilt("PutObject", func(h *handler) { h.response = serve })
	spoilt("NoOperation", func(h *handler) { h.serve = serve })
	missing := newHandlers()
	maps.DeleteFunc(missing, func(name string, _ handler) bool { return name == "ListBuckets" })
	if checkHandlers(s3op.Operations, missing) == nil {
		t.Error("an operation that nothing serves passes")
	}
}
