package proxy

import (
	"errors"
	"strings"

	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/proxy/s3xml"
	"github.com/primecloudpro/primecloud/tenancy"
)

// maxTargetPrefix leaves room for what is put behind it in a key.
const maxTargetPrefix = 512

// keyFormats are S3's names of the formats in which log objects are named.
var keyFormats = map[string]tenancy.KeyFormat{
	"": "", "SimplePrefix": tenancy.SimplePrefix, "EventTime": tenancy.ByEventTime, "DeliveryTime": tenancy.ByDeliveryTime,
}

// putBucketLogging says where lines about the bucket are delivered: to a
// bucket of the same account. Whose bucket it is otherwise makes no
// difference: a foreign one does not exist.
func putBucketLogging(x *exchange) error {
	doc, err := x.readDocument()
	if err != nil {
		return err
	}
	wanted, err := s3xml.ParseLogging(doc)
	if err != nil {
		return err
	}
	var logging *tenancy.BucketLogging
	if wanted != nil {
		if x.srv.cfg.AccessLog == nil {
			return s3err.New("NotImplemented", "This gateway keeps no access log that could be delivered.")
		}
		if err := x.mayLogTo(wanted); err != nil {
			return err
		}
		logging = &tenancy.BucketLogging{Target: wanted.TargetBucket, Prefix: wanted.TargetPrefix, Format: keyFormats[wanted.Format]}
	}
	ctx, cancel := x.srv.databaseContext()
	defer cancel()
	if err := x.srv.cfg.Directory.SetLogging(ctx, x.bucket, logging); err != nil {
		return err
	}
	x.respondEmpty(200)
	return nil
}

func (x *exchange) mayLogTo(l *s3xml.Logging) error {
	target, prefix := []byte(l.TargetBucket), []byte(l.TargetPrefix)
	if !validBucketName(target) {
		return errLogTarget
	}
	if err := x.mayTouch(target, nil); err != nil {
		return err
	}
	if len(prefix) > maxTargetPrefix {
		return s3err.New("InvalidArgument", "TargetPrefix must not have more than 512 bytes.")
	}
	if err := checkKey(append(prefix, '0')); err != nil { // what is put behind it begins with a name or a year
		return err
	}
	to, err := x.srv.cfg.Directory.Bucket(x.srv.ctx, x.account.ID, target)
	if errors.Is(err, tenancy.ErrBucketUnknown) {
		return errLogTarget
	}
	if err != nil {
		return err
	}
	b, err := x.srv.backends.get(x.srv.ctx, to.BackendID)
	if err != nil {
		return err
	}
	if b.of.Kind != tenancy.BackendS3 && !x.fitsFolders(l) {
		return errLogSegment
	}
	x.backend = b
	return x.keepsNothing(to)
}

// keepsNothing refuses a target in which every new object is kept for a while, as
// S3 does: strangers' requests would fill it with what nobody may delete.
func (x *exchange) keepsNothing(to *tenancy.Bucket) error {
	x.out.set("GET", to.BackendName, nil)
	x.out.payload = emptySHA256
	x.out.param([]byte("object-lock"), nil)
	if err := x.send(nil); err != nil {
		return err
	}
	defer x.finish()
	switch x.resp.Status {
	case 404: // it has no object lock; if it is gone, nothing is delivered
		x.resp.Abort()
		return nil
	case 200:
	default:
		return x.backendError()
	}
	doc, err := x.readResponse(maxErrorDocument)
	if err != nil {
		return err
	}
	kept, err := s3xml.DefaultRetention(doc)
	if err != nil {
		return unreadable(err)
	}
	if kept {
		return errLogRetention
	}
	return nil
}

// mayRetain is the other side of that: no default retention where logs go.
func (x *exchange) mayRetain(doc []byte) error {
	kept, err := s3xml.DefaultRetention(doc)
	if err != nil || !kept {
		return err
	}
	ctx, cancel := x.srv.databaseContext()
	defer cancel()
	target, err := x.srv.cfg.Directory.LogTarget(ctx, x.bucket)
	if err == nil && target {
		return errRetainsLogs
	}
	return err
}

var (
	errLogRetention = s3err.New("InvalidTargetBucketForLogging", "The target bucket for logging has a default retention: nobody could delete what is delivered.")
	errRetainsLogs  = s3err.New("InvalidBucketState", "Access logs are delivered into the bucket: it may not have a default retention.")
)

// maxSegment is what a file system lets a folder's name have, and MinIO a key
// between two slashes: it refuses a longer one when it is written, which is when
// nobody is there to be told.
const maxSegment = 255

// fitsFolders reports whether MinIO can hold every key that begins with the prefix
// and goes on as accesslog names its objects: with a date and 16 digits, or the
// account's name.
func (x *exchange) fitsFolders(l *s3xml.Logging) bool {
	behind := len("2006-01-02-15-04-05-") + 16
	if f := keyFormats[l.Format]; f == tenancy.ByEventTime || f == tenancy.ByDeliveryTime {
		behind = len(x.account.Name)
	}
	for segment := range strings.SplitSeq(l.TargetPrefix+strings.Repeat("0", behind), "/") {
		if len(segment) > maxSegment {
			return false
		}
	}
	return true
}

var errLogSegment = s3err.New("InvalidArgument", "TargetPrefix has more than 255 bytes between two slashes, with what is put behind it: "+
	"no object of such a name can be stored in the target bucket.")

var errLogTarget = &s3err.Error{Code: "InvalidTargetBucketForLogging"}

func getBucketLogging(x *exchange) error {
	var response *s3xml.Logging
	if l := x.bucket.Logging; l != nil {
		response = &s3xml.Logging{TargetBucket: l.Target, TargetPrefix: l.Prefix}
		for name, format := range keyFormats {
			if format == l.Format {
				response.Format = name
			}
		}
	}
	x.local = s3xml.AppendLogging(x.local[:0], response)
	x.respondXML(200, x.local)
	return nil
}
