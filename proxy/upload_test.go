package proxy_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/minio/minio-go/v7"
	miniocreds "github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy"
)

// transport trusts the gateway's development CA.
func (g *gateway) transport() *http.Transport {
	g.t.Helper()
	pem, err := os.ReadFile(g.caFile)
	if err != nil {
		g.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
}

// overTLS is an aws-sdk-go-v2 client of the TLS listener.
func (tn *tenant) overTLS(opts ...func(*s3.Options)) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String("https://" + tn.g.tlsAddr), Region: "us-east-1", UsePathStyle: true, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(tn.key.KeyID, tn.key.Secret, ""),
		HTTPClient:  &http.Client{Transport: tn.g.transport()},
	}, opts...)
}

// TestAWSGo uploads with every default and explicit checksum, over http and
// https; a checksum that was sent comes back.
func TestAWSGo(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{tls: true})
	tn := g.tenant()
	if _, err := tn.s3().CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("aws-go")}); err != nil {
		t.Fatal(err)
	}
	for scheme, c := range map[string]*s3.Client{"http": tn.s3(), "https": tn.overTLS()} {
		for _, size := range []int{0, 1, 100_000, 5<<20 + 1} {
			data := bytes.Repeat([]byte("d"), size)
			for _, algorithm := range []types.ChecksumAlgorithm{"", types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmCrc32c, types.ChecksumAlgorithmCrc64nvme, types.ChecksumAlgorithmSha1, types.ChecksumAlgorithmSha256} {
				name := fmt.Sprintf("%s/%d/%s", scheme, size, algorithm)
				put, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("aws-go"), Key: aws.String(name), Body: bytes.NewReader(data), ChecksumAlgorithm: algorithm})
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				get, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("aws-go"), Key: aws.String(name), ChecksumMode: types.ChecksumModeEnabled})
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				got, err := io.ReadAll(get.Body) // the SDK verifies the checksum
				if err != nil || !bytes.Equal(got, data) {
					t.Errorf("%s: %d bytes, %v", name, len(got), err)
				}
				for _, pair := range [][2]*string{{put.ChecksumCRC32, get.ChecksumCRC32}, {put.ChecksumCRC32C, get.ChecksumCRC32C}, {put.ChecksumCRC64NVME, get.ChecksumCRC64NVME}, {put.ChecksumSHA1, get.ChecksumSHA1}, {put.ChecksumSHA256, get.ChecksumSHA256}} {
					if aws.ToString(pair[0]) != aws.ToString(pair[1]) {
						t.Errorf("E2 %s: the checksum was %v and is %v", name, aws.ToString(pair[0]), aws.ToString(pair[1]))
					}
				}
			}
		}
	}
}

// TestB20_oneChunk: aws-sdk-go-v2 sends a checksummed body over TLS as one
// chunk, which plain MinIO refuses above 16 MiB.
func TestB20_oneChunk(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{tls: true})
	tn := g.tenant()
	c := tn.overTLS()
	if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("one-chunk")}); err != nil {
		t.Fatal(err)
	}
	data := bytes.Repeat([]byte("0123456789abcdef"), 40<<16)
	if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("one-chunk"), Key: aws.String("k"), Body: bytes.NewReader(data), ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme}); err != nil {
		t.Fatal(err)
	}
	head, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("one-chunk"), Key: aws.String("k"), ChecksumMode: types.ChecksumModeEnabled})
	if err != nil || aws.ToInt64(head.ContentLength) != int64(len(data)) || head.ChecksumCRC64NVME == nil {
		t.Errorf("%+v, %v", head, err)
	}
}

// TestMinioGo: signed chunks without Content-Encoding over http, unsigned over
// https, with and without trailing checksums, and parts.
func TestMinioGo(t *testing.T) { //nolint:tparallel // uploads of 20 MiB, one after the other
	t.Parallel()
	g := newGateway(t, options{tls: true})
	tn := g.tenant()
	for _, secure := range []bool{false, true} {
		for _, trailing := range []bool{false, true} {
			t.Run(fmt.Sprintf("tls=%v trailing=%v", secure, trailing), func(t *testing.T) {
				addr := map[bool]string{false: g.addr, true: g.tlsAddr}[secure]
				o := &minio.Options{Creds: miniocreds.NewStaticV4(tn.key.KeyID, tn.key.Secret, ""), Region: "us-east-1", Secure: secure, TrailingHeaders: trailing}
				if secure {
					o.Transport = g.transport()
				}
				c, err := minio.New(addr, o)
				if err != nil {
					t.Fatal(err)
				}
				bucket := fmt.Sprintf("minio-go-%v-%v", secure, trailing)
				if err := c.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}); err != nil {
					t.Fatal(err)
				}
				for _, size := range []int{0, 1, 70_000, 20 << 20} {
					data := bytes.Repeat([]byte("m"), size)
					opts := minio.PutObjectOptions{PartSize: 5 << 20}
					if trailing {
						opts.Checksum = minio.ChecksumCRC32C
					}
					if _, err := c.PutObject(t.Context(), bucket, "k", bytes.NewReader(data), int64(size), opts); err != nil {
						t.Fatalf("%d: %v", size, err)
					}
					obj, err := c.GetObject(t.Context(), bucket, "k", minio.GetObjectOptions{})
					if err != nil {
						t.Fatal(err)
					}
					if got, err := io.ReadAll(obj); err != nil || !bytes.Equal(got, data) {
						t.Errorf("%d: %d bytes, %v", size, len(got), err)
					}
				}
				for o := range c.ListObjects(t.Context(), bucket, minio.ListObjectsOptions{Recursive: true}) {
					if o.Err != nil {
						t.Error(o.Err)
					}
				}
				if _, err := c.CopyObject(t.Context(), minio.CopyDestOptions{Bucket: bucket, Object: "copy"}, minio.CopySrcOptions{Bucket: bucket, Object: "k"}); err != nil {
					t.Error(err)
				}
				for e := range c.RemoveObjects(t.Context(), bucket, c.ListObjects(t.Context(), bucket, minio.ListObjectsOptions{}), minio.RemoveObjectsOptions{}) {
					t.Error(e.Err)
				}
				if err := c.RemoveBucket(t.Context(), bucket); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestD17_customerKeys: SSE-C works when both hops are TLS.
func TestD17_customerKeys(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{tls: true, minio: testenv.MinIOTLS(t)})
	tn := g.tenant()
	c := tn.overTLS()
	if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("customer-keys")}); err != nil {
		t.Fatal(err)
	}
	key := strings.Repeat("k", 32)
	encoded, sum := b64(key), contentMD5([]byte(key))
	if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("customer-keys"), Key: aws.String("k"), Body: strings.NewReader("sealed"),
		SSECustomerAlgorithm: aws.String("AES256"), SSECustomerKey: aws.String(encoded), SSECustomerKeyMD5: aws.String(sum)}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("customer-keys"), Key: aws.String("k")}); err == nil {
		t.Error("it was read without the key")
	}
	out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("customer-keys"), Key: aws.String("k"),
		SSECustomerAlgorithm: aws.String("AES256"), SSECustomerKey: aws.String(encoded), SSECustomerKeyMD5: aws.String(sum)})
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := io.ReadAll(out.Body); string(got) != "sealed" {
		t.Errorf("got %q", got)
	}
	// The backend is TLS but the client's hop is not.
	if _, err := tn.s3().PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("customer-keys"), Key: aws.String("p"), Body: strings.NewReader("x"),
		SSECustomerAlgorithm: aws.String("AES256"), SSECustomerKey: aws.String(encoded), SSECustomerKeyMD5: aws.String(sum)}); err == nil || !strings.Contains(err.Error(), "TLS") {
		t.Errorf("over plain http: %v", err)
	}
	if strings.Contains(g.log.String(), encoded) {
		t.Error("A17: the customer's key is in the log")
	}
}

// TestD4_listBuckets pages through the account's own buckets.
func TestD4_listBuckets(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn, other := g.tenant(), g.tenant()
	ctx := t.Context()
	if out, err := tn.s3().ListBuckets(ctx, &s3.ListBucketsInput{}); err != nil || len(out.Buckets) != 0 || aws.ToString(out.Owner.ID) != tn.account.CanonicalID {
		t.Fatalf("an account without buckets: %+v, %v", out, err)
	}
	const n = 1001
	for i := range n {
		name := fmt.Sprintf("bucket-%04d", i)
		if _, err := tenancy.ImportBucket(ctx, g.owner, tn.account.ID, name, g.backend.ID, "imported-"+name+"-"+tn.account.Name, false); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := other.s3().CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("bucket-0000")}); err != nil {
		t.Fatal("two accounts cannot both have a name:", err)
	}
	var names []string
	for p := s3.NewListBucketsPaginator(tn.s3(), &s3.ListBucketsInput{MaxBuckets: aws.Int32(100)}); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		if err != nil || len(page.Buckets) > 100 {
			t.Fatalf("%d, %v", len(page.Buckets), err)
		}
		for _, b := range page.Buckets {
			names = append(names, aws.ToString(b.Name))
		}
	}
	if len(names) != n || names[0] != "bucket-0000" || names[n-1] != "bucket-1000" {
		t.Errorf("%d buckets, %v…", len(names), names[:min(3, len(names))])
	}
	if out, err := tn.s3().ListBuckets(ctx, &s3.ListBucketsInput{Prefix: aws.String("bucket-10")}); err != nil || len(out.Buckets) != 1 {
		t.Errorf("with a prefix: %d, %v", len(out.Buckets), err)
	}
	if out, err := other.s3().ListBuckets(ctx, &s3.ListBucketsInput{}); err != nil || len(out.Buckets) != 1 {
		t.Errorf("the other account: %+v, %v", out, err)
	}
}

// TestD9_names: names of up to 63 characters, for every account.
func TestD9_names(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	name := strings.Repeat("n", 63)
	for range 2 {
		tn := g.tenant()
		if _, err := tn.s3().CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(name)}); err != nil {
			t.Fatal(err)
		}
		e := tn.raw()
		for _, c := range []struct{ host, path string }{
			{"", "/" + name + "/k"}, {name + ".s3.example.test", "/k"}, {tn.account.Name + ".tenants.example.test", "/" + name + "/k"},
			{name + "." + tn.account.Name + ".tenants.example.test", "/k"}, {"S3.Example.TEST.:9000", "/" + name + "/k"},
		} {
			if r := e.do(t, &request{method: "PUT", path: c.path, host: c.host, body: []byte(c.host)}); r.status != 200 {
				t.Errorf("D12 put by %q: %d %s", c.host, r.status, r.body)
			}
			if r := e.do(t, &request{method: "GET", path: "/" + name + "/k"}); string(r.body) != c.host {
				t.Errorf("D12 %q wrote another object: %q", c.host, r.body)
			}
		}
	}
}
