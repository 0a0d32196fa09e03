package proxy

import (
	"bytes"
	"encoding/base64"
	"unicode/utf8"

	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/proxy/s3xml"
)

const maxBuckets = 10_000 // of a page, docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html

// listBuckets answers from the account's records, never from the backend's
// list (S3-RULES.md D4). A key that is limited to some buckets sees those.
func listBuckets(x *exchange) error {
	limit := maxBuckets
	if v, ok := x.param("max-buckets"); ok {
		n, ok := s3op.Decimal(v)
		if !ok || n < 1 || n > maxBuckets {
			return s3err.InvalidArgument("Argument max-buckets must be an integer between 1 and 10000", "max-buckets", v)
		}
		limit = int(n)
	}
	after := ""
	if v, ok := x.param("continuation-token"); ok {
		b, err := base64.URLEncoding.DecodeString(string(v))
		if err != nil || !validBucketName(b) {
			return errToken
		}
		after = string(b)
	}
	prefix, _ := x.param("prefix")
	if !utf8.Valid(prefix) || bytes.IndexByte(prefix, 0) >= 0 {
		return s3err.New("InvalidArgument", "A prefix is UTF-8 without a NUL character.")
	}
	response := s3xml.ListBuckets{Owner: x.account.CanonicalID, OwnerName: x.account.DisplayName, Region: x.srv.cfg.Region, Prefix: string(prefix)}
	if region, ok := x.param("bucket-region"); ok && string(region) != x.srv.cfg.Region {
		x.local = response.Append(x.local[:0])
		x.respondXML(200, x.local)
		return nil
	}
	ctx, cancel := x.srv.databaseContext()
	defer cancel()
	page, err := x.srv.cfg.Directory.ListBuckets(ctx, x.account.ID, x.identity.Buckets, string(prefix), after, limit+1)
	if err != nil {
		return err
	}
	if len(page) > limit {
		page = page[:limit]
		response.ContinuationToken = base64.URLEncoding.EncodeToString([]byte(page[limit-1].Name))
	}
	for _, b := range page {
		response.Buckets = append(response.Buckets, s3xml.BucketEntry{Name: b.Name, Created: b.CreatedAt})
	}
	x.local = response.Append(x.local[:0])
	x.respondXML(200, x.local)
	return nil
}

func headBucket(x *exchange) error {
	x.respondEmpty(200)
	x.ctx.Response.Header.Set("x-amz-bucket-region", x.srv.cfg.Region)
	return nil
}

func bucketLocation(x *exchange) error {
	x.local = s3xml.AppendLocation(x.local[:0], x.srv.cfg.Region)
	x.respondXML(200, x.local)
	return nil
}

func privateACL(x *exchange) error {
	x.local = s3xml.AppendPrivateACL(x.local[:0], x.account.CanonicalID, x.account.DisplayName)
	x.respondXML(200, x.local)
	return nil
}

// acceptPrivateACL accepts what is true already: x-amz-acl: private.
func acceptPrivateACL(x *exchange) error {
	if acl, _ := x.header("x-amz-acl"); len(acl) == 0 || x.length != 0 {
		return s3err.New("NotImplemented", "Access control lists beyond \"private\" are not supported; "+
			"use access keys with fewer rights, or a bucket policy that lets everyone read.")
	}
	x.respondEmpty(200)
	return nil
}

func absent(code string) func(*exchange) error {
	return func(*exchange) error { return &s3err.Error{Code: code} }
}

func constant(root, element, text string) func(*exchange) error {
	return func(x *exchange) error {
		x.local = s3xml.AppendEmpty(x.local[:0], root, element, text)
		x.respondXML(200, x.local)
		return nil
	}
}

func ownershipControls(x *exchange) error {
	x.local = append(x.local[:0], `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+
		`<OwnershipControls xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>`...)
	x.respondXML(200, x.local)
	return nil
}

// policyStatus asks the backend for the policy: any that was accepted lets
// everyone in. A page of somebody's is none.
func policyStatus(x *exchange) error {
	x.out.set("GET", x.bucket.BackendName, nil)
	x.out.payload = emptySHA256
	x.out.param([]byte("policy"), nil)
	if err := x.send(nil); err != nil {
		return err
	}
	if x.resp.Status != 200 {
		return x.backendError()
	}
	doc, err := x.readResponse(maxErrorDocument)
	if err != nil {
		return err
	}
	x.finish()
	if _, err := s3xml.PolicyOut(doc, x.bucket.Name, x.bucket.BackendName); err != nil {
		return unreadable(err)
	}
	x.local = s3xml.AppendPolicyStatus(x.local[:0], true)
	x.respondXML(200, x.local)
	return nil
}
