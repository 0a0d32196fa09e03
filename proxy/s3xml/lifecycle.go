package s3xml

import (
	"encoding/xml"
	"fmt"
)

const lifecycleRoot = "LifecycleConfiguration"

type lifecycle struct {
	XMLName xml.Name
	Rules   []lifecycleRule `xml:"Rule"`
}

type lifecycleRule struct {
	ID                          string `xml:",omitempty"`
	Status                      string
	Prefix                      *string          `xml:",omitempty"`
	Filter                      *lifecycleFilter `xml:",omitempty"`
	Expiration                  *expiration      `xml:",omitempty"`
	NoncurrentVersionExpiration *struct {
		NoncurrentDays          string `xml:",omitempty"`
		NewerNoncurrentVersions string `xml:",omitempty"`
	} `xml:",omitempty"`
	AbortIncompleteMultipartUpload *abortUpload `xml:",omitempty"`
}

type expiration struct {
	Days                      string `xml:",omitempty"`
	Date                      string `xml:",omitempty"`
	ExpiredObjectDeleteMarker string `xml:",omitempty"`
}

type abortUpload struct {
	DaysAfterInitiation string
}

type lifecycleFilter struct {
	Prefix                *string       `xml:",omitempty"`
	Tag                   *tag          `xml:",omitempty"`
	ObjectSizeGreaterThan string        `xml:",omitempty"`
	ObjectSizeLessThan    string        `xml:",omitempty"`
	And                   *lifecycleAnd `xml:",omitempty"`
}

type lifecycleAnd struct {
	Prefix                *string `xml:",omitempty"`
	Tags                  []tag   `xml:"Tag"`
	ObjectSizeGreaterThan string  `xml:",omitempty"`
	ObjectSizeLessThan    string  `xml:",omitempty"`
}

// Lifecycle takes a bucket's LifecycleConfiguration: expirations of current
// and noncurrent versions, and the end of unfinished uploads, which SplitLifecycle
// takes out. There are no other storage classes, so transitions are refused, and so
// is what MinIO answers 200 to and does not keep: a filter that it reads as none, by
// which a rule for some objects would be one for the whole bucket.
func Lifecycle(doc []byte) ([]byte, error) {
	var l lifecycle
	seen, err := decode(doc, lifecycleRoot, &l)
	if err != nil {
		return nil, err
	}
	if len(l.Rules) == 0 || len(l.Rules) > maxRules {
		return nil, malformed("A lifecycle has 1 to 1000 rules.")
	}
	for i := range l.Rules {
		if err := l.Rules[i].check(); err != nil {
			return nil, err
		}
	}
	return named(&l.XMLName, lifecycleRoot, &l, seen)
}

// check holds the values to S3's schema: MinIO answers 500 to a number that is none.
func (r *lifecycleRule) check() error {
	if err := oneOf("Status", &r.Status, "Enabled", "Disabled")(); err != nil {
		return err
	}
	if r.Filter != nil {
		if r.Prefix != nil {
			return malformed("A rule has a Filter or a Prefix, not both.")
		}
		if err := r.Filter.check(); err != nil {
			return err
		}
	}
	if e := r.Expiration; e != nil {
		if err := checks(count("Days", &e.Days), moment("Date", &e.Date, true), truth("ExpiredObjectDeleteMarker", &e.ExpiredObjectDeleteMarker)); err != nil {
			return err
		}
	}
	if err := r.checkUploads(); err != nil {
		return err
	}
	if e := r.NoncurrentVersionExpiration; e != nil {
		return checks(count("NoncurrentDays", &e.NoncurrentDays), count("NewerNoncurrentVersions", &e.NewerNoncurrentVersions))
	}
	return nil
}

// check wants one condition at most, or two and more in And
// (docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleRuleFilter.html).
func (f *lifecycleFilter) check() error {
	if err := sizes(&f.ObjectSizeGreaterThan, &f.ObjectSizeLessThan); err != nil {
		return err
	}
	if f.Tag != nil {
		if err := f.Tag.check(); err != nil {
			return err
		}
	}
	a := f.And
	if conditions(f.Prefix != nil, f.Tag != nil, f.ObjectSizeGreaterThan != "", f.ObjectSizeLessThan != "", a != nil) > 1 {
		return malformed("A Filter has one of Prefix, Tag, ObjectSizeGreaterThan, ObjectSizeLessThan and And.")
	}
	if a == nil {
		return nil
	}
	if err := checks(func() error { return sizes(&a.ObjectSizeGreaterThan, &a.ObjectSizeLessThan) }, func() error { return distinct(a.Tags) }); err != nil {
		return err
	}
	if len(a.Tags)+conditions(a.Prefix != nil, a.ObjectSizeGreaterThan != "", a.ObjectSizeLessThan != "") < 2 {
		return malformed("An And has two or more of Prefix, Tag, ObjectSizeGreaterThan and ObjectSizeLessThan.")
	}
	return nil
}

func conditions(there ...bool) (n int) {
	for _, is := range there {
		if is {
			n++
		}
	}
	return n
}

// sizes: MinIO takes 0 for no condition, and would expire empty objects too.
func sizes(greater, less *string) error {
	if err := checks(whole("ObjectSizeGreaterThan", greater, 0), whole("ObjectSizeLessThan", less, 1)); err != nil {
		return err
	}
	if *greater == "0" {
		return unsupported("An ObjectSizeGreaterThan of 0 is not supported; use 1 or more, or leave it out.")
	}
	return nil
}

// LifecycleOut builds the client's document from the backend's: MinIO leaves out a
// tag's value that is empty, where S3 has an empty element. uploads is asked for
// each rule's id whether it is SplitLifecycle's mark, and then has the rules that
// were taken out. An error document in doc's place is failed.
func LifecycleOut(doc []byte, uploads func(id string) (rules []UploadRule, mark bool, err error)) (out []byte, failed *ErrorDocument, err error) {
	var l lifecycle
	if err := xml.Unmarshal(doc, &l); err != nil {
		return nil, nil, fmt.Errorf("s3xml: lifecycle: %w", err)
	}
	switch l.XMLName.Local {
	case lifecycleRoot:
	case errorRoot:
		failed, err = ParseError(doc)
		return nil, failed, err
	default:
		return nil, nil, ErrDocument
	}
	if err := l.merge(uploads); err != nil {
		return nil, nil, err
	}
	for i := range l.Rules {
		f := l.Rules[i].Filter
		if f == nil {
			continue
		}
		if f.Tag != nil {
			f.Tag.complete()
		}
		if f.And != nil {
			for j := range f.And.Tags {
				f.And.Tags[j].complete()
			}
		}
	}
	l.XMLName = xml.Name{Space: namespace, Local: lifecycleRoot}
	return appendDocument(nil, &l), nil, nil
}
