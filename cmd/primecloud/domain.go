package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/domains"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/settings"
	"github.com/primecloudpro/primecloud/tenancy"
)

type domainCommands struct {
	Add    domainAdd    `cmd:"" help:"Claim a host for an account, and say which DNS records prove it."`
	List   domainList   `cmd:"" help:"List domains."`
	Show   domainShow   `cmd:"" help:"Show what is found in the DNS, what is expected, and what is left to do."`
	Verify domainVerify `cmd:"" help:"Check the DNS now; exit code 1 when the host is not proven."`
	Remove domainRemove `cmd:"" help:"Stop serving a host. It stays reserved for its account for 30 days."`
}

// domainArgs are the domain that a command is about.
type domainArgs struct {
	Host    string `arg:"" help:"The host, such as s3.example.com."`
	Account string `help:"The account's name, where several have claimed the host."`
}

// domains runs f with the database as its owner, what the settings say of domains, and
// the id of the account, zero where none is named.
func (c *cli) domains(ctx context.Context, account string, f func(*pgxpool.Pool, *domains.Service, tenancy.ID) error) error {
	cfg, err := c.settings()
	if err != nil {
		return err
	}
	rules, err := cfg.DomainRules()
	if err != nil {
		return settings.Invalid(err)
	}
	return c.withPool(ctx, func(pool *pgxpool.Pool) error {
		id, err := (&operator{pool: pool}).accountID(ctx, account)
		if err != nil {
			return err
		}
		return f(pool, domains.New(rules), id)
	})
}

type domainAdd struct {
	Account string          `arg:"" help:"The account's name."`
	Host    string          `arg:"" help:"The host, such as s3.example.com."`
	Purpose domains.Purpose `required:"" help:"What it is for: s3, website or portal. This version serves s3 alone."`
	Bucket  string          `help:"The bucket that a website is."`
}

func (d *domainAdd) Run(ctx context.Context, c *cli) error {
	return c.domains(ctx, "", func(pool *pgxpool.Pool, s *domains.Service, _ tenancy.ID) error {
		account, err := tenancy.AccountByName(ctx, pool, d.Account)
		if err != nil {
			return err
		}
		added, err := s.Claim(ctx, pool, account, d.Host, d.Purpose, d.Bucket)
		if err != nil {
			return err
		}
		return c.printAll(added, added.Tables)
	})
}

type domainList struct {
	Account string `help:"Only this one's."`
}

func (d *domainList) Run(ctx context.Context, c *cli) error {
	return c.domains(ctx, d.Account, func(pool *pgxpool.Pool, s *domains.Service, account tenancy.ID) error {
		list, err := s.List(ctx, pool, account)
		if err != nil {
			return err
		}
		t := domains.Overview(list...)
		return c.print(list, t.Header, t.Rows)
	})
}

// print prints the domain that get returns, also beside an error.
func (d *domainArgs) print(ctx context.Context, c *cli, get func(*domains.Service, context.Context, pg.Querier, tenancy.ID, string) (*domains.Domain, error)) (got *domains.Domain, err error) {
	err = c.domains(ctx, d.Account, func(pool *pgxpool.Pool, s *domains.Service, account tenancy.ID) error {
		if got, err = get(s, ctx, pool, account, d.Host); got == nil {
			return err
		}
		return errors.Join(c.printAll(got, got.Tables), err)
	})
	return got, err
}

type domainShow struct{ domainArgs }

func (d *domainShow) Run(ctx context.Context, c *cli) error {
	_, err := d.print(ctx, c, (*domains.Service).Show)
	return err
}

type domainVerify struct{ domainArgs }

func (d *domainVerify) Run(ctx context.Context, c *cli) error {
	checked, err := d.print(ctx, c, (*domains.Service).Verify)
	if err == nil && checked.Ownership.State != domains.Verified {
		err = fmt.Errorf("%s is not proven: %s", checked.Host, checked.Ownership.Reason)
	}
	return err
}

type domainRemove struct {
	domainArgs
	Release bool `help:"Let other accounts have it at once, also after it was removed."`
}

func (d *domainRemove) Run(ctx context.Context, c *cli) error {
	return c.domains(ctx, d.Account, func(pool *pgxpool.Pool, s *domains.Service, account tenancy.ID) error {
		return s.Remove(ctx, pool, account, d.Host, d.Release)
	})
}
