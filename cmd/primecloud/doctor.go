package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/sigv4"
	"github.com/primecloudpro/primecloud/tenancy"
)

// finding is one thing the doctor looked at.
type finding struct {
	Check  string `json:"check"`
	Result string `json:"result"` // ok, warning or failure
	Detail string `json:"detail"`
}

var errUnwell = errors.New("something needs attention, see above")

// doctor checks what a node needs, and that the backends do what the gateway
// relies on.
func (c *cli) doctor(ctx context.Context, args []string) error {
	f := c.flags("doctor", "")
	if _, err := f.parse(args, 0); err != nil {
		return err
	}
	var found []finding
	add := func(check string, err error, ok string) bool {
		one := finding{check, "ok", ok}
		if err != nil {
			one.Result, one.Detail = "failure", err.Error()
		}
		found = append(found, one)
		return err == nil
	}
	o, err := c.operator(ctx)
	if add("database and keyring", err, "connected") {
		defer o.close()
		add("schema", pg.CheckVersion(ctx, o.pool), "up to date")
		found = append(found, examineRights(ctx, o)...)
		add("clock", checkClock(ctx, o), "within a second of the database's")
		found = append(found, examineRows(ctx, o)...)
		if o.store.Keyring.CanOpen() {
			found = append(found, examineBackends(ctx, o)...)
		}
	}
	rows := make([][]string, 0, len(found))
	for _, one := range found {
		rows = append(rows, []string{one.Check, one.Result, one.Detail})
		if one.Result == "failure" {
			err = errUnwell
		}
	}
	return errors.Join(c.print(f.json, found, "CHECK RESULT DETAIL", rows), err)
}

// examineRights says what everybody in the database may do and nobody needs.
// `migrate` takes it away if its role may; a restored dump does not bring all of it.
func examineRights(ctx context.Context, o *operator) []finding {
	const check = "database rights"
	excess, err := pg.Excess(ctx, o.pool)
	switch {
	case err != nil:
		return []finding{{check, "failure", err.Error()}}
	case len(excess) > 0:
		return []finding{{check, "warning", "everybody may connect, make temporary tables or large objects; as the database's owner and a superuser run: " + strings.Join(excess, "; ")}}
	}
	return []finding{{check, "ok", "nothing for everybody"}}
}

func checkClock(ctx context.Context, o *operator) error {
	var there time.Time
	before := time.Now()
	if err := o.pool.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&there); err != nil {
		return err
	}
	if d := there.Sub(before).Abs(); d > time.Second {
		return fmt.Errorf("the clocks differ by %s; signatures are only good for 15 minutes: run NTP", d)
	}
	return nil
}

const unboundKeyring = "the keyring is from before rows were bound: who may write the database can change what a key gives; " +
	"when every node is upgraded, run `primecloud secret rotate` (docs/decisions/0027)"

// examineRows looks for rows that somebody without the keyring has changed.
func examineRows(ctx context.Context, o *operator) []finding {
	const check = "rows of keys and backends"
	if !o.store.Keyring.Binding() {
		return []finding{{check, "warning", unboundKeyring}}
	}
	list, err := o.store.ChangedRows(ctx, o.pool)
	switch {
	case err != nil:
		return []finding{{check, "failure", err.Error()}}
	case len(list) > 0:
		return []finding{{check, "failure", fmt.Sprintf("changed by somebody without the keyring, and refused by the gateways: %s", strings.Join(list, ", "))}}
	}
	return []finding{{check, "ok", "as they were written"}}
}

func examineBackends(ctx context.Context, o *operator) []finding {
	list, err := o.store.ListBackends(ctx, o.pool)
	if err != nil {
		return []finding{{"backends", "failure", err.Error()}}
	}
	if len(list) == 0 {
		return []finding{{"backends", "warning", "there is none; add one with `primecloud backend add`"}}
	}
	var found []finding
	for _, b := range list {
		check := "backend " + b.Name
		full, err := o.store.Backend(ctx, o.pool, b.ID)
		if err == nil {
			err = full.Check(ctx)
		}
		if err != nil {
			found = append(found, finding{check, "failure", err.Error()})
			continue
		}
		found = append(found, finding{check, "ok", "credential works"}, wrongHash(ctx, full, check))
		for _, e := range full.Endpoints {
			if u, err := url.Parse(e); err == nil && u.Scheme == "http" && !loopback(u.Hostname()) {
				found = append(found, finding{check, "warning", "the hop to " + u.Host + " is plain text; use https, or a network of its own"})
			}
		}
		if rooted(ctx, full) && !loopback(full.Endpoints[0]) {
			found = append(found, finding{check, "warning", "the credential may administer the server; give the gateway a user with s3:* on its buckets only"})
		}
	}
	return found
}

// wrongHash proves that the backend refuses a body that does not match its
// x-amz-content-sha256: the gateway relies on it and does not hash twice.
func wrongHash(ctx context.Context, b *tenancy.Backend, check string) finding {
	check += " refuses a wrong hash"
	err := putWithWrongHash(ctx, b)
	switch {
	case err == nil:
		return finding{check, "failure", "it stored an object whose SHA-256 was wrong; uploads through it are not verified"}
	case strings.Contains(err.Error(), "SHA256Mismatch"), strings.Contains(err.Error(), "BadDigest"):
		return finding{check, "ok", "it does"}
	}
	return finding{check, "warning", "could not be tried: " + err.Error()}
}

const probeBucket = "primecloud-doctor"

func putWithWrongHash(ctx context.Context, b *tenancy.Backend) error {
	client, err := b.Client()
	if err != nil {
		return err
	}
	if err := client.MakeBucket(ctx, probeBucket, minio.MakeBucketOptions{Region: b.Region}); err != nil &&
		minio.ToErrorResponse(err).Code != minio.BucketAlreadyOwnedByYou {
		return err
	}
	defer func() { _ = client.RemoveBucket(context.WithoutCancel(ctx), probeBucket) }()
	wrong := strings.Repeat("0", 64)
	status, answer, err := signedRequest(ctx, b, http.MethodPut, "/"+probeBucket+"/probe", "probe", wrong)
	if err != nil {
		return err
	}
	if status == http.StatusOK {
		return client.RemoveObject(ctx, probeBucket, "probe", minio.RemoveObjectOptions{})
	}
	return errors.New(answer)
}

// signedRequest asks the backend's first endpoint as the gateway would.
func signedRequest(ctx context.Context, b *tenancy.Backend, method, path, body, payload string) (status int, answer string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(b.Endpoints[0], "/")+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	now := time.Now().UTC()
	req.Header.Set("X-Amz-Date", now.Format("20060102T150405Z"))
	req.Header.Set("X-Amz-Content-Sha256", payload)
	signed := sigv4.Request{Method: []byte(method), Target: &sigv4.Target{Path: []byte(path)}, Headers: []sigv4.Header{
		{Name: []byte("host"), Value: []byte(req.URL.Host)},
		{Name: []byte("x-amz-date"), Value: []byte(req.Header.Get("X-Amz-Date"))},
		{Name: []byte("x-amz-content-sha256"), Value: []byte(payload)},
	}}
	key := sigv4.NewSigningKey(b.SecretKey, now.Format("20060102"), b.Region)
	req.Header.Set("Authorization", string(sigv4.AppendAuthorization(nil, &signed, b.AccessKeyID, key, []byte(payload), now)))
	httpClient, err := b.HTTPClient()
	if err != nil {
		return 0, "", err
	}
	resp, err := httpClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	return resp.StatusCode, string(text), err
}

// rooted asks for something that only an administrator may see.
func rooted(ctx context.Context, b *tenancy.Backend) bool {
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	status, _, err := signedRequest(ctx, b, http.MethodGet, "/minio/admin/v3/info", "", empty)
	return err == nil && status == http.StatusOK
}

func loopback(host string) bool {
	return strings.Contains(host, "127.0.0.1") || strings.Contains(host, "localhost") || strings.Contains(host, "::1")
}
