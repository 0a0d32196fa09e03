package s3xml_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/primecloudpro/primecloud/proxy/s3xml"
)

// answering is an HTTP client that has one answer.
type answering string

func (a answering) Do(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(a))), ContentLength: int64(len(a))}, nil
}

// asks is the call of an SDK that reads each answer.
var asks = []struct {
	answer *s3xml.Response
	root   string
	ask    func(ctx context.Context, c *s3.Client) (any, error)
}{
	{s3xml.ListObjects, "ListBucketResult", func(ctx context.Context, c *s3.Client) (any, error) {
		return c.ListObjects(ctx, &s3.ListObjectsInput{Bucket: aws.String("b")})
	}},
	{s3xml.ListObjectsV2, "ListBucketResult", func(ctx context.Context, c *s3.Client) (any, error) {
		return c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("b")})
	}},
	{s3xml.ListVersions, "ListVersionsResult", func(ctx context.Context, c *s3.Client) (any, error) {
		return c.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: aws.String("b")})
	}},
	{s3xml.ListParts, "ListPartsResult", func(ctx context.Context, c *s3.Client) (any, error) {
		return c.ListParts(ctx, &s3.ListPartsInput{Bucket: aws.String("b"), Key: aws.String("k"), UploadId: aws.String("u")})
	}},
	{s3xml.CreateUpload, "InitiateMultipartUploadResult", func(ctx context.Context, c *s3.Client) (any, error) {
		return c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: aws.String("b"), Key: aws.String("k")})
	}},
	{s3xml.CompleteUpload, "CompleteMultipartUploadResult", func(ctx context.Context, c *s3.Client) (any, error) {
		return c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: aws.String("b"), Key: aws.String("k"), UploadId: aws.String("u")})
	}},
	{s3xml.CopyObject, "CopyObjectResult", func(ctx context.Context, c *s3.Client) (any, error) {
		out, err := c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: aws.String("b"), Key: aws.String("k"), CopySource: aws.String("b/k")})
		if err != nil {
			return nil, err
		}
		return out.CopyObjectResult, nil
	}},
	{s3xml.CopyPart, "CopyPartResult", func(ctx context.Context, c *s3.Client) (any, error) {
		out, err := c.UploadPartCopy(ctx, &s3.UploadPartCopyInput{Bucket: aws.String("b"), Key: aws.String("k"), CopySource: aws.String("b/k"), UploadId: aws.String("u"), PartNumber: aws.Int32(1)})
		if err != nil {
			return nil, err
		}
		return out.CopyPartResult, nil
	}},
	{s3xml.Attributes, "GetObjectAttributesResponse", func(ctx context.Context, c *s3.Client) (any, error) {
		return c.GetObjectAttributes(ctx, &s3.GetObjectAttributesInput{Bucket: aws.String("b"), Key: aws.String("k"), ObjectAttributes: []types.ObjectAttributes{"ETag"}})
	}},
	{s3xml.GetVersioning, "VersioningConfiguration", func(ctx context.Context, c *s3.Client) (any, error) {
		return c.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: aws.String("b")})
	}},
	{s3xml.GetTagging, "Tagging", func(ctx context.Context, c *s3.Client) (any, error) {
		return c.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: aws.String("b")})
	}},
	{s3xml.GetObjectLock, "ObjectLockConfiguration", func(ctx context.Context, c *s3.Client) (any, error) {
		return c.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: aws.String("b")})
	}},
	{s3xml.GetEncryption, "ServerSideEncryptionConfiguration", func(ctx context.Context, c *s3.Client) (any, error) {
		return c.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: aws.String("b")})
	}},
	{s3xml.GetRetention, "Retention", func(ctx context.Context, c *s3.Client) (any, error) {
		return c.GetObjectRetention(ctx, &s3.GetObjectRetentionInput{Bucket: aws.String("b"), Key: aws.String("k")})
	}},
	{s3xml.GetLegalHold, "LegalHold", func(ctx context.Context, c *s3.Client) (any, error) {
		return c.GetObjectLegalHold(ctx, &s3.GetObjectLegalHoldInput{Bucket: aws.String("b"), Key: aws.String("k")})
	}},
}

// notOurs are what S3 tells and this gateway does not: what nobody can make here,
// and what is told in headers.
var notOurs = regexp.MustCompile(`^(ResultMetadata|RequestCharged|Restore.*|IsRestoreInProgress|MFADelete|KMSMasterKeyID|SSE.*|BlockedEncryptionTypes|EncryptionType|Blocked.*|` +
	`Checksum(MD5|SHA512|XXHASH.*)|VersionId|CopySourceVersionId|Expiration|ServerSideEncryption|Abort.*|Id|ObjectLockEventHold.*|EventHold.*|Allow.*|DefaultEventHold.*)$`)

// inHeaders are those of which other answers have elements; the last are of a lock that
// counts from an event.
var inHeaders = []string{
	"InitiateMultipartUploadResult/BucketKeyEnabled", "InitiateMultipartUploadResult/ChecksumAlgorithm", "InitiateMultipartUploadResult/ChecksumType",
	"CompleteMultipartUploadResult/BucketKeyEnabled", "GetObjectAttributesResponse/DeleteMarker", "GetObjectAttributesResponse/LastModified",
	"Retention/Days", "Retention/Years",
}

// wireNames are the SDK's names of elements that S3 calls otherwise.
var wireNames = map[string]string{
	"Versions": "Version", "DeleteMarkers": "DeleteMarker", "Parts": "Part", "TotalPartsCount": "PartsCount", "Rules": "Rule",
}

// The elements are S3's: an SDK finds each of them where it is known to be, and
// knows no other but those that are left out on purpose.
func TestAnswers_sdk(t *testing.T) {
	t.Parallel()
	tried := map[*s3xml.Response]bool{}
	for _, c := range asks {
		tried[c.answer] = true
		read := func(doc string) string {
			client := s3.New(s3.Options{Region: "us-east-1", BaseEndpoint: aws.String("http://backend"), HTTPClient: answering(doc), Credentials: aws.AnonymousCredentials{}})
			out, err := c.ask(t.Context(), client)
			if err != nil {
				t.Fatalf("%s: %v", doc, err)
			}
			told, err := json.Marshal(out)
			if err != nil {
				t.Fatal(err)
			}
			return string(told)
		}
		names := map[string]bool{}
		for path, text := range c.answer.Paths() {
			at := strings.Split(path, "/")
			for _, name := range at {
				names[name] = true
			}
			if !text || at[0] != c.root {
				continue
			}
			doc := func(inner string) string {
				var b bytes.Buffer
				for _, name := range at[:len(at)-1] {
					b.WriteString("<" + name + ">")
				}
				b.WriteString(inner)
				for _, name := range slices.Backward(at[:len(at)-1]) {
					b.WriteString("</" + name + ">")
				}
				return b.String()
			}
			value := "17"
			switch name := at[len(at)-1]; {
			case strings.HasPrefix(name, "Is"), name == "BucketKeyEnabled":
				value = "true"
			case name == "LastModified", name == "RetainUntilDate":
				value = "2026-01-02T03:04:05Z"
			}
			leaf := at[len(at)-1]
			if read(doc("<"+leaf+">"+value+"</"+leaf+">")) == read(doc("<Unknown>"+value+"</Unknown>")) {
				t.Errorf("the SDK does not find %s", path)
			}
		}
		out, err := c.ask(t.Context(), s3.New(s3.Options{Region: "us-east-1", BaseEndpoint: aws.String("http://backend"), HTTPClient: answering("<" + c.root + "/>"), Credentials: aws.AnonymousCredentials{}}))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range fields(reflect.TypeOf(out), nil) {
			if wire, ok := wireNames[name]; ok {
				name = wire
			}
			if !names[name] && !notOurs.MatchString(name) && !slices.Contains(inHeaders, c.root+"/"+name) {
				t.Errorf("the SDK reads %s of a %s, which is left out", name, c.root)
			}
		}
	}
	for root, a := range known {
		if !tried[a] {
			t.Errorf("no SDK reads %s", root)
		}
	}
}

// fields are the names of all fields of a type, those of its fields too.
func fields(of reflect.Type, all []string) []string {
	for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
		of = of.Elem()
	}
	if of.Kind() != reflect.Struct || !strings.Contains(of.PkgPath(), "service/s3") {
		return all
	}
	for f := range of.Fields() {
		if f.IsExported() {
			all = fields(f.Type, append(all, f.Name))
		}
	}
	return all
}
