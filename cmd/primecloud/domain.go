package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/domains"
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

func (c *cli) printDomain(d *domains.Domain) error {
	if c.json {
		return c.print(d, "", nil)
	}
	errs := []error{c.printDomains(d)}
	fmt.Fprintln(c.out)
	errs = append(errs, c.table("WHAT STATE REASON", [][]string{
		{"ownership", string(d.Ownership.State), d.Ownership.Reason}, {"dns", string(d.DNS.State), d.DNS.Reason}, {"certificate", string(d.Certificate.State), d.Certificate.Reason},
	}))
	var rows [][]string
	for _, r := range d.Records {
		rows = append(rows, []string{"expected", r.Type, r.Name, r.Value})
	}
	for _, r := range append(d.Ownership.Found, d.DNS.Found...) {
		rows = append(rows, []string{"found", r.Type, r.Name, fmt.Sprintf("%q", r.Value)})
	}
	fmt.Fprintln(c.out)
	return errors.Join(append(errs, c.table("RECORD TYPE NAME VALUE", rows))...)
}

func (c *cli) printDomains(list ...*domains.Domain) error {
	rows := make([][]string, 0, len(list))
	for _, d := range list {
		rows = append(rows, []string{d.Host, d.Account, string(d.Purpose), string(d.State), string(d.Ownership.State), string(d.DNS.State), string(d.Certificate.State)})
	}
	return c.print(list, "HOST ACCOUNT PURPOSE STATE OWNERSHIP DNS CERTIFICATE", rows)
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
		return c.printDomain(added)
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
		return c.printDomains(list...)
	})
}

type domainShow struct{ domainArgs }

func (d *domainShow) Run(ctx context.Context, c *cli) error {
	return c.domains(ctx, d.Account, func(pool *pgxpool.Pool, s *domains.Service, account tenancy.ID) error {
		shown, err := s.Show(ctx, pool, account, d.Host)
		if err != nil {
			return err
		}
		return c.printDomain(shown)
	})
}

type domainVerify struct{ domainArgs }

func (d *domainVerify) Run(ctx context.Context, c *cli) error {
	return c.domains(ctx, d.Account, func(pool *pgxpool.Pool, s *domains.Service, account tenancy.ID) error {
		checked, err := s.Verify(ctx, pool, account, d.Host)
		if checked == nil {
			return err
		}
		if err == nil && checked.Ownership.State != domains.Verified {
			err = fmt.Errorf("%s is not proven: %s", checked.Host, checked.Ownership.Reason)
		}
		return errors.Join(c.printDomain(checked), err)
	})
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
