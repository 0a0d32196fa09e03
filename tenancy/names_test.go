package tenancy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/tenancy"
)

// docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
func TestCheckBucketName_D9(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"abc", "a-b", "a.b", "my.bucket-1", "000", strings.Repeat("a", 63), "1.2.3", "192.168.5", "a--b", "minio", "xn-a",
	} {
		if err := tenancy.CheckBucketName(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "ab", strings.Repeat("a", 64), "Abc", "a_b", "a b", "-ab", "ab-", ".ab", "ab.", "a..b", "a.-b", "a-.b",
		"192.168.5.4", "999.999.999.999", "abc\n", "abc\x00", "ação", "a/b", ".minio.sys", "a%2e",
		"xn--abc", "sthree-abc", "sthree-configurator", "amzn-s3-demo-bucket", "abc-s3alias", "abc--ol-s3", "abc.mrap", "abc--x-s3", "abc--table-s3",
	} {
		if err := tenancy.CheckBucketName(bad); !errors.Is(err, tenancy.ErrInvalidName) {
			t.Errorf("%q: %v, want ErrInvalidName", bad, err)
		}
	}
}

func TestCheckAccountName(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"a", "acme", "acme-2", "0", strings.Repeat("a", 63)} {
		if err := tenancy.CheckAccountName(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "-a", "a-", "a.b", "A", "a_b", strings.Repeat("a", 64), "a\n", "é"} {
		if err := tenancy.CheckAccountName(bad); !errors.Is(err, tenancy.ErrInvalidName) {
			t.Errorf("%q: %v, want ErrInvalidName", bad, err)
		}
	}
}

// S3-RULES.md D9: injective, within 63 characters, a valid name, never minio's own.
func TestBackendName_D9(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for i := range 1000 {
		id := tenancy.NewID()
		id[i%16]++ // neighbours
		name := tenancy.BackendName(id)
		if err := tenancy.CheckBucketName(name); err != nil || len(name) != 29 || seen[name] {
			t.Fatalf("%s: %v, seen %v", name, err, seen[name])
		}
		seen[name] = true
	}
}

func TestIssuedKeyIDs(t *testing.T) {
	t.Parallel()
	k := must(secret.Generate())(t)
	form := regexp.MustCompile(`^PC[A-Z2-7]{18}$`)
	for range 100 {
		id := tenancy.IssueKeyID(k)
		if !form.MatchString(id) {
			t.Fatalf("%s has another form", id)
		}
		if form, genuine := tenancy.Issued(k, id); !form || !genuine {
			t.Fatalf("%s: form %v, genuine %v", id, form, genuine)
		}
		if _, genuine := tenancy.Issued(k.Public(), id); !genuine {
			t.Fatal("the portal, with the public keyring, does not know the id")
		}
		if _, genuine := tenancy.Issued(must(k.Rotate())(t), id); !genuine {
			t.Fatal("rotation of the keyring made issued ids invented ones")
		}
		if _, genuine := tenancy.Issued(must(secret.Generate())(t), id); genuine {
			t.Fatal("another installation's id is genuine")
		}
		for i := 2; i < len(id); i++ {
			other := byte('A')
			if id[i] == other {
				other = 'B'
			}
			if _, genuine := tenancy.Issued(k, id[:i]+string(other)+id[i+1:]); genuine {
				t.Fatalf("%s changed at %d is genuine", id, i)
			}
		}
	}
	for _, foreign := range []string{"", "PC", "AKIAIOSFODNN7EXAMPLE", "PCabcdefghijklmnopqr", "PC18901890189018901890", "minioadmin", "PCAAAAAAAAAAAAAAAAAA\n"} {
		if form, genuine := tenancy.Issued(k, foreign); form || genuine {
			t.Errorf("%q counts as issued", foreign)
		}
	}
}

func TestID(t *testing.T) {
	t.Parallel()
	one, two := tenancy.NewID(), tenancy.NewID()
	if one == two || one.String()[14] != '7' {
		t.Errorf("%s, %s", one, two)
	}
	b := must(json.Marshal(map[string]tenancy.ID{"id": one}))(t)
	var back map[string]tenancy.ID
	if err := json.Unmarshal(b, &back); err != nil || back["id"] != one {
		t.Errorf("%s came back as %v, %v", b, back, err)
	}
	for _, bad := range []string{"", "x", strings.Repeat("0", 36), one.String() + "0", strings.Replace(one.String(), "-", "_", 1), "g" + one.String()[1:]} {
		if _, err := tenancy.ParseID(bad); err == nil {
			t.Errorf("%q parsed", bad)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add(tenancy.NewID().String())
	f.Add("00000000-0000-0000-0000-00000000000g")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := tenancy.ParseID(s); err == nil && id.String() != strings.ToLower(s) {
			t.Errorf("%q parsed to %s", s, id)
		}
	})
}

func TestParsePermissions(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]tenancy.Permission{
		"": tenancy.AllPermissions, "all": tenancy.AllPermissions, "read": tenancy.Read, "list, read": tenancy.Read | tenancy.List,
		"read,write,delete,list,manage,bypass-governance": tenancy.AllPermissions | tenancy.BypassGovernance,
	} {
		if got, err := tenancy.ParsePermissions(in); err != nil || got != want {
			t.Errorf("%q: %s, %v", in, got, err)
		}
	}
	for _, bad := range []string{"admin", "read,,write", "READ", "read write"} {
		if _, err := tenancy.ParsePermissions(bad); err == nil {
			t.Errorf("%q parsed", bad)
		}
	}
	if tenancy.AllPermissions&tenancy.BypassGovernance != 0 {
		t.Error("all includes the bypass of governance")
	}
}

func TestParseStatus(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]tenancy.Status{"active": tenancy.Active, "read-only": tenancy.ReadOnly, "read_only": tenancy.ReadOnly} {
		if got, err := tenancy.ParseStatus(in); err != nil || got != want {
			t.Errorf("%q: %s, %v", in, got, err)
		}
	}
	if _, err := tenancy.ParseStatus("gone"); err == nil {
		t.Error("gone is a status")
	}
}

// A secret reaches no log, whatever the verb, and whoever logs the whole.
func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	const s = "thesecretvalue"
	values := []any{
		&tenancy.Identity{KeyID: "k", Secret: s},
		tenancy.Key{KeyID: "k", Secret: s}, &tenancy.Key{KeyID: "k", Secret: s},
		tenancy.Backend{Name: "m", AccessKeyID: s, SecretKey: s}, &tenancy.Backend{Name: "m", AccessKeyID: s, SecretKey: s},
	}
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, s) {
				t.Errorf("%T with %s prints %s", v, verb, got)
			}
		}
		for name, handler := range map[string]func(io.Writer) slog.Handler{
			"text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) }, "JSON": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
		} {
			var log bytes.Buffer
			if slog.New(handler(&log)).Info("x", "v", v); strings.Contains(log.String(), s) {
				t.Errorf("%T is logged as %s: %s", v, name, &log)
			}
		}
	}
	for _, v := range values[3:] {
		if b := must(json.Marshal(v))(t); strings.Contains(string(b), s) {
			t.Errorf("JSON of a backend: %s", b)
		}
	}
}
