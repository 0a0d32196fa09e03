package upstream_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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

// authority is a CA that makes certificates.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	a.cert = &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour)}
	der, key := a.sign(t, a.cert, a.cert, nil)
	a.key, a.pem = key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return a
}

func (a *authority) sign(t *testing.T, cert, parent *x509.Certificate, by *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if by == nil {
		by = key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	return der, key
}

// TestDo_certificates: a request is told to a backend only when its certificate is
// of the CA that the operator named, of now and of its address.
func TestDo_certificates(t *testing.T) {
	t.Parallel()
	ours, other := newAuthority(t), newAuthority(t)
	hour, here := time.Hour, []net.IP{net.IPv4(127, 0, 0, 1)}
	for name, c := range map[string]struct {
		by       *authority
		from, to time.Duration
		at       []net.IP
		versions uint16
		good     bool
	}{
		"good":            {ours, -hour, hour, here, tls.VersionTLS13, true},
		"TLS 1.2":         {ours, -hour, hour, here, tls.VersionTLS12, true},
		"TLS 1.1":         {ours, -hour, hour, here, tls.VersionTLS11, false},
		"another CA":      {other, -hour, hour, here, tls.VersionTLS13, false},
		"over":            {ours, -2 * hour, -hour, here, tls.VersionTLS13, false},
		"of the future":   {ours, hour, 2 * hour, here, tls.VersionTLS13, false},
		"another address": {ours, -hour, hour, []net.IP{net.IPv4(127, 0, 0, 2)}, tls.VersionTLS13, false},
		"no TLS":          {ours, -hour, hour, here, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			der, key := c.by.sign(t, &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(c.from), NotAfter: time.Now().Add(c.to), IPAddresses: c.at}, c.by.cert, c.by.key)
			cfg := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS10, MaxVersion: c.versions}
			var told atomic.Int64
			s := serveOver(t, "https", func(raw net.Conn) net.Conn {
				if c.versions == 0 {
					return raw
				}
				return tls.Server(raw, cfg)
			}, func(p *peer, _ int) {
				if _, _, err := p.request(); err == nil {
					told.Add(1)
					p.say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
				}
			})
			var resp upstream.Response
			err := pool(t, upstream.Config{Endpoints: []string{s.url}, CA: ours.pem}).Do(t.Context(), get(), &resp)
			if err == nil {
				resp.Close()
			}
			if (err == nil) != c.good || (told.Load() > 0) != c.good {
				t.Errorf("%v, %d requests told", err, told.Load())
			}
		})
	}
}
