package s3xml

import (
	"encoding/xml"
	"fmt"

	"github.com/primecloudpro/primecloud/proxy/s3err"
)

// Complete is the document of CompleteMultipartUpload.
type Complete struct {
	XMLName xml.Name
	Parts   []Part `xml:"Part"`
}

// Part is one part with the checksums that the client claims.
type Part struct {
	PartNumber        int
	ETag              string
	ChecksumCRC32     string `xml:",omitempty"`
	ChecksumCRC32C    string `xml:",omitempty"`
	ChecksumCRC64NVME string `xml:",omitempty"`
	ChecksumSHA1      string `xml:",omitempty"`
	ChecksumSHA256    string `xml:",omitempty"`
}

// maxParts is S3's bound on the parts of an object.
const maxParts = 10_000

// ParseComplete reads a document of 1 to 10000 parts, each with its number and
// its ETag, in ascending order
// (docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html).
// An ETag may be empty: then it is no part's, which the backend finds.
func ParseComplete(doc []byte) (*Complete, error) {
	c := &Complete{}
	given, err := decode(doc, "CompleteMultipartUpload", c)
	if err != nil {
		return nil, err
	}
	if len(c.Parts) == 0 || len(c.Parts) > maxParts {
		return nil, malformed(fmt.Sprintf("An upload has 1 to %d parts.", maxParts))
	}
	// decode lets each stand once at most in a part.
	if given["PartNumber"] != len(c.Parts) || given["ETag"] != len(c.Parts) {
		return nil, malformed("Each <Part> has a <PartNumber> and an <ETag>.")
	}
	last := 0
	for _, p := range c.Parts {
		if p.PartNumber < 1 || p.PartNumber > maxParts {
			return nil, s3err.New("InvalidArgument", fmt.Sprintf("Part numbers go from 1 to %d.", maxParts))
		}
		if p.PartNumber <= last {
			return nil, &s3err.Error{Code: "InvalidPartOrder"}
		}
		last = p.PartNumber
	}
	return c, nil
}

// AppendComplete appends the document for the backend.
func AppendComplete(dst []byte, c *Complete) []byte {
	out := *c
	out.XMLName = xml.Name{Space: namespace, Local: "CompleteMultipartUpload"}
	return appendDocument(dst, &out)
}
