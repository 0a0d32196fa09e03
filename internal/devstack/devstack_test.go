package devstack_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/primecloudpro/primecloud/internal/devstack"
	"github.com/primecloudpro/primecloud/internal/testenv"
)

// private returns a folder below one that only its owner may enter.
func private(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "closed")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "data")
}

func query(t *testing.T, p *devstack.Postgres, sql string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "psql", "-XAtq", "-d", p.URL("", "postgres"), "-c", sql).CombinedOutput()
	if err != nil {
		t.Fatalf("psql: %v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestStartPostgres(t *testing.T) {
	t.Parallel()
	dir := private(t)
	p, err := devstack.StartPostgres(t.Context(), devstack.PostgresConfig{Dir: dir, Durable: true})
	if err != nil {
		t.Fatal(err)
	}
	query(t, p, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")

	if _, err := devstack.StartPostgres(t.Context(), devstack.PostgresConfig{Dir: dir}); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("a second server on the same data: %v", err)
	}
	// A crash leaves a lock file; the next start must find the data again.
	p.Kill()
	if p, err = devstack.StartPostgres(t.Context(), devstack.PostgresConfig{Dir: dir, Durable: true}); err != nil {
		t.Fatal(err)
	}
	if got := query(t, p, "SELECT n FROM kept"); got != "7" {
		t.Errorf("after a crash the table holds %q", got)
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
}

// Loopback is every local user's: nobody gets in without the password, neither
// as the superuser nor as another role, also on data of a server that asked for
// none.
func TestStartPostgres_strangers(t *testing.T) {
	t.Parallel()
	dir := private(t)
	start := func() *devstack.Postgres {
		p, err := devstack.StartPostgres(t.Context(), devstack.PostgresConfig{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	check := func(p *devstack.Postgres) {
		t.Helper()
		for _, user := range []string{"postgres", "other"} {
			if got := query(t, p, "SELECT 1"); got != "1" {
				t.Fatalf("with the password: %q", got)
			}
			right := p.URL(user, "postgres")
			if out, err := exec.CommandContext(t.Context(), "psql", "-XAtq", "-d", right, "-c", "SELECT 1").CombinedOutput(); err != nil {
				t.Errorf("%s with the password: %v: %s", user, err, out)
			}
			for what, url := range map[string]string{
				"no password":       "postgres://" + user + "@" + p.Addr() + "/postgres?sslmode=disable",
				"an empty password": "postgres://" + user + ":@" + p.Addr() + "/postgres?sslmode=disable",
				"a wrong password":  "postgres://" + user + ":postgres@" + p.Addr() + "/postgres?sslmode=disable",
			} {
				cmd := exec.CommandContext(t.Context(), "psql", "-XAtqw", "-d", url, "-c", "SELECT 1")
				cmd.Env = append(os.Environ(), "PGPASSWORD=", "PGPASSFILE=/dev/null")
				if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "password") {
					t.Errorf("%s with %s: %v: %s", user, what, err, out)
				}
			}
		}
		err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s may be read by others: %v", path, info.Mode())
			}
			return nil // files come and go
		})
		if err != nil {
			t.Error(err)
		}
	}
	p := start()
	query(t, p, "CREATE ROLE other")
	query(t, p, p.LoginSQL("other"))
	check(p)

	// What a server that asked for no password left.
	query(t, p, "ALTER ROLE postgres PASSWORD NULL")
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "pg_hba.conf"), []byte("host all all 127.0.0.1/32 trust\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "password")); err != nil {
		t.Fatal(err)
	}
	p = start()
	query(t, p, p.LoginSQL("other"))
	check(p)
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
}

func TestStartMinIO(t *testing.T) {
	t.Parallel()
	for _, tls := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", tls), func(t *testing.T) {
			t.Parallel()
			dir := private(t)
			m, err := devstack.StartMinIO(t.Context(), devstack.MinIOConfig{Dir: dir, TLS: tls})
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.HasPrefix(m.Endpoint, "https://"); got != tls {
				t.Errorf("endpoint %s", m.Endpoint)
			}
			m.Kill()
			again, err := devstack.StartMinIO(t.Context(), devstack.MinIOConfig{Dir: dir, TLS: tls, Port: m.Port})
			if err != nil {
				t.Fatal(err)
			}
			if again.AccessKey != m.AccessKey || again.SecretKey != m.SecretKey || again.Port != m.Port {
				t.Error("a second start has other credentials or another port")
			}
			if err := again.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPlainUser runs the tests above once more as a user without rights, when
// this one is root: PostgreSQL is started in another way then.
func TestPlainUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		return // the tests above have shown it
	}
	const nobody = 65534
	home, err := os.MkdirTemp("", "primecloud-plain-user-") // t.TempDir is root's own
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	tools, err := devstack.ToolsDir()
	if err != nil {
		t.Fatal(err)
	}
	if err := devstack.EnsureServers(t.Context(), io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, step := range [][]string{{"cp", "-r", tools, home + "/tools"}, {"cp", os.Args[0], home + "/test"}, {"chown", "-R", strconv.Itoa(nobody), home}} {
		if out, err := exec.CommandContext(t.Context(), step[0], step[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	cmd := exec.CommandContext(t.Context(), home+"/test", "-test.v", "-test.run=^(TestStartPostgres|TestStartMinIO)$")
	cmd.Dir = home
	cmd.Env = append(os.Environ(), "HOME="+home, "TMPDIR="+home, "XDG_CACHE_HOME=", "PRIMECLOUD_TOOLS="+home+"/tools")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, Pdeathsig: syscall.SIGKILL}
	if out, err := cmd.CombinedOutput(); err != nil || strings.Count(string(out), "--- PASS") < 2 {
		t.Errorf("as a plain user: %v: %s", err, out)
	}
}

// TestChildrenDieWithTheirParent kills a process that has started servers, as
// a crash would, and waits until they are gone.
func TestChildrenDieWithTheirParent(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv("DEVSTACK_CRASH_DIR"); dir != "" {
		crash(t, dir)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChildrenDieWithTheirParent$")
	cmd.Env = append(os.Environ(), "DEVSTACK_CRASH_DIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the crashing process: %v: %s", err, out)
	}
	for _, line := range strings.Split(string(out), "\n") {
		url, ok := strings.CutPrefix(line, "minio ")
		if !ok {
			continue
		}
		testenv.WaitFor(t, "MinIO to be gone", func() bool {
			resp, err := http.Get(url)
			if err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			return err != nil
		})
	}
	for _, line := range strings.Split(string(out), "\n") {
		if url, ok := strings.CutPrefix(line, "postgres "); ok {
			testenv.WaitFor(t, "PostgreSQL to be gone", func() bool {
				err := exec.CommandContext(t.Context(), "psql", "-XAtq", "-d", url, "-c", "SELECT 1").Run()
				return err != nil
			})
		}
	}
	if !strings.Contains(string(out), "minio ") || !strings.Contains(string(out), "postgres ") {
		t.Fatalf("the crashing process started nothing: %s", out)
	}
}

func crash(t *testing.T, dir string) {
	p, err := devstack.StartPostgres(t.Context(), devstack.PostgresConfig{Dir: filepath.Join(dir, "pg")})
	if err != nil {
		t.Fatal(err)
	}
	m, err := devstack.StartMinIO(t.Context(), devstack.MinIOConfig{Dir: filepath.Join(dir, "minio")})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("\npostgres " + p.URL("", "postgres"))
	fmt.Println("minio " + m.Endpoint)
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

// A port that somebody else has is noticed at once, though MinIO runs on without it.
func TestStartMinIO_portTaken(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, err = devstack.StartMinIO(t.Context(), devstack.MinIOConfig{Dir: t.TempDir(), Port: taken.Addr().(*net.TCPAddr).Port})
	if err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("%v", err)
	}
}
