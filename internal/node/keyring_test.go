package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/primecloudpro/primecloud/internal/node"
	"github.com/primecloudpro/primecloud/internal/node/nodetest"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy"
	"github.com/primecloudpro/primecloud/tenancy/keyring"
	"github.com/primecloudpro/primecloud/tenancy/tenancytest"
)

// fleet is three nodes, each with a keyring's file of its own, under a load that does
// not end.
type fleet struct {
	*tenancytest.Installation
	t       *testing.T
	file    keyring.File // the operator's
	files   map[string]string
	nodes   map[string]*nodetest.Node
	configs map[string]node.Config
	account *tenancy.Account

	mu   sync.Mutex
	keys []*tenancy.Key

	requests, failed atomic.Int64
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{Installation: tenancytest.New(t), t: t, file: keyring.File(filepath.Join(t.TempDir(), "keyring")),
		files: map[string]string{}, nodes: map[string]*nodetest.Node{}, configs: map[string]node.Config{}}
	f.Backend("minio", testenv.MinIO(t), tenancy.Backend{})
	f.account = f.Account("acme")
	for range 5 {
		f.keys = append(f.keys, f.Key(f.account, tenancy.Key{}))
	}
	if err := f.file.Create(f.Keyring); err != nil {
		t.Fatal(err)
	}
	for name, roles := range map[string][]string{"a": {node.RoleGateway, node.RoleWorker}, "b": {node.RoleGateway}, "c": {node.RoleGateway}} {
		cfg := nodetest.Config(t, f.DB, f.Keyring, roles...)
		f.files[name] = filepath.Join(t.TempDir(), "keyring")
		cfg.Node, cfg.Files = "node-"+name, []string{f.files[name]}
		cfg.Reread = func() (node.Config, error) {
			text, err := os.ReadFile(f.files[name])
			next := cfg
			next.Keyring = string(text)
			return next, err
		}
		f.configs[name] = cfg
		f.give(name)
		f.nodes[name] = nodetest.Start(t, cfg)
	}
	return f
}

// give copies the operator's keyring to a node.
func (f *fleet) give(names ...string) {
	f.t.Helper()
	text := testenv.Must(os.ReadFile(string(f.file)))(f.t)
	for _, name := range names {
		if err := os.WriteFile(f.files[name]+".new", text, 0o600); err != nil {
			f.t.Fatal(err)
		}
		if err := os.Rename(f.files[name]+".new", f.files[name]); err != nil {
			f.t.Fatal(err)
		}
	}
}

// await waits until so is so of what every role of the named nodes has reported.
func (f *fleet) await(what string, so func(*keyring.Holder) bool, names ...string) {
	f.t.Helper()
	testenv.WaitFor(f.t, what, func() bool {
		n := 0
		for _, h := range testenv.Must(keyring.Holders(f.t.Context(), f.Owner))(f.t) {
			if slices.Contains(names, strings.TrimPrefix(h.Node, "node-")) && h.Live {
				if !so(&h) {
					return false
				}
				n++
			}
		}
		return n == len(names)+strings.Count(strings.Join(names, ""), "a") // which has two roles
	})
}

// createKey makes a key as the command does, with the operator's keyring.
func (f *fleet) createKey() error {
	k, err := f.file.Read()
	if err != nil {
		return err
	}
	if err := keyring.Check(f.t.Context(), f.Owner, k); err != nil {
		return err
	}
	made, err := (&tenancy.Store{Keyring: k.Public()}).CreateKey(f.t.Context(), f.Owner, tenancy.Key{AccountID: f.account.ID})
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys = append(f.keys[1:], made)
	return nil
}

func (f *fleet) client(name string, i int) *s3.Client {
	f.mu.Lock()
	k := f.keys[i%len(f.keys)]
	f.mu.Unlock()
	return s3.New(s3.Options{BaseEndpoint: aws.String("http://" + f.nodes[name].S3), Region: "us-east-1", UsePathStyle: true, Retryer: aws.NopRetryer{}, HTTPClient: http.DefaultClient,
		Credentials: credentials.NewStaticCredentialsProvider(k.KeyID, k.Secret, "")})
}

// load puts, gets and lists on a node, each time with another key, until ctx ends.
func (f *fleet) load(ctx context.Context, name string) {
	bucket, object := aws.String("data"), aws.String(name)
	text := bytes.Repeat([]byte(name), 1000)
	for i := 0; ctx.Err() == nil; i++ {
		c := f.client(name, i)
		_, err := c.PutObject(f.t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: object, Body: bytes.NewReader(text)})
		if err == nil {
			var got *s3.GetObjectOutput
			if got, err = c.GetObject(f.t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: object}); err == nil {
				var read []byte
				read, err = io.ReadAll(got.Body)
				_ = got.Body.Close()
				if err == nil && !bytes.Equal(read, text) {
					err = errors.New("another object")
				}
			}
		}
		if err == nil {
			_, err = c.ListObjectsV2(f.t.Context(), &s3.ListObjectsV2Input{Bucket: bucket})
		}
		f.requests.Add(3)
		if err != nil {
			f.failed.Add(1)
			f.t.Errorf("node-%s: %v", name, err)
		}
	}
}

// A node takes no keyring that it may not use, and says why; one whose keyring is not the
// database's any more says so, and seals no hour.
func TestKeyring_wrongWhileItRuns(t *testing.T) {
	t.Parallel()
	in := tenancytest.New(t)
	cfg := nodetest.Config(t, in.DB, in.Keyring, node.RoleWorker)
	text := testenv.Must(in.Keyring.Marshal())(t)
	var file atomic.Pointer[[]byte]
	path := filepath.Join(t.TempDir(), "keyring")
	write := func(text []byte) {
		file.Store(&text)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(text)
	cfg.Files = []string{path}
	cfg.Reread = func() (node.Config, error) {
		next := cfg
		next.Keyring = string(*file.Load())
		return next, nil
	}
	n := nodetest.Start(t, cfg)
	for says, wrong := range map[string][]byte{
		"its fingerprint is": testenv.Must(testenv.Must(secret.Generate())(t).Marshal())(t),
		"public keys only":   testenv.Must(in.Keyring.Public().Marshal())(t),
		"keyring line 1":     []byte("nonsense"),
	} {
		write(wrong)
		testenv.WaitFor(t, "the node to say "+says, func() bool { return strings.Contains(n.Log.String(), says) })
		testenv.WaitFor(t, "the node to be ready", func() bool { return ready(t, n) == "" })
	}
	write(text)
	in.Exec(`UPDATE keyring SET fingerprint = '0123456789abcdef'`)
	in.Exec(`INSERT INTO usage_nodes (epoch, node, flushed_at, closed_at) VALUES (gen_random_uuid(), 'gone', now(), now())`)
	in.Exec(`INSERT INTO usage_readings SELECT $1, $1, $1, $1, 'A', date_trunc('hour', now()) - interval '2 hours', 1, 1, 1, 1, 1`, tenancy.NewID())
	again := func() {
		t.Helper()
		if _, err := in.DB.Pool(t, "").Exec(t.Context(), `UPDATE river_job SET state = 'available', finalized_at = NULL, scheduled_at = now() WHERE kind = 'usage_seal'`); err != nil {
			t.Fatal(err)
		}
	}
	again()
	testenv.WaitFor(t, "the job to refuse", func() bool {
		var refused bool
		err := in.DB.Pool(t, "").QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM river_job WHERE kind = 'usage_seal' AND errors::text LIKE '%its fingerprint is%')`).Scan(&refused)
		return err == nil && refused
	})
	testenv.WaitFor(t, "the node to say that it is not ready", func() bool { return strings.Contains(ready(t, n), "its fingerprint is") })
	sealed := func() (is bool) {
		if err := in.Owner.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM usage_seals)`).Scan(&is); err != nil {
			t.Fatal(err)
		}
		return is
	}
	if sealed() {
		t.Error("an hour was sealed with a keyring that is not the database's")
	}
	in.Exec(`UPDATE keyring SET fingerprint = $1`, in.Keyring.Fingerprint())
	again()
	testenv.WaitFor(t, "the hour to be sealed", sealed)
}

// ready is what /readyz says is missing.
func ready(t *testing.T, n *nodetest.Node) string {
	t.Helper()
	resp, err := http.Get("http://" + n.Admin + "/readyz") //nolint:noctx // a test's
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return ""
	}
	return string(testenv.Must(io.ReadAll(resp.Body))(t))
}

// A keyring is rotated and its old key retired while three nodes serve, one of which gets
// each keyring last: no request fails, with keys from before and with new ones.
// `go test -v` prints the phases.
func TestKeyring_rotationUnderLoad(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	ctx := t.Context()
	if _, err := f.client("a", 0).CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("data")}); err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	var clients sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "a", "b", "c"} {
		clients.Go(func() { f.load(running, name) })
	}
	clients.Go(func() {
		for running.Err() == nil {
			if err := f.createKey(); err != nil {
				t.Errorf("key create: %v", err)
				return
			}
		}
	})
	var table strings.Builder
	phase := func(name string) {
		from := f.requests.Load()
		testenv.WaitFor(t, "requests after "+name, func() bool { return f.requests.Load() >= from+90 })
		fmt.Fprintf(&table, "\n%-52s %8d requests  %d failed", name, f.requests.Load(), f.failed.Load())
	}
	old := f.Keyring.Seals()
	phase("before")

	added := testenv.Must(keyring.Add(ctx, f.Owner, f.file))(t)
	if again := testenv.Must(keyring.Add(ctx, f.Owner, f.file))(t); again != added {
		t.Errorf("a second key was made while one waits: %s, %s", added, again)
	}
	phase("secret add")
	hasNew := func(h *keyring.Holder) bool { return slices.Contains(h.Keys, added) && h.Seals == old }
	f.give("a", "b")
	f.await("the new key on two nodes", hasNew, "a", "b")
	phase("the keyring to node-a and node-b")
	if _, err := keyring.Rotate(ctx, f.Owner, f.file, nil); err == nil || !strings.Contains(err.Error(), "since gateway on node-c would open nothing") {
		t.Errorf("rotated while node-c does not have the key: %v", err)
	}
	phase("secret rotate, refused: node-c does not have the key")
	f.give("c")
	f.await("the new key on the third", hasNew, "a", "b", "c")
	phase("the keyring to node-c")

	looked := 0
	done := testenv.Must(keyring.Rotate(ctx, f.Owner, f.file, func(n, all int) { looked = n }))(t)
	if done.Key != added || done.Moved < 6 || len(done.Skipped) > 0 || looked < 6 {
		t.Errorf("rotate: %+v after %d", done, looked)
	}
	phase("secret rotate")
	f.await("every node to seal with the new key", func(h *keyring.Holder) bool { return h.Seals == added }, "a", "b", "c")
	phase("nodes seal with the new key by themselves")
	testenv.Must(keyring.Retire(ctx, f.Owner, f.file))(t)
	phase("secret retire")
	f.give("c", "b", "a")
	f.await("the old key to be gone", func(h *keyring.Holder) bool { return !slices.Contains(h.Keys, old) }, "a", "b", "c")
	phase("the keyring to all nodes")
	stop()
	clients.Wait()
	t.Logf("%s", &table)
}
