package s3err_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/sigv4"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Every error that tenancy can return has a row of its own in the one table
// from errors to S3 codes, and none is our fault in the client's eyes.
func TestErrors_tenancy(t *testing.T) {
	t.Parallel()
	files := token.NewFileSet()
	exported := map[string]bool{}
	for _, name := range []string{"errors.go"} {
		f, err := parser.ParseFile(files, "../../tenancy/"+name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for name, o := range f.Scope.Objects { // names are all that is asked for
			if o.Kind == ast.Var && ast.IsExported(name) {
				exported[name] = true
			}
		}
	}
	table, err := parser.ParseFile(files, "errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	ast.Inspect(table, func(n ast.Node) bool {
		row, ok := n.(*ast.CompositeLit)
		if !ok || len(row.Elts) != 2 {
			return true
		}
		of, ok := row.Elts[0].(*ast.SelectorExpr)
		code, lit := row.Elts[1].(*ast.BasicLit)
		if ok && lit && fmt.Sprint(of.X) == "tenancy" {
			rows[of.Sel.Name] = strings.Trim(code.Value, `"`)
		}
		return true
	})
	if len(exported) < 17 {
		t.Errorf("only %d errors found", len(exported))
	}
	for name := range exported {
		if code := rows[name]; code == "" || (&s3err.Error{Code: code}).Status() == 500 {
			t.Errorf("tenancy.%s: row %q", name, code)
		}
	}
}

// "Not known now" comes with the reason.
func TestErrors_crowded(t *testing.T) {
	t.Parallel()
	if e, _ := s3err.Of(fmt.Errorf("%w: %w", tenancy.ErrUnavailable, tenancy.ErrCrowded)); e.Code != "SlowDown" {
		t.Error(e)
	}
	if e, _ := s3err.Of(fmt.Errorf("%w: %w", tenancy.ErrUnavailable, tenancy.ErrAccountUnknown)); e.Code != "ServiceUnavailable" {
		t.Error(e)
	}
}

// Every error is one of S3's, with the sentence and the details that it came with.
func TestOf(t *testing.T) {
	t.Parallel()
	own := s3err.InvalidArgument("no", "x", []byte("v"))
	unknown := errors.New("nobody knows it")
	wrong := &sigv4.Error{Code: "AuthorizationHeaderMalformed", Message: "wrong region", Region: "us-east-1", Argument: "a"}
	for _, c := range []struct {
		err  error
		want s3err.Error
	}{
		{fmt.Errorf("before: %w", own), *own},
		{wrong, s3err.Error{Code: wrong.Code, Message: "wrong region", Region: "us-east-1", Details: s3err.Details{Argument: "a"}}},
		{&limits.RefusalError{Reason: limits.Exhausted, Message: "m"}, s3err.Error{Code: "QuotaExceeded", Message: "m"}},
		{&limits.RefusalError{Reason: limits.Unknown, RetryAfter: 7 * time.Second}, s3err.Error{Code: "ServiceUnavailable", Retry: 7}},
		{&limits.RefusalError{Reason: limits.TooFast}, s3err.Error{Code: "SlowDown"}},
		{fmt.Errorf("bucket: %w", tenancy.ErrBucketUnknown), s3err.Error{Code: "NoSuchBucket"}},
		{unknown, s3err.Error{Code: "InternalError"}},
	} {
		got, known := s3err.Of(c.err)
		if known == errors.Is(c.err, unknown) {
			t.Errorf("%v is known: %v", c.err, known)
		}
		if got.Code != c.want.Code || got.Message != c.want.Message || got.Region != c.want.Region || got.Retry != c.want.Retry || got.Details != c.want.Details {
			t.Errorf("%v: %+v, want %+v", c.err, got, c.want)
		}
		if !errors.Is(got, unknown) && errors.Is(c.err, unknown) {
			t.Errorf("the cause of %v is lost", got)
		}
	}
}

// What was made with another sentence keeps its status; a code that is in no table is
// a fault of ours.
func TestError(t *testing.T) {
	t.Parallel()
	base := s3err.New("NoSuchKey", "")
	with := base.WithArgument("versionId", nil)
	if with.Argument != "versionId" || !with.HasValue || base.Argument != "" {
		t.Errorf("with an argument: %+v of %+v", with, base)
	}
	if base.Status() != 404 || base.Text() != "The specified key does not exist." {
		t.Errorf("%d %q", base.Status(), base.Text())
	}
	if s := s3err.New("NoSuchKey", "Gone.").Text(); s != "Gone." {
		t.Errorf("its own sentence is %q", s)
	}
	if status := s3err.New("NoSuchCode", "").Status(); status != 500 {
		t.Errorf("an unknown code has the status %d", status)
	}
}

// A backend's code is ours, or unknown.
func TestOfBackend(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]string{
		"NoSuchKey": "NoSuchKey", "Busy": "SlowDown", "InvalidBucketName": "NoSuchBucket", "XMinioStorageFull": "ServiceUnavailable",
		"XMinioSomethingNew": "", "SomethingNew": "",
	} {
		code, _, known := s3err.OfBackend(from)
		if known != (want != "") || known && code != want {
			t.Errorf("%s: %s, known %v; want %q", from, code, known, want)
		}
	}
}
