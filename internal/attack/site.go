package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os/exec"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/primecloudpro/primecloud/internal/product"
)

// site is the product with who is there during the attacks.
type site struct {
	*product.Product

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

func start(ctx context.Context, binary string, verbose bool) (*site, error) {
	q, err := product.Start(ctx, product.Config{Binary: binary, Verbose: verbose,
		// The credential of the backends that attacks add.
		Env: []string{"BACKEND_ACCESS_KEY=attacker", "BACKEND_SECRET_KEY=attackersecret"}})
	if err != nil {
		return nil, err
	}
	p := &site{Product: q}
	if err = p.setUp(ctx); err != nil {
		return nil, errors.Join(p.Blame(err), p.Stop())
	}
	return p, nil
}

func (p *site) setUp(ctx context.Context) error {
	backend, err := url.Parse(p.Env["BACKEND_ENDPOINT"])
	if err != nil {
		return err
	}
	p.minio, err = minio.New(backend.Host, &minio.Options{Creds: credentials.NewStaticV4(p.Env["BACKEND_ACCESS_KEY"], p.Env["BACKEND_SECRET_KEY"], "")})
	if err != nil {
		return err
	}
	if p.victim, err = p.newTenant(ctx); err != nil {
		return err
	}
	p.rogue, err = p.newTenant(ctx)
	return err
}

// name is one that nobody has used.
func (p *site) name(prefix string) string {
	p.made++
	return fmt.Sprintf("%s-%d", prefix, p.made)
}

// newTenant makes an account with a key, a bucket and the object in it.
func (p *site) newTenant(ctx context.Context) (*tenant, error) {
	t := &tenant{account: p.name("account")}
	if _, err := p.Command(ctx, "account", "create", t.account); err != nil {
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
func (p *site) newKey(ctx context.Context, t *tenant, flags ...string) (err error) {
	t.id, t.secret, err = p.Key(ctx, t.account, flags...)
	return err
}

// alive asks for what the victim stored: it must still be served, and be whole.
func (p *site) alive(ctx context.Context) error {
	select {
	case <-p.Done():
		return fmt.Errorf("it has ended: %w", p.Err())
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
	*product.Process
	log *product.Journal
	s3  string
}

// node starts one in a shell that first runs the preparation, with further settings.
func (p *site) node(ctx context.Context, preparation string, settings ...string) (*node, error) {
	gateway, err := url.Parse(p.Env["DATABASE_URL"])
	if err != nil {
		return nil, err
	}
	password, _ := gateway.User.Password()
	gateway.User = url.UserPassword("primecloud_gateway", password)
	name := p.name("node")
	addr, admin, err := product.FreeAddrs()
	if err != nil {
		return nil, err
	}
	n := &node{log: &product.Journal{}, s3: addr}
	cmd := exec.Command("sh", "-c", preparation+"; exec \"$0\" serve --roles gateway --s3-hosts localhost --s3-tenant-domain tenants.localhost", p.Binary) //nolint:noctx // it is stopped
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.Dir, n.log, n.log
	cmd.Env = p.Environ(append(settings, "PRIMECLOUD_DATABASE_URL="+gateway.String(), "PRIMECLOUD_KEYRING_FILE="+p.Path("keyring"), "PRIMECLOUD_NODE="+name,
		"PRIMECLOUD_S3_ADDR="+addr, "PRIMECLOUD_ADMIN_ADDR="+admin, "PRIMECLOUD_JOURNAL_DIR="+p.Path(name+"-journal"), "PRIMECLOUD_ACCESS_LOG_DIR="+p.Path(name+"-log"), "PRIMECLOUD_DRAIN_DELAY=0s", "PRIMECLOUD_DRAIN_TIMEOUT=1s")...)
	n.Process, err = product.StartProcess(ctx, cmd, func(ctx context.Context) error {
		b, err := p.get(ctx, "http://"+admin+"/readyz")
		if err == nil && (len(b) == 0 || bytes.Contains(b, []byte("not ready"))) {
			err = fmt.Errorf("/readyz says %q", b)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, n.log)
	}
	return n, nil
}
