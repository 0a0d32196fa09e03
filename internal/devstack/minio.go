package devstack

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// MinIOConfig says how to run MinIO.
type MinIOConfig struct {
	Dir      string // its data, credentials and certificates
	TLS      bool   // with a certificate of its own CA
	Port     int    // 0: a free one
	Drives   int    // 0: one; with 4, objects are erasure coded over folders
	Log      io.Writer
	Progress io.Writer
}

// MinIO is a running MinIO on loopback, with SSE-S3 switched on.
type MinIO struct {
	Endpoint  string // http(s)://127.0.0.1:port
	Port      int
	AccessKey string
	SecretKey string
	CAFile    string // with TLS

	child *child
	http  *http.Client
}

// Stop shuts it down.
func (m *MinIO) Stop() error { return m.child.stop(syscall.SIGTERM, 20*time.Second) }

// Kill ends it as a crash would.
func (m *MinIO) Kill() { m.child.kill() }

// Pid is its process id, for measurements.
func (m *MinIO) Pid() int { return m.child.cmd.Process.Pid }

// Done is closed when it has ended.
func (m *MinIO) Done() <-chan struct{} { return m.child.done }

// minioSecrets are made once and kept with the data, which is encrypted for them.
type minioSecrets struct{ AccessKey, SecretKey, KMS string }

// StartMinIO runs MinIO on the data in Dir, building it first when it is not
// in the tools folder, and waits until it can write.
func StartMinIO(ctx context.Context, cfg MinIOConfig) (*MinIO, error) {
	bin, err := minioBin(ctx, cfg.Progress)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	secrets, err := loadMinIOSecrets(filepath.Join(cfg.Dir, "credentials.json"))
	if err != nil {
		return nil, err
	}
	certs := filepath.Join(cfg.Dir, "certs")
	if err := os.MkdirAll(filepath.Join(certs, "CAs"), 0o700); err != nil {
		return nil, err
	}
	m := &MinIO{AccessKey: secrets.AccessKey, SecretKey: secrets.SecretKey, http: &http.Client{Timeout: 5 * time.Second}}
	scheme := "http"
	if cfg.TLS {
		scheme = "https"
		ca, err := EnsureCertificate(certs, "public.crt", "private.key", "127.0.0.1", "localhost")
		if err != nil {
			return nil, err
		}
		m.CAFile = ca
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		m.http.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	}
	for try := 0; ; try++ {
		m.Port = cfg.Port
		if m.Port == 0 {
			if m.Port, err = FreePort(); err != nil {
				return nil, err
			}
		}
		m.Endpoint = fmt.Sprintf("%s://127.0.0.1:%d", scheme, m.Port)
		err = m.run(ctx, bin, &cfg, secrets)
		if err == nil || cfg.Port != 0 || try == 4 || !strings.Contains(err.Error(), "in use") {
			return m, err
		}
	}
}

func (m *MinIO) run(ctx context.Context, bin string, cfg *MinIOConfig, s *minioSecrets) error {
	data := filepath.Join(cfg.Dir, "data")
	if cfg.Drives > 1 {
		data = fmt.Sprintf("%s{1...%d}", data, cfg.Drives)
	}
	cmd := exec.Command(bin, "server", "--quiet", "--anonymous",
		"--address", "127.0.0.1:"+strconv.Itoa(m.Port), "--certs-dir", filepath.Join(cfg.Dir, "certs"), data)
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "MINIO_") && !strings.HasPrefix(kv, "AWS_") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, "MINIO_ROOT_USER="+s.AccessKey, "MINIO_ROOT_PASSWORD="+s.SecretKey, "MINIO_KMS_SECRET_KEY="+s.KMS,
		"MINIO_BROWSER=off", "MINIO_UPDATE=off", "MINIO_CALLHOME_ENABLE=off", "MINIO_CI_CD=on")
	c, err := start("minio", cmd, syscall.SIGKILL, cfg.Log)
	if err != nil {
		return err
	}
	m.child = c
	return c.wait(ctx, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.Endpoint+"/minio/health/cluster", nil)
		if err != nil {
			return err
		}
		resp, err := m.http.Do(req)
		if err != nil && strings.Contains(c.tail.String(), "http.(*Server).Init") {
			// It does not end then, and --anonymous keeps its reason out of its log.
			return fmt.Errorf("%w: port %d is in use", errHopeless, m.Port)
		}
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("health: %s", resp.Status)
		}
		return nil
	})
}

func loadMinIOSecrets(file string) (*minioSecrets, error) {
	s := &minioSecrets{}
	b, err := os.ReadFile(file)
	if err == nil {
		return s, json.Unmarshal(b, s)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var kms [32]byte
	_, _ = rand.Read(kms[:]) // never fails: crypto/rand ends the process instead
	s.AccessKey, s.SecretKey = "dev"+rand.Text()[:13], rand.Text()
	s.KMS = "primecloud:" + base64.StdEncoding.EncodeToString(kms[:])
	if b, err = json.Marshal(s); err != nil {
		return nil, err
	}
	return s, os.WriteFile(file, b, 0o600)
}
