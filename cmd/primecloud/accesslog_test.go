package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/primecloudpro/primecloud/internal/node"
	"github.com/primecloudpro/primecloud/internal/node/nodetest"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy"
)

// A node that ends in order delivers what it has logged until then; the next
// one on the same folders goes on.
func TestServe_accessLog(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.must("account", "create", "acme")
	k := decode[tenancy.Key](t, in.must("key", "create", "acme", "--json"))
	keyring := testenv.Must(secret.Parse(testenv.Must(os.ReadFile(in.keyring))(t)))(t)
	cfg := nodetest.Config(t, in.db, keyring, node.RoleGateway)
	cfg.DrainTimeout = 10 * time.Second
	run := func(use func(*s3.Client)) {
		t.Helper()
		n := nodetest.Start(t, cfg)
		use(client(n.S3, k))
		n.Stop()
	}
	put := func(c *s3.Client, key string) {
		if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("data"), Key: aws.String(key), Body: strings.NewReader("x")}); err != nil {
			t.Error(err)
		}
	}
	run(func(c *s3.Client) {
		for _, name := range []string{"data", "logs"} {
			if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(name)}); err != nil {
				t.Error(err)
			}
		}
		if _, err := c.PutBucketLogging(t.Context(), &s3.PutBucketLoggingInput{Bucket: aws.String("data"), BucketLoggingStatus: &types.BucketLoggingStatus{
			LoggingEnabled: &types.LoggingEnabled{TargetBucket: aws.String("logs"), TargetPrefix: aws.String("")}}}); err != nil {
			t.Error(err)
		}
		put(c, "first")
	})
	run(func(c *s3.Client) {
		text := logged(t, c)
		if strings.Count(text, "REST.PUT.OBJECT first") != 1 {
			t.Errorf("after the end of the first node:\n%s", text)
		}
		put(c, "second")
	})
	run(func(c *s3.Client) {
		text := logged(t, c)
		if strings.Count(text, "REST.PUT.OBJECT first") != 1 || strings.Count(text, "REST.PUT.OBJECT second") != 1 {
			t.Errorf("after the second:\n%s", text)
		}
	})
	files, err := filepath.Glob(filepath.Join(cfg.AccessLog.Dir, "access-*-node-a.jsonl"))
	if err != nil || len(files) != 3 {
		t.Errorf("files %v, %v", files, err)
	}
}

func logged(t *testing.T, c *s3.Client) string {
	t.Helper()
	var text strings.Builder
	list, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("logs")})
	if err != nil {
		t.Error(err)
		return ""
	}
	for _, o := range list.Contents {
		out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("logs"), Key: o.Key})
		if err != nil {
			t.Error(err)
			continue
		}
		_, _ = io.Copy(&text, out.Body)
		_ = out.Body.Close()
	}
	return text.String()
}
