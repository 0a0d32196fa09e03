package proxy

import (
	"errors"
	"fmt"

	"github.com/valyala/fasthttp"

	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/proxy/s3xml"
)

// handler is what the gateway does for one operation beyond what its row in
// s3op's table says: the functions that a row cannot hold. The zero handler is
// right for an operation that is one rebuilt request with nothing to translate.
type handler struct {
	// serve answers in place of the one rebuilt request: from the gateway's own
	// data, or with several requests to the backend. It calls a respond function,
	// or returns the error that ends the request.
	serve func(x *exchange) error
	// query writes the parameters of the backend's request; nil: copyQuery.
	query func(x *exchange)
	// document makes the backend's request document of the client's, built from
	// what was understood: never the client's bytes.
	document func(x *exchange, doc []byte) ([]byte, error)
	// response makes the client's document of the backend's, which is unread in
	// x.resp.
	response func(x *exchange) error
	// headers adds to the head of a success what no backend says.
	headers func(h *fasthttp.ResponseHeader)
}

// newHandlers returns the handlers by the name of their operation. Operations
// that are not in it have the zero handler.
func newHandlers() map[string]handler {
	return map[string]handler{
		"ListBuckets": {serve: listBuckets},

		"CreateBucket":      {serve: createBucket},
		"HeadBucket":        {serve: headBucket},
		"DeleteBucket":      {serve: deleteBucket},
		"GetBucketLocation": {serve: bucketLocation},

		"ListObjects":          {response: rewritten(s3xml.ListObjects)},
		"ListObjectsV2":        {response: rewritten(s3xml.ListObjectsV2)},
		"ListObjectVersions":   {response: rewritten(s3xml.ListVersions)},
		"ListMultipartUploads": {query: uploadsQuery, response: rewriteUploads},
		"DeleteObjects":        {serve: deleteObjects},
		"PostObject":           {serve: postObject},

		"GetBucketVersioning":             {response: rewritten(s3xml.GetVersioning)},
		"PutBucketVersioning":             {document: config(s3xml.Versioning)},
		"GetBucketLifecycleConfiguration": {response: rewriteLifecycle, headers: transitionSize},
		"PutBucketLifecycleConfiguration": {document: lifecycleDocument, headers: transitionSize},
		"GetBucketTagging":                {response: rewritten(s3xml.GetTagging)},
		"PutBucketTagging":                {document: config(s3xml.BucketTagging)},
		"GetBucketPolicy":                 {response: rewritePolicy},
		"PutBucketPolicy":                 {document: policyDocument},
		"GetBucketPolicyStatus":           {serve: policyStatus},
		"GetObjectLockConfiguration":      {response: rewritten(s3xml.GetObjectLock)},
		"PutObjectLockConfiguration":      {document: lockDocument},
		"GetBucketEncryption":             {response: rewritten(s3xml.GetEncryption)},
		"PutBucketEncryption":             {document: config(s3xml.Encryption)},
		"GetBucketLogging":                {serve: getBucketLogging},
		"PutBucketLogging":                {serve: putBucketLogging},

		"GetBucketAcl":                       {serve: privateACL},
		"PutBucketAcl":                       {serve: acceptPrivateACL},
		"GetBucketCors":                      {serve: absent("NoSuchCORSConfiguration")},
		"GetBucketWebsite":                   {serve: absent("NoSuchWebsiteConfiguration")},
		"GetBucketNotificationConfiguration": {serve: constant("NotificationConfiguration", "", "")},
		"GetBucketReplication":               {serve: absent("ReplicationConfigurationNotFoundError")},
		"GetBucketAccelerateConfiguration":   {serve: constant("AccelerateConfiguration", "", "")},
		"GetBucketRequestPayment":            {serve: constant("RequestPaymentConfiguration", "Payer", "BucketOwner")},
		"GetBucketOwnershipControls":         {serve: ownershipControls},

		"CopyObject":          {response: rewritten(s3xml.CopyObject)},
		"GetObjectAttributes": {response: rewritten(s3xml.Attributes)},

		"CreateMultipartUpload":   {response: rewritten(s3xml.CreateUpload)},
		"UploadPartCopy":          {response: rewritten(s3xml.CopyPart)},
		"CompleteMultipartUpload": {document: completeDocument, response: rewritten(s3xml.CompleteUpload)},
		"ListParts":               {response: rewritten(s3xml.ListParts)},

		"GetObjectTagging":   {response: rewritten(s3xml.GetTagging)},
		"PutObjectTagging":   {document: config(s3xml.ObjectTagging)},
		"GetObjectRetention": {response: rewritten(s3xml.GetRetention)},
		"PutObjectRetention": {document: config(s3xml.Retention)},
		"GetObjectLegalHold": {response: rewritten(s3xml.GetLegalHold)},
		"PutObjectLegalHold": {document: config(s3xml.LegalHold)},
		"GetObjectAcl":       {serve: privateACL},
		"PutObjectAcl":       {serve: acceptPrivateACL},
	}
}

// checkHandlers reports every operation whose handler is not what its row needs,
// and every handler of no operation. Without it the first request would find out.
func checkHandlers(operations []*s3op.Operation, handlers map[string]handler) error {
	var errs []error
	known := map[string]bool{}
	for _, op := range operations {
		known[op.Name] = true
		if err := handlers[op.Name].fits(op); err != nil {
			errs = append(errs, fmt.Errorf("proxy: operation %s: %w", op.Name, err))
		}
	}
	for name := range handlers {
		if !known[name] {
			errs = append(errs, fmt.Errorf("proxy: a handler for %s, which is no operation", name))
		}
	}
	return errors.Join(errs...)
}

// fits returns the error of a handler that lacks what the row needs, or has what
// would never be called.
func (h handler) fits(op *s3op.Operation) error {
	serves := h.serve != nil
	if !serves && (op.Action == s3op.Local || op.Body == s3op.Form) {
		return errors.New("nothing serves it")
	}
	if serves && (h.query != nil || h.document != nil || h.response != nil || h.headers != nil) {
		return errors.New("it is served by a function of its own and has others besides")
	}
	if translates := op.Body == s3op.Document && !serves; translates != (h.document != nil) {
		return fmt.Errorf("its request document is to be translated: %v; there is a function for it: %v", translates, h.document != nil)
	}
	rewrites := (op.Response == s3op.XML || op.Response == s3op.JSON) && !serves
	if rewrites != (h.response != nil) {
		return fmt.Errorf("its response document is to be rewritten: %v; there is a function for it: %v", rewrites, h.response != nil)
	}
	return nil
}

// handler is what there is for the request's operation.
func (x *exchange) handler() handler { return x.srv.handlers[x.op.Name] }

// config is for a configuration that says nothing of buckets, accounts or keys.
func config(understand s3xml.Config) func(*exchange, []byte) ([]byte, error) {
	return func(_ *exchange, doc []byte) ([]byte, error) { return understand(doc) }
}

func policyDocument(x *exchange, doc []byte) ([]byte, error) {
	return s3xml.PolicyIn(doc, x.bucket.Name, x.bucket.BackendName)
}

func lifecycleDocument(x *exchange, doc []byte) ([]byte, error) {
	understood, err := s3xml.Lifecycle(doc)
	if err != nil {
		return nil, err
	}
	return x.keepUploadRules(understood)
}

func completeDocument(_ *exchange, doc []byte) ([]byte, error) {
	parts, err := s3xml.ParseComplete(doc)
	if err != nil {
		return nil, err
	}
	return s3xml.AppendComplete(nil, parts), nil
}

func lockDocument(x *exchange, doc []byte) ([]byte, error) {
	if err := x.mayRetain(doc); err != nil {
		return nil, err
	}
	return s3xml.ObjectLock(doc)
}
