package upstream_test

import (
	"crypto/tls"
	"encoding/pem"
	"net"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/primecloudpro/primecloud/proxy/upstream"
)

// identity is the certificate of every TLS backend here.
var identity = sync.OnceValues(func() (cert tls.Certificate, ca string) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	return s.TLS.Certificates[0], string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
})

func serveTLS(t testing.TB, f script) *server {
	t.Helper()
	cert, _ := identity()
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	return serveOver(t, "https", func(c net.Conn) net.Conn { return tls.Server(c, cfg) }, f)
}

// config is of a pool with this one endpoint.
func (s *server) config() upstream.Config {
	_, ca := identity()
	return upstream.Config{Endpoints: []string{s.url}, CA: ca}
}
