package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// product is a running PrimeCloud with its PostgreSQL and MinIO.
type product struct {
	binary string
	dir    string // of everything it keeps
	env    map[string]string
	dev    *process
	log    *journal

	minio  *minio.Client
	victim *tenant // has bucket and object; nobody else may touch them
	rogue  *tenant // the attacker, where one has an account

	made int // names given out
}

// tenant is an account with a key that may do everything in it.
type tenant struct {
	account, id, secret string
	bucket              string // its own, with the object key in it
}

const (
	object      = "secret/object"
	objectBytes = "what only its owner may read"
)

// process is a child that dies with this one.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

func startProcess(cmd *exec.Cmd) (*process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	q := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		q.err = cmd.Wait()
		close(q.done)
	}()
	return q, nil
}

func (q *process) stop() error {
	_ = q.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-q.done:
		return q.err
	case <-time.After(time.Minute):
		_ = q.cmd.Process.Kill()
		<-q.done
		return errors.New("the product did not end within a minute of SIGTERM")
	}
}

// journal keeps what the product says, to be looked through for secrets.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
	also io.Writer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.also != nil {
		_, _ = j.also.Write(b)
	}
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func startProduct(ctx context.Context, binary string, verbose bool) (*product, error) {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return nil, err
	}
	p := &product{binary: binary, log: &journal{}}
	if verbose {
		p.log.also = os.Stderr
	}
	if p.dir, err = os.MkdirTemp("", "primecloud-attack-"); err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, "dev", "--data", p.path(), "--s3-addr", "127.0.0.1:0", "--tls-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--log-level", "debug") //nolint:noctx // it is stopped
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = p.dir, p.environ(), p.log, p.log
	if p.dev, err = startProcess(cmd); err != nil {
		return nil, errors.Join(err, os.RemoveAll(p.dir))
	}
	if err = p.setUp(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%w; the product said: %s", err, p.log), p.stop())
	}
	return p, nil
}

// path is a file of the product's own folder.
func (p *product) path(elements ...string) string {
	return filepath.Join(append([]string{p.dir, ".primecloud"}, elements...)...)
}

// environ is this process's environment without what would steer the product.
func (p *product) environ(more ...string) []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, "PRIMECLOUD_") && !strings.HasPrefix(name, "BACKEND_") && name != "DATABASE_URL" || name == "PRIMECLOUD_TOOLS" {
			env = append(env, kv)
		}
	}
	return append(env, more...)
}

func (p *product) setUp(ctx context.Context) error {
	err := await(ctx, "dev.env", func() (bool, error) {
		select {
		case <-p.dev.done:
			return false, fmt.Errorf("the product ended: %w", p.dev.err)
		default:
		}
		b, err := os.ReadFile(p.path("dev.env"))
		if err != nil {
			return false, nil //nolint:nilerr // not there yet
		}
		p.env = map[string]string{}
		for line := range strings.Lines(string(b)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			p.env[name] = strings.Trim(value, "'")
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	backend, err := url.Parse(p.env["BACKEND_ENDPOINT"])
	if err != nil {
		return err
	}
	p.minio, err = minio.New(backend.Host, &minio.Options{Creds: credentials.NewStaticV4(p.env["BACKEND_ACCESS_KEY"], p.env["BACKEND_SECRET_KEY"], "")})
	if err != nil {
		return err
	}
	if p.victim, err = p.newTenant(ctx); err != nil {
		return err
	}
	p.rogue, err = p.newTenant(ctx)
	return err
}

func (p *product) stop() error {
	err := p.dev.stop()
	return errors.Join(err, os.RemoveAll(p.dir))
}

// await asks done until it says yes.
func await(ctx context.Context, what string, done func() (bool, error)) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		case <-tick.C:
		}
	}
}

// command runs one of the operator's commands.
func (p *product) command(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, p.binary, args...)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = p.dir, p.environ("BACKEND_ACCESS_KEY=attacker", "BACKEND_SECRET_KEY=attackersecret"), &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("primecloud %s: %w: %s", strings.Join(args, " "), err, errs.String())
	}
	return out.String(), nil
}

// name is one that nobody has used.
func (p *product) name(prefix string) string {
	p.made++
	return fmt.Sprintf("%s-%d", prefix, p.made)
}

// newTenant makes an account with a key, a bucket and the object in it.
func (p *product) newTenant(ctx context.Context) (*tenant, error) {
	t := &tenant{account: p.name("account")}
	if _, err := p.command(ctx, "account", "create", t.account); err != nil {
		return nil, err
	}
	if err := p.newKey(ctx, t); err != nil {
		return nil, err
	}
	t.bucket = p.name("bucket")
	if err := p.want(ctx, t, "PUT", "/"+t.bucket, nil, 200); err != nil {
		return nil, err
	}
	return t, p.want(ctx, t, "PUT", "/"+t.bucket+"/"+object, []byte(objectBytes), 200)
}

// newKey gives t a new key, with what the command's flags say.
func (p *product) newKey(ctx context.Context, t *tenant, flags ...string) error {
	out, err := p.command(ctx, append([]string{"key", "create", t.account, "--json"}, flags...)...)
	if err != nil {
		return err
	}
	var made struct {
		KeyID  string `json:"access_key_id"`
		Secret string `json:"secret_access_key"`
	}
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		return err
	}
	if made.KeyID == "" || made.Secret == "" {
		return fmt.Errorf("key create printed no key: %s", out)
	}
	t.id, t.secret = made.KeyID, made.Secret
	return nil
}

// alive asks for what the victim stored: it must still be served, and be whole.
func (p *product) alive(ctx context.Context) error {
	select {
	case <-p.dev.done:
		return fmt.Errorf("it has ended: %w", p.dev.err)
	default:
	}
	a, err := p.do(ctx, p.victim, "GET", "/"+p.victim.bucket+"/"+object, nil)
	if err != nil {
		return err
	}
	if a.status != 200 || string(a.body) != objectBytes {
		return fmt.Errorf("the victim's object is answered with %d %q", a.status, a.body)
	}
	return nil
}

// node is a second gateway on the same database and backend.
type node struct {
	*process
	log *journal
	s3  string
}

// node starts one in a shell that first runs the preparation, with further settings.
func (p *product) node(ctx context.Context, preparation string, settings ...string) (*node, error) {
	gateway, err := url.Parse(p.env["DATABASE_URL"])
	if err != nil {
		return nil, err
	}
	password, _ := gateway.User.Password()
	gateway.User = url.UserPassword("primecloud_gateway", password)
	name := p.name("node")
	addr, admin, err := freeAddrs()
	if err != nil {
		return nil, err
	}
	n := &node{log: &journal{}, s3: addr}
	cmd := exec.Command("sh", "-c", preparation+"; exec \"$0\" serve --roles gateway --hosts localhost --tenant-domain tenants.localhost", p.binary) //nolint:noctx // it is stopped
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, n.log, n.log
	cmd.Env = p.environ(append(settings, "PRIMECLOUD_DATABASE_URL="+gateway.String(), "PRIMECLOUD_KEYRING_FILE="+p.path("keyring"), "PRIMECLOUD_NODE="+name,
		"PRIMECLOUD_S3_ADDR="+addr, "PRIMECLOUD_ADMIN_ADDR="+admin, "PRIMECLOUD_JOURNAL_DIR="+p.path(name+"-journal"), "PRIMECLOUD_ACCESS_LOG_DIR="+p.path(name+"-log"), "PRIMECLOUD_DRAIN_TIMEOUT=1s")...)
	if n.process, err = startProcess(cmd); err != nil {
		return nil, err
	}
	return n, await(ctx, "a second node", func() (bool, error) {
		select {
		case <-n.done:
			return false, fmt.Errorf("it has ended: %w: %s", n.err, n.log)
		default:
		}
		b, err := p.get(ctx, "http://"+admin+"/readyz")
		return err == nil && len(b) > 0 && !bytes.Contains(b, []byte("not ready")), nil
	})
}

func freeAddrs() (a, b string, err error) {
	for _, addr := range []*string{&a, &b} {
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // at once
		if err != nil {
			return "", "", err
		}
		defer l.Close()
		*addr = l.Addr().String()
	}
	return a, b, nil
}
