package s3xml

import (
	"encoding/xml"
	"fmt"
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

// ParseComplete reads a document of 1 to 10000 parts. Their order is the
// backend's to judge.
func ParseComplete(doc []byte) (*Complete, error) {
	c := &Complete{}
	if _, err := decode(doc, "CompleteMultipartUpload", c); err != nil {
		return nil, err
	}
	if len(c.Parts) == 0 || len(c.Parts) > maxParts {
		return nil, malformed(fmt.Sprintf("An upload has 1 to %d parts.", maxParts))
	}
	for _, p := range c.Parts {
		if p.PartNumber < 1 || p.PartNumber > maxParts {
			return nil, &DocError{"InvalidArgument", fmt.Sprintf("Part numbers go from 1 to %d.", maxParts)}
		}
	}
	return c, nil
}

// AppendComplete appends the document for the backend.
func AppendComplete(dst []byte, c *Complete) []byte {
	out := *c
	out.XMLName = xml.Name{Space: namespace, Local: "CompleteMultipartUpload"}
	return appendDocument(dst, &out)
}
