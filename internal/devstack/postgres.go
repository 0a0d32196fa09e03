package devstack

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// PostgresConfig says how to run PostgreSQL.
type PostgresConfig struct {
	Dir      string    // its data; made when it does not exist
	Durable  bool      // fsync; off for tests
	Log      io.Writer // its output; nil: kept for errors only
	Progress io.Writer // long steps; nil: silent
}

// Postgres is a running PostgreSQL on loopback. Loopback is every local user's,
// and a superuser of PostgreSQL may run programs as the user who started it: so
// every role needs the password, which is kept in a file of the data folder that
// only its owner may read. It has no Unix socket: the folder's path may be longer
// than an address may be.
type Postgres struct {
	child    *child
	port     int
	password string
}

// superuser is the role that initdb makes.
const superuser = "postgres"

// URL is a connection string; an empty user is the superuser.
func (p *Postgres) URL(user, database string) string { return p.URLAt(p.Addr(), user, database) }

// URLAt is the same for a server that is reached at another address: through a
// relay.
func (p *Postgres) URLAt(addr, user, database string) string {
	if user == "" {
		user = superuser
	}
	return fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable", user, p.password, addr, database)
}

// Addr is where it listens.
func (p *Postgres) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)) }

// LoginSQL is the statement that lets a role log in, as URL says.
func (p *Postgres) LoginSQL(role string) string {
	return fmt.Sprintf(`ALTER ROLE %q LOGIN PASSWORD '%s'`, role, p.password)
}

// Stop shuts it down, disconnecting clients.
func (p *Postgres) Stop() error { return p.child.stop(syscall.SIGINT, 20*time.Second) }

// Kill ends it as a crash would.
func (p *Postgres) Kill() { p.child.kill() }

// Done is closed when it has ended.
func (p *Postgres) Done() <-chan struct{} { return p.child.done }

// StartPostgres runs PostgreSQL 15 or newer on the data in Dir and waits until
// it answers.
func StartPostgres(ctx context.Context, cfg PostgresConfig) (*Postgres, error) {
	bin, err := postgresBin(ctx, cfg.Progress)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, "PG_VERSION")); errors.Is(err, os.ErrNotExist) {
		progress(cfg.Progress, "making a PostgreSQL database in %s", dir)
		if err := initdb(ctx, bin, dir); err != nil {
			return nil, err
		}
	}
	if err := clearStale(dir); err != nil {
		return nil, err
	}
	password, err := requirePassword(ctx, bin, dir)
	if err != nil {
		return nil, err
	}
	for try := 0; ; try++ {
		p, err := runPostgres(ctx, bin, dir, password, &cfg)
		if err == nil || try == 4 || !strings.Contains(err.Error(), "Address already in use") {
			return p, err
		}
	}
}

// hostRules is the whole pg_hba.conf.
const hostRules = "host all all 127.0.0.1/32 scram-sha-256\n"

// requirePassword makes the superuser's password, or finds that of an earlier
// start, and lets nobody in without one. The superuser is given it in
// PostgreSQL's single-user mode, before anybody can connect: the data may be from
// a version whose server asked for none.
func requirePassword(ctx context.Context, bin, dir string) (string, error) {
	if err := os.WriteFile(filepath.Join(dir, "pg_hba.conf"), []byte(hostRules), 0o600); err != nil {
		return "", err
	}
	file := filepath.Join(dir, "password")
	b, err := os.ReadFile(file)
	if err == nil {
		return string(b), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	password := rand.Text()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "postgres"), "--single", "-D", dir, "-c", "password_encryption=scram-sha-256", "postgres")
	cmd.Stdin = strings.NewReader("ALTER ROLE " + superuser + " PASSWORD '" + password + "'\n")
	asUser(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("postgres --single: %w: %s", err, out)
	}
	return password, os.WriteFile(file, []byte(password), 0o600)
}

func runPostgres(ctx context.Context, bin, dir, password string, cfg *PostgresConfig) (*Postgres, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	args := []string{"-D", dir, "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-k", "",
		"-c", "max_connections=300", "-c", "logging_collector=off", "-c", "timezone=UTC", "-c", "shared_buffers=64MB"}
	if !cfg.Durable {
		args = append(args, "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
	}
	cmd := exec.Command(filepath.Join(bin, "postgres"), args...)
	asUser(cmd)
	c, err := start("postgres", cmd, syscall.SIGQUIT, cfg.Log)
	if err != nil {
		return nil, err
	}
	p := &Postgres{child: c, port: port, password: password}
	return p, c.wait(ctx, p.answers)
}

// answers speaks the protocol's first step: a startup message, and an
// authentication request back (PostgreSQL documentation, "Message Flow").
func (p *Postgres) answers(ctx context.Context) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", p.Addr())
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	body := binary.BigEndian.AppendUint32(nil, 3<<16)
	body = append(body, "user\x00"+superuser+"\x00database\x00postgres\x00\x00"...)
	if _, err := c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...)); err != nil {
		return err
	}
	var kind [1]byte
	if _, err := io.ReadFull(c, kind[:]); err != nil {
		return err
	}
	if kind[0] != 'R' {
		return errors.New("not ready")
	}
	return nil
}

func initdb(ctx context.Context, bin, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", dir, "-U", superuser, "--auth=trust",
		"-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions")
	asUser(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return nil
}

// nobody is a user that is in every system's list, which initdb wants.
const nobody = 65534

// asUser makes PostgreSQL, which refuses to run as root, run in a user
// namespace where root is another user. The files stay root's, so that it
// works below folders that only root may enter, where a plain setuid fails.
func asUser(cmd *exec.Cmd) {
	if os.Geteuid() != 0 {
		return
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: nobody, HostID: 0, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: nobody, HostID: 0, Size: 1}},
		Credential:  &syscall.Credential{Uid: nobody, Gid: nobody, NoSetGroups: true},
	}
}

// clearStale removes the lock file of a server that died. PostgreSQL does so
// itself unless another process has the number by now.
func clearStale(dir string) error {
	file := filepath.Join(dir, "postmaster.pid")
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	pid, _, _ := strings.Cut(string(b), "\n")
	cmdline, err := os.ReadFile("/proc/" + strings.TrimSpace(pid) + "/cmdline")
	if err == nil && strings.Contains(string(cmdline), dir) {
		return fmt.Errorf("PostgreSQL is running on %s already (process %s)", dir, pid)
	}
	return os.Remove(file)
}

// postgresBin finds PostgreSQL 15 or newer: in PATH, where Debian keeps it, or
// by installing Debian's package.
func postgresBin(ctx context.Context, log io.Writer) (string, error) {
	if bin := findPostgres(); bin != "" {
		return bin, nil
	}
	apt, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		return "", errors.New("PostgreSQL 15 or newer was not found in PATH or /usr/lib/postgresql; install it: " +
			"`apt-get install postgresql` on Debian and Ubuntu, `brew install postgresql` on macOS, or set DATABASE_URL to use a running one")
	}
	progress(log, "installing PostgreSQL (apt-get install postgresql)")
	for _, args := range [][]string{{"update"}, {"install", "-y", "--no-install-recommends", "postgresql"}} {
		cmd := exec.CommandContext(ctx, apt, args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("apt-get %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	if bin := findPostgres(); bin != "" {
		return bin, nil
	}
	return "", errors.New("apt-get installed no PostgreSQL 15 or newer")
}

func findPostgres() string {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	sort.Slice(dirs, func(i, j int) bool { return majorOf(dirs[i]) > majorOf(dirs[j]) })
	if path, err := exec.LookPath("postgres"); err == nil {
		dirs = append([]string{filepath.Dir(path)}, dirs...)
	}
	for _, dir := range dirs {
		out, err := exec.Command(filepath.Join(dir, "postgres"), "--version").Output()
		if err != nil {
			continue
		}
		fields := strings.Fields(string(out))
		for _, f := range fields {
			if major, err := strconv.Atoi(strings.SplitN(f, ".", 2)[0]); err == nil && major >= 15 {
				return dir
			}
		}
	}
	return ""
}

func majorOf(dir string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
	return n
}

func progress(w io.Writer, format string, args ...any) {
	if w != nil {
		fmt.Fprintf(w, format+"\n", args...)
	}
}
