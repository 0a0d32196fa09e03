package product

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/primecloudpro/primecloud/internal/devstack"
)

// Config says how to start the product.
type Config struct {
	Binary  string
	Env     []string // beyond this process's, of which nothing steers the product
	Verbose bool     // show what it says
}

// Product is a running PrimeCloud with its PostgreSQL, and MinIO unless Config.Env
// names a backend.
type Product struct {
	*Process
	Binary string
	Dir    string            // of everything it keeps
	Env    map[string]string // its dev.env: addresses, keys, files
	Log    *Journal          // what it says, at debug level

	more []string
}

// Start returns when it serves.
func Start(ctx context.Context, cfg Config) (*Product, error) {
	binary, err := filepath.Abs(cfg.Binary)
	if err != nil {
		return nil, err
	}
	p := &Product{Binary: binary, Log: &Journal{}, more: cfg.Env}
	if cfg.Verbose {
		p.Log.Also = os.Stderr
	}
	if p.Dir, err = os.MkdirTemp("", "primecloud-product-"); err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, "dev", "--data", p.Path(), "--s3-addr", "127.0.0.1:0", "--tls-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--log-level", "debug") //nolint:noctx // it is stopped
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = p.Dir, p.Environ(), p.Log, p.Log
	if p.Process, err = StartProcess(ctx, cmd, p.ready); err != nil {
		return nil, errors.Join(p.Blame(err), os.RemoveAll(p.Dir))
	}
	return p, nil
}

// Blame adds what the product said to an error.
func (p *Product) Blame(err error) error { return fmt.Errorf("%w; the product said: %s", err, p.Log) }

// Path is a file of the product's own folder.
func (p *Product) Path(elements ...string) string {
	return filepath.Join(append([]string{p.Dir, ".primecloud"}, elements...)...)
}

// Environ is this process's environment without what would steer the product.
func (p *Product) Environ(more ...string) []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, "PRIMECLOUD_") && !strings.HasPrefix(name, "BACKEND_") && name != "DATABASE_URL" || name == "PRIMECLOUD_TOOLS" {
			env = append(env, kv)
		}
	}
	return append(append(env, p.more...), more...)
}

// ready reads dev.env, which the product writes last.
func (p *Product) ready(context.Context) error {
	b, err := os.ReadFile(p.Path("dev.env"))
	if err != nil {
		return err
	}
	p.Env = map[string]string{}
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		p.Env[name] = strings.Trim(value, "'")
	}
	return nil
}

// Stop ends it and removes what it kept.
func (p *Product) Stop() error {
	err := p.Process.Stop()
	return errors.Join(err, os.RemoveAll(p.Dir))
}

// Command runs one of the operator's commands.
func (p *Product) Command(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, p.Binary, args...)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = p.Dir, p.Environ(), &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("primecloud %s: %w: %s", strings.Join(args, " "), err, errs.String())
	}
	return out.String(), nil
}

// Key makes an access key of an account, with what the command's flags say.
func (p *Product) Key(ctx context.Context, account string, flags ...string) (id, secret string, err error) {
	out, err := p.Command(ctx, append([]string{"key", "create", account, "--json"}, flags...)...)
	if err != nil {
		return "", "", err
	}
	var made struct {
		KeyID  string `json:"access_key_id"`
		Secret string `json:"secret_access_key"`
	}
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		return "", "", err
	}
	if made.KeyID == "" || made.Secret == "" {
		return "", "", fmt.Errorf("key create printed no key: %s", out)
	}
	return made.KeyID, made.Secret, nil
}

// FreeAddrs are two addresses of loopback that nobody listens on.
func FreeAddrs() (a, b string, err error) {
	for _, addr := range []*string{&a, &b} {
		port, err := devstack.FreePort()
		if err != nil {
			return "", "", err
		}
		*addr = fmt.Sprintf("127.0.0.1:%d", port)
	}
	return a, b, nil
}

// Await asks done until it says yes.
func Await(ctx context.Context, what string, done func() (bool, error)) error {
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
