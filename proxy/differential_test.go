package proxy_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"hash/crc32"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/sigv4"
)

// expected are the differences between MinIO and the gateway that are meant,
// by the step's name, each with its reason. A step that is listed and does not
// differ fails the test as well.
var expected = map[string]string{
	"create with a wrong location":        "AWS: InvalidLocationConstraint; MinIO takes any when it has no region set",
	"get versioning":                      "the document was built anew, in S3's name space",
	"get lock configuration":              "the document was built anew, in S3's name space",
	"post without form":                   "a form is signed by its policy: a signed POST to a bucket is an InvalidArgument",
	"retention none":                      "AWS's status is 404",
	"list buckets":                        "the account's own list, in AWS's present form with BucketRegion",
	"head bucket a":                       "AWS sends x-amz-bucket-region",
	"unknown sub-resource":                "MinIO falls through to the base operation",
	"delete bucket with sub-resource":     "MinIO would delete the bucket",
	"get with two sub-resources":          "MinIO answers the first route that matches",
	"get acl":                             "the tenant's canonical id instead of an empty owner",
	"get object acl":                      "the tenant's canonical id instead of an empty owner",
	"policy status":                       "MinIO omits the XML name space",
	"get accelerate":                      "AWS's name space",
	"get logging":                         "AWS's name space",
	"put logging":                         "MinIO does not deliver access logs",
	"get logging on":                      "MinIO does not deliver access logs",
	"put logging off":                     "MinIO does not deliver access logs",
	"get ownership controls":              "AWS: BucketOwnerEnforced; MinIO does not know the sub-resource",
	"put canned public acl":               "MinIO answers 200 and changes nothing",
	"put website redirect":                "MinIO accepts and drops the header",
	"put policy with write action":        "MinIO ignores policies on signed requests, so only reading can be promised",
	"put lifecycle transition":            "one storage class: refused with a sentence",
	"get lifecycle":                       "in S3's name space, which MinIO leaves out",
	"delete with If-Match":                "MinIO deletes in spite of the condition",
	"double slash key":                    "AWS's InvalidArgument in place of MinIO's own code",
	"dot key":                             "AWS's InvalidArgument in place of MinIO's own code",
	"leading slash key":                   "MinIO drops the slash and makes another object",
	"list v1 max-keys":                    "S3: NextMarker is a key; MinIO puts an order to its cache behind it",
	"list v1 url max-keys":                "S3: NextMarker is a key; MinIO puts an order to its cache behind it",
	"list versions max-keys":              "S3: NextKeyMarker is a key; MinIO puts an order to its cache behind it",
	"list v1 max-keys +3":                 "a number is digits",
	"list v1 max-keys 5000":               "S3 gives 1,000 at most, and says so",
	"list uploads":                        "S3's page has 1,000 uploads; MinIO's 10,000",
	"list uploads url":                    "S3's page has 1,000 uploads; MinIO's 10,000",
	"list uploads bad encoding":           "MinIO ignores what it does not know, and repeats it",
	"list parts bad encoding":             "MinIO ignores what it does not know",
	"part 0":                              "AWS's InvalidArgument; MinIO: InvalidPart",
	"get part x":                          "MinIO answers 500",
	"get version with braces":             "MinIO takes it for the same version",
	"range 6 bytes=5-2":                   "RFC 9110 section 14.2: a range that is none is ignored; MinIO answers 416",
	"get empty version":                   "AWS: InvalidArgument; MinIO ignores it",
	"list all versions":                   "S3: a delete marker has no size, ETag or storage class",
	"form 201":                            "the elements of PostResponse are in the order of S3's own documents",
	"PutBucketVersioning: missing bucket": "S3: NoSuchBucket; MinIO answers 200",
	"PutBucketLifecycleConfiguration: missing bucket": "S3: NoSuchBucket; MinIO answers 200",
	"GetBucketTagging: missing bucket":                "S3: NoSuchBucket; MinIO does not look for the bucket",
	"DeleteBucketTagging: missing bucket":             "S3: NoSuchBucket; MinIO does not look for the bucket",
	"GetObjectLockConfiguration: missing bucket":      "S3: NoSuchBucket; MinIO does not look for the bucket",
	"PutObjectLockConfiguration: missing bucket":      "S3: NoSuchBucket; MinIO does not look for the bucket",
	"PutBucketLogging: missing bucket":                "MinIO does not deliver access logs",
	"GetBucketOwnershipControls: missing bucket":      "MinIO does not know the sub-resource",
	"AbortMultipartUpload: missing upload":            "S3: NoSuchUpload for what no upload ever had as its id",
	"GetObjectRetention: missing bucket":              "S3: NoSuchBucket; MinIO does not look for the bucket",
	"GetObjectLegalHold: missing bucket":              "S3: NoSuchBucket; MinIO does not look for the bucket",
	"GetObjectAcl: missing key":                       "every object is private: answered without asking whether there is one",
	"PutObjectAcl: missing key":                       "every object is private: answered without asking whether there is one",
	"reserved name":                                   "one object with the key that ends in a slash",
}

// neverDone are the operations that succeed on no bucket of the script, with the
// reason. Their errors are compared.
var neverDone = map[string]string{
	"GetBucketCors":        "there are no rules: always NoSuchCORSConfiguration",
	"GetBucketWebsite":     "there is no website: always NoSuchWebsiteConfiguration",
	"GetBucketReplication": "there is no replication: always ReplicationConfigurationNotFoundError",
}

// step is one S3 call of the script. Bucket names a and b stand for the
// side's own.
type step struct {
	name string
	req  request
	form map[string]string // of a PostObject; the request's body is the file
}

// row is the operation of s3op's table that the step asks for, or nil.
func (st *step) row() *s3op.Operation {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(st.req.path, "/"), "/")
	level := s3op.Object
	switch {
	case bucket == "":
		level = s3op.Service
	case key == "":
		level = s3op.Bucket
	}
	var params []sigv4.Param
	for name, values := range st.req.query {
		params = append(params, sigv4.Param{Name: []byte(name), Value: []byte(values[0])})
	}
	o, _ := s3op.Classify([]byte(st.req.method), level, params, http.Header(st.req.header).Get("x-amz-copy-source") != "")
	return o
}

// withErrors adds for each operation its first step again on a bucket, a key, a
// source and an upload that do not exist.
func withErrors(steps []step) []step {
	first := map[*s3op.Operation]step{}
	for _, st := range steps {
		if o := st.row(); o != nil {
			if _, ok := first[o]; !ok {
				first[o] = st
			}
		}
	}
	for _, o := range s3op.Operations {
		st, ok := first[o]
		if !ok || o.Level == s3op.Service {
			continue
		}
		bucket, key, _ := strings.Cut(strings.TrimPrefix(st.req.path, "/"), "/")
		add := func(what, path string, header http.Header, q url.Values) {
			again := st
			again.name = o.Name + ": " + what
			again.req.path, again.req.header, again.req.query = path, header, q
			steps = append(steps, again)
		}
		if o.Name != "CreateBucket" {
			add("missing bucket", strings.Replace(st.req.path, bucket, "{missing}", 1), st.req.header, st.req.query)
		}
		if o.CopySource {
			for what, source := range map[string]string{"missing source": "{a}/missing", "missing source bucket": "{missing}/k"} {
				header := st.req.header.Clone()
				header.Set("x-amz-copy-source", source)
				add(what, st.req.path, header, st.req.query)
			}
		}
		if o.Level != s3op.Object {
			continue
		}
		switch {
		case o.Selector == "uploadId":
			q := url.Values(http.Header(st.req.query).Clone())
			q.Set("uploadId", "bm90aGluZw")
			add("missing upload", st.req.path, st.req.header, q)
		case !o.Writes() || o.Selector != "" && o.Selector != "uploads" || o.Name == "DeleteObject":
			add("missing key", strings.Replace(st.req.path, key, "no such key", 1), st.req.header, st.req.query)
		}
	}
	return steps
}

// side is MinIO itself or the gateway.
type side struct {
	e       *endpoint
	buckets map[string]string // a, b → real names
	vars    map[string]string // upload ids, version ids by placeholder
}

func TestDifferential(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	suffix := strings.ToLower(rand.Text()[:10])
	direct := &side{e: &endpoint{strings.TrimPrefix(g.minio.Endpoint, "http://"), g.minio.AccessKey, g.minio.SecretKey},
		buckets: map[string]string{"a": "diff-a-" + suffix, "b": "diff-b-" + suffix, "missing": "diff-m-" + suffix, "wrong": "diff-w-" + suffix, "empty": "diff-e-" + suffix}, vars: map[string]string{}}
	through := &side{e: tn.raw(), buckets: map[string]string{"a": "diff-a", "b": "diff-b", "missing": "diff-m", "wrong": "diff-w", "empty": "diff-e"}, vars: map[string]string{}}
	steps := withErrors(script())
	done, refused, differing := map[string]bool{}, map[string]bool{}, map[string]outcome{}
	for _, s := range steps {
		want, got := direct.run(t, s), through.run(t, s)
		if o := s.row(); o != nil {
			done[o.Name], refused[o.Name] = done[o.Name] || got.Status < 400, refused[o.Name] || got.Status >= 400
		}
		diff := cmp.Diff(want, got)
		switch reason, ok := expected[s.name]; {
		case diff != "" && !ok:
			t.Errorf("%s (-MinIO +gateway):\n%s", s.name, diff)
		case diff == "" && ok:
			t.Errorf("%s is listed as different (%s) and is the same", s.name, reason)
		case ok:
			differing[s.name] = got
		}
	}
	checkDifferences(t, differing)
	for _, o := range s3op.Operations {
		reason, never := neverDone[o.Name]
		switch {
		case !done[o.Name] && !never:
			t.Errorf("no step does %s with success", o.Name)
		case done[o.Name] && never:
			t.Errorf("%s is listed as never done (%s), and a step does it", o.Name, reason)
		case !refused[o.Name] && o.Level != s3op.Service:
			t.Errorf("no step has %s refused", o.Name)
		}
	}
	forConformance(t, "calls", strconv.Itoa(len(steps)), strconv.Itoa(len(s3op.Operations)))
	for _, name := range slices.Sorted(maps.Keys(expected)) {
		forConformance(t, "difference", name, expected[name])
	}
}

var updateDifferences = flag.Bool("update-differences", false, "write what the gateway answers where that is not what MinIO does")

// checkDifferences holds the gateway's answers that are meant to differ from
// MinIO's to those that somebody has read.
func checkDifferences(t *testing.T, got map[string]outcome) {
	t.Helper()
	const file = "testdata/differences.json"
	if *updateDifferences {
		b, err := json.MarshalIndent(got, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(b, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]outcome{}
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-%s +gateway:\n%s", file, diff)
	}
}

// outcome is what is compared.
type outcome struct {
	Status int
	Code   string
	Header map[string]string
	Body   string
}

// compared are the answer headers that must be equal.
var compared = []string{
	"Content-Type", "Content-Length", "Content-Range", "Content-Encoding", "Content-Language", "Content-Disposition", "Cache-Control",
	"Expires", "Etag", "Accept-Ranges", "X-Amz-Version-Id", "X-Amz-Delete-Marker", "X-Amz-Tagging-Count", "X-Amz-Mp-Parts-Count",
	"X-Amz-Storage-Class", "X-Amz-Server-Side-Encryption", "X-Amz-Checksum-Crc32", "X-Amz-Checksum-Type", "X-Amz-Meta-One", "X-Amz-Meta-Two",
	"Last-Modified", "X-Amz-Copy-Source-Version-Id", "X-Amz-Expiration", "X-Amz-Restore", "X-Amz-Abort-Date", "X-Amz-Abort-Rule-Id", "X-Amz-Missing-Meta",
	"X-Amz-Server-Side-Encryption-Customer-Algorithm", "X-Amz-Server-Side-Encryption-Customer-Key-Md5", "X-Amz-Website-Redirect-Location",
	"X-Amz-Checksum-Crc32c", "X-Amz-Checksum-Sha1", "X-Amz-Checksum-Sha256", "X-Amz-Checksum-Crc64nvme", "X-Amz-Object-Lock-Mode", "X-Amz-Object-Lock-Retain-Until-Date", "X-Amz-Object-Lock-Legal-Hold", "X-Amz-Bucket-Region", "Location",
}

func (s *side) run(t *testing.T, st step) outcome {
	t.Helper()
	q := st.req
	q.path = s.fill(q.path)
	q.query = s.fillValues(q.query)
	q.header = http.Header(s.fillValues(url.Values(q.header)))
	q.body = []byte(s.fill(string(q.body)))
	if st.form != nil {
		fields := map[string]string{}
		for name, value := range st.form {
			fields[name] = s.fill(value)
		}
		bucket := strings.TrimPrefix(q.path, "/")
		q = formRequest(t, bucket, signForm(t, s.e.id, s.e.secret, fields, bucket), string(q.body))
	}
	if len(q.body) > 0 && q.header.Get("Content-Md5") == "auto" {
		q.header.Set("Content-Md5", contentMD5(q.body))
	}
	r := s.e.do(t, &q)
	s.learn(st.name, r)
	o := outcome{Status: r.status, Code: r.code(), Header: map[string]string{}, Body: shorten(s.normal(string(r.body)))}
	isXML := strings.HasPrefix(r.header.Get("Content-Type"), "application/") || r.status >= 400
	for _, name := range compared {
		v := r.header.Get(name)
		if v == "" || isXML && (name == "Content-Length" || name == "Accept-Ranges" || name == "Content-Type") {
			continue
		}
		// What MinIO says where S3 says nothing of it (s3op's TestTells_sdk).
		if op := st.row(); (name == "Accept-Ranges" || name == "Last-Modified" || strings.HasPrefix(name, "X-Amz-Checksum")) && (op == nil || op.Tells([]byte(strings.ToLower(name))) == nil) {
			continue
		}
		o.Header[name] = s.normal(v)
	}
	if r.status >= 400 {
		// The text is ours, not MinIO's; code and status are what clients read.
		o.Body = ""
		delete(o.Header, "Content-Length")
	}
	return o
}

// fill replaces {a}, {b} and {name} of learned values.
func (s *side) fill(text string) string {
	for k, v := range s.buckets {
		text = strings.ReplaceAll(text, "{"+k+"}", v)
	}
	for k, v := range s.vars {
		text = strings.ReplaceAll(text, "{"+k+"}", v)
	}
	return text
}

func (s *side) fillValues(in url.Values) url.Values {
	out := url.Values{}
	for k, list := range in {
		for _, v := range list {
			out[k] = append(out[k], s.fill(v))
		}
	}
	return out
}

var (
	uploadID   = regexp.MustCompile(`<UploadId>([^<]+)</UploadId>`)
	dates      = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
	httpDates  = regexp.MustCompile(`\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT`)
	canonical  = regexp.MustCompile(`\b[0-9a-f]{64}\b`)
	accounts   = regexp.MustCompile(`\btenant-\d+\b`)
	owners     = regexp.MustCompile(`<(Owner|Initiator)>.*?</(Owner|Initiator)>`)
	tokens     = regexp.MustCompile(`<(NextContinuationToken|ContinuationToken)>[^<]+</`)
	requestIDs = regexp.MustCompile(`<(RequestId|HostId)>[^<]*<`)
	prolog     = regexp.MustCompile(`^<\?xml[^>]*\?>\s*`)
)

// learn remembers ids under "upload:<step>", "version:<step>" and "etag:<step>".
func (s *side) learn(name string, r *reply) {
	if m := uploadID.FindSubmatch(r.body); m != nil {
		s.vars["upload:"+name] = string(m[1])
	}
	if v := r.header.Get("X-Amz-Version-Id"); v != "" {
		s.vars["version:"+name] = v
	}
	if v := r.header.Get("Etag"); v != "" {
		s.vars["etag:"+name] = v
	}
}

// normal takes out what must differ: names, ids and times.
func (s *side) normal(text string) string {
	for k, v := range s.vars {
		if !strings.HasPrefix(k, "etag:") && v != "null" {
			text = strings.ReplaceAll(text, v, "{"+k[:strings.IndexByte(k, ':')]+"}")
		}
	}
	for k, v := range s.buckets {
		text = strings.ReplaceAll(text, v, "{"+k+"}")
	}
	text = strings.ReplaceAll(text, s.e.addr, "{host}")
	text = httpDates.ReplaceAllString(dates.ReplaceAllString(text, "{time}"), "{time}")
	text = accounts.ReplaceAllString(canonical.ReplaceAllString(text, "{canonical id}"), "{tenant}")
	text = owners.ReplaceAllString(text, "<$1>{owner}</$1>")
	text = tokens.ReplaceAllString(text, "<$1>{token}</")
	return prolog.ReplaceAllString(text, "")
}

func crc(body string) string {
	sum := crc32.ChecksumIEEE([]byte(body))
	return base64.StdEncoding.EncodeToString([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
}

const lifecycle = `<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status><Filter><Prefix>tmp/</Prefix></Filter><Expiration><Days>3</Days></Expiration></Rule></LifecycleConfiguration>`

func script() []step {
	var steps []step
	add := func(name, method, path string, q url.Values, h http.Header, body string) {
		steps = append(steps, step{name: name, req: request{method: method, path: path, query: q, header: h, body: []byte(body)}})
	}
	xml := func() http.Header { return headers("Content-Md5", "auto") }

	add("create a", "PUT", "/{a}", nil, nil, "")
	add("create a again", "PUT", "/{a}", nil, nil, "")
	add("create b with lock", "PUT", "/{b}", nil, headers("x-amz-bucket-object-lock-enabled", "true"), "")
	add("create with a wrong location", "PUT", "/{wrong}", nil, nil, `<CreateBucketConfiguration><LocationConstraint>eu-north-7</LocationConstraint></CreateBucketConfiguration>`)
	add("create with a bad name", "PUT", "/UPPER", nil, nil, "")
	add("list buckets", "GET", "/", nil, nil, "")
	add("head bucket a", "HEAD", "/{a}", nil, nil, "")
	add("head missing bucket", "HEAD", "/{missing}", nil, nil, "")
	add("list missing bucket", "GET", "/{missing}", nil, nil, "")
	add("get location", "GET", "/{a}", query("location", ""), nil, "")

	bodies := map[string]string{"empty": "", "one": "1", "text": strings.Repeat("text ", 2000), "big": strings.Repeat("0123456789abcdef", 1<<17)}
	names := []string{"empty", "one", "text", "big"}
	keys := []string{"plain", "dir/sub/key", "sp ace", "pl+us", "per%cent", "ünï/☃", "quo\"te'", "a=b&c;d", "tilde~(!*)", "dir/", "<tag>&amp;"}
	for i, k := range keys {
		n := names[i%len(names)]
		add("put "+k, "PUT", "/{a}/"+k, nil, headers("Content-Type", "text/x-"+n, "x-amz-meta-one", "1", "x-amz-meta-two", "two words"), bodies[n])
		add("get "+k, "GET", "/{a}/"+k, nil, nil, "")
		add("head "+k, "HEAD", "/{a}/"+k, nil, nil, "")
	}
	add("get missing", "GET", "/{a}/missing", nil, nil, "")
	add("head missing", "HEAD", "/{a}/missing", nil, nil, "")
	add("put to missing bucket", "PUT", "/{missing}/k", nil, nil, "x")
	add("double slash key", "PUT", "/{a}/x//y", nil, nil, "x")
	add("dot key", "PUT", "/{a}/x/../y", nil, nil, "x")
	add("leading slash key", "PUT", "/{b}//lead", nil, nil, "x")

	for i, r := range []string{"bytes=0-0", "bytes=5-9", "bytes=-3", "bytes=9990-", "bytes=0-99999999", "bytes=99999999-", "bytes=5-2", "bytes=0-1,4-5", "nonsense"} {
		add(fmt.Sprintf("range %d %s", i, r), "GET", "/{a}/sp ace", nil, headers("Range", r), "")
	}
	add("if-match", "GET", "/{a}/sp ace", nil, headers("If-Match", "{etag:put sp ace}"), "")
	add("if-match other", "GET", "/{a}/sp ace", nil, headers("If-Match", `"nope"`), "")
	add("if-none-match", "GET", "/{a}/sp ace", nil, headers("If-None-Match", "{etag:put sp ace}"), "")
	add("if-modified-since", "GET", "/{a}/sp ace", nil, headers("If-Modified-Since", "Wed, 01 Jan 2070 00:00:00 GMT"), "")
	add("if-unmodified-since", "GET", "/{a}/sp ace", nil, headers("If-Unmodified-Since", "Wed, 01 Jan 2020 00:00:00 GMT"), "")
	for _, o := range []string{"cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires"} {
		add("override "+o, "GET", "/{a}/plain", query("response-"+o, "x-"+o), nil, "")
	}
	add("put headers", "PUT", "/{a}/headers", nil, headers("Cache-Control", "no-cache", "Content-Disposition", "attachment", "Content-Encoding", "gzip",
		"Content-Language", "pt", "Expires", "Wed, 01 Jan 2070 00:00:00 GMT", "Content-Type", "a/b", "x-amz-storage-class", "STANDARD"), "not gzip")
	add("get headers", "GET", "/{a}/headers", nil, nil, "")
	add("put sse", "PUT", "/{a}/sse", nil, headers("x-amz-server-side-encryption", "AES256"), "secret")
	add("head sse", "HEAD", "/{a}/sse", nil, nil, "")
	add("put bad storage class", "PUT", "/{a}/x", nil, headers("x-amz-storage-class", "GLACIERISH"), "x")
	add("put md5", "PUT", "/{a}/md5", nil, headers("Content-Md5", "auto"), "with md5")
	add("put wrong md5", "PUT", "/{a}/md5", nil, headers("Content-Md5", contentMD5([]byte("other"))), "with md5")
	add("put bad md5", "PUT", "/{a}/md5", nil, headers("Content-Md5", "nonsense"), "with md5")
	add("put crc32", "PUT", "/{a}/crc", nil, headers("x-amz-checksum-crc32", crc("checked")), "checked")
	add("head crc32", "HEAD", "/{a}/crc", nil, headers("x-amz-checksum-mode", "ENABLED"), "")
	add("get crc32 range", "GET", "/{a}/crc", nil, headers("x-amz-checksum-mode", "ENABLED", "Range", "bytes=0-2"), "")
	add("put wrong crc32", "PUT", "/{a}/crc", nil, headers("x-amz-checksum-crc32", crc("other")), "checked")
	add("put wrong sha256", "PUT", "/{a}/sha", nil, nil, "body")
	steps[len(steps)-1].req.payload = strings.Repeat("0", 64)
	add("get after wrong sha256", "GET", "/{a}/sha", nil, nil, "")
	add("put unsigned payload", "PUT", "/{a}/unsigned", nil, nil, "body")
	steps[len(steps)-1].req.payload = "UNSIGNED-PAYLOAD"
	add("conditional write", "PUT", "/{a}/once", nil, headers("If-None-Match", "*"), "1")
	add("conditional write again", "PUT", "/{a}/once", nil, headers("If-None-Match", "*"), "2")
	add("conditional overwrite", "PUT", "/{a}/once", nil, headers("If-Match", "{etag:conditional write}"), "3")
	add("conditional overwrite wrong", "PUT", "/{a}/once", nil, headers("If-Match", `"nope"`), "4")
	add("presigned get", "GET", "/{a}/plain", nil, nil, "")
	steps[len(steps)-1].req.presign = true
	add("presigned put", "PUT", "/{a}/presigned", nil, nil, "presigned")
	steps[len(steps)-1].req.presign = true

	lists := map[string]url.Values{
		"v1": nil, "v1 prefix": query("prefix", "dir/"), "v1 delimiter": query("delimiter", "/"), "v1 max-keys": query("max-keys", "3"),
		"v1 marker": query("marker", "dir/sub/key"), "v1 url": query("encoding-type", "url"), "v1 max-keys 0": query("max-keys", "0"),
		"v1 bad max-keys": query("max-keys", "x"), "v1 bad encoding": query("encoding-type", "base64"),
		"v2": query("list-type", "2"), "v2 prefix": query("list-type", "2", "prefix", "sp"), "v2 delimiter": query("list-type", "2", "delimiter", "/"),
		"v2 start-after": query("list-type", "2", "start-after", "m"), "v2 owner": query("list-type", "2", "fetch-owner", "true"),
		"v2 max-keys": query("list-type", "2", "max-keys", "4"), "v2 url": query("list-type", "2", "encoding-type", "url"),
		"versions": query("versions", ""), "versions prefix": query("versions", "", "prefix", "dir/"), "uploads": query("uploads", ""),
		"v1 url max-keys": query("encoding-type", "url", "max-keys", "3"), "versions max-keys": query("versions", "", "max-keys", "3"),
		"v1 max-keys +3": query("max-keys", "+3"), "v1 max-keys 5000": query("max-keys", "5000"), "v1 max-keys huge": query("max-keys", "99999999999999999999"),
		"v1 max-keys negative": query("max-keys", "-1"), "v1 max-keys empty": query("max-keys", ""), "v2 bad token": query("list-type", "2", "continuation-token", "nonsense!"),
	}
	for _, name := range slices.Sorted(maps.Keys(lists)) {
		add("list "+name, "GET", "/{a}", lists[name], nil, "")
	}

	add("copy", "PUT", "/{a}/copied", nil, headers("x-amz-copy-source", "/{a}/"+escapePath("sp ace")), "")
	add("head copied", "HEAD", "/{a}/copied", nil, nil, "")
	add("copy replace", "PUT", "/{a}/copied", nil, headers("x-amz-copy-source", "{a}/plain", "x-amz-metadata-directive", "REPLACE", "x-amz-meta-one", "new"), "")
	add("head replaced", "HEAD", "/{a}/copied", nil, nil, "")
	add("copy to b", "PUT", "/{b}/from a", nil, headers("x-amz-copy-source", "{a}/plain"), "")
	add("copy missing", "PUT", "/{a}/copied", nil, headers("x-amz-copy-source", "{a}/missing"), "")
	add("copy from missing bucket", "PUT", "/{a}/copied", nil, headers("x-amz-copy-source", "{missing}/x"), "")
	add("copy if-match wrong", "PUT", "/{a}/copied", nil, headers("x-amz-copy-source", "{a}/plain", "x-amz-copy-source-if-match", `"nope"`), "")
	add("copy onto itself", "PUT", "/{a}/plain", nil, headers("x-amz-copy-source", "{a}/plain"), "")
	add("copy without slash", "PUT", "/{a}/copied", nil, headers("x-amz-copy-source", "nothing"), "")

	add("tag", "PUT", "/{a}/plain", query("tagging", ""), xml(), `<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>`)
	add("get tags", "GET", "/{a}/plain", query("tagging", ""), nil, "")
	add("head tagged", "HEAD", "/{a}/plain", nil, nil, "")
	add("untag", "DELETE", "/{a}/plain", query("tagging", ""), nil, "")
	add("get no tags", "GET", "/{a}/plain", query("tagging", ""), nil, "")
	add("tag malformed", "PUT", "/{a}/plain", query("tagging", ""), xml(), `<Tagging><TagSet>`)
	add("put with tagging header", "PUT", "/{a}/tagged", nil, headers("x-amz-tagging", "a=b&c=d"), "t")
	add("get tagging header", "GET", "/{a}/tagged", query("tagging", ""), nil, "")
	add("bucket tags none", "GET", "/{a}", query("tagging", ""), nil, "")
	add("bucket tags", "PUT", "/{a}", query("tagging", ""), xml(), `<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>`)
	add("get bucket tags", "GET", "/{a}", query("tagging", ""), nil, "")
	add("delete bucket tags", "DELETE", "/{a}", query("tagging", ""), nil, "")
	add("attributes", "GET", "/{a}/crc", query("attributes", ""), headers("x-amz-object-attributes", "ETag,Checksum,ObjectSize,StorageClass"), "")

	add("lifecycle none", "GET", "/{a}", query("lifecycle", ""), nil, "")
	add("put lifecycle", "PUT", "/{a}", query("lifecycle", ""), xml(), lifecycle)
	add("get lifecycle", "GET", "/{a}", query("lifecycle", ""), nil, "")
	add("put lifecycle transition", "PUT", "/{a}", query("lifecycle", ""), xml(), strings.ReplaceAll(strings.ReplaceAll(lifecycle, "<Expiration>", "<Transition><StorageClass>X</StorageClass>"), "</Expiration>", "</Transition>"))
	add("delete lifecycle", "DELETE", "/{a}", query("lifecycle", ""), nil, "")
	add("encryption none", "GET", "/{a}", query("encryption", ""), nil, "")
	add("put encryption", "PUT", "/{a}", query("encryption", ""), xml(), `<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>`)
	add("get encryption", "GET", "/{a}", query("encryption", ""), nil, "")
	add("delete encryption", "DELETE", "/{a}", query("encryption", ""), nil, "")
	add("policy none", "GET", "/{a}", query("policy", ""), nil, "")
	add("put policy", "PUT", "/{a}", query("policy", ""), nil, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":["s3:GetObject"],"Resource":["arn:aws:s3:::{a}/pub/*"]}]}`)
	add("get policy", "GET", "/{a}", query("policy", ""), nil, "")
	add("policy status", "GET", "/{a}", query("policyStatus", ""), nil, "")
	add("put policy with write action", "PUT", "/{a}", query("policy", ""), nil, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":["s3:PutObject"],"Resource":["arn:aws:s3:::{a}/pub/*"]}]}`)
	add("delete policy", "DELETE", "/{a}", query("policy", ""), nil, "")
	for _, name := range []string{"acl", "cors", "website", "logging", "notification", "replication", "accelerate", "requestPayment"} {
		add("get "+strings.ToLower(strings.ReplaceAll(name, "P", " p")), "GET", "/{a}", query(name, ""), nil, "")
	}
	add("put logging", "PUT", "/{a}", query("logging", ""), xml(), `<BucketLoggingStatus><LoggingEnabled><TargetBucket>{b}</TargetBucket><TargetPrefix>log/</TargetPrefix></LoggingEnabled></BucketLoggingStatus>`)
	add("get logging on", "GET", "/{a}", query("logging", ""), nil, "")
	add("put logging off", "PUT", "/{a}", query("logging", ""), xml(), `<BucketLoggingStatus/>`)
	add("get ownership controls", "GET", "/{a}", query("ownershipControls", ""), nil, "")
	add("get object acl", "GET", "/{a}/plain", query("acl", ""), nil, "")
	add("put canned public acl", "PUT", "/{a}/x", nil, headers("x-amz-acl", "public-read"), "x")
	add("put website redirect", "PUT", "/{a}/x", nil, headers("x-amz-website-redirect-location", "/y"), "x")
	add("unknown sub-resource", "GET", "/{a}", query("abac", ""), nil, "")
	add("get with two sub-resources", "GET", "/{a}", query("location", "", "policy", ""), nil, "")

	form := func(name string, fields map[string]string) {
		add(name, "POST", "/{a}", nil, nil, "from a form")
		steps[len(steps)-1].form = fields
	}
	form("form", map[string]string{"key": "forms/k", "Content-Type": "a/b", "x-amz-meta-one": "1"})
	add("get from form", "GET", "/{a}/forms/k", nil, nil, "")
	form("form 201", map[string]string{"key": "forms/201", "success_action_status": "201"})
	form("form with a sum", map[string]string{"key": "forms/sum", "x-amz-checksum-crc32": crc("from a form")})
	form("form with a wrong sum", map[string]string{"key": "forms/wrong", "x-amz-checksum-crc32": crc("other")})
	add("put private acl", "PUT", "/{a}", query("acl", ""), headers("x-amz-acl", "private"), "")
	add("put object private acl", "PUT", "/{a}/plain", query("acl", ""), headers("x-amz-acl", "private"), "")

	add("start with sums", "POST", "/{a}/sums", query("uploads", ""), headers("x-amz-checksum-algorithm", "CRC32"), "")
	add("part with a sum", "PUT", "/{a}/sums", query("partNumber", "1", "uploadId", "{upload:start with sums}"), headers("x-amz-checksum-crc32", crc("x")), "x")
	add("part without a sum", "PUT", "/{a}/sums", query("partNumber", "2", "uploadId", "{upload:start with sums}"), nil, "x")
	add("part copy without a sum", "PUT", "/{a}/sums", query("partNumber", "3", "uploadId", "{upload:start with sums}"), headers("x-amz-copy-source", "{a}/"+escapePath("pl+us")), "")
	add("abort sums", "DELETE", "/{a}/sums", query("uploadId", "{upload:start with sums}"), nil, "")

	part := bodies["big"] + bodies["big"] + bodies["big"]
	add("start", "POST", "/{a}/multi", query("uploads", ""), headers("Content-Type", "m/p", "x-amz-meta-one", "multi"), "")
	add("part 1", "PUT", "/{a}/multi", query("partNumber", "1", "uploadId", "{upload:start}"), nil, part)
	add("part 2", "PUT", "/{a}/multi", query("partNumber", "2", "uploadId", "{upload:start}"), nil, "tail")
	add("part copy", "PUT", "/{a}/multi", query("partNumber", "3", "uploadId", "{upload:start}"), headers("x-amz-copy-source", "{a}/"+escapePath("pl+us")), "")
	add("list parts", "GET", "/{a}/multi", query("uploadId", "{upload:start}"), nil, "")
	add("list parts page", "GET", "/{a}/multi", query("uploadId", "{upload:start}", "max-parts", "2", "part-number-marker", "1"), nil, "")
	add("list parts bad encoding", "GET", "/{a}/multi", query("uploadId", "{upload:start}", "encoding-type", "base64"), nil, "")
	add("list uploads", "GET", "/{a}", query("uploads", "", "prefix", "multi"), nil, "")
	add("list uploads url", "GET", "/{a}", query("uploads", "", "prefix", "multi", "encoding-type", "url"), nil, "")
	add("list uploads bad encoding", "GET", "/{a}", query("uploads", "", "prefix", "multi", "encoding-type", "base64"), nil, "")
	add("part 0", "PUT", "/{a}/multi", query("partNumber", "0", "uploadId", "{upload:start}"), nil, "x")
	add("part 10001", "PUT", "/{a}/multi", query("partNumber", "10001", "uploadId", "{upload:start}"), nil, "x")
	add("complete bad etag", "POST", "/{a}/multi", query("uploadId", "{upload:start}"), nil, `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"nope"</ETag></Part></CompleteMultipartUpload>`)
	add("complete", "POST", "/{a}/multi", query("uploadId", "{upload:start}"), nil, `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag:part 1}</ETag></Part><Part><PartNumber>2</PartNumber><ETag>{etag:part 2}</ETag></Part></CompleteMultipartUpload>`)
	add("head multi", "HEAD", "/{a}/multi", nil, nil, "")
	add("get part x", "GET", "/{a}/multi", query("partNumber", "x"), nil, "")
	add("get part 2", "GET", "/{a}/multi", query("partNumber", "2"), nil, "")
	add("complete gone", "POST", "/{a}/multi", query("uploadId", "{upload:start}"), nil, `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"x"</ETag></Part></CompleteMultipartUpload>`)
	add("start 2", "POST", "/{a}/aborted", query("uploads", ""), nil, "")
	add("abort", "DELETE", "/{a}/aborted", query("uploadId", "{upload:start 2}"), nil, "")
	add("abort again", "DELETE", "/{a}/aborted", query("uploadId", "{upload:start 2}"), nil, "")
	add("part of nothing", "PUT", "/{a}/multi", query("partNumber", "1", "uploadId", "bm90aGluZw"), nil, "x")

	add("versioning none", "GET", "/{a}", query("versioning", ""), nil, "")
	add("enable versioning", "PUT", "/{a}", query("versioning", ""), xml(), `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`)
	add("get versioning", "GET", "/{a}", query("versioning", ""), nil, "")
	add("version 1", "PUT", "/{a}/versioned", nil, nil, "one")
	add("version 2", "PUT", "/{a}/versioned", nil, nil, "two")
	add("get version 1", "GET", "/{a}/versioned", query("versionId", "{version:version 1}"), nil, "")
	add("get null version", "GET", "/{a}/plain", query("versionId", "null"), nil, "")
	add("get bad version", "GET", "/{a}/versioned", query("versionId", "nonsense"), nil, "")
	add("get version with braces", "GET", "/{a}/versioned", query("versionId", "{{version:version 1}}"), nil, "")
	add("get empty version", "GET", "/{a}/versioned", query("versionId", ""), nil, "")
	add("reserved name", "PUT", "/{b}/dir__XLDIR__", nil, headers("Content-Md5", "auto"), "x")
	add("delete marker", "DELETE", "/{a}/versioned", nil, nil, "")
	add("get deleted", "GET", "/{a}/versioned", nil, nil, "")
	add("list all versions", "GET", "/{a}", query("versions", "", "prefix", "versioned"), nil, "")
	add("delete version 1", "DELETE", "/{a}/versioned", query("versionId", "{version:version 1}"), nil, "")
	add("copy a version", "PUT", "/{a}/restored", nil, headers("x-amz-copy-source", "{a}/versioned?versionId={version:version 2}"), "")
	add("suspend versioning", "PUT", "/{a}", query("versioning", ""), xml(), `<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>`)

	add("lock configuration", "GET", "/{b}", query("object-lock", ""), nil, "")
	add("lock configuration none", "GET", "/{a}", query("object-lock", ""), nil, "")
	add("put locked", "PUT", "/{b}/locked", nil, headers("Content-Md5", "auto"), "locked")
	add("legal hold on", "PUT", "/{b}/locked", query("legal-hold", ""), xml(), `<LegalHold><Status>ON</Status></LegalHold>`)
	add("get legal hold", "GET", "/{b}/locked", query("legal-hold", ""), nil, "")
	add("delete held version", "DELETE", "/{b}/locked", query("versionId", "{version:put locked}"), nil, "")
	add("legal hold off", "PUT", "/{b}/locked", query("legal-hold", ""), xml(), `<LegalHold><Status>OFF</Status></LegalHold>`)
	add("retention none", "GET", "/{b}/locked", query("retention", ""), nil, "")
	add("put retention", "PUT", "/{b}/locked", query("retention", ""), xml(), `<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2070-01-01T00:00:00Z</RetainUntilDate></Retention>`)
	add("get retention", "GET", "/{b}/locked", query("retention", ""), nil, "")
	add("put lock configuration", "PUT", "/{b}", query("object-lock", ""), xml(), `<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>`)
	add("get lock configuration", "GET", "/{b}", query("object-lock", ""), nil, "")

	add("delete with If-Match", "DELETE", "/{a}/one-left", nil, headers("If-Match", `"nope"`), "")
	add("delete one", "DELETE", "/{a}/md5", nil, nil, "")
	add("delete again", "DELETE", "/{a}/md5", nil, nil, "")
	add("delete some", "POST", "/{a}", query("delete", ""), xml(), `<Delete><Object><Key>once</Key></Object><Object><Key>never</Key></Object></Delete>`)
	add("delete quiet", "POST", "/{a}", query("delete", ""), xml(), `<Delete><Object><Key>crc</Key></Object><Quiet>true</Quiet></Delete>`)
	add("delete malformed", "POST", "/{a}", query("delete", ""), xml(), `<Delete><Object>`)
	add("create empty", "PUT", "/{empty}", nil, nil, "")
	add("delete empty bucket", "DELETE", "/{empty}", nil, nil, "")
	add("delete bucket not empty", "DELETE", "/{a}", nil, nil, "")
	add("delete bucket with sub-resource", "DELETE", "/{missing}", query("abac", ""), nil, "")
	add("delete missing bucket", "DELETE", "/{missing}", nil, nil, "")
	add("post without form", "POST", "/{missing}", nil, nil, "")
	return steps
}

// TestDifferentialBytes compares downloads byte by byte over many ranges.
func TestDifferentialBytes(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	e := g.tenant().raw()
	data := make([]byte, 3<<20+17)
	_, _ = rand.Read(data)
	e.do(t, &request{method: "PUT", path: "/bytes-test"})
	if r := e.do(t, &request{method: "PUT", path: "/bytes-test/k", body: data}); r.status != 200 {
		t.Fatalf("put: %d %s", r.status, r.body)
	}
	for _, n := range []int{0, 1, 4095, 4096, 16383, 16384, 1 << 20, 1<<20 + 1, len(data) - 1} {
		r := e.do(t, &request{method: "GET", path: "/bytes-test/k", header: headers("Range", fmt.Sprintf("bytes=%d-", n))})
		if r.status != 206 || !bytes.Equal(r.body, data[n:]) {
			t.Errorf("from %d: %d, %d bytes", n, r.status, len(r.body))
		}
	}
	if !slices.Equal(e.do(t, &request{method: "GET", path: "/bytes-test/k"}).body, data) {
		t.Error("the whole object differs")
	}
}

// shorten replaces the middle of a long body by its hash.
func shorten(body string) string {
	if len(body) < 4000 {
		return body
	}
	return fmt.Sprintf("%d bytes, crc32 %s", len(body), crc(body))
}
