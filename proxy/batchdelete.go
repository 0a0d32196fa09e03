package proxy

import (
	"slices"

	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/proxy/s3xml"
)

// deleteObjects puts every key of the document through the checks that a key
// in a path goes through; entries that fail are answered here, the rest is
// sent on, and the answers are merged (S3-RULES.md A9).
func deleteObjects(x *exchange) error {
	doc, err := x.readDocument()
	if err != nil {
		return err
	}
	request, err := s3xml.ParseDelete(doc)
	if err != nil {
		return err
	}
	quiet := request.Quiet
	var refused []s3xml.DeleteError
	allowed := request.Objects[:0:0]
	for _, o := range request.Objects {
		if err := x.mayDelete(&o); err != nil {
			e := asS3(err)
			refused = append(refused, s3xml.DeleteError{Key: o.Key, VersionID: o.VersionID, Code: e.Code, Message: e.Text()})
			continue
		}
		allowed = append(allowed, o)
	}
	result := &s3xml.DeleteResult{}
	if len(allowed) > 0 {
		x.prepare()
		if err := x.sendDocument(s3xml.AppendDelete(nil, &s3xml.Delete{Objects: allowed, Quiet: quiet})); err != nil {
			return err
		}
		if x.resp.Status != 200 {
			return x.backendError()
		}
		response, err := x.readResponse(maxResponseDocument)
		if err != nil {
			return err
		}
		x.finish()
		var failed *s3xml.ErrorDocument
		switch result, failed, err = s3xml.ParseDeleteResult(response); {
		case err != nil:
			return &s3err.Error{Code: "ServiceUnavailable", Cause: err}
		case failed != nil:
			return x.documentError(failed, 200)
		}
		onlyAsked(result, allowed, quiet)
		for i := range result.Errors {
			e := &result.Errors[i]
			mapped := asS3(x.documentError(&s3xml.ErrorDocument{Code: e.Code, Message: e.Message}, 200))
			e.Code, e.Message = mapped.Code, mapped.Text()
		}
	}
	result.Errors = append(result.Errors, refused...)
	x.local = s3xml.AppendDeleteResult(x.local[:0], result)
	x.respondXML(200, x.local)
	return nil
}

// onlyAsked leaves of a backend's response what is about the keys that it was
// asked to delete. One of which it says nothing is not known to be deleted,
// unless it was to tell of errors only.
func onlyAsked(r *s3xml.DeleteResult, asked []s3xml.DeleteObject, quiet bool) {
	told := make(map[string]bool, len(asked))
	for i := range asked {
		told[asked[i].Key] = false
	}
	foreign := func(key string) bool {
		_, known := told[key]
		if known {
			told[key] = true
		}
		return !known
	}
	r.Deleted = slices.DeleteFunc(r.Deleted, func(d s3xml.Deleted) bool { return foreign(d.Key) })
	r.Errors = slices.DeleteFunc(r.Errors, func(e s3xml.DeleteError) bool { return foreign(e.Key) })
	for _, o := range asked {
		if !quiet && !told[o.Key] {
			r.Errors = append(r.Errors, s3xml.DeleteError{Key: o.Key, VersionID: o.VersionID, Code: "InternalError"})
		}
	}
}

func (x *exchange) mayDelete(o *s3xml.DeleteObject) error {
	if o.Conditional {
		return s3err.New("NotImplemented", "Conditional deletes are not supported; delete without ETag, Size and LastModifiedTime.")
	}
	if len(o.Key) == 0 {
		return s3err.New("InvalidArgument", "The key is empty.")
	}
	if err := checkKey([]byte(o.Key)); err != nil {
		return err
	}
	if o.Versioned {
		if o.VersionID == "" {
			// It is a version like another, which no object has: S3's answer
			// (brendanhay/amazonka#160). MinIO deletes the current one.
			return &s3err.Error{Code: "NoSuchVersion"}
		}
		if err := x.checkVersion([]byte(o.VersionID)); err != nil {
			return err
		}
	}
	return x.mayTouch(x.bucketName, []byte(o.Key))
}
