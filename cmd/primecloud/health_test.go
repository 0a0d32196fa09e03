package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"golang.org/x/sys/unix"

	"github.com/primecloudpro/primecloud/internal/health"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy"
)

// patient is an installation with a node in which something is broken.
type patient struct {
	*installation
	p       *process
	journal string
	backend *relay
	cut     context.Context // what passes through it ends with this
	cutNow  context.CancelFunc
	login   string       // that has the gateway's role; "": it is the role itself
	more    []string     // settings
	late    tenancy.Key  // that the node has not heard of
	client  *s3.Client   // whose key it knows
	probe   *http.Client // whose connection to the health listener is open from before
}

// truth is what is broken, and what is said of it.
type truth struct {
	name     string
	settings []string // of the node, beside its own
	prepare  func(t *testing.T, x *patient)
	breaks   func(t *testing.T, x *patient) (mend func())
	status   health.Status
	says     string // by a check that decides, or by one that is only said
	port     string // of S3, what it answers for readyPath; "": as status
	client   string // what a client gets whose key is known here
	tls      bool   // the client speaks it
	stranger string // what one gets whose key is not known here; "": the same
}

const readyPath = "/.primecloud/readyz"

// noAnswer is what a client gets that is not let in.
const noAnswer = "no answer"

var truths = []truth{
	{name: "nothing", status: health.Ready, client: "works"},
	{
		name: "PostgreSQL away, within max_stale", settings: []string{"PRIMECLOUD_DATABASE_MAX_STALE=1h"},
		breaks: takeDatabase, status: health.Ready, says: "database: PostgreSQL has told nothing for", client: "works", stranger: "ServiceUnavailable",
	},
	{
		name: "PostgreSQL away, beyond max_stale", settings: []string{"PRIMECLOUD_DATABASE_MAX_STALE=2s"},
		breaks: takeDatabase, status: health.NotReady, says: "longer than database.max_stale", client: "ServiceUnavailable",
	},
	{name: "rights of the login taken away", prepare: ownLogin, breaks: takeRights, status: health.NotReady, says: "rights of primecloud_gateway: database.url: ", client: "works", stranger: "ServiceUnavailable"},
	{name: "its epoch retired", breaks: retire, status: health.NotReady, says: "epoch: The epoch ", client: "works"},
	{name: "its journal deleted", breaks: deleteJournal, status: health.NotReady, says: "journal: metering: the journal ", client: "works"},
	{name: "its certificate expired", prepare: expired, status: health.NotReady, says: "certificate: the certificate expired at ", client: "certificate refused", tls: true},
	{name: "no descriptors left", breaks: starve, status: health.NotReady, says: "listeners: the listener on ", port: noAnswer, client: "works", stranger: noAnswer},
	{name: "draining", settings: []string{"PRIMECLOUD_DRAIN_DELAY=1h"}, breaks: terminate, status: health.Draining, client: "works"},
	{name: "the backend away", breaks: takeBackend, status: health.Ready, says: "connection refused", client: "ServiceUnavailable"},
}

// TestReadyz_truth breaks a node in each way, and compares what /readyz says, on the
// listener for balancers and on S3's port, with what clients get. With -v it prints the table.
func TestReadyz_truth(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	rows := map[string]string{}
	for _, c := range truths {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			row := examine(t, c)
			mu.Lock()
			rows[c.name] = row
			mu.Unlock()
		})
	}
	t.Cleanup(func() {
		var table strings.Builder
		w := tabwriter.NewWriter(&table, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "BROKEN\tHEALTH LISTENER\tS3 PORT\tCLIENT\tNEW CLIENT\tREASON")
		for _, c := range truths {
			fmt.Fprintln(w, rows[c.name])
		}
		_ = w.Flush()
		t.Log("\n" + table.String())
	})
}

// examine breaks one node, compares, and returns the row of the table.
func examine(t *testing.T, c truth) string {
	t.Helper()
	x := newPatient(t, c)
	if r, code := x.readyz(t); c.prepare == nil && (r.Status != health.Ready || code != http.StatusOK || reasons(r) != "") {
		t.Errorf("before anything is broken: %d, %+v", code, r)
	}
	mend := func() {}
	if c.breaks != nil {
		mend = c.breaks(t, x)
	}
	var r health.Report
	var code int
	testenv.WaitFor(t, "/readyz to say it", func() bool {
		x.page(t) // who asks makes it try
		r, code = x.readyz(t)
		return r.Status == c.status && strings.Contains(said(r), c.says)
	})
	if want := c.status.Code(); code != want {
		t.Errorf("the status is %d, want %d", code, want)
	}
	port, want := x.page(t), c.port
	if want == "" {
		want = fmt.Sprintf("%d %s", c.status.Code(), c.status)
	}
	if port != want {
		t.Errorf("S3's port says %q, want %q", port, want)
	}
	known, stranger := "", c.client
	testenv.WaitFor(t, "a client to get "+c.client, func() bool { known = x.outcome(t, x.client); return known == c.client })
	if c.stranger != "" {
		stranger = c.stranger
	}
	if !c.tls {
		testenv.WaitFor(t, "a client whose key is not known to get "+stranger, func() bool { return x.outcome(t, client(x.p.addrs.S3, x.late)) == stranger })
	}
	mend()
	return fmt.Sprintf("%s\t%d %s\t%s\t%s\t%s\t%.90s", c.name, code, r.Status, port, known, stranger, strings.ReplaceAll(said(r), "\n", "; "))
}

// said is all that a report says for people.
func said(r health.Report) string {
	all := reasons(r)
	for _, b := range r.Backends {
		if !b.Up {
			all += b.Backend + " " + b.Endpoint + ": " + b.Error
		}
	}
	return all
}

func newPatient(t *testing.T, c truth) *patient {
	t.Helper()
	db := testenv.EmptyPostgres(t)
	x := &patient{journal: t.TempDir()}
	x.cut, x.cutNow = context.WithCancel(t.Context())
	x.backend = newRelay(t, passTo(x.cut, testenv.MinIO(t).Endpoint))
	x.installation = installOn(t, db.URL, "http://"+x.backend.addr())
	x.db = db
	x.must("account", "create", "acme")
	x.must("bucket", "create", "acme", "backups")
	known := decode[tenancy.Key](t, x.must("key", "create", "acme", "--json"))
	x.late = decode[tenancy.Key](t, x.must("key", "create", "acme", "--json"))
	if c.prepare != nil {
		c.prepare(t, x)
	}
	x.p = x.serveOn(x.journal, append(x.more, append(c.settings, "PRIMECLOUD_HEALTH_ADDR=127.0.0.1:0")...)...)
	x.probe = &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
	t.Cleanup(x.probe.CloseIdleConnections)
	x.client = client(x.p.addrs.S3, known)
	if got := x.outcome(t, x.client); got != "works" {
		t.Fatalf("before anything is broken a client gets %q", got)
	}
	if c.tls {
		x.client = s3.New(x.client.Options(), func(o *s3.Options) {
			o.BaseEndpoint = aws.String("https://" + x.p.addrs.TLS)
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM(testenv.Must(os.ReadFile(filepath.Join(x.journal, "tls.crt")))(t))
			o.HTTPClient = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
		})
	}
	return x
}

// readyz is what the health listener says.
func (x *patient) readyz(t *testing.T) (r health.Report, code int) {
	t.Helper()
	resp := testenv.Must(x.probe.Get("http://" + x.p.addrs.Health + "/readyz"))(t) //nolint:noctx // it has a timeout
	defer resp.Body.Close()
	body := testenv.Must(io.ReadAll(resp.Body))(t)
	if text := string(body); strings.Contains(text, x.late.Secret) || strings.Contains(text, testenv.MinIO(t).SecretKey) {
		t.Errorf("it tells a secret: %s", text)
	}
	return decode[health.Report](t, string(body)), resp.StatusCode
}

// page is what S3's port says, which has no words for strangers but the status.
func (x *patient) page(t *testing.T) string {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 2 * time.Second}
	resp, err := c.Get("http://" + x.p.addrs.S3 + readyPath) //nolint:noctx // it has a timeout
	if err != nil {
		return noAnswer
	}
	defer resp.Body.Close()
	body := strings.TrimSpace(string(testenv.Must(io.ReadAll(resp.Body))(t)))
	word, ok := strings.CutPrefix(body, `{"status":"`)
	word, ok2 := strings.CutSuffix(word, `"}`)
	if !ok || !ok2 {
		return body
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, word)
}

// outcome is what a client gets of a listing, which needs key, bucket and backend.
func (x *patient) outcome(t *testing.T, c *s3.Client) string {
	t.Helper()
	ctx, done := context.WithTimeout(t.Context(), 5*time.Second)
	defer done()
	_, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("backups")})
	var refused smithy.APIError
	var untrusted *tls.CertificateVerificationError
	switch {
	case err == nil:
		return "works"
	case errors.As(err, &refused):
		return refused.ErrorCode()
	case errors.As(err, &untrusted):
		return "certificate refused"
	}
	return noAnswer
}

// passTo relays to a server, until that, the client or cut ends.
func passTo(cut context.Context, endpoint string) func(*relay, net.Conn) {
	return func(r *relay, c net.Conn) {
		defer c.Close()
		to, err := net.Dial("tcp", strings.TrimPrefix(endpoint, "http://"))
		if err != nil {
			return
		}
		defer to.Close()
		defer context.AfterFunc(cut, func() { _ = c.Close() })()
		r.serving.Go(func() {
			_, _ = io.Copy(c, to)
			_ = c.Close()
		})
		_, _ = io.Copy(to, c)
	}
}

func takeDatabase(t *testing.T, x *patient) (mend func()) {
	t.Helper()
	back := x.db.TakeAway(t)
	return func() {
		back()
		x.recovers(t)
	}
}

// recovers waits until the node is ready, and has nothing to say.
func (x *patient) recovers(t *testing.T) {
	t.Helper()
	testenv.WaitFor(t, "the node to be well again", func() bool {
		r, code := x.readyz(t)
		return code == http.StatusOK && said(r) == "" && x.page(t) == "200 ready" && x.outcome(t, x.client) == "works"
	})
}

// ownLogin makes the node log in as somebody who has the gateway's role.
func ownLogin(t *testing.T, x *patient) {
	t.Helper()
	x.login = "login_" + x.db.Name
	for _, sql := range []string{`CREATE ROLE ` + x.login + ` IN ROLE primecloud_gateway`, x.db.LoginSQL(x.login)} {
		x.exec(t, sql)
	}
	superuser := testenv.EmptyPostgres(t).Pool(t, "")
	t.Cleanup(func() {
		if _, err := superuser.Exec(context.Background(), `DROP ROLE `+x.login); err != nil {
			t.Error(err)
		}
	})
	url := x.url
	x.url = func(role string) string {
		if role == pg.RoleGateway {
			role = x.login
		}
		return url(role)
	}
}

func (x *patient) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := x.db.Pool(t, "").Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func takeRights(t *testing.T, x *patient) (mend func()) {
	t.Helper()
	x.exec(t, `REVOKE primecloud_gateway FROM `+x.login)
	return func() {
		x.exec(t, `GRANT primecloud_gateway TO `+x.login)
		x.recovers(t)
	}
}

func retire(t *testing.T, x *patient) (mend func()) {
	t.Helper()
	testenv.WaitFor(t, "the node to be known", func() bool { return len(decode[[]nodeRow](t, x.must("node", "list", "--json"))) == 1 })
	x.exec(t, `UPDATE usage_nodes SET closed_at = now()`)
	return func() {}
}

func deleteJournal(t *testing.T, x *patient) (mend func()) {
	t.Helper()
	files := testenv.Must(filepath.Glob(filepath.Join(x.journal, "*.journal")))(t)
	if len(files) != 1 {
		t.Fatal(files)
	}
	if err := os.Rename(files[0], files[0]+".elsewhere"); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Rename(files[0]+".elsewhere", files[0]); err != nil {
			t.Fatal(err)
		}
		x.recovers(t)
	}
}

func expired(t *testing.T, x *patient) {
	t.Helper()
	c := testenv.WriteCertificate(t, x.journal, -time.Hour, -time.Minute)
	x.more = append(x.more, "PRIMECLOUD_TLS_ADDR=127.0.0.1:0", "PRIMECLOUD_TLS_CERT="+c.CertFile, "PRIMECLOUD_TLS_KEY="+c.KeyFile)
}

// starve leaves the process the descriptors that it has, and none to open.
func starve(t *testing.T, x *patient) (mend func()) {
	t.Helper()
	var was unix.Rlimit
	if err := unix.Prlimit(x.p.cmd.Process.Pid, unix.RLIMIT_NOFILE, nil, &was); err != nil {
		t.Fatal(err)
	}
	few := was
	few.Cur = 1
	if err := unix.Prlimit(x.p.cmd.Process.Pid, unix.RLIMIT_NOFILE, &few, nil); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := unix.Prlimit(x.p.cmd.Process.Pid, unix.RLIMIT_NOFILE, &was, nil); err != nil {
			t.Fatal(err)
		}
		x.recovers(t)
	}
}

func terminate(t *testing.T, x *patient) (mend func()) {
	t.Helper()
	if err := x.p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	return func() { // a second signal ends it at once, however long the delay
		_ = x.p.cmd.Process.Signal(syscall.SIGTERM)
		if err := x.p.cmd.Wait(); x.p.cmd.ProcessState.ExitCode() != 128+int(syscall.SIGTERM) {
			t.Errorf("it ended with %v: %s", err, x.p.log)
		}
	}
}

func takeBackend(t *testing.T, x *patient) (mend func()) {
	t.Helper()
	_ = x.backend.listener.Close()
	x.cutNow()
	return func() {}
}

// A node whose login is another role's does not start, and says which setting is wrong.
func TestServe_wrongRole(t *testing.T) {
	t.Parallel()
	in := install(t)
	gateway, worker := in.url(pg.RoleGateway), in.url(pg.RoleWorker)
	for name, c := range map[string]struct{ roles, gateway, worker, says string }{
		"the worker's for the gateway": {"gateway", worker, "", "database.url: the database lets this login do too little: primecloud_worker lacks"},
		"the gateway's for the worker": {"worker", "", gateway, "database.worker_url: the database lets this login do too little: primecloud_gateway lacks"},
		"the portal's":                 {"gateway", in.url(pg.RolePortal), "", "database.url: the database lets this login do too little: primecloud_portal lacks"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := *in
			own.t, own.env = t, append(in.env[:len(in.env):len(in.env)], "PRIMECLOUD_ROLES="+c.roles, "PRIMECLOUD_DATABASE_URL="+c.gateway, "PRIMECLOUD_WORKER_DATABASE_URL="+c.worker,
				"PRIMECLOUD_S3_ADDR=127.0.0.1:0", "PRIMECLOUD_ADMIN_ADDR=127.0.0.1:0", "PRIMECLOUD_JOURNAL_DIR="+t.TempDir(), "PRIMECLOUD_ACCESS_LOG_DIR="+t.TempDir())
			_, err := own.run("serve")
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want %q", err, c.says)
			}
		})
	}
}
