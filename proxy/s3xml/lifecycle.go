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
	return named(&l.XMLName, "LifecycleConfiguration", &l, seen)
}
