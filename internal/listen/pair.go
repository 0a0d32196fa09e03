package listen

import (
	"crypto/tls"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Pair is a certificate chain and its private key of two PEM files. They can be
// loaded again: handshakes from then on get the new one, connections that are open
// stay as they are.
type Pair struct {
	now     func() time.Time
	current atomic.Pointer[tls.Certificate]
}

// LoadPair loads one. A certificate whose time is over is loaded: Invalid says so.
// now is time.Now where it is nil; the metric has the time when the certificate expires,
// under the setting that names its file.
func LoadPair(certFile, keyFile string, now func() time.Time, metrics prometheus.Registerer) (*Pair, error) {
	cert, err := loadPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	p := &Pair{now: now}
	if now == nil {
		p.now = time.Now
	}
	p.current.Store(cert)
	if metrics != nil {
		metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "primecloud_tls_certificate_expiry_timestamp_seconds", Help: "When a certificate expires, by the setting that names its file. Alert two weeks before.",
			ConstLabels: prometheus.Labels{"setting": "tls.cert"},
		}, func() float64 { return float64(p.current.Load().Leaf.NotAfter.Unix()) }))
	}
	return p, nil
}

func loadPair(certFile, keyFile string) (*tls.Certificate, error) {
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("tls.cert, tls.key: %q and %q cannot be used (%w); name the files of a certificate chain and of its own private key, in PEM", certFile, keyFile, err)
	}
	return &cert, nil // with Leaf, since Go 1.23
}

// Load replaces the pair by what is in the files, which are others if they are named
// so. One that does not fit together, or is not valid now, is an error, and the one
// before stays in use.
func (p *Pair) Load(certFile, keyFile string) error {
	cert, err := loadPair(certFile, keyFile)
	if err != nil {
		return err
	}
	if err := invalid(cert, p.now()); err != nil {
		return fmt.Errorf("tls.cert %q: %w", certFile, err)
	}
	p.current.Store(cert)
	return nil
}

// Invalid says why clients do not accept the certificate now because of its time;
// nil: it is valid.
func (p *Pair) Invalid() error { return invalid(p.current.Load(), p.now()) }

func invalid(cert *tls.Certificate, now time.Time) error {
	switch leaf := cert.Leaf; {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("the certificate expired at %s: replace it", leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("the certificate is not valid before %s: wait, or set the clock", leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}

// Covers says whether the certificate is good for a host's name.
func (p *Pair) Covers(name string) bool { return p.current.Load().Leaf.VerifyHostname(name) == nil }

// Config is one for ServeTLS.
func (p *Pair) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.current.Load(), nil }}
}
