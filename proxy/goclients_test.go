package proxy_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/minio/minio-go/v7"
	miniocredentials "github.com/minio/minio-go/v7/pkg/credentials"
	miniolifecycle "github.com/minio/minio-go/v7/pkg/lifecycle"
	"github.com/minio/minio-go/v7/pkg/sse"
	"github.com/minio/minio-go/v7/pkg/tags"
)

// clientKeys are names that clients and servers write in different ways.
var clientKeys = []string{"sp ace", "pl+us", "per%cent", "ünï/☃", "a=b&c;d", "tilde~(!*)", "quo\"te'", "<tag>&amp;", "dir/"}

// objectLocked is how MinIO refuses to delete what is locked; AWS: AccessDenied.
const objectLocked = "InvalidRequest"

const publicPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":["s3:GetObject"],"Resource":["arn:aws:s3:::%s/pub/*"]}]}`

// transport trusts the run's certificate and nothing else.
func (c *clientRun) transport(t *testing.T) *http.Transport {
	t.Helper()
	tr := &http.Transport{}
	if c.ca != "" {
		pem, err := os.ReadFile(c.ca)
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		tr.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// plain does a request without a signature of its own: for presigned URLs.
func (c *clientRun) plain(t *testing.T, method, target string, header http.Header, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		if !strings.EqualFold(name, "Host") && !strings.EqualFold(name, "Content-Length") {
			req.Header[name] = values
		}
	}
	resp, err := (&http.Client{Transport: c.transport(t)}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s: %d %s %v", target, resp.StatusCode, b, err)
	}
	return string(b)
}

// tour ends the test at the first call that fails, and says which it was.
type tour struct{ t *testing.T }

func (o tour) ok(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

func (o tour) that(ok bool, what string, args ...any) {
	o.t.Helper()
	if !ok {
		o.t.Fatalf(what, args...)
	}
}

// got is a call's result where nothing may fail.
func got[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func awsSDK(t *testing.T, c *clientRun) {
	ctx, o := t.Context(), tour{t}
	// Its own retries would hide an answer that was wrong once.
	client := s3.New(s3.Options{BaseEndpoint: &c.endpoint, Region: "us-east-1", UsePathStyle: true, Retryer: aws.NopRetryer{}, HTTPClient: &http.Client{Transport: c.transport(t)},
		Credentials: credentials.NewStaticCredentialsProvider(c.id, c.secret, "")})
	data := got(os.ReadFile(c.file))(t)
	b := &c.bucket
	refused := func(err error, code string) {
		t.Helper()
		var api smithy.APIError
		o.that(errors.As(err, &api) && api.ErrorCode() == code, "%v instead of %s", err, code)
	}
	get := func(in s3.GetObjectInput) []byte {
		t.Helper()
		in.Bucket = b
		out := got(client.GetObject(ctx, &in))(t)
		defer out.Body.Close()
		return got(io.ReadAll(out.Body))(t)
	}
	put := func(key string, body []byte) *s3.PutObjectOutput {
		t.Helper()
		return got(client.PutObject(ctx, &s3.PutObjectInput{Bucket: b, Key: &key, Body: bytes.NewReader(body), ContentType: aws.String("text/x-test"), Metadata: map[string]string{"a": "b"}}))(t)
	}

	got(client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: b}))(t)
	_, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: b})
	refused(err, "BucketAlreadyOwnedByYou")
	got(client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: b}))(t)
	_, err = client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String(*b + "-missing")})
	refused(err, "NotFound")
	got(client.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: b}))(t)
	list := got(client.ListBuckets(ctx, &s3.ListBucketsInput{}))(t)
	o.that(len(list.Buckets) == 1 && *list.Buckets[0].Name == *b, "buckets: %v", list.Buckets)

	for _, size := range []int{0, 1, 70000, len(data)} {
		put("k", data[:size])
		o.that(bytes.Equal(get(s3.GetObjectInput{Key: aws.String("k"), ChecksumMode: types.ChecksumModeEnabled}), data[:size]), "%d bytes came back changed", size)
	}
	head := got(client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: b, Key: aws.String("k")}))(t)
	o.that(*head.ContentLength == int64(len(data)) && head.Metadata["a"] == "b" && *head.ContentType == "text/x-test", "head: %v", head)
	o.that(bytes.Equal(get(s3.GetObjectInput{Key: aws.String("k"), Range: aws.String("bytes=5-9")}), data[5:10]), "a range")
	for i, kind := range []types.ChecksumAlgorithm{types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmCrc32c, types.ChecksumAlgorithmCrc64nvme, types.ChecksumAlgorithmSha1, types.ChecksumAlgorithmSha256} {
		got(client.PutObject(ctx, &s3.PutObjectInput{Bucket: b, Key: aws.String("sum"), Body: bytes.NewReader(data[:100000]), ChecksumAlgorithm: kind}))(t)
		head := got(client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: b, Key: aws.String("sum"), ChecksumMode: types.ChecksumModeEnabled}))(t)
		sums := []*string{head.ChecksumCRC32, head.ChecksumCRC32C, head.ChecksumCRC64NVME, head.ChecksumSHA1, head.ChecksumSHA256}
		o.that(sums[i] != nil, "%s was not stored", kind)
	}
	for _, key := range clientKeys {
		put("odd/"+key, []byte(key))
		o.that(string(get(s3.GetObjectInput{Key: aws.String("odd/" + key)})) == key, "%q", key)
	}

	// Conditions.
	_, err = client.PutObject(ctx, &s3.PutObjectInput{Bucket: b, Key: aws.String("k"), IfNoneMatch: aws.String("*")})
	refused(err, "PreconditionFailed")
	_, err = client.GetObject(ctx, &s3.GetObjectInput{Bucket: b, Key: aws.String("k"), IfMatch: aws.String(`"other"`)})
	refused(err, "PreconditionFailed")
	_, err = client.GetObject(ctx, &s3.GetObjectInput{Bucket: b, Key: aws.String("k"), IfNoneMatch: head.ETag})
	refused(err, "NotModified")
	_, err = client.GetObject(ctx, &s3.GetObjectInput{Bucket: b, Key: aws.String("missing")})
	refused(err, "NoSuchKey")
	_, err = client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(*b + "-missing"), Key: aws.String("k")})
	refused(err, "NoSuchBucket")

	// Lists, page by page.
	var names []string
	for p := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: b, Prefix: aws.String("odd/"), MaxKeys: aws.Int32(2)}); p.HasMorePages(); {
		for _, entry := range got(p.NextPage(ctx))(t).Contents {
			names = append(names, strings.TrimPrefix(*entry.Key, "odd/"))
		}
	}
	o.that(slices.Equal(slices.Sorted(slices.Values(clientKeys)), names), "pages of V2: %q", names)
	first := got(client.ListObjects(ctx, &s3.ListObjectsInput{Bucket: b, Delimiter: aws.String("/")}))(t)
	o.that(len(first.CommonPrefixes) == 1 && *first.CommonPrefixes[0].Prefix == "odd/", "prefixes: %v", first.CommonPrefixes)

	// A multipart upload with a copied part, and one that is given up.
	up := got(client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: b, Key: aws.String("multi")}))(t)
	one := got(client.UploadPart(ctx, &s3.UploadPartInput{Bucket: b, Key: up.Key, UploadId: up.UploadId, PartNumber: aws.Int32(1), Body: bytes.NewReader(data[:5<<20])}))(t)
	two := got(client.UploadPartCopy(ctx, &s3.UploadPartCopyInput{Bucket: b, Key: up.Key, UploadId: up.UploadId, PartNumber: aws.Int32(2), CopySource: aws.String(*b + "/k"), CopySourceRange: aws.String("bytes=0-999")}))(t)
	parts := got(client.ListParts(ctx, &s3.ListPartsInput{Bucket: b, Key: up.Key, UploadId: up.UploadId}))(t)
	o.that(len(parts.Parts) == 2, "parts: %v", parts.Parts)
	got(client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: b, Key: up.Key, UploadId: up.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{
		{PartNumber: aws.Int32(1), ETag: one.ETag}, {PartNumber: aws.Int32(2), ETag: two.CopyPartResult.ETag},
	}}}))(t)
	o.that(bytes.Equal(get(s3.GetObjectInput{Key: up.Key}), slices.Concat(data[:5<<20], data[:1000])), "the multipart object came back changed")
	o.that(bytes.Equal(get(s3.GetObjectInput{Key: up.Key, PartNumber: aws.Int32(2)}), data[:1000]), "its second part")
	about := got(client.GetObjectAttributes(ctx, &s3.GetObjectAttributesInput{Bucket: b, Key: up.Key, ObjectAttributes: types.ObjectAttributes("").Values()}))(t)
	o.that(*about.ObjectSize == 5<<20+1000 && about.ObjectParts != nil, "attributes: %v", about)
	up = got(client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: b, Key: aws.String("given up")}))(t)
	uploads := got(client.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: b, Prefix: up.Key}))(t)
	o.that(len(uploads.Uploads) == 1 && *uploads.Uploads[0].UploadId == *up.UploadId, "uploads: %v", uploads.Uploads)
	got(client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: b, Key: up.Key, UploadId: up.UploadId}))(t)
	_, err = client.UploadPart(ctx, &s3.UploadPartInput{Bucket: b, Key: up.Key, UploadId: up.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("x")})
	refused(err, "NoSuchUpload")

	got(client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: b, Key: aws.String("copy ü"), CopySource: aws.String(*b + "/odd/" + url.PathEscape("ünï/☃"))}))(t)
	o.that(string(get(s3.GetObjectInput{Key: aws.String("copy ü")})) == "ünï/☃", "the copy")
	_, err = client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: b, Key: aws.String("copy"), CopySource: aws.String(*b + "/k"), CopySourceIfMatch: aws.String("other")})
	refused(err, "PreconditionFailed")

	// Tags, and what a bucket is told.
	tag := &types.Tagging{TagSet: []types.Tag{{Key: aws.String("x"), Value: aws.String("y")}}}
	got(client.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{Bucket: b, Key: aws.String("k"), Tagging: tag}))(t)
	o.that(*got(client.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: b, Key: aws.String("k")}))(t).TagSet[0].Value == "y", "the object's tag")
	got(client.DeleteObjectTagging(ctx, &s3.DeleteObjectTaggingInput{Bucket: b, Key: aws.String("k")}))(t)
	got(client.PutBucketTagging(ctx, &s3.PutBucketTaggingInput{Bucket: b, Tagging: tag}))(t)
	o.that(*got(client.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: b}))(t).TagSet[0].Value == "y", "the bucket's tag")
	got(client.DeleteBucketTagging(ctx, &s3.DeleteBucketTaggingInput{Bucket: b}))(t)
	_, err = client.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: b})
	refused(err, "NoSuchTagSet")
	got(client.PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{Bucket: b, LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: []types.LifecycleRule{
		{ID: aws.String("r"), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String("tmp/")}, Expiration: &types.LifecycleExpiration{Days: aws.Int32(3)}}}}}))(t)
	rules := got(client.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: b}))(t).Rules
	o.that(len(rules) == 1 && *rules[0].ID == "r" && *rules[0].Expiration.Days == 3, "rules: %v", rules)
	got(client.DeleteBucketLifecycle(ctx, &s3.DeleteBucketLifecycleInput{Bucket: b}))(t)
	got(client.PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{Bucket: b, ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{Rules: []types.ServerSideEncryptionRule{
		{ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{SSEAlgorithm: types.ServerSideEncryptionAes256}}}}}))(t)
	got(client.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: b}))(t)
	o.that(put("encrypted", []byte("x")).ServerSideEncryption == types.ServerSideEncryptionAes256, "the bucket's encryption")
	got(client.DeleteBucketEncryption(ctx, &s3.DeleteBucketEncryptionInput{Bucket: b}))(t)
	got(client.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: b, Policy: aws.String(fmt.Sprintf(publicPolicy, *b))}))(t)
	o.that(strings.Contains(*got(client.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: b}))(t).Policy, *b+"/pub/*"), "the policy")
	got(client.GetBucketPolicyStatus(ctx, &s3.GetBucketPolicyStatusInput{Bucket: b}))(t)
	got(client.DeleteBucketPolicy(ctx, &s3.DeleteBucketPolicyInput{Bucket: b}))(t)
	got(client.GetBucketAcl(ctx, &s3.GetBucketAclInput{Bucket: b}))(t)
	got(client.GetObjectAcl(ctx, &s3.GetObjectAclInput{Bucket: b, Key: aws.String("k")}))(t)

	// Versions and locks, in a bucket of their own.
	locked := aws.String(*b + "-locked")
	got(client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: locked, ObjectLockEnabledForBucket: aws.Bool(true)}))(t)
	o.that(got(client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: locked}))(t).Status == types.BucketVersioningStatusEnabled, "versioning of a bucket with locks")
	v := got(client.PutObject(ctx, &s3.PutObjectInput{Bucket: locked, Key: aws.String("k"), Body: strings.NewReader("1")}))(t).VersionId
	hold := func(s types.ObjectLockLegalHoldStatus) {
		t.Helper()
		got(client.PutObjectLegalHold(ctx, &s3.PutObjectLegalHoldInput{Bucket: locked, Key: aws.String("k"), VersionId: v, LegalHold: &types.ObjectLockLegalHold{Status: s}}))(t)
		o.that(got(client.GetObjectLegalHold(ctx, &s3.GetObjectLegalHoldInput{Bucket: locked, Key: aws.String("k"), VersionId: v}))(t).LegalHold.Status == s, "the hold")
	}
	hold(types.ObjectLockLegalHoldStatusOn)
	_, err = client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: locked, Key: aws.String("k"), VersionId: v})
	refused(err, objectLocked)
	hold(types.ObjectLockLegalHoldStatusOff)
	got(client.PutObjectRetention(ctx, &s3.PutObjectRetentionInput{Bucket: locked, Key: aws.String("k"), VersionId: v,
		Retention: &types.ObjectLockRetention{Mode: types.ObjectLockRetentionModeGovernance, RetainUntilDate: aws.Time(time.Now().Add(time.Hour))}}))(t)
	got(client.GetObjectRetention(ctx, &s3.GetObjectRetentionInput{Bucket: locked, Key: aws.String("k"), VersionId: v}))(t)
	_, err = client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: locked, Key: aws.String("k"), VersionId: v})
	refused(err, objectLocked)
	got(client.PutObjectLockConfiguration(ctx, &s3.PutObjectLockConfigurationInput{Bucket: locked, ObjectLockConfiguration: &types.ObjectLockConfiguration{ObjectLockEnabled: types.ObjectLockEnabledEnabled,
		Rule: &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: types.ObjectLockRetentionModeGovernance, Days: aws.Int32(1)}}}}))(t)
	got(client.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: locked}))(t)

	// Presigned.
	presign := s3.NewPresignClient(client)
	sent := got(presign.PresignPutObject(ctx, &s3.PutObjectInput{Bucket: b, Key: aws.String("presigned")}))(t)
	c.plain(t, sent.Method, sent.URL, sent.SignedHeader, "by URL")
	asked := got(presign.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: b, Key: aws.String("presigned")}))(t)
	o.that(c.plain(t, asked.Method, asked.URL, asked.SignedHeader, "") == "by URL", "a presigned GET")

	// With versions, everything is deleted by its version, many at once.
	got(client.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: b, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}}))(t)
	old := put("v", []byte("1")).VersionId
	put("v", []byte("2"))
	o.that(string(get(s3.GetObjectInput{Key: aws.String("v"), VersionId: old})) == "1", "the older version")
	got(client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: b, Key: aws.String("v")}))(t)
	all := &types.Delete{}
	for p := s3.NewListObjectVersionsPaginator(client, &s3.ListObjectVersionsInput{Bucket: b, MaxKeys: aws.Int32(3)}); p.HasMorePages(); {
		page := got(p.NextPage(ctx))(t)
		for _, one := range page.Versions {
			all.Objects = append(all.Objects, types.ObjectIdentifier{Key: one.Key, VersionId: one.VersionId})
		}
		for _, one := range page.DeleteMarkers {
			all.Objects = append(all.Objects, types.ObjectIdentifier{Key: one.Key, VersionId: one.VersionId})
		}
	}
	gone := got(client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: b, Delete: all}))(t)
	o.that(len(gone.Deleted) == len(all.Objects) && len(gone.Errors) == 0, "deleted: %v, not: %v", len(gone.Deleted), gone.Errors)
	got(client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: b}))(t)
}

func minioGo(t *testing.T, c *clientRun) {
	ctx, o := t.Context(), tour{t}
	u := got(url.Parse(c.endpoint))(t)
	client := got(minio.New(u.Host, &minio.Options{Creds: miniocredentials.NewStaticV4(c.id, c.secret, ""), Secure: c.ca != "", Transport: c.transport(t), MaxRetries: 1, TrailingHeaders: true}))(t)
	data := got(os.ReadFile(c.file))(t)
	b := c.bucket
	refused := func(err error, code string) {
		t.Helper()
		o.that(minio.ToErrorResponse(err).Code == code, "%v instead of %s", err, code)
	}
	get := func(key string, opts minio.GetObjectOptions) []byte {
		t.Helper()
		return got(io.ReadAll(got(client.GetObject(ctx, b, key, opts))(t)))(t)
	}
	put := func(key, body string) minio.UploadInfo {
		t.Helper()
		return got(client.PutObject(ctx, b, key, strings.NewReader(body), int64(len(body)), minio.PutObjectOptions{UserMetadata: map[string]string{"a": "b"}}))(t)
	}

	o.ok(client.MakeBucket(ctx, b, minio.MakeBucketOptions{}))
	refused(client.MakeBucket(ctx, b, minio.MakeBucketOptions{}), "BucketAlreadyOwnedByYou")
	o.that(got(client.BucketExists(ctx, b))(t), "the bucket is not there")
	o.that(!got(client.BucketExists(ctx, b+"-missing"))(t), "a missing bucket is there")
	buckets := got(client.ListBuckets(ctx))(t)
	o.that(len(buckets) == 1 && buckets[0].Name == b, "buckets: %v", buckets)

	for _, size := range []int{0, 1, 70000} {
		for _, known := range []int64{int64(size), -1} {
			got(client.PutObject(ctx, b, "k", bytes.NewReader(data[:size]), known, minio.PutObjectOptions{PartSize: 5 << 20}))(t)
			o.that(bytes.Equal(get("k", minio.GetObjectOptions{}), data[:size]), "%d bytes came back changed", size)
		}
	}
	got(client.FPutObject(ctx, b, "multi", c.file, minio.PutObjectOptions{PartSize: 5 << 20, ConcurrentStreamParts: true, NumThreads: 2}))(t)
	o.that(bytes.Equal(get("multi", minio.GetObjectOptions{}), data), "the multipart object came back changed")
	o.ok(client.FGetObject(ctx, b, "multi", filepath.Join(c.dir, "back.bin"), minio.GetObjectOptions{}))
	c.same(t, c.file, filepath.Join(c.dir, "back.bin"))
	var part minio.GetObjectOptions
	o.ok(part.SetRange(5, 9))
	o.that(bytes.Equal(get("multi", part), data[5:10]), "a range")
	for _, kind := range []minio.ChecksumType{minio.ChecksumCRC32, minio.ChecksumCRC32C, minio.ChecksumCRC64NVME, minio.ChecksumSHA1, minio.ChecksumSHA256} {
		got(client.PutObject(ctx, b, "sum", bytes.NewReader(data[:100000]), 100000, minio.PutObjectOptions{Checksum: kind}))(t)
		stat := got(client.StatObject(ctx, b, "sum", minio.StatObjectOptions{Checksum: true}))(t)
		o.that(map[minio.ChecksumType]string{minio.ChecksumCRC32: stat.ChecksumCRC32, minio.ChecksumCRC32C: stat.ChecksumCRC32C, minio.ChecksumCRC64NVME: stat.ChecksumCRC64NVME,
			minio.ChecksumSHA1: stat.ChecksumSHA1, minio.ChecksumSHA256: stat.ChecksumSHA256}[kind] != "", "%s was not stored", kind)
	}
	for _, key := range clientKeys {
		put("odd/"+key, key)
		o.that(string(get("odd/"+key, minio.GetObjectOptions{})) == key, "%q", key)
	}
	stat := got(client.StatObject(ctx, b, "odd/sp ace", minio.StatObjectOptions{}))(t)
	o.that(stat.UserMetadata["A"] == "b" && stat.Size == 6, "stat: %+v", stat)
	for _, v1 := range []bool{false, true} {
		var names []string
		for entry := range client.ListObjects(ctx, b, minio.ListObjectsOptions{Prefix: "odd/", Recursive: true, UseV1: v1, MaxKeys: 2}) {
			o.ok(entry.Err)
			names = append(names, strings.TrimPrefix(entry.Key, "odd/"))
		}
		o.that(slices.Equal(slices.Sorted(slices.Values(clientKeys)), names), "pages, V1 %v: %q", v1, names)
	}

	_, err := client.StatObject(ctx, b, "missing", minio.StatObjectOptions{})
	refused(err, "NoSuchKey")
	once := minio.PutObjectOptions{}
	once.SetMatchETagExcept("*")
	_, err = client.PutObject(ctx, b, "k", strings.NewReader("x"), 1, once)
	refused(err, "PreconditionFailed")
	match := minio.StatObjectOptions{}
	o.ok(match.SetMatchETag("other"))
	_, err = client.StatObject(ctx, b, "k", match)
	refused(err, "PreconditionFailed")

	got(client.CopyObject(ctx, minio.CopyDestOptions{Bucket: b, Object: "copy ü"}, minio.CopySrcOptions{Bucket: b, Object: "odd/ünï/☃"}))(t)
	o.that(string(get("copy ü", minio.GetObjectOptions{})) == "ünï/☃", "the copy")
	got(client.ComposeObject(ctx, minio.CopyDestOptions{Bucket: b, Object: "composed"}, minio.CopySrcOptions{Bucket: b, Object: "multi"}, minio.CopySrcOptions{Bucket: b, Object: "k"}))(t)
	o.that(bytes.Equal(get("composed", minio.GetObjectOptions{}), slices.Concat(data, data[:70000])), "what was composed")
	core := minio.Core{Client: client}
	got(core.NewMultipartUpload(ctx, b, "given up", minio.PutObjectOptions{}))(t)
	o.ok(client.RemoveIncompleteUpload(ctx, b, "given up"))

	tag := got(tags.NewTags(map[string]string{"x": "y"}, true))(t)
	o.ok(client.PutObjectTagging(ctx, b, "k", tag, minio.PutObjectTaggingOptions{}))
	o.that(got(client.GetObjectTagging(ctx, b, "k", minio.GetObjectTaggingOptions{}))(t).ToMap()["x"] == "y", "the object's tag")
	o.ok(client.RemoveObjectTagging(ctx, b, "k", minio.RemoveObjectTaggingOptions{}))
	o.ok(client.SetBucketTagging(ctx, b, got(tags.NewTags(map[string]string{"x": "y"}, false))(t)))
	o.that(got(client.GetBucketTagging(ctx, b))(t).ToMap()["x"] == "y", "the bucket's tag")
	o.ok(client.RemoveBucketTagging(ctx, b))
	rules := miniolifecycle.NewConfiguration()
	rules.Rules = []miniolifecycle.Rule{{ID: "r", Status: "Enabled", RuleFilter: miniolifecycle.Filter{Prefix: "tmp/"}, Expiration: miniolifecycle.Expiration{Days: 3}}}
	o.ok(client.SetBucketLifecycle(ctx, b, rules))
	kept := got(client.GetBucketLifecycle(ctx, b))(t)
	o.that(len(kept.Rules) == 1 && kept.Rules[0].ID == "r", "rules: %v", kept.Rules)
	o.ok(client.SetBucketLifecycle(ctx, b, miniolifecycle.NewConfiguration()))
	o.ok(client.SetBucketEncryption(ctx, b, sse.NewConfigurationSSES3()))
	got(client.GetBucketEncryption(ctx, b))(t)
	o.ok(client.RemoveBucketEncryption(ctx, b))
	o.ok(client.SetBucketPolicy(ctx, b, fmt.Sprintf(publicPolicy, b)))
	o.that(strings.Contains(got(client.GetBucketPolicy(ctx, b))(t), b+"/pub/*"), "the policy")
	o.ok(client.SetBucketPolicy(ctx, b, ""))

	locked := b + "-locked"
	o.ok(client.MakeBucket(ctx, locked, minio.MakeBucketOptions{ObjectLocking: true}))
	v := got(client.PutObject(ctx, locked, "k", strings.NewReader("1"), 1, minio.PutObjectOptions{}))(t).VersionID
	on, off := minio.LegalHoldEnabled, minio.LegalHoldDisabled
	o.ok(client.PutObjectLegalHold(ctx, locked, "k", minio.PutObjectLegalHoldOptions{Status: &on, VersionID: v}))
	refused(client.RemoveObject(ctx, locked, "k", minio.RemoveObjectOptions{VersionID: v}), objectLocked)
	o.ok(client.PutObjectLegalHold(ctx, locked, "k", minio.PutObjectLegalHoldOptions{Status: &off, VersionID: v}))
	mode, until, days, unit := minio.Governance, time.Now().Add(time.Hour), uint(1), minio.Days
	o.ok(client.PutObjectRetention(ctx, locked, "k", minio.PutObjectRetentionOptions{Mode: &mode, RetainUntilDate: &until, VersionID: v}))
	refused(client.RemoveObject(ctx, locked, "k", minio.RemoveObjectOptions{VersionID: v}), objectLocked)
	o.ok(client.SetObjectLockConfig(ctx, locked, &mode, &days, &unit))

	sent := got(client.PresignedPutObject(ctx, b, "presigned", time.Minute))(t)
	c.plain(t, "PUT", sent.String(), nil, "by URL")
	asked := got(client.PresignedGetObject(ctx, b, "presigned", time.Minute, nil))(t)
	o.that(c.plain(t, "GET", asked.String(), nil, "") == "by URL", "a presigned GET")

	o.ok(client.EnableVersioning(ctx, b))
	old := put("v", "1").VersionID
	put("v", "2")
	o.that(string(get("v", minio.GetObjectOptions{VersionID: old})) == "1", "the older version")
	o.ok(client.RemoveObject(ctx, b, "v", minio.RemoveObjectOptions{}))
	list, cancel := context.WithCancel(ctx)
	defer cancel()
	for failure := range client.RemoveObjects(ctx, b, client.ListObjects(list, b, minio.ListObjectsOptions{WithVersions: true, Recursive: true}), minio.RemoveObjectsOptions{}) {
		o.ok(failure.Err)
	}
	o.ok(client.RemoveBucket(ctx, b))
}
