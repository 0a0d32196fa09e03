package proxy

import (
	"errors"
	"net/url"
	"strings"

	"github.com/primecloudpro/primecloud/proxy/form"
	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/proxy/s3xml"
	"github.com/primecloudpro/primecloud/sigv4"
	"github.com/primecloudpro/primecloud/tenancy"
)

// postObject takes a browser's form: the policy is verified, its fields are
// held against it, and the file becomes a PutObject upstream. The form itself
// is never passed on: MinIO has form extensions of its own (S3-RULES.md B27).
func postObject(x *exchange) error {
	f := x.openForm()
	x.conn.ReadBody(true)
	defer x.conn.ReadBody(false)
	if err := f.ReadFields(); err != nil {
		return err
	}
	if err := x.authorizeForm(f); err != nil {
		return err
	}
	// Strangers wait for the bytes that it holds, but it is none any more.
	if err := f.known(); err != nil {
		return err
	}
	// Before more is waited for: who is slow with a form is one of the requests at once.
	if err := x.chargeRequest(0); err != nil {
		return err
	}
	if err := x.preparePost(f); err != nil {
		return err
	}
	if !f.Complete() {
		if err := x.conn.Continue(); err != nil {
			return err
		}
	}
	length, err := f.FileLength()
	if err != nil {
		return err
	}
	if most := x.srv.cfg.Limits.ObjectSize; length > most {
		return s3err.TooLarge(length, most)
	}
	if length > f.policy.Max {
		return s3err.TooLarge(length, f.policy.Max)
	}
	if length < f.policy.Min {
		return s3err.TooSmall(length, f.policy.Min)
	}
	x.length = length // from here on the file is the body
	if err := x.grant.Store(x.srv.ctx, length); err != nil {
		return err
	}
	if err := x.lookAround(); err != nil {
		return err
	}
	x.out.length, x.out.payload = length, unsignedPayload
	x.declared = length
	x.tally.DeclaredIngress(length)
	x.body.src, x.body.length = &countingReader{r: f, x: x}, length
	if err := x.send(&x.body); err != nil {
		return err
	}
	if x.resp.Status != 200 {
		return x.backendError()
	}
	defer x.finish()
	return x.respondPost(f, string(x.resp.Header("etag")))
}

// postForm is a form and whose it is. Until its policy is verified it is a
// stranger's: what is held of it counts against his address.
type postForm struct {
	*form.Reader
	x      *exchange
	policy *sigv4.Policy // nil: not verified yet
}

func (x *exchange) openForm() *postForm {
	src := x.ctx.RequestBodyStream()
	if src == nil {
		src = emptyReader{}
	}
	f := &postForm{x: x}
	f.Reader = form.NewReader(src, x.boundary, x.length, f.hold)
	return f
}

// hold takes leave to hold n bytes more.
func (f *postForm) hold(n int) error {
	if f.policy == nil {
		return f.x.held.stranger.grow(f.x.srv.strangers, addressHolder(f.x.remote), int64(n))
	}
	return f.x.held.asked.grow(f.x.srv.documents, f.x.holder(), int64(n))
}

// known moves what the form holds to the documents of those who are known.
func (f *postForm) known() error {
	if err := f.x.held.asked.grow(f.x.srv.documents, f.x.holder(), f.x.held.stranger.held); err != nil {
		return err
	}
	f.x.held.stranger.end()
	return nil
}

// authorizeForm verifies the form's signature and policy and then does for its
// key what the stages do for a signed request.
func (x *exchange) authorizeForm(f *postForm) error {
	key, ok := f.Get("key")
	if !ok {
		return s3err.New("InvalidArgument", "Bucket POST must contain a field named 'key'. If it is specified, please check the order of the fields.")
	}
	if b, given := f.Get("bucket"); given && b != string(x.bucketName) {
		return s3err.New("InvalidArgument", "The bucket field is not the bucket of the URL.")
	}
	if err := x.auth.ParseForm(f.Fields, sigv4.Options{Region: x.srv.cfg.Region, Now: x.started}); err != nil {
		return err
	}
	identity, err := x.srv.cfg.Directory.Identity(x.srv.ctx, x.auth.AccessKeyID)
	text, _ := f.Get("policy")
	if err != nil {
		if !errors.Is(err, tenancy.ErrUnavailable) {
			_ = x.auth.VerifyPolicy(text, sigv4.DummyKey)
		}
		return err
	}
	x.identity = identity
	x.rebind() // what follows is the key's, a refusal too
	if err := x.auth.VerifyPolicy(text, signingKey(x)); err != nil {
		x.identity = nil
		return err
	}
	account, err := x.srv.cfg.Directory.Account(x.srv.ctx, identity.AccountID)
	if err != nil {
		return err
	}
	if x.account != nil && x.account.ID != account.ID {
		x.identity = nil
		return errDenied
	}
	x.setAuthenticated(account)
	if f.policy, err = sigv4.ParsePolicy(text); err != nil {
		return err
	}
	if err := f.policy.Check(f.Fields, string(x.bucketName), x.started); err != nil {
		return err
	}
	x.key = []byte(strings.ReplaceAll(key, "${filename}", baseName(f.Filename)))
	if len(x.key) == 0 {
		return s3err.New("InvalidArgument", "User key must have a length greater than 0.")
	}
	if err := checkKey(x.key); err != nil {
		return err
	}
	if err := x.expectedOwner("x-amz-expected-bucket-owner"); err != nil {
		return err
	}
	bucket, err := x.decide(x.srv.ctx, x.started, true)
	if err != nil {
		return err
	}
	x.bucket = bucket
	x.allow()
	x.rebind()
	x.backend, err = x.srv.backends.get(x.srv.ctx, bucket.BackendID)
	return err
}

// baseName is the file's name as the browser gave it, without a path.
func baseName(name string) string {
	return name[strings.LastIndexAny(name, `/\`)+1:]
}

// respondPost answers as the form asked: a redirect, or 200, 201 or 204.
func (x *exchange) respondPost(f *postForm, etag string) error {
	location := x.location(string(x.key))
	redirect, _ := f.Get("success_action_redirect")
	if redirect == "" {
		redirect, _ = f.Get("redirect")
	}
	h := &x.ctx.Response.Header
	if u, err := url.Parse(redirect); redirect != "" && err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
		q := u.Query()
		q.Set("bucket", string(x.bucketName))
		q.Set("key", string(x.key))
		q.Set("etag", etag)
		u.RawQuery = q.Encode()
		x.respondEmpty(303)
		h.Set("Location", u.String())
		return nil
	}
	// Version, checksums and encryption, as of a PutObject:
	// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
	if err := x.copyHeaders(); err != nil {
		return err
	}
	status, _ := f.Get("success_action_status")
	switch status {
	case "200":
		x.respondEmpty(200)
	case "201":
		x.local = s3xml.AppendPostResponse(x.local[:0], location, string(x.bucketName), string(x.key), etag)
		x.respondXML(201, x.local)
	default:
		x.respondEmpty(204)
	}
	h.Set("Location", location)
	return nil
}
