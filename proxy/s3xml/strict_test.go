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
	"time"

	"golang.org/x/sys/unix"

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
			"<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>1</NewerNoncurrentVersions></NoncurrentVersionExpiration></Rule></LifecycleConfiguration>",
		"<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter><And><Prefix>p</Prefix><Tag><Key>k</Key><Value>v</Value></Tag><ObjectSizeGreaterThan>1</ObjectSizeGreaterThan>" +
			"<ObjectSizeLessThan>2</ObjectSizeLessThan></And></Filter></Rule></LifecycleConfiguration>",
		"<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter><Prefix>p</Prefix></Filter></Rule></LifecycleConfiguration>",
		"<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter></Rule></LifecycleConfiguration>",
		"<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter><ObjectSizeGreaterThan>1</ObjectSizeGreaterThan></Filter></Rule></LifecycleConfiguration>",
		"<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter><ObjectSizeLessThan>2</ObjectSizeLessThan></Filter></Rule></LifecycleConfiguration>",
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

// TestReaders_linear: twice the document is at most twice the memory, and a bit,
// and fifty times it is less than eight times fifty times the time of this thread,
// where a walk over all that came before makes it far more.
//
// Not parallel: what the whole process allocates is counted.
func TestReaders_linear(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
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
		const more = 50
		n := 200
		if c.name == "keys of a policy" {
			n = 40 // fifty times as many are the longest that is read
		}
		memory := func(doc []byte) uint64 {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_ = c.read(doc)
			runtime.ReadMemStats(&after)
			return after.TotalAlloc - before.TotalAlloc
		}
		once, twice := memory(c.make(n)), memory(c.make(2*n))
		if twice > 3*once {
			t.Errorf("%s: %d bytes are allocated for %d, %d for %d", c.name, once, n, twice, 2*n)
		}
		// The best of some: what else this machine does makes none of them better.
		took := func(doc []byte, tries int) time.Duration {
			best := time.Hour
			for range tries {
				began := threadTime(t)
				_ = c.read(doc)
				best = min(best, threadTime(t)-began)
			}
			return best
		}
		few, many := took(c.make(n), 20), took(c.make(more*n), 3)
		if many > 8*more*few {
			t.Errorf("%s: %s for %d, %s for %d", c.name, few, n, many, more*n)
		}
	}
}

// TestReaders_toolsSpelling: a byte order mark, as .NET's writers put in front,
// says nothing, whatever the document.
func TestReaders_toolsSpelling(t *testing.T) {
	t.Parallel()
	for _, r := range readers {
		for _, doc := range r.docs {
			for what, spelled := range map[string]string{"a byte order mark": "\ufeff" + doc, "with a declaration": "\ufeff<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n" + doc} {
				if err := r.read([]byte(spelled)); err != nil {
					t.Errorf("%s, %s: %v", r.name, what, err)
				}
			}
			if err := r.read([]byte(doc + "\ufeff")); code(err) != "MalformedXML" {
				t.Errorf("%s, a byte order mark behind: %v", r.name, err)
			}
		}
	}
}

// TestConfig_empty: an empty element where a value may be left out asks for
// nothing, nor does one that says what is so anyway.
func TestConfig_empty(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		parse     s3xml.Config
		doc, made string
	}{
		{s3xml.Lifecycle, "<LifecycleConfiguration><Rule><ID></ID><Status>Enabled</Status><Filter><Prefix/><ObjectSizeLessThan/></Filter><Expiration><Days/><Date>2030-01-02T00:00:00Z</Date></Expiration></Rule></LifecycleConfiguration>",
			"<Rule><Status>Enabled</Status><Filter><Prefix></Prefix></Filter><Expiration><Date>2030-01-02T00:00:00Z</Date></Expiration></Rule>"},
		{s3xml.Encryption, "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm><KMSMasterKeyID/></ApplyServerSideEncryptionByDefault><BucketKeyEnabled/></Rule></ServerSideEncryptionConfiguration>",
			"<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>"},
		{s3xml.Retention, "<Retention><Mode/><RetainUntilDate/></Retention>", ""},
		{s3xml.ObjectLock, "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days/><Years>1</Years></DefaultRetention></Rule></ObjectLockConfiguration>",
			"<ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Years>1</Years></DefaultRetention></Rule>"},
		{s3xml.Versioning, "<VersioningConfiguration><Status>Enabled</Status><MfaDelete/></VersioningConfiguration>", "<Status>Enabled</Status>"},
		{s3xml.Versioning, "<VersioningConfiguration><MfaDelete>Disabled</MfaDelete><Status>Enabled</Status></VersioningConfiguration>", "<Status>Enabled</Status>"},
	} {
		made, err := c.parse([]byte(c.doc))
		if err != nil {
			t.Errorf("%s: %v", c.doc, err)
			continue
		}
		_, inside, _ := strings.Cut(string(made), ">")
		if inside = inside[:strings.LastIndex(inside, "</")]; inside != c.made {
			t.Errorf("%s became %s", c.doc, made)
		}
	}
}

// threadTime is what this thread has used of a processor.
func threadTime(t *testing.T) time.Duration {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
		t.Fatal(err)
	}
	return time.Duration(now.Nano())
}
