package peer

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/primecloudpro/primecloud/bench/load"
	"github.com/primecloudpro/primecloud/internal/devstack"
)

// NullCommand is the argument that makes the harness's own binary be the null
// backend.
const NullCommand = "null-backend"

// Null starts the null backend in a process of its own.
func (l *Lab) Null(ctx context.Context) (*Server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &Server{Name: "null backend"}
	s.AccessKey, s.SecretKey = "null", "it looks at no signature"
	if err := freeAddrs(&s.Addr); err != nil {
		return nil, err
	}
	s.Host = s.Addr
	return s, l.start(ctx, s, exec.Command(self, NullCommand, s.Addr))
}

// MinIO starts a MinIO with the bucket.
func (l *Lab) MinIO(ctx context.Context) (*Server, error) {
	m, err := devstack.StartMinIO(ctx, devstack.MinIOConfig{Dir: l.path("minio"), Progress: l.Log})
	if err != nil {
		return nil, err
	}
	l.stop = append(l.stop, m.Stop)
	addr := strings.TrimPrefix(m.Endpoint, "http://")
	s := &Server{Name: "MinIO", Addr: addr, Host: addr, AccessKey: m.AccessKey, SecretKey: m.SecretKey, pid: m.Pid()}
	content, err := load.NewContent(nil)
	if err != nil {
		return nil, err
	}
	return s, Send(s, func(sign *load.Signer) (*load.Request, error) { return sign.Put("/"+Bucket, content, load.SignedHash) })
}

// Send makes one request and sends it.
func Send(s *Server, prepare func(*load.Signer) (*load.Request, error)) error {
	c, err := load.Dial(load.Target{Addr: s.Addr})
	if err != nil {
		return err
	}
	defer c.Close()
	r, err := prepare(s.Signer())
	if err != nil {
		return err
	}
	if _, err := c.DoKeep(r); err != nil {
		return fmt.Errorf("%s: %s: %w", s.Name, r.Method, err)
	}
	return nil
}

// Fill stores count objects of each size under the keys <size>/<n>, as the
// null backend has them.
func Fill(s *Server, size int64, count int) error {
	content, err := load.NewContent(make([]byte, size))
	if err != nil {
		return err
	}
	defer content.Close()
	for i := range count {
		if err := Send(s, func(sign *load.Signer) (*load.Request, error) {
			return sign.Put(ObjectPath(size, i), content, load.Unsigned)
		}); err != nil {
			return err
		}
	}
	return nil
}

// ObjectPath is the raw path of an object.
func ObjectPath(size int64, n int) string { return fmt.Sprintf("/%s/%d/%d", Bucket, size, n) }
