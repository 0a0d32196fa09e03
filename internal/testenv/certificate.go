package testenv

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Certificate is one that signs itself, with the files that it is in.
type Certificate struct {
	*x509.Certificate
	CertFile, KeyFile string
}

// WriteCertificate makes a certificate of loopback and localhost with a key of its own, valid
// between two times from now, and writes it to tls.crt and tls.key in dir: each is
// replaced as a whole.
func WriteCertificate(t testing.TB, dir string, from, until time.Duration) Certificate {
	t.Helper()
	key := Must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: Must(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)))(t), NotBefore: now.Add(from), NotAfter: now.Add(until),
		DNSNames: []string{"localhost", "*.example.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der := Must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))(t)
	c := Certificate{Must(x509.ParseCertificate(der))(t), filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")}
	for file, block := range map[string]*pem.Block{
		c.CertFile: {Type: "CERTIFICATE", Bytes: der},
		c.KeyFile:  {Type: "EC PRIVATE KEY", Bytes: Must(x509.MarshalECPrivateKey(key))(t)},
	} {
		if err := errors.Join(os.WriteFile(file+".new", pem.EncodeToMemory(block), 0o600), os.Rename(file+".new", file)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}
