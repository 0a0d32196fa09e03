package s3xml_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/proxy/s3xml"
)

// readers are all readers of clients' documents, each with a document that has
// every element it takes, and the elements of which there may be many.
var readers = []struct {
	name string
	read func(doc []byte) error
	many []string
	docs []string
}{
	{"Delete", func(b []byte) error { _, err := s3xml.ParseDelete(b); return err }, []string{"Object"}, []string{
		"<Delete><Object><Key>k</Key><VersionId>v</VersionId><ETag>e</ETag><LastModifiedTime>t</LastModifiedTime><Size>1</Size></Object><Quiet>true</Quiet></Delete>",
	}},
	{"CompleteMultipartUpload", func(b []byte) error { _, err := s3xml.ParseComplete(b); return err }, []string{"Part"}, []string{
		"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag><ChecksumCRC32>c</ChecksumCRC32><ChecksumCRC32C>c</ChecksumCRC32C>" +
			"<ChecksumCRC64NVME>c</ChecksumCRC64NVME><ChecksumSHA1>c</ChecksumSHA1><ChecksumSHA256>c</ChecksumSHA256></Part></CompleteMultipartUpload>",
	}},
	{"CreateBucket", func(b []byte) error { _, err := s3xml.ParseCreateBucket(b); return err }, nil, []string{
		"<CreateBucketConfiguration><LocationConstraint>r</LocationConstraint></CreateBucketConfiguration>",
	}},
	{"Versioning", config(s3xml.Versioning), nil, []string{"<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Disabled</MfaDelete></VersioningConfiguration>"}},
	{"BucketTagging", config(s3xml.BucketTagging), []string{"Tag"}, []string{"<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>"}},
	{"ObjectTagging", config(s3xml.ObjectTagging), []string{"Tag"}, []string{"<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>"}},
	{"Retention", config(s3xml.Retention), nil, []string{"<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2030-01-01T00:00:00Z</RetainUntilDate></Retention>"}},
	{"LegalHold", config(s3xml.LegalHold), nil, []string{"<LegalHold><Status>ON</Status></LegalHold>"}},
	{"ObjectLock", config(s3xml.ObjectLock), nil, []string{
		"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days><Years>1</Years></DefaultRetention></Rule></ObjectLockConfiguration>",
	}},
	// There is one rule only; a second is refused by the reader, with S3's code.
	{"Encryption", config(s3xml.Encryption), []string{"EncryptionType"}, []string{
		"<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>" +
			"<BucketKeyEnabled>false</BucketKeyEnabled><BlockedEncryptionTypes><EncryptionType>NONE</EncryptionType></BlockedEncryptionTypes></Rule></ServerSideEncryptionConfiguration>",
	}},
	{"Lifecycle", config(s3xml.Lifecycle), []string{"Rule", "And/Tag"}, []string{
		"<LifecycleConfiguration><Rule><ID>a</ID><Status>Enabled</Status><Prefix>p</Prefix><Expiration><Days>1</Days><Date>2030-01-01T00:00:00Z</Date><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>" +
			"<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>1</NewerNoncurrentVersions></NoncurrentVersionExpiration>" +
			"<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>",
		"<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter><And><Prefix>p</Prefix><Tag><Key>k</Key><Value>v</Value></Tag><ObjectSizeGreaterThan>1</ObjectSizeGreaterThan>" +
			"<ObjectSizeLessThan>2</ObjectSizeLessThan></And></Filter></Rule></LifecycleConfiguration>",
		"<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter><Prefix>p</Prefix><Tag><Key>k</Key><Value>v</Value></Tag><ObjectSizeGreaterThan>1</ObjectSizeGreaterThan>" +
			"<ObjectSizeLessThan>2</ObjectSizeLessThan></Filter></Rule></LifecycleConfiguration>",
	}},
	{"Logging", func(b []byte) error { _, err := s3xml.ParseLogging(b); return err }, nil, []string{
		"<BucketLoggingStatus><LoggingEnabled><TargetBucket>b</TargetBucket><TargetObjectKeyFormat><PartitionedPrefix><PartitionDateSource>EventTime</PartitionDateSource></PartitionedPrefix></TargetObjectKeyFormat>" +
			"<TargetPrefix>p</TargetPrefix></LoggingEnabled></BucketLoggingStatus>",
		"<BucketLoggingStatus><LoggingEnabled><TargetBucket>b</TargetBucket><TargetObjectKeyFormat><SimplePrefix></SimplePrefix></TargetObjectKeyFormat><TargetPrefix>p</TargetPrefix></LoggingEnabled></BucketLoggingStatus>",
	}},
}

func config(c s3xml.Config) func([]byte) error {
	return func(doc []byte) error { _, err := c(doc); return err }
}

// element is one of a document, by its place in the text.
type element struct {
	name, parent    string
	start, end, in  int // in is behind the opening tag
	text            string
	holds, ancestor []int // indexes of children, and of all that it is inside of
}

func elements(t *testing.T, doc string) []element {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(doc))
	var out []element
	var open []int
	for {
		from := int(d.InputOffset())
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(doc, err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			e := element{name: x.Name.Local, start: from, in: int(d.InputOffset()), ancestor: slices.Clone(open)}
			if n := len(open); n > 0 {
				parent := &out[open[n-1]]
				parent.holds = append(parent.holds, len(out))
				e.parent = parent.name
			}
			open = append(open, len(out))
			out = append(out, e)
		case xml.EndElement:
			e := &out[open[len(open)-1]]
			e.end = int(d.InputOffset())
			e.text = doc[e.start:e.end]
			open = open[:len(open)-1]
		}
	}
}

// TestReaders_oneValue: in every document, of every element of which there is
// one, a second is refused, and so is an element in a place that is another's,
// and text between elements: two readers would read two documents.
func TestReaders_oneValue(t *testing.T) {
	t.Parallel()
	for _, r := range readers {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			for _, doc := range r.docs {
				if err := r.read([]byte(doc)); err != nil {
					t.Fatalf("%s is refused: %v", doc, err)
				}
				all := elements(t, doc)
				for i, e := range all {
					if i > 0 {
						twice := doc[:e.end] + e.text + doc[e.end:]
						many := slices.Contains(r.many, e.name) && !slices.Contains(r.many, e.parent+"/"+e.name) || slices.Contains(r.many, e.parent+"/"+e.name)
						if !many {
							refusedAs(t, r.read, twice, "MalformedXML")
						}
					}
					if len(e.holds) > 0 {
						refusedAs(t, r.read, doc[:e.in]+"text"+doc[e.in:], "MalformedXML")
					}
					for j, to := range all {
						if i == 0 || j == e.ancestor[len(e.ancestor)-1] || to.name == e.parent {
							continue
						}
						moved := doc[:to.in] + e.text + doc[to.in:]
						if allowed(r.docs, t, to.name, e.name) {
							continue // another of its documents has it there
						}
						refusedAs(t, r.read, moved, "MalformedXML")
					}
					refusedAs(t, r.read, doc[:e.in]+"<Unheard>x</Unheard>"+doc[e.in:], "NotImplemented")
				}
			}
		})
	}
}

// allowed reports whether some document has child right inside parent.
func allowed(docs []string, t *testing.T, parent, child string) bool {
	return slices.ContainsFunc(docs, func(doc string) bool {
		return slices.ContainsFunc(elements(t, doc), func(e element) bool { return e.parent == parent && e.name == child })
	})
}

func refusedAs(t *testing.T, read func([]byte) error, doc, want string) {
	t.Helper()
	if got := code(read([]byte(doc))); got != want {
		t.Errorf("%s: %q, wanted %s", doc, got, want)
	}
}

// TestReaders_linear: twice the document is at most twice the work, and a bit.
// What is allocated stands for the work: each step of these readers does.
//
// Not parallel: what the whole process allocates is counted.
func TestReaders_linear(t *testing.T) {
	many := func(open, one, end string) func(n int) []byte {
		return func(n int) []byte {
			var b bytes.Buffer
			b.WriteString(open)
			for i := range n {
				fmt.Fprintf(&b, one, i)
			}
			b.WriteString(end)
			return b.Bytes()
		}
	}
	for _, c := range []struct {
		name string
		read func([]byte) error
		make func(n int) []byte
	}{
		{"entries", readers[0].read, many("<Delete>", "<Object><Key>k%d</Key></Object>", "</Delete>")},
		{"names that nobody knows", readers[0].read, many("<Delete>", "<x%d/>", "</Delete>")},
		{"attributes", readers[0].read, many("<Delete", ` a%d="b"`, "><Object><Key>k</Key></Object></Delete>")},
		{"name spaces", readers[0].read, many("<Delete", ` xmlns:a%d="b"`, "><Object><Key>k</Key></Object></Delete>")},
		{"comments", readers[0].read, many("<Delete><Object><Key>k</Key></Object>", "<!--%d-->", "</Delete>")},
		{"pieces of a text", readers[0].read, many("<Delete><Object><Key>", "k<!--%d-->", "</Key></Object></Delete>")},
		{"references", readers[0].read, many("<Delete><Object><Key>", "&#%d;", "</Key></Object></Delete>")},
		{"parts", readers[1].read, many("<CompleteMultipartUpload>", "<Part><PartNumber>1</PartNumber><ETag>e%d</ETag></Part>", "</CompleteMultipartUpload>")},
		{"rules", config(s3xml.Lifecycle), many("<LifecycleConfiguration>", "<Rule><ID>%d</ID><Status>Enabled</Status></Rule>", "</LifecycleConfiguration>")},
		{"tags", config(s3xml.BucketTagging), many("<Tagging><TagSet>", "<Tag><Key>k%d</Key><Value>v</Value></Tag>", "</TagSet></Tagging>")},
		{"keys of a policy", func(b []byte) error { _, err := s3xml.PolicyIn(b, mine, theirs); return err }, many("{", `"k%d":1,`, `"z":1}`)},
	} {
		const n = 400
		work := func(doc []byte) uint64 {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_ = c.read(doc)
			runtime.ReadMemStats(&after)
			return after.TotalAlloc - before.TotalAlloc
		}
		once, twice := work(c.make(n)), work(c.make(2*n))
		if twice > 3*once {
			t.Errorf("%s: %d bytes are allocated for %d, %d for %d", c.name, once, n, twice, 2*n)
		}
	}
}
