package proxy

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/url"
	"strings"

	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/proxy/s3xml"
	"github.com/primecloudpro/primecloud/sigv4"
	"github.com/primecloudpro/primecloud/tenancy"
)

const (
	maxFormFields = 1 << 20 // of everything before the file: S3 takes 20 KB of fields, forms have boundaries too
	maxFormValue  = 20 << 10
	formWindow    = 1 << 20 // a file that ends within it may be followed by other fields
)

// postObject takes a browser's form: the policy is verified, its fields are
// held against it, and the file becomes a PutObject upstream. The form itself
// is never passed on: MinIO has form extensions of its own (S3-RULES.md B27).
func postObject(x *exchange) error {
	form, err := x.openForm()
	if err != nil {
		return err
	}
	x.conn.readBody(true)
	defer x.conn.readBody(false)
	if err := form.readFields(); err != nil {
		return err
	}
	if err := x.authorizeForm(form); err != nil {
		return err
	}
	length, err := form.fileLength()
	if err != nil {
		return err
	}
	if length > form.policy.Max {
		return errTooLarge
	}
	if length < form.policy.Min {
		return &s3Error{code: "EntityTooSmall"}
	}
	if err := x.limit(length); err != nil {
		return err
	}
	if err := x.preparePost(form); err != nil {
		return err
	}
	x.out.length, x.out.payload = length, unsignedPayload
	x.declared = length
	x.tally.DeclaredIngress(length)
	x.body.src, x.body.length = &countingReader{r: form, x: x}, length
	if err := x.send(&x.body); err != nil {
		return err
	}
	if x.resp.Status != 200 {
		return x.backendError()
	}
	etag := string(x.resp.Header("etag"))
	x.finish()
	return x.answerPost(form, etag)
}

// form is a multipart/form-data body, read in one pass (RFC 7578).
type form struct {
	src      io.Reader
	boundary []byte // CR LF "--" boundary
	buf      []byte
	total    int64 // bytes of the body
	taken    int64 // bytes read from src
	fields   []sigv4.Field
	filename string
	policy   *sigv4.Policy

	// of the file
	left    int64 // bytes to hand out
	checked bool
}

var errForm = &s3Error{code: "MalformedPOSTRequest"}

func (x *exchange) openForm() (*form, error) {
	contentType, _ := x.header("content-type")
	media, params, err := mime.ParseMediaType(string(contentType))
	boundary := params["boundary"]
	if err != nil || media != "multipart/form-data" || boundary == "" || len(boundary) > 70 {
		return nil, refuse("PreconditionFailed", "Bucket POST must be of the enclosure-type multipart/form-data.")
	}
	src := x.ctx.RequestBodyStream()
	if src == nil {
		src = emptyReader{}
	}
	return &form{src: src, boundary: []byte("\r\n--" + boundary), buf: []byte("\r\n"), total: x.length}, nil
}

// more reads another piece of the body; io.ErrUnexpectedEOF at its end.
func (f *form) more() error {
	if f.taken >= f.total {
		return io.ErrUnexpectedEOF
	}
	var piece [32 << 10]byte
	n, err := f.src.Read(piece[:min(int64(len(piece)), f.total-f.taken)])
	f.taken += int64(n)
	f.buf = append(f.buf, piece[:n]...)
	if n > 0 || err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// until returns what stands before mark and drops it together with mark.
func (f *form) until(mark []byte, limit int) ([]byte, error) {
	for searched := 0; ; {
		if i := bytes.Index(f.buf[searched:], mark); i >= 0 {
			found := f.buf[:searched+i]
			f.buf = f.buf[searched+i+len(mark):]
			return found, nil
		}
		searched = max(0, len(f.buf)-len(mark)+1)
		if len(f.buf) > limit {
			return nil, &s3Error{code: "MaxPostPreDataLengthExceededError"}
		}
		if err := f.more(); err != nil {
			return nil, formEnd(err)
		}
	}
}

func formEnd(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errForm
	}
	return err
}

// readFields reads the fields up to the file's first byte. What follows the
// file is ignored, as S3 does.
func (f *form) readFields() error {
	if _, err := f.until(f.boundary, maxFormFields); err != nil {
		return err
	}
	for {
		if rest, err := f.until([]byte("\r\n"), maxFormValue); err != nil {
			return err
		} else if len(bytes.TrimSpace(rest)) != 0 {
			return refuse("InvalidArgument", "POST requires exactly one file upload per request.")
		}
		name, filename, contentType, err := f.partHead()
		if err != nil {
			return err
		}
		if name == "file" {
			f.filename = filename
			if _, given := f.get("content-type"); !given && contentType != "" {
				f.fields = append(f.fields, sigv4.Field{Name: "file-content-type", Value: contentType})
			}
			return nil
		}
		value, err := f.until(f.boundary, maxFormValue)
		if err != nil {
			return err
		}
		if _, twice := f.get(name); twice {
			return refuse("InvalidArgument", "A form field occurs twice.")
		}
		if f.taken-int64(len(f.buf)) > maxFormFields || len(f.fields) > 200 {
			return &s3Error{code: "MaxPostPreDataLengthExceededError"}
		}
		f.fields = append(f.fields, sigv4.Field{Name: name, Value: string(value)})
	}
}

func (f *form) partHead() (name, filename, contentType string, err error) {
	for {
		line, err := f.until([]byte("\r\n"), maxFormValue)
		if err != nil {
			return "", "", "", err
		}
		if len(line) == 0 {
			break
		}
		key, value, ok := strings.Cut(string(line), ":")
		if !ok {
			return "", "", "", errForm
		}
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "content-disposition":
			disposition, params, perr := mime.ParseMediaType(value)
			if perr != nil || disposition != "form-data" {
				return "", "", "", errForm
			}
			name, filename = params["name"], params["filename"]
		case "content-type":
			contentType = strings.TrimSpace(value)
		}
	}
	if name == "" {
		return "", "", "", errForm
	}
	if !isTokens(name) {
		// S3's own names are tokens; some become names of headers.
		return "", "", "", refuse("InvalidArgument", "The name of a form field has an invalid character.")
	}
	return strings.ToLower(name), filename, contentType, nil
}

func (f *form) get(name string) (string, bool) {
	for _, field := range f.fields {
		if field.Name == name {
			return field.Value, true
		}
	}
	return "", false
}

// fileLength finds the file's length, which the backend must be told first.
// A small file is looked at whole; a large one must be the form's last field,
// so that its length follows from the body's.
func (f *form) fileLength() (int64, error) {
	for len(f.buf) < formWindow && f.taken < f.total {
		if err := f.more(); err != nil {
			return 0, formEnd(err)
		}
	}
	if i := bytes.Index(f.buf, f.boundary); i >= 0 {
		f.left, f.checked = int64(i), true
		return f.left, nil
	}
	if f.taken >= f.total {
		return 0, errForm
	}
	// "\r\n--boundary--" and a line end that most clients send.
	f.left = int64(len(f.buf)) + f.total - f.taken - int64(len(f.boundary)) - int64(len("--\r\n"))
	return f.left, nil
}

// Read gives the file's bytes; the last one only when the end of the form is
// where it was expected.
func (f *form) Read(p []byte) (int, error) {
	if f.left == 0 {
		return 0, io.EOF
	}
	if len(f.buf) == 0 {
		if err := f.more(); err != nil {
			return 0, err
		}
	}
	n := copy(p[:min(int64(len(p)), f.left)], f.buf)
	if int64(n) == f.left && !f.checked {
		if err := f.checkEnd(n); err != nil {
			return 0, err
		}
	}
	f.buf = f.buf[n:]
	f.left -= int64(n)
	return n, nil
}

func (f *form) checkEnd(n int) error {
	for len(f.buf)-n < len(f.boundary)+len("--") {
		if err := f.more(); err != nil {
			return formEnd(err)
		}
	}
	rest := f.buf[n:]
	if !bytes.HasPrefix(rest, f.boundary) || !bytes.HasPrefix(rest[len(f.boundary):], []byte("--")) {
		return refuse("InvalidArgument", "In forms larger than 1 MiB the file must be the last field, and the form must end behind it.")
	}
	f.checked = true
	return nil
}

// authorizeForm verifies the form's signature and policy and then does for its
// key what the stages do for a signed request.
func (x *exchange) authorizeForm(f *form) error {
	key, ok := f.get("key")
	if !ok {
		return refuse("InvalidArgument", "Bucket POST must contain a field named 'key'. If it is specified, please check the order of the fields.")
	}
	if b, given := f.get("bucket"); given && b != string(x.bucketNm) {
		return refuse("InvalidArgument", "The bucket field is not the bucket of the URL.")
	}
	if err := x.auth.ParseForm(f.fields, sigv4.Options{Region: x.srv.cfg.Region, Now: x.started}); err != nil {
		return err
	}
	identity, err := x.srv.cfg.Directory.Identity(x.srv.ctx, x.auth.AccessKeyID)
	text, _ := f.get("policy")
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
	x.prove(account)
	if f.policy, err = sigv4.ParsePolicy(text); err != nil {
		return err
	}
	if err := f.policy.Check(withoutFileType(f.fields), string(x.bucketNm), x.started); err != nil {
		return err
	}
	x.key = []byte(strings.ReplaceAll(key, "${filename}", baseName(f.filename)))
	if len(x.key) == 0 {
		return refuse("InvalidArgument", "User key must have a length greater than 0.")
	}
	if err := checkKey(x.key); err != nil {
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

func withoutFileType(fields []sigv4.Field) []sigv4.Field {
	if n := len(fields); n > 0 && fields[n-1].Name == "file-content-type" {
		return fields[:n-1]
	}
	return fields
}

// baseName is the file's name as the browser gave it, without a path.
func baseName(name string) string {
	return name[strings.LastIndexAny(name, `/\`)+1:]
}

// formHeaders are the fields that become headers of the PutObject.
var formHeaders = map[string]string{
	"cache-control": "cache-control", "content-type": "content-type", "content-disposition": "content-disposition",
	"content-encoding": "content-encoding", "content-language": "content-language", "expires": "expires",
	"x-amz-storage-class": "x-amz-storage-class", "x-amz-server-side-encryption": "x-amz-server-side-encryption",
	"x-amz-checksum-crc32": "x-amz-checksum-crc32", "x-amz-checksum-crc32c": "x-amz-checksum-crc32c",
	"x-amz-checksum-crc64nvme": "x-amz-checksum-crc64nvme", "x-amz-checksum-sha1": "x-amz-checksum-sha1",
	"x-amz-checksum-sha256": "x-amz-checksum-sha256", "file-content-type": "content-type",
}

// notHeaders are the fields that have their own meaning.
var notHeaders = map[string]bool{
	"key": true, "policy": true, "bucket": true, "acl": true, "x-amz-algorithm": true, "x-amz-credential": true, "x-amz-date": true,
	"x-amz-signature": true, "success_action_redirect": true, "redirect": true, "success_action_status": true, "tagging": true,
}

func (x *exchange) preparePost(f *form) error {
	x.out.set("PUT", x.bucket.BackendName, x.key)
	for _, field := range f.fields {
		for i := range len(field.Value) {
			if c := field.Value[i]; (c < ' ' && c != '\t' || c == 0x7f) && field.Name != "policy" {
				return refuse("InvalidArgument", "A form field has a control character.")
			}
		}
		name, known := formHeaders[field.Name]
		switch {
		case known:
			if field.Name == "x-amz-server-side-encryption" && field.Value != "AES256" {
				return refuse("NotImplemented", "Keys of a key management service are not supported; use AES256.")
			}
			x.addHeader([]byte(name), []byte(field.Value))
		case field.Name == "acl" && field.Value != "private":
			return refuse("NotImplemented", "Access control lists beyond \"private\" are not supported.")
		case notHeaders[field.Name], strings.HasPrefix(field.Name, "x-ignore-"):
		case strings.HasPrefix(field.Name, "x-amz-meta-"):
			if h := s3op.LookupHeader([]byte(field.Name)); h.Treatment == s3op.Decline {
				return refuse("NotImplemented", h.Sentence)
			}
			x.addHeader([]byte(field.Name), []byte(field.Value))
		case strings.HasPrefix(field.Name, "x-minio-"), strings.HasPrefix(field.Name, "x-amz-"):
			return refuse("NotImplemented", "The form has a field that is not supported: "+field.Name)
		}
	}
	return nil
}

// answerPost answers as the form asked: a redirect, or 200, 201 or 204.
func (x *exchange) answerPost(f *form, etag string) error {
	location := x.location(string(x.key))
	redirect, _ := f.get("success_action_redirect")
	if redirect == "" {
		redirect, _ = f.get("redirect")
	}
	h := &x.ctx.Response.Header
	if u, err := url.Parse(redirect); redirect != "" && err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
		q := u.Query()
		q.Set("bucket", string(x.bucketNm))
		q.Set("key", string(x.key))
		q.Set("etag", etag)
		u.RawQuery = q.Encode()
		x.respondEmpty(303)
		h.Set("Location", u.String())
		return nil
	}
	status, _ := f.get("success_action_status")
	switch status {
	case "200":
		x.respondEmpty(200)
	case "201":
		x.local = s3xml.AppendPostResponse(x.local[:0], location, string(x.bucketNm), string(x.key), etag)
		x.respondXML(201, x.local)
	default:
		x.respondEmpty(204)
	}
	h.Set("ETag", etag)
	h.Set("Location", location)
	return nil
}
