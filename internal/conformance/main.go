package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/primecloudpro/primecloud/internal/devstack"
	"github.com/primecloudpro/primecloud/internal/product"
)

var schemes = []string{"http", "https"}

func main() {
	binary := flag.String("binary", "bin/primecloud", "the product")
	write := flag.String("write", "", "the document that gets the tables, between its markers")
	verbose := flag.Bool("v", false, "show what the product says")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *binary, *write, *verbose); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

func run(ctx context.Context, binary, write string, verbose bool) error {
	fmt.Fprintln(os.Stderr, "minio-go's functional tests against the product")
	suite, suiteErr := runSuite(ctx, binary, verbose)
	fmt.Fprintln(os.Stderr, "stock clients, and the comparison with MinIO")
	tests, err := runProxyTests(ctx)
	if err = errors.Join(suiteErr, err); err != nil {
		return err
	}
	page := tables(tests, suite)
	fmt.Print(page)
	if write == "" {
		return nil
	}
	return product.WrittenBy("make conformance").Replace(write, page)
}

// suite is what came of the functional tests.
type suite struct {
	version string
	results map[string][]result // by scheme
}

// runSuite starts the product on a MinIO with TLS, which keys of customers need,
// and runs the functional tests through it.
func runSuite(ctx context.Context, binary string, verbose bool) (s *suite, err error) {
	dir, err := os.MkdirTemp("", "primecloud-conformance-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	m, err := devstack.StartMinIO(ctx, devstack.MinIOConfig{Dir: filepath.Join(dir, "minio"), TLS: true, Progress: os.Stderr})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.Stop()) }()
	p, err := product.Start(ctx, product.Config{Binary: binary, Verbose: verbose, Env: []string{
		"BACKEND_ENDPOINT=" + m.Endpoint, "BACKEND_ACCESS_KEY=" + m.AccessKey, "BACKEND_SECRET_KEY=" + m.SecretKey, "SSL_CERT_FILE=" + m.CAFile,
	}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	f, err := buildFunctional(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.remove()) }()
	s = &suite{version: f.version, results: map[string][]result{}}
	if err := s.run(ctx, f, p); err != nil {
		return nil, err
	}
	return s, s.compare(ctx, f, endpoint{strings.TrimPrefix(m.Endpoint, "https://"), m.CAFile, m.AccessKey, m.SecretKey})
}

func (s *suite) run(ctx context.Context, f *functional, p *product.Product) error {
	// The tests delete what they have locked: they need every right.
	id, secret, err := p.Key(ctx, p.Env["TENANT_A_ACCOUNT"], "--permissions", "read,write,delete,list,manage,bypass-governance")
	if err != nil {
		return err
	}
	var errs []error
	for _, scheme := range schemes {
		e := endpoint{host: strings.TrimPrefix(p.Env["S3_ENDPOINT"], "http://"), id: id, secret: secret}
		if scheme == "https" {
			e.host, e.ca = strings.TrimPrefix(p.Env["S3_TLS_ENDPOINT"], "https://"), p.Env["S3_CA_FILE"]
		}
		names, err := f.names(ctx, e)
		if err != nil {
			return err
		}
		s.results[scheme] = f.all(ctx, e, names)
		for _, r := range s.results[scheme] {
			if _, err := judge(r); err != nil {
				errs = append(errs, fmt.Errorf("minio-go's functional tests over %s: %w", scheme, err))
			}
		}
	}
	return errors.Join(append(errs, s.stale())...)
}

// compare runs what differs against MinIO itself: whose difference it is.
func (s *suite) compare(ctx context.Context, f *functional, minio endpoint) error {
	var names []string
	for _, d := range differences {
		names = append(names, d.test)
	}
	var errs []error
	for i, r := range f.all(ctx, minio, names) {
		errs = append(errs, judgeMinIO(&differences[i], r))
	}
	return errors.Join(errs...)
}

// stale names differences of tests that there are no longer.
func (s *suite) stale() error {
	var errs []error
	for _, d := range differences {
		seen := false
		for _, results := range s.results {
			for _, r := range results {
				seen = seen || r.test == d.test
			}
		}
		if !seen {
			errs = append(errs, fmt.Errorf("there is no test %s, which is listed as different", d.test))
		}
	}
	return errors.Join(errs...)
}
