package proxy_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

func TestPutGetDelete(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	a := g.tenant()
	c := a.s3()
	ctx := t.Context()
	if _, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("backups")}); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 1, 1 << 10, 1 << 20, 10<<20 + 3} {
		data := bytes.Repeat([]byte("x"), size)
		if _, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("backups"), Key: aws.String("dir/a b+c"), Body: bytes.NewReader(data)}); err != nil {
			t.Fatalf("put %d: %v", size, err)
		}
		out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("backups"), Key: aws.String("dir/a b+c")})
		if err != nil {
			t.Fatalf("get %d: %v", size, err)
		}
		got, err := io.ReadAll(out.Body)
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("get %d: %d bytes, %v", size, len(got), err)
		}
	}
	list, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("backups")})
	if err != nil || len(list.Contents) != 1 || aws.ToString(list.Name) != "backups" {
		t.Fatalf("list: %+v, %v", list, err)
	}
	if _, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String("backups"), Key: aws.String("dir/a b+c")}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: aws.String("backups")}); err != nil {
		t.Fatal(err)
	}
}
