package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/tenancy"
)

type backendCommands struct {
	Add    backendAdd    `cmd:"" help:"Add an S3 server that buckets live on."`
	List   backendList   `cmd:"" help:"List backends."`
	Rotate backendRotate `cmd:"" help:"Replace a backend's credential."`
	Remove backendRemove `cmd:"" help:"Forget a backend that no bucket lives on."`
}

// backendRow is a backend without its credential, which is never shown.
type backendRow struct {
	Name      string              `json:"name"`
	Kind      tenancy.BackendKind `json:"kind"`
	Endpoints []string            `json:"endpoints"`
	Region    string              `json:"region"`
	Default   bool                `json:"default"`
}

func (c *cli) printBackends(list ...*tenancy.Backend) error {
	data := make([]backendRow, 0, len(list))
	rows := make([][]string, 0, len(list))
	for _, b := range list {
		data = append(data, backendRow{b.Name, b.Kind, b.Endpoints, b.Region, b.Default})
		rows = append(rows, []string{b.Name, string(b.Kind), strings.Join(b.Endpoints, ","), b.Region, fmt.Sprint(b.Default)})
	}
	return c.print(data, "NAME KIND ENDPOINTS REGION DEFAULT", rows)
}

// credentialFlags take a credential from files, so that it shows in no list of
// processes and no shell history.
type credentialFlags struct {
	AccessKeyFile string `help:"The file that holds the access key id (or the variable BACKEND_ACCESS_KEY)."`
	SecretKeyFile string `help:"The file that holds the secret key (or the variable BACKEND_SECRET_KEY)."`
}

func (f *credentialFlags) read(c *cli) (id, secretKey string, err error) {
	one := func(flag, file, variable string) string {
		if file == "" {
			return c.getenv(variable)
		}
		text, rerr := readFile(flag, file)
		err = errors.Join(err, rerr)
		return strings.TrimSpace(text)
	}
	id, secretKey = one("access-key-file", f.AccessKeyFile, "BACKEND_ACCESS_KEY"), one("secret-key-file", f.SecretKeyFile, "BACKEND_SECRET_KEY")
	return id, secretKey, err
}

type backendAdd struct {
	Name      string   `arg:"" help:"The backend's name."`
	Endpoints []string `placeholder:"URL" help:"http(s)://host:port of its servers."`
	Region    string   `default:"us-east-1" help:"The region it is configured with."`
	Kind      string   `default:"minio" help:"minio, or s3 for any other S3 server."`
	CAFile    string   `name:"ca-file" help:"PEM of the CA that signed its certificate; the system's by default."`
	Default   bool     `help:"Put new buckets here."`
	credentialFlags
}

func (b *backendAdd) Run(ctx context.Context, c *cli) error {
	backend := tenancy.Backend{Name: b.Name, Kind: tenancy.BackendKind(b.Kind), Endpoints: b.Endpoints, Region: b.Region, Default: b.Default}
	var err error
	if backend.AccessKeyID, backend.SecretKey, err = b.read(c); err != nil {
		return err
	}
	if backend.CA, err = readFile("ca-file", b.CAFile); err != nil {
		return err
	}
	return c.operate(ctx, func(o *operator) error {
		if len(backend.Endpoints) > 0 {
			if err := backend.Check(ctx); err != nil {
				return err
			}
		}
		added, err := o.store.AddBackend(ctx, o.pool, backend)
		if err != nil {
			return err
		}
		return c.printBackends(added)
	})
}

// readFile is the text of a file that a flag names, or "".
func readFile(flag, file string) (string, error) {
	if file == "" {
		return "", nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		err = fmt.Errorf("--%s: the file cannot be read (%w); name another one", flag, err)
	}
	return string(b), err
}

type backendList struct{}

func (*backendList) Run(ctx context.Context, c *cli) error {
	return c.operate(ctx, func(o *operator) error {
		list, err := tenancy.ListBackends(ctx, o.pool)
		if err != nil {
			return err
		}
		return c.printBackends(list...)
	})
}

type backendRotate struct {
	Name      string   `arg:"" help:"The backend's name."`
	Endpoints []string `placeholder:"URL" help:"Also replace its endpoints."`
	CAFile    string   `name:"ca-file" help:"Also replace its CA: PEM."`
	credentialFlags
}

func (b *backendRotate) Run(ctx context.Context, c *cli) error {
	id, secretKey, err := b.read(c)
	if err != nil {
		return err
	}
	pem, err := readFile("ca-file", b.CAFile)
	if err != nil {
		return err
	}
	return c.operate(ctx, func(o *operator) error {
		if err := o.store.ChangeBackend(ctx, o.pool, b.Name, func(to *tenancy.Backend) {
			to.AccessKeyID, to.SecretKey = id, secretKey
			if len(b.Endpoints) > 0 {
				to.Endpoints = b.Endpoints
			}
			if pem != "" {
				to.CA = pem
			}
		}); err != nil {
			return err
		}
		changed, err := o.store.BackendByName(ctx, o.pool, b.Name)
		if err != nil {
			return err
		}
		return c.printBackends(changed)
	})
}

type backendRemove struct {
	Name string `arg:"" help:"The backend's name."`
}

// Run needs no keyring: a backend whose credential no keyring opens can go, too.
func (b *backendRemove) Run(ctx context.Context, c *cli) error {
	return c.withPool(ctx, func(pool *pgxpool.Pool) error {
		removed, err := tenancy.RemoveBackend(ctx, pool, b.Name)
		if err != nil {
			return err
		}
		return c.printBackends(removed)
	})
}
