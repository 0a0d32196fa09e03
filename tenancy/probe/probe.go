// Package probe checks that backends do what the gateway relies on.
package probe

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/primecloudpro/primecloud/internal/finding"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/sigv4"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Check looks at every backend. One that fails keeps none of the others from it.
func Check(ctx context.Context, q pg.Querier, store *tenancy.Store) []finding.Finding {
	list, err := tenancy.ListBackends(ctx, q)
	if err != nil {
		return []finding.Finding{finding.Of("backends", err, "")}
	}
	if len(list) == 0 {
		return []finding.Finding{{Check: "backends", Result: finding.Warning, Detail: "there is none; add one with `primecloud backend add`"}}
	}
	var found []finding.Finding
	for _, b := range list {
		check := "backend " + b.Name
		full, err := store.Backend(ctx, q, b.ID)
		if err == nil {
			err = full.Check(ctx)
		}
		found = append(found, finding.Of(check, err, "credential works"))
		if err != nil {
			continue
		}
		found = append(found, wrongHash(ctx, full, check))
		for _, e := range full.Endpoints {
			if u, err := url.Parse(e); err == nil && u.Scheme == "http" && !loopback(u.Hostname()) {
				found = append(found, finding.Finding{Check: check, Result: finding.Warning, Detail: "the hop to " + u.Host + " is plain text; use https, or a network of its own"})
			}
		}
		if isAdmin(ctx, full) && !loopback(full.Endpoints[0]) {
			found = append(found, finding.Finding{Check: check, Result: finding.Warning, Detail: "the credential may administer the server; give the gateway a user with s3:* on its buckets only"})
		}
	}
	return found
}

// wrongHash proves that the backend refuses a body that does not match its
// x-amz-content-sha256: the gateway relies on it and does not hash twice.
func wrongHash(ctx context.Context, b *tenancy.Backend, check string) finding.Finding {
	check += " refuses a wrong hash"
	err := putWithWrongHash(ctx, b)
	switch {
	case err == nil:
		return finding.Finding{Check: check, Result: finding.Failure, Detail: "it stored an object whose SHA-256 was wrong; uploads through it are not verified"}
	case strings.Contains(err.Error(), "SHA256Mismatch"), strings.Contains(err.Error(), "BadDigest"):
		return finding.Finding{Check: check, Result: finding.OK, Detail: "it does"}
	}
	return finding.Finding{Check: check, Result: finding.Warning, Detail: "could not be tried: " + err.Error()}
}

// Bucket is made in a backend for the time of a check.
const Bucket = "primecloud-doctor"

func putWithWrongHash(ctx context.Context, b *tenancy.Backend) error {
	client, err := b.Client()
	if err != nil {
		return err
	}
	if err := client.MakeBucket(ctx, Bucket, minio.MakeBucketOptions{Region: b.Region}); err != nil &&
		minio.ToErrorResponse(err).Code != minio.BucketAlreadyOwnedByYou {
		return err
	}
	defer func() { _ = client.RemoveBucket(context.WithoutCancel(ctx), Bucket) }()
	wrong := strings.Repeat("0", 64)
	status, answer, err := signedRequest(ctx, b, http.MethodPut, "/"+Bucket+"/probe", "probe", wrong)
	if err != nil {
		return err
	}
	if status == http.StatusOK {
		return client.RemoveObject(ctx, Bucket, "probe", minio.RemoveObjectOptions{})
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

// isAdmin asks for something that only an administrator may see.
func isAdmin(ctx context.Context, b *tenancy.Backend) bool {
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	status, _, err := signedRequest(ctx, b, http.MethodGet, "/minio/admin/v3/info", "", empty)
	return err == nil && status == http.StatusOK
}

func loopback(host string) bool {
	return strings.Contains(host, "127.0.0.1") || strings.Contains(host, "localhost") || strings.Contains(host, "::1")
}
