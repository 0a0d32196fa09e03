package proxy

import (
	"strings"

	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/proxy/s3xml"
	"github.com/primecloudpro/primecloud/sigv4"
)

// What becomes of a form's fields
// (docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html): each is done,
// or the form is refused before a byte of its file goes anywhere. A field that
// has the name of a header is held to what the header is held to; what S3 does
// not know either, it ignores when the policy lets it pass.

// formField does what a field asks for. An empty one asks for nothing.
type formField func(x *exchange, value string) error

// formFields are the fields whose names are no headers of the PutObject, or
// that mean something else in a form.
var formFields = map[string]formField{
	// Read where they are needed.
	"key": ownField, "bucket": ownField, "policy": ownField,
	"success_action_redirect": ownField, "redirect": ownField, "success_action_status": ownField,
	"x-amz-algorithm": ownField, "x-amz-credential": ownField, "x-amz-date": ownField, "x-amz-signature": ownField,
	// checkFormSums holds them against the checksum.
	"x-amz-checksum-algorithm": ownField, "x-amz-sdk-checksum-algorithm": ownField,

	"acl":                         formACL,
	"x-amz-acl":                   formACL,
	"tagging":                     formTagging,
	"x-amz-expected-bucket-owner": formOwner,

	"x-amz-tagging": refusedField("The tags of a form's object are in its field tagging, as a Tagging document."),
	"if-match":      refusedField("Conditional writes by a form are not supported."),
	"if-none-match": refusedField("Conditional writes by a form are not supported."),
}

func ownField(*exchange, string) error { return nil }

func refusedField(sentence string) formField {
	return func(*exchange, string) error { return s3err.New("NotImplemented", sentence) }
}

func formACL(x *exchange, value string) error {
	return x.checkHeaderOf(s3op.FormFields, []byte("x-amz-acl"), []byte(value))
}

func formOwner(x *exchange, value string) error {
	if value != x.account.CanonicalID {
		return errDenied
	}
	return nil
}

// formTagging: in a form the tags are a document, in a PutObject a query.
func formTagging(x *exchange, value string) error {
	tags, err := s3xml.TaggingQuery([]byte(value))
	if err != nil || tags == "" {
		return err
	}
	x.addHeader([]byte("x-amz-tagging"), []byte(tags))
	return nil
}

// preparePost makes the PutObject of the form's fields.
func (x *exchange) preparePost(f *postForm) error {
	x.out.set("PUT", x.bucket.BackendName, x.key)
	for _, field := range f.Fields {
		if err := x.prepareField(field); err != nil {
			return err
		}
	}
	// A browser says a type with the file, where S3 does not look. It stands in
	// for the field when the policy leaves that to the client, and only then.
	if _, given := f.Get("content-type"); !given && f.policy.Lets(sigv4.Field{Name: "content-type", Value: f.FileType}) {
		if err := x.prepareField(sigv4.Field{Name: "content-type", Value: f.FileType}); err != nil {
			return err
		}
	}
	if err := x.checkFormSums(f); err != nil {
		return err
	}
	size := 0
	for i := range x.out.headers {
		size += metadataSize(x.out.headers[i].Name, x.out.headers[i].Value)
	}
	return checkMetadata(size)
}

func (x *exchange) prepareField(field sigv4.Field) error {
	if field.Name != "policy" && field.Name != "tagging" && hasControl(field.Value) {
		return s3err.New("InvalidArgument", "A form field has a control character.")
	}
	if own := formFields[field.Name]; own != nil {
		if field.Value == "" {
			return nil
		}
		return own(x, field.Value)
	}
	return x.headerField([]byte(field.Name), []byte(strings.Trim(field.Value, " \t")))
}

// headerField is for fields that are headers of the PutObject, if anything.
func (x *exchange) headerField(name, value []byte) error {
	h := s3op.LookupHeader(name)
	amz := strings.HasPrefix(string(name), "x-amz-")
	switch {
	case h.AsksNothing(value):
		return nil
	case h.Treatment == s3op.Decline:
		return s3err.New("NotImplemented", h.Message)
	case strings.HasPrefix(string(name), "x-minio-"), amz && h.Group&s3op.FormFields == 0:
		return s3err.New("NotImplemented", "The form has a field that is not supported: "+string(name))
	case h.Group&s3op.FormFields == 0, len(value) == 0 && h.Group != s3op.Metadata:
		return nil
	}
	if err := x.checkHeaderOf(s3op.FormFields, name, value); err != nil {
		return err
	}
	switch string(name) {
	case "content-encoding":
		if value = x.withoutAWSChunked(value); len(value) == 0 {
			return nil
		}
	case "x-amz-server-side-encryption-customer-key":
		if !x.backend.tls {
			return errPlainBackend
		}
	}
	x.addHeader(name, value)
	return nil
}

// checkFormSums wants one checksum at most, of the algorithm that is named. The
// backend verifies it.
func (x *exchange) checkFormSums(f *postForm) error {
	sum := ""
	for i := range x.out.headers {
		if _, ok := sigv4.ParseChecksum(string(x.out.headers[i].Name)); !ok {
			continue
		}
		if sum != "" {
			return s3err.New("InvalidRequest", "Expecting a single x-amz-checksum- field. Multiple checksum types are not allowed.")
		}
		sum = string(x.out.headers[i].Name)
	}
	for _, name := range []string{"x-amz-checksum-algorithm", "x-amz-sdk-checksum-algorithm"} {
		algorithm, _ := f.Get(name)
		if algorithm != "" && sum != "x-amz-checksum-"+strings.ToLower(algorithm) {
			return s3err.New("InvalidRequest", name+" specified, but no corresponding x-amz-checksum-* field was found.")
		}
	}
	return nil
}
