package s3xml

import "encoding/xml"

type lifecycle struct {
	XMLName xml.Name
	Rules   []lifecycleRule `xml:"Rule"`
}

type lifecycleRule struct {
	ID         string `xml:",omitempty"`
	Status     string
	Prefix     *string          `xml:",omitempty"`
	Filter     *lifecycleFilter `xml:",omitempty"`
	Expiration *struct {
		Days                      string `xml:",omitempty"`
		Date                      string `xml:",omitempty"`
		ExpiredObjectDeleteMarker string `xml:",omitempty"`
	} `xml:",omitempty"`
	NoncurrentVersionExpiration *struct {
		NoncurrentDays          string `xml:",omitempty"`
		NewerNoncurrentVersions string `xml:",omitempty"`
	} `xml:",omitempty"`
	AbortIncompleteMultipartUpload *struct {
		DaysAfterInitiation string
	} `xml:",omitempty"`
}

type lifecycleFilter struct {
	Prefix                *string `xml:",omitempty"`
	Tag                   *tag    `xml:",omitempty"`
	ObjectSizeGreaterThan string  `xml:",omitempty"`
	ObjectSizeLessThan    string  `xml:",omitempty"`
	And                   *struct {
		Prefix                *string `xml:",omitempty"`
		Tags                  []tag   `xml:"Tag"`
		ObjectSizeGreaterThan string  `xml:",omitempty"`
		ObjectSizeLessThan    string  `xml:",omitempty"`
	} `xml:",omitempty"`
}

// Lifecycle takes a bucket's LifecycleConfiguration: expirations of current
// and noncurrent versions and of unfinished uploads. There are no other
// storage classes, so transitions are refused.
func Lifecycle(doc []byte) ([]byte, error) {
	var l lifecycle
	seen, err := decode(doc, "LifecycleConfiguration", &l)
	if err != nil {
		return nil, err
	}
	if len(l.Rules) == 0 || len(l.Rules) > 1000 {
		return nil, malformed("A lifecycle has 1 to 1000 rules.")
	}
	for i := range l.Rules {
		if err := l.Rules[i].check(); err != nil {
			return nil, err
		}
	}
	return named(&l.XMLName, "LifecycleConfiguration", &l, seen)
}

// check holds the values to S3's schema: MinIO answers 500 to a number that is none.
func (r *lifecycleRule) check() error {
	if err := oneOf("Status", &r.Status, "Enabled", "Disabled")(); err != nil {
		return err
	}
	if f := r.Filter; f != nil {
		if err := sizes(&f.ObjectSizeGreaterThan, &f.ObjectSizeLessThan); err != nil {
			return err
		}
		if f.And != nil {
			if err := sizes(&f.And.ObjectSizeGreaterThan, &f.And.ObjectSizeLessThan); err != nil {
				return err
			}
		}
	}
	if e := r.Expiration; e != nil {
		if err := checks(count("Days", &e.Days), moment("Date", &e.Date, true), truth("ExpiredObjectDeleteMarker", &e.ExpiredObjectDeleteMarker)); err != nil {
			return err
		}
	}
	if e := r.NoncurrentVersionExpiration; e != nil {
		if err := checks(count("NoncurrentDays", &e.NoncurrentDays), count("NewerNoncurrentVersions", &e.NewerNoncurrentVersions)); err != nil {
			return err
		}
	}
	if a := r.AbortIncompleteMultipartUpload; a != nil {
		if a.DaysAfterInitiation == "" {
			return malformed("AbortIncompleteMultipartUpload must have DaysAfterInitiation.")
		}
		return count("DaysAfterInitiation", &a.DaysAfterInitiation)()
	}
	return nil
}

func sizes(greater, less *string) error {
	return checks(whole("ObjectSizeGreaterThan", greater, 0), whole("ObjectSizeLessThan", less, 1))
}
