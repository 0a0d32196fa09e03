package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/primecloudpro/primecloud/tenancy"
)

// backendRow is a backend without its credential, which is never shown.
type backendRow struct {
	Name      string              `json:"name"`
	Kind      tenancy.BackendKind `json:"kind"`
	Endpoints []string            `json:"endpoints"`
	Region    string              `json:"region"`
	Default   bool                `json:"default"`
}

func (c *cli) printBackends(asJSON bool, list ...*tenancy.Backend) error {
	data := make([]backendRow, 0, len(list))
	rows := make([][]string, 0, len(list))
	for _, b := range list {
		data = append(data, backendRow{b.Name, b.Kind, b.Endpoints, b.Region, b.Default})
		rows = append(rows, []string{b.Name, string(b.Kind), strings.Join(b.Endpoints, ","), b.Region, fmt.Sprint(b.Default)})
	}
	return c.print(asJSON, data, "NAME KIND ENDPOINTS REGION DEFAULT", rows)
}

// backendCredential takes a credential from files, so that it shows in no list
// of processes and no shell history.
type backendCredential struct{ idFile, secretFile *string }

func credentialFlags(f *flags) backendCredential {
	return backendCredential{
		f.String("access-key-file", "", "the file that holds the access key id (or BACKEND_ACCESS_KEY)"),
		f.String("secret-key-file", "", "the file that holds the secret key (or BACKEND_SECRET_KEY)"),
	}
}

func (b backendCredential) read(c *cli) (id, secretKey string, err error) {
	one := func(file *string, env string) string {
		if *file == "" {
			return c.getenv(env)
		}
		text, rerr := os.ReadFile(*file)
		err = errors.Join(err, rerr)
		return strings.TrimSpace(string(text))
	}
	id, secretKey = one(b.idFile, "BACKEND_ACCESS_KEY"), one(b.secretFile, "BACKEND_SECRET_KEY")
	return id, secretKey, err
}

func (c *cli) backendAdd(ctx context.Context, args []string) error {
	f := c.flags("backend add", "NAME")
	endpoints := f.String("endpoints", "", "http(s)://host:port, comma-separated")
	region := f.String("region", "us-east-1", "the region it is configured with")
	kind := f.String("kind", string(tenancy.BackendMinIO), "minio, or s3 for any other S3 server")
	ca := f.String("ca-file", "", "PEM of the CA that signed its certificate; the system's by default")
	isDefault := f.Bool("default", false, "put new buckets here")
	credential := credentialFlags(f)
	rest, err := f.parse(args, 1)
	if err != nil {
		return err
	}
	b := tenancy.Backend{Name: rest[0], Kind: tenancy.BackendKind(*kind), Region: *region, Default: *isDefault}
	b.Endpoints = strings.FieldsFunc(*endpoints, func(r rune) bool { return r == ',' })
	if b.AccessKeyID, b.SecretKey, err = credential.read(c); err != nil {
		return err
	}
	if b.CA, err = readIfNamed(*ca); err != nil {
		return err
	}
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	if len(b.Endpoints) > 0 {
		if err := b.Check(ctx); err != nil {
			return err
		}
	}
	added, err := o.store.AddBackend(ctx, o.pool, b)
	if err != nil {
		return err
	}
	return c.printBackends(f.json, added)
}

// readIfNamed is the text of a file that a flag names, or "".
func readIfNamed(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	b, err := os.ReadFile(file)
	return string(b), err
}

func (c *cli) backendList(ctx context.Context, args []string) error {
	f := c.flags("backend list", "")
	if _, err := f.parse(args, 0); err != nil {
		return err
	}
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	list, err := o.store.ListBackends(ctx, o.pool)
	if err != nil {
		return err
	}
	return c.printBackends(f.json, list...)
}

func (c *cli) backendRotate(ctx context.Context, args []string) error {
	f := c.flags("backend rotate", "NAME")
	endpoints := f.String("endpoints", "", "also replace its endpoints")
	ca := f.String("ca-file", "", "also replace its CA: PEM")
	credential := credentialFlags(f)
	rest, err := f.parse(args, 1)
	if err != nil {
		return err
	}
	id, secretKey, err := credential.read(c)
	if err != nil {
		return err
	}
	pem, err := readIfNamed(*ca)
	if err != nil {
		return err
	}
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	list := strings.FieldsFunc(*endpoints, func(r rune) bool { return r == ',' })
	if err := o.store.ChangeBackend(ctx, o.pool, rest[0], func(b *tenancy.Backend) {
		b.AccessKeyID, b.SecretKey = id, secretKey
		if len(list) > 0 {
			b.Endpoints = list
		}
		if pem != "" {
			b.CA = pem
		}
	}); err != nil {
		return err
	}
	b, err := o.store.BackendByName(ctx, o.pool, rest[0])
	if err != nil {
		return err
	}
	return c.printBackends(f.json, b)
}

func (c *cli) printBuckets(asJSON bool, data any, list ...*tenancy.Bucket) error {
	rows := make([][]string, 0, len(list))
	for _, b := range list {
		rows = append(rows, []string{b.Name, b.BackendName, b.ID.String(), b.CreatedAt.UTC().Format(stamp)})
	}
	return c.print(asJSON, data, "NAME BACKEND_NAME ID CREATED", rows)
}

// withAccount runs f with the operator's tools and the account of that name.
func (c *cli) withAccount(ctx context.Context, name string, f func(*operator, *tenancy.Account) error) error {
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	a, err := o.store.AccountByName(ctx, o.pool, name)
	if err != nil {
		return err
	}
	return f(o, a)
}

func (c *cli) bucketCreate(ctx context.Context, args []string) error {
	f := c.flags("bucket create", "ACCOUNT NAME")
	rest, err := f.parse(args, 2)
	if err != nil {
		return err
	}
	return c.withAccount(ctx, rest[0], func(o *operator, a *tenancy.Account) error {
		b, err := o.store.CreateBucket(ctx, o.pool, a.ID, rest[1])
		if err != nil {
			return err
		}
		return c.printBuckets(f.json, b, b)
	})
}

func (c *cli) bucketList(ctx context.Context, args []string) error {
	f := c.flags("bucket list", "ACCOUNT")
	rest, err := f.parse(args, 1)
	if err != nil {
		return err
	}
	return c.withAccount(ctx, rest[0], func(o *operator, a *tenancy.Account) error {
		list := []*tenancy.Bucket{}
		for after := ""; ; {
			page, err := o.store.ListBuckets(ctx, o.pool, a.ID, nil, "", after, 1000)
			if err != nil {
				return err
			}
			list = append(list, page...)
			if len(page) < 1000 {
				return c.printBuckets(f.json, list, list...)
			}
			after = page[len(page)-1].Name
		}
	})
}

func (c *cli) bucketImport(ctx context.Context, args []string) error {
	f := c.flags("bucket import", "ACCOUNT BACKEND_BUCKET")
	name := f.String("name", "", "what the account calls it; its name in the backend by default")
	backend := f.String("backend", "", "where it is; the default backend")
	rest, err := f.parse(args, 2)
	if err != nil {
		return err
	}
	if *name == "" {
		*name = rest[1]
	}
	return c.withAccount(ctx, rest[0], func(o *operator, a *tenancy.Account) error {
		b, err := o.store.TakeOver(ctx, o.pool, a.ID, *name, *backend, rest[1])
		if err != nil {
			return err
		}
		return c.printBuckets(f.json, b, b)
	})
}
