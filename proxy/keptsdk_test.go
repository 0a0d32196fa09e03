package proxy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// TestKept_sdk: what aws-sdk-go-v2 puts is what it gets, field by field, so that what
// is given back has S3's shape too.
func TestKept_sdk(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	c := g.tenant().s3()
	ctx := t.Context()
	bucket, logs, key := aws.String("kept"), aws.String("kept-logs"), aws.String("k") // logs go nowhere with a default retention
	if _, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: logs}); err != nil {
		t.Fatal(err)
	}
	_, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bucket, ObjectLockEnabledForBucket: aws.Bool(true), ObjectOwnership: types.ObjectOwnershipBucketOwnerEnforced})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader("x")}); err != nil {
		t.Fatal(err)
	}
	tags := []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}, {Key: aws.String("c"), Value: aws.String("")}}
	until := aws.Time(time.Now().UTC().Add(24 * time.Hour).Truncate(time.Millisecond))
	rule := func(id string, f *types.LifecycleRuleFilter) types.LifecycleRule {
		return types.LifecycleRule{ID: aws.String(id), Status: types.ExpirationStatusEnabled, Filter: f, Expiration: &types.LifecycleExpiration{Days: aws.Int32(3)}}
	}
	dated := rule("dated", &types.LifecycleRuleFilter{Prefix: aws.String("")})
	dated.Expiration = &types.LifecycleExpiration{Date: aws.Time(time.Date(2031, 2, 3, 0, 0, 0, 0, time.UTC))}
	marker := rule("marker", nil)
	marker.Prefix, marker.Status = aws.String("old/"), types.ExpirationStatusDisabled //nolint:staticcheck // the deprecated place is what is looked at
	marker.Expiration = &types.LifecycleExpiration{ExpiredObjectDeleteMarker: aws.Bool(true)}
	marker.NoncurrentVersionExpiration = &types.NoncurrentVersionExpiration{NoncurrentDays: aws.Int32(4), NewerNoncurrentVersions: aws.Int32(5)}
	lifecycle := &types.BucketLifecycleConfiguration{Rules: []types.LifecycleRule{
		rule("all", &types.LifecycleRuleFilter{}), rule("tag", &types.LifecycleRuleFilter{Tag: &tags[1]}), rule("greater", &types.LifecycleRuleFilter{ObjectSizeGreaterThan: aws.Int64(1)}),
		rule("less", &types.LifecycleRuleFilter{ObjectSizeLessThan: aws.Int64(2)}), dated, marker,
		rule("and", &types.LifecycleRuleFilter{And: &types.LifecycleRuleAndOperator{Prefix: aws.String("p/"), Tags: tags, ObjectSizeGreaterThan: aws.Int64(1), ObjectSizeLessThan: aws.Int64(9)}}),
	}}
	logging := &types.BucketLoggingStatus{LoggingEnabled: &types.LoggingEnabled{TargetBucket: logs, TargetPrefix: aws.String("logs/"),
		TargetObjectKeyFormat: &types.TargetObjectKeyFormat{PartitionedPrefix: &types.PartitionedPrefix{PartitionDateSource: types.PartitionDateSourceEventTime}}}}
	lock := &types.ObjectLockConfiguration{ObjectLockEnabled: types.ObjectLockEnabledEnabled,
		Rule: &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: types.ObjectLockRetentionModeGovernance, Days: aws.Int32(7)}}}
	encryption := &types.ServerSideEncryptionConfiguration{Rules: []types.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{SSEAlgorithm: types.ServerSideEncryptionAes256}}}}
	retention := &types.ObjectLockRetention{Mode: types.ObjectLockRetentionModeGovernance, RetainUntilDate: until}
	hold := &types.ObjectLockLegalHold{Status: types.ObjectLockLegalHoldStatusOn}
	for name, way := range map[string]struct {
		sent any
		put  func(context.Context) error
		get  func(context.Context) (any, error)
	}{
		"versioning": {types.BucketVersioningStatusEnabled, func(ctx context.Context) error {
			_, err := c.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
			return err
		}, func(ctx context.Context) (any, error) {
			r, err := c.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: bucket})
			if err != nil {
				return nil, err
			}
			return r.Status, nil
		}},
		"lifecycle": {lifecycle.Rules, func(ctx context.Context) error {
			_, err := c.PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{Bucket: bucket, LifecycleConfiguration: lifecycle})
			return err
		}, func(ctx context.Context) (any, error) {
			r, err := c.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: bucket})
			if err != nil {
				return nil, err
			}
			return r.Rules, nil
		}},
		"tags of the bucket": {byKey(tags), func(ctx context.Context) error {
			_, err := c.PutBucketTagging(ctx, &s3.PutBucketTaggingInput{Bucket: bucket, Tagging: &types.Tagging{TagSet: tags}})
			return err
		}, func(ctx context.Context) (any, error) {
			r, err := c.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: bucket})
			if err != nil {
				return nil, err
			}
			return byKey(r.TagSet), nil
		}},
		"tags of an object": {byKey(tags), func(ctx context.Context) error {
			_, err := c.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{Bucket: bucket, Key: key, Tagging: &types.Tagging{TagSet: tags}})
			return err
		}, func(ctx context.Context) (any, error) {
			r, err := c.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: bucket, Key: key})
			if err != nil {
				return nil, err
			}
			return byKey(r.TagSet), nil
		}},
		"lock": {lock, func(ctx context.Context) error {
			_, err := c.PutObjectLockConfiguration(ctx, &s3.PutObjectLockConfigurationInput{Bucket: bucket, ObjectLockConfiguration: lock})
			return err
		}, func(ctx context.Context) (any, error) {
			r, err := c.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: bucket})
			if err != nil {
				return nil, err
			}
			return r.ObjectLockConfiguration, nil
		}},
		"encryption": {encryption, func(ctx context.Context) error {
			_, err := c.PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{Bucket: bucket, ServerSideEncryptionConfiguration: encryption})
			return err
		}, func(ctx context.Context) (any, error) {
			r, err := c.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: bucket})
			if err != nil {
				return nil, err
			}
			return r.ServerSideEncryptionConfiguration, nil
		}},
		"logging": {logging.LoggingEnabled, func(ctx context.Context) error {
			_, err := c.PutBucketLogging(ctx, &s3.PutBucketLoggingInput{Bucket: bucket, BucketLoggingStatus: logging})
			return err
		}, func(ctx context.Context) (any, error) {
			r, err := c.GetBucketLogging(ctx, &s3.GetBucketLoggingInput{Bucket: bucket})
			if err != nil {
				return nil, err
			}
			return r.LoggingEnabled, nil
		}},
		"retention": {retention, func(ctx context.Context) error {
			_, err := c.PutObjectRetention(ctx, &s3.PutObjectRetentionInput{Bucket: bucket, Key: key, Retention: retention})
			return err
		}, func(ctx context.Context) (any, error) {
			r, err := c.GetObjectRetention(ctx, &s3.GetObjectRetentionInput{Bucket: bucket, Key: key})
			if err != nil {
				return nil, err
			}
			return r.Retention, nil
		}},
		"legal hold": {hold, func(ctx context.Context) error {
			_, err := c.PutObjectLegalHold(ctx, &s3.PutObjectLegalHoldInput{Bucket: bucket, Key: key, LegalHold: hold})
			return err
		}, func(ctx context.Context) (any, error) {
			r, err := c.GetObjectLegalHold(ctx, &s3.GetObjectLegalHoldInput{Bucket: bucket, Key: key})
			if err != nil {
				return nil, err
			}
			return r.LegalHold, nil
		}},
	} {
		if err := way.put(ctx); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := way.get(ctx)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if a, b := asJSON(t, way.sent), asJSON(t, got); a != b {
			t.Errorf("%s:\n put %s\n got %s", name, a, b)
		}
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// byKey is a set of tags: its order is nobody's.
func byKey(tags []types.Tag) map[string]string {
	set := map[string]string{}
	for _, one := range tags {
		set[*one.Key] = *one.Value
	}
	return set
}

// TestKept_newBucket: what a bucket is made with.
func TestKept_newBucket(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	e := g.tenant().raw()
	for i, c := range []struct {
		body   string
		header []string
	}{
		{"", nil},
		{"<CreateBucketConfiguration><LocationConstraint>us-east-1</LocationConstraint></CreateBucketConfiguration>", nil},
		{"<CreateBucketConfiguration><LocationConstraint></LocationConstraint></CreateBucketConfiguration>", nil},
		{"<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>", nil},
		{"", []string{"x-amz-bucket-object-lock-enabled", "true"}},
		{"", []string{"x-amz-bucket-object-lock-enabled", "True"}},
		{"", []string{"x-amz-bucket-object-lock-enabled", "false"}},
		{"", []string{"x-amz-bucket-object-lock-enabled", "yes"}},
		{"", []string{"x-amz-object-ownership", "BucketOwnerEnforced"}},
		{"", []string{"x-amz-object-ownership", "ObjectWriter"}},
		{"", []string{"x-amz-acl", "private"}},
		{"", []string{"x-amz-acl", "public-read"}},
	} {
		path := fmt.Sprintf("/kept-%d", i)
		r := e.do(t, &request{method: "PUT", path: path, body: []byte(c.body), header: headers(c.header...)})
		if r.status >= 300 {
			if r.status != 400 && r.status != 501 {
				t.Errorf("%s %q: %d %s", c.body, c.header, r.status, r.body)
			}
			continue
		}
		h := headers(c.header...)
		lock := e.do(t, &request{method: "GET", path: path, query: query("object-lock", "")})
		if want := strings.EqualFold(h.Get("x-amz-bucket-object-lock-enabled"), "true"); want != (lock.status == 200) || h.Get("x-amz-bucket-object-lock-enabled") == "yes" {
			t.Errorf("%q: the lock is told as %d %s", c.header, lock.status, lock.body)
		}
		where := e.must(t, &request{method: "GET", path: path, query: query("location", "")})
		if text := parseNode(t, where.body).Text; text != "" || strings.Contains(c.body, "eu-west-1") {
			t.Errorf("%s: the location is told as %q", c.body, text)
		}
		owns := e.must(t, &request{method: "GET", path: path, query: query("ownershipControls", "")})
		if text := textOf(t, owns.body, "ObjectOwnership"); text != "BucketOwnerEnforced" || h.Get("x-amz-object-ownership") == "ObjectWriter" {
			t.Errorf("%q: the ownership is told as %q", c.header, text)
		}
		if h.Get("x-amz-acl") == "public-read" {
			t.Errorf("%q is accepted", c.header)
		}
	}
}
