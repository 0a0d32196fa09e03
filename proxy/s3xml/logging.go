package s3xml

import "encoding/xml"

// Logging is the content of BucketLoggingStatus
// (docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLogging.html).
type Logging struct {
	TargetBucket string
	TargetPrefix string
	// Format is "" when the client has not named one, "SimplePrefix", or the
	// PartitionDateSource of a PartitionedPrefix: EventTime or DeliveryTime.
	Format string
}

type loggingStatus struct {
	XMLName xml.Name
	Enabled *loggingEnabled `xml:"LoggingEnabled,omitempty"`
}

type loggingEnabled struct {
	TargetBucket string
	TargetGrants *struct{} `xml:",omitempty"`
	KeyFormat    *struct {
		Partitioned *struct {
			PartitionDateSource string `xml:",omitempty"`
		} `xml:"PartitionedPrefix,omitempty"`
		Simple *struct{} `xml:"SimplePrefix,omitempty"`
	} `xml:"TargetObjectKeyFormat,omitempty"`
	TargetPrefix string
}

// ParseLogging reads BucketLoggingStatus; an empty one, which puts logging
// off, is nil.
func ParseLogging(doc []byte) (*Logging, error) {
	var s loggingStatus
	seen, err := decode(doc, "BucketLoggingStatus", &s)
	if err != nil {
		return nil, err
	}
	if _, err := named(&s.XMLName, "BucketLoggingStatus", &s, seen); err != nil {
		return nil, err // an element has no place
	}
	if s.Enabled == nil {
		return nil, nil //nolint:nilnil // nil is what an empty document says
	}
	l := &Logging{TargetBucket: s.Enabled.TargetBucket, TargetPrefix: s.Enabled.TargetPrefix}
	if f := s.Enabled.KeyFormat; f != nil {
		switch {
		case (f.Partitioned == nil) == (f.Simple == nil):
			return nil, malformed("TargetObjectKeyFormat must have one of SimplePrefix and PartitionedPrefix.")
		case f.Simple != nil:
			l.Format = "SimplePrefix"
		case f.Partitioned.PartitionDateSource == "":
			l.Format = "DeliveryTime"
		default:
			l.Format = f.Partitioned.PartitionDateSource
		}
		if l.Format != "SimplePrefix" && l.Format != "DeliveryTime" && l.Format != "EventTime" {
			return nil, malformed("PartitionDateSource must be EventTime or DeliveryTime.")
		}
	}
	if l.TargetBucket == "" {
		return nil, malformed("LoggingEnabled must have a TargetBucket.")
	}
	return l, nil
}

// AppendLogging appends the response to GetBucketLogging; l is nil when logging
// is off.
func AppendLogging(dst []byte, l *Logging) []byte {
	if l == nil {
		return AppendEmpty(dst, "BucketLoggingStatus", "", "")
	}
	dst = append(append(dst, xml.Header...), `<BucketLoggingStatus xmlns="`+namespace+`"><LoggingEnabled>`...)
	dst = appendElement(dst, "TargetBucket", l.TargetBucket)
	switch l.Format {
	case "":
	case "SimplePrefix":
		dst = append(dst, "<TargetObjectKeyFormat><SimplePrefix></SimplePrefix></TargetObjectKeyFormat>"...)
	default:
		dst = append(dst, "<TargetObjectKeyFormat><PartitionedPrefix>"...)
		dst = appendElement(dst, "PartitionDateSource", l.Format)
		dst = append(dst, "</PartitionedPrefix></TargetObjectKeyFormat>"...)
	}
	dst = appendElement(dst, "TargetPrefix", l.TargetPrefix)
	return append(dst, "</LoggingEnabled></BucketLoggingStatus>"...)
}
