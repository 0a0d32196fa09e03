package testenv

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/internal/devstack"
)

type minioServer struct {
	once   sync.Once
	server *devstack.MinIO
	err    error
}

var minioPlain, minioTLS minioServer

// MinIO returns the process's MinIO. Tests share it: make bucket names of your own.
func MinIO(t testing.TB) *devstack.MinIO { return minioPlain.get(t, "minio", false) }

// MinIOTLS returns the process's MinIO behind TLS.
func MinIOTLS(t testing.TB) *devstack.MinIO { return minioTLS.get(t, "minio-tls", true) }

func (m *minioServer) get(t testing.TB, name string, tls bool) *devstack.MinIO {
	t.Helper()
	m.once.Do(func() {
		dir, err := folder(name)
		if err != nil {
			m.err = err
			return
		}
		if m.err = os.RemoveAll(dir); m.err == nil {
			m.server, m.err = startMinIO(dir, tls)
		}
	})
	if m.err != nil {
		Unavailable(t, "MinIO", m.err)
	}
	return m.server
}

// OwnMinIO returns a MinIO of the test's own, to be killed and restarted at will.
func OwnMinIO(t testing.TB, dir string) *devstack.MinIO {
	t.Helper()
	m, err := startMinIO(dir, false)
	if err != nil {
		Unavailable(t, "MinIO", err)
	}
	t.Cleanup(func() { _ = m.Stop() })
	return m
}

func startMinIO(dir string, tls bool) (*devstack.MinIO, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	return devstack.StartMinIO(ctx, devstack.MinIOConfig{Dir: dir, TLS: tls, Progress: os.Stderr})
}
