package proxy_test

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/proxy/s3op"
)

// What is answered 200 was kept: documents are made of all elements that are
// taken, and what is accepted is read back and held against what was sent.

// part is what comes into a document together: elements by their paths below the
// root, with their texts. Of two in one place of which there may be many, one has
// a number behind: "TagSet/Tag#2/Key".
type part map[string]string

// configuring is a document that configures something.
type configuring struct {
	root  string
	base  []part // each document begins with one of them
	parts []part // and has none or one of these; of the first two of base, two
	more  []string
	// added is what AWS says of its own, or does not say although it was sent, by
	// the path of the element, with the page that says so.
	added map[string]added
}

type added struct {
	values []string // that say what its absence says; none: any, of the service's making
	reason string
}

func (p part) with(others ...part) part {
	all := part{}
	for _, one := range append([]part{p}, others...) {
		for path, text := range one {
			if _, taken := all[path]; taken {
				return nil
			}
			all[path] = text
		}
	}
	return all
}

// write makes the document that has the part.
func (p part) write(root string) string {
	n := &node{XMLName: xml.Name{Local: root}}
	paths := make([]string, 0, len(p))
	for path := range p {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		at := n
		for name := range strings.SplitSeq(path, "/") {
			at = at.child(name)
		}
		at.Text = p[path]
	}
	var b strings.Builder
	n.write(&b)
	return b.String()
}

type node struct {
	XMLName  xml.Name
	Text     string  `xml:",chardata"`
	Children []*node `xml:",any"`
}

func (n *node) child(name string) *node {
	for _, c := range n.Children {
		if c.XMLName.Local == name {
			return c
		}
	}
	n.Children = append(n.Children, &node{XMLName: xml.Name{Local: name}})
	return n.Children[len(n.Children)-1]
}

func (n *node) write(b *strings.Builder) {
	name, _, _ := strings.Cut(n.XMLName.Local, "#")
	fmt.Fprintf(b, "<%s>", name)
	_ = xml.EscapeText(b, []byte(n.Text))
	for _, c := range n.Children {
		c.write(b)
	}
	fmt.Fprintf(b, "</%s>", name)
}

func parseNode(t *testing.T, doc []byte) *node {
	t.Helper()
	n := &node{}
	if err := xml.Unmarshal(doc, n); err != nil {
		t.Fatalf("%s: %v", doc, err)
	}
	return n
}

// said is all that a document says, in one order: that of its rules means
// something, that of elements and tags does not.
func (n *node) said(path string) string {
	if len(n.Children) == 0 {
		text := n.Text
		if at, err := time.Parse(time.RFC3339, strings.TrimSpace(text)); err == nil {
			text = at.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano) // S3 tells no finer
		}
		return path + "=" + fmt.Sprintf("%q", text)
	}
	var inside []string
	rules := 0
	for _, c := range n.Children {
		name := c.XMLName.Local
		if name == "Rule" {
			rules++
			name = fmt.Sprintf("Rule#%04d", rules)
		}
		inside = append(inside, c.said(name))
	}
	slices.Sort(inside)
	return path + "{" + strings.Join(inside, " ") + "}"
}

// each visits every element with the path of its names.
func (n *node) each(path string, visit func(path string, n *node)) {
	for _, c := range n.Children {
		below := strings.TrimPrefix(path+"/"+c.XMLName.Local, "/")
		visit(below, c)
		c.each(below, visit)
	}
}

// settle gives n what AWS adds to what was sent, where other has it and n has not.
func (n *node) settle(path string, other *node, added map[string]added) {
	for name, a := range added {
		parent, last := "", name
		if i := strings.LastIndexByte(name, '/'); i >= 0 {
			parent, last = name[:i], name[i+1:]
		}
		if parent != path || slices.ContainsFunc(n.Children, func(c *node) bool { return c.XMLName.Local == last }) {
			continue
		}
		for _, c := range other.Children {
			if c.XMLName.Local == last && (a.values == nil && c.Text != "" || slices.Contains(a.values, strings.TrimPrefix(c.said(last), last))) {
				n.Children = append(n.Children, c)
			}
		}
	}
	seen := map[string]int{}
	for _, c := range n.Children {
		name := c.XMLName.Local
		i := 0
		for _, o := range other.Children {
			if o.XMLName.Local != name {
				continue
			}
			if i == seen[name] {
				c.settle(strings.TrimPrefix(path+"/"+name, "/"), o, added)
			}
			i++
		}
		seen[name]++
	}
}

const long = "0123456789abcdef"

func tagOf(path, key, value string) part { return part{path + "/Key": key, path + "/Value": value} }

var (
	future         = time.Now().UTC().Add(24 * time.Hour).Truncate(time.Second)
	configurations = map[string]*configuring{
		"PutBucketVersioning": {root: "VersioningConfiguration", base: []part{{"Status": "Enabled"}, {"Status": "Suspended"}, {}},
			parts: []part{{"MfaDelete": "Disabled"}, {"MfaDelete": ""}, {"MfaDelete": "Enabled"}},
			added: map[string]added{"MfaDelete": {[]string{`="Disabled"`, `=""`}, "only returned when it was ever configured: API_GetBucketVersioning"}}},
		"PutBucketTagging": {root: "Tagging", base: []part{{"TagSet": ""}, {}}, parts: tagParts("TagSet")},
		"PutObjectTagging": {root: "Tagging", base: []part{{"TagSet": ""}, {}}, parts: tagParts("TagSet")},
		"PutObjectLockConfiguration": {root: "ObjectLockConfiguration", base: []part{{"ObjectLockEnabled": "Enabled"}, {},
			{"ObjectLockEnabled": "Enabled", "Rule/DefaultRetention/Mode": "GOVERNANCE"}, {"ObjectLockEnabled": "Enabled", "Rule/DefaultRetention/Mode": "COMPLIANCE"}},
			parts: []part{{"Rule/DefaultRetention/Days": "1"}, {"Rule/DefaultRetention/Years": "1"}, {"Rule/DefaultRetention/Days": "36500"}, {"Rule/DefaultRetention/Days": "36501"},
				{"Rule/DefaultRetention/Years": "100"}, {"Rule/DefaultRetention/Years": "101"}, {"Rule/DefaultRetention/Days": ""}, {"Rule": ""}, {"Rule/DefaultRetention": ""}},
			added: map[string]added{"Rule/DefaultRetention/Days": {[]string{`=""`}, "may be left out, and says nothing: API_DefaultRetention"}}},
		"PutBucketEncryption": {root: "ServerSideEncryptionConfiguration", base: []part{{"Rule/ApplyServerSideEncryptionByDefault/SSEAlgorithm": "AES256"}, {"Rule": ""}, {}},
			parts: []part{{"Rule/ApplyServerSideEncryptionByDefault/KMSMasterKeyID": "k"}, {"Rule/BucketKeyEnabled": "false"}, {"Rule/BucketKeyEnabled": "true"},
				{"Rule/BlockedEncryptionTypes/EncryptionType": "NONE"}, {"Rule/BlockedEncryptionTypes/EncryptionType": "SSE-C"}, {"Rule/BlockedEncryptionTypes": ""}},
			added: map[string]added{
				"Rule/BucketKeyEnabled":       {[]string{`="false"`}, "not enabled by default: API_ServerSideEncryptionRule"},
				"Rule/BlockedEncryptionTypes": {[]string{`{EncryptionType="NONE"}`}, "NONE blocks nothing: API_BlockedEncryptionTypes"}}},
		"PutObjectRetention": {root: "Retention", base: []part{{"Mode": "GOVERNANCE"}, {"Mode": "COMPLIANCE"}, {}},
			parts: []part{{"RetainUntilDate": future.Format(time.RFC3339)}, {"RetainUntilDate": future.Add(123 * time.Millisecond).Format(time.RFC3339Nano)}, {"RetainUntilDate": future.Add(123456789).Format(time.RFC3339Nano)},
				{"RetainUntilDate": future.In(time.FixedZone("", 7200)).Format(time.RFC3339)}, {"RetainUntilDate": future.AddDate(7000, 0, 0).Format(time.RFC3339)}}},
		"PutObjectLegalHold": {root: "LegalHold", base: []part{{}}, parts: []part{{"Status": "ON"}, {"Status": "OFF"}, {"Status": ""}}},
		"PutBucketLogging": {root: "BucketLoggingStatus", base: []part{{}, {"LoggingEnabled/TargetBucket": "kept", "LoggingEnabled/TargetPrefix": "p/"}, {"LoggingEnabled/TargetBucket": "kept", "LoggingEnabled/TargetPrefix": ""}},
			parts: []part{{"LoggingEnabled/TargetGrants": ""}, {"LoggingEnabled/TargetObjectKeyFormat/SimplePrefix": ""}, {"LoggingEnabled/TargetObjectKeyFormat/PartitionedPrefix": ""},
				{"LoggingEnabled/TargetObjectKeyFormat/PartitionedPrefix/PartitionDateSource": "EventTime"}, {"LoggingEnabled/TargetObjectKeyFormat/PartitionedPrefix/PartitionDateSource": "DeliveryTime"}},
			added: map[string]added{
				"LoggingEnabled/TargetGrants": {[]string{`=""`}, "nobody is granted anything: API_LoggingEnabled"},
				"LoggingEnabled/TargetObjectKeyFormat/PartitionedPrefix/PartitionDateSource": {[]string{`="DeliveryTime"`}, "may be left out, and one of two is so: API_PartitionedPrefix"}}},
		"PutBucketLifecycleConfiguration": {root: "LifecycleConfiguration", base: lifecycleBase, parts: lifecycleParts, more: lifecycleMore(),
			added: map[string]added{"Rule/ID": {nil, "a unique id where there is none: API_LifecycleRule"}}},
	}
	lifecycleBase = []part{
		{"Rule/Status": "Enabled", "Rule/Expiration/Days": "1"},
		{"Rule/Status": "Disabled", "Rule/NoncurrentVersionExpiration/NoncurrentDays": "1"},
		{"Rule/Status": "Enabled"},
	}
	lifecycleParts = []part{
		{"Rule/ID": "a"}, {"Rule/ID": strings.Repeat(long, 16)[:255]}, {"Rule/ID": strings.Repeat(long, 16)}, {"Rule/ID": " a & b\u2003é\t"}, {"Rule/ID": strings.Repeat("é", 255)},
		{"Rule/Prefix": ""}, {"Rule/Prefix": "p/"}, {"Rule/Filter": ""}, {"Rule/Filter/Prefix": ""}, {"Rule/Filter/Prefix": "logs/"}, {"Rule/Filter/Prefix": " a&b <c> é\r\n "},
		tagOf("Rule/Filter/Tag", "k", "v"), tagOf("Rule/Filter/Tag", "k", ""), tagOf("Rule/Filter/Tag", "", "v"), {"Rule/Filter/Tag": ""}, {"Rule/Filter/Tag/Key": "k"}, tagOf("Rule/Filter/Tag", "ключ & é", "значение <"),
		{"Rule/Filter/ObjectSizeGreaterThan": "0"}, {"Rule/Filter/ObjectSizeGreaterThan": "100"}, {"Rule/Filter/ObjectSizeGreaterThan": "5497558138880"},
		{"Rule/Filter/ObjectSizeLessThan": "1"}, {"Rule/Filter/ObjectSizeLessThan": "200"},
		{"Rule/Filter/And": ""}, {"Rule/Filter/And/Prefix": "x/"}, {"Rule/Filter/And/Prefix": ""}, tagOf("Rule/Filter/And/Tag#1", "k", "v"), tagOf("Rule/Filter/And/Tag#2", "l", ""), tagOf("Rule/Filter/And/Tag#3", "k", "w"),
		tagOf("Rule/Filter/And/Tag#4", "", "v"), {"Rule/Filter/And/ObjectSizeGreaterThan": "0"}, {"Rule/Filter/And/ObjectSizeGreaterThan": "100"}, {"Rule/Filter/And/ObjectSizeLessThan": "200"},
		tagOf("Rule/Filter/And/Tag#1", "k", "v").with(tagOf("Rule/Filter/And/Tag#2", "l", "w"), part{"Rule/Filter/And/Prefix": "x/", "Rule/Filter/And/ObjectSizeGreaterThan": "1", "Rule/Filter/And/ObjectSizeLessThan": "9"}),
		{"Rule/Expiration": ""}, {"Rule/Expiration/Days": "1"}, {"Rule/Expiration/Days": "2147483647"}, {"Rule/Expiration/Date": "2030-01-02T00:00:00Z"}, {"Rule/Expiration/Date": "2030-01-02T00:00:00.000Z"},
		{"Rule/Expiration/ExpiredObjectDeleteMarker": "true"}, {"Rule/Expiration/ExpiredObjectDeleteMarker": "false"},
		{"Rule/NoncurrentVersionExpiration": ""}, {"Rule/NoncurrentVersionExpiration/NoncurrentDays": "1"}, {"Rule/NoncurrentVersionExpiration/NoncurrentDays": "2147483647"},
		{"Rule/NoncurrentVersionExpiration/NewerNoncurrentVersions": "1"}, {"Rule/NoncurrentVersionExpiration/NewerNoncurrentVersions": "100"},
		{"Rule/AbortIncompleteMultipartUpload/DaysAfterInitiation": "7"}, {"Rule/AbortIncompleteMultipartUpload": ""},
		{"Rule/Transition/Days": "1"}, {"Rule/NoncurrentVersionTransition/NoncurrentDays": "1"},
	}
)

func tagParts(set string) []part {
	many := func(n int) part {
		all := part{}
		for i := range n {
			all = all.with(tagOf(fmt.Sprintf("%s/Tag#%d", set, i+100), fmt.Sprint("k", i), fmt.Sprint("v", i)))
		}
		return all
	}
	one := set + "/Tag#1"
	return []part{
		tagOf(one, "k", "v"), tagOf(one, "k", ""), tagOf(one, "", "v"), {one + "/Key": "k"}, {one: ""}, tagOf(one, " k ", "  v  "), tagOf(one, "a+b=c@d:e/f._-", "a+b=c@d:e/f._-"),
		tagOf(one, "é", "v"), tagOf(one, "k", "é"), tagOf(one, "k&", "v"), tagOf(one, "k", "<v>"), tagOf(one, strings.Repeat("k", 128), strings.Repeat("v", 256)), tagOf(one, "aws:k", "v"),
		tagOf(set+"/Tag#2", "k", "w"), tagOf(set+"/Tag#3", "K", "w"), tagOf(set+"/Tag#4", "%41", "a%20b"), many(9), many(10), many(11), many(49), many(50), many(51),
	}
}

// lifecycleMore are documents of several rules.
func lifecycleMore() []string {
	rules := func(n int, id func(i int) string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "<Rule>%s<Status>Enabled</Status><Filter><Prefix>p%d/</Prefix></Filter><Expiration><Days>%d</Days></Expiration></Rule>", id(i), i, i+1)
		}
		return "<LifecycleConfiguration>" + b.String() + "</LifecycleConfiguration>"
	}
	own := func(i int) string { return fmt.Sprintf("<ID>%d</ID>", i) }
	return []string{
		rules(0, own), rules(2, own), rules(3, func(int) string { return "" }), rules(2, func(int) string { return "<ID>twice</ID>" }),
		rules(1000, own), rules(1001, own), rules(1000, func(int) string { return "" }),
		"<LifecycleConfiguration><Rule><ID>z</ID><Status>Disabled</Status><Prefix>b</Prefix><Expiration><Days>1</Days></Expiration></Rule>" +
			"<Rule><ID>a</ID><Status>Enabled</Status><Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter><NoncurrentVersionExpiration><NoncurrentDays>3</NoncurrentDays><NewerNoncurrentVersions>2</NewerNoncurrentVersions></NoncurrentVersionExpiration></Rule></LifecycleConfiguration>",
	}
}

// documents are all that are sent.
func (c *configuring) documents() []string {
	out := slices.Clone(c.more)
	add := func(p part) {
		if p != nil {
			out = append(out, p.write(c.root))
		}
	}
	for n, base := range c.base {
		add(base)
		for i, one := range c.parts {
			add(base.with(one))
			for _, other := range c.parts[:i] {
				if n > 1 {
					break
				}
				add(base.with(one, other))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// taken are the elements that an operation takes, as the compatibility page has
// them, which a test holds to the readers.
func taken(t *testing.T, operation string) (headers, elements []string) {
	t.Helper()
	page, err := os.ReadFile("../docs/S3-COMPATIBILITY.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rows, _ := strings.Cut(string(page), "\n## What AWS documents of a request")
	for line := range strings.SplitSeq(rows, "\n") {
		if cells := strings.Split(line, " | "); len(cells) == 4 && cells[0] == "| "+operation {
			return words(cells[1]), words(cells[3])
		}
	}
	t.Fatalf("%s is not on the page", operation)
	return nil, nil
}

var quoted = regexp.MustCompile("`([^`]+)`")

func words(cell string) (out []string) {
	cell, _, _ = strings.Cut(cell, "**refused**")
	cell, _, _ = strings.Cut(cell, "ignored:")
	for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
		out = append(out, m[1])
	}
	return out
}

// elsewhere are the rows with a document whose keeping is seen elsewhere.
var keptElsewhere = map[string]string{
	"CreateBucket":    "TestKept_newBucket",
	"PutBucketPolicy": "TestKept_policy",
	"PutBucketAcl":    "takes no document",
	"PutObjectAcl":    "takes no document",
}

func TestKept_documents(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	for _, op := range s3op.Operations {
		if op.Method != "PUT" || op.Body != s3op.Document || keptElsewhere[op.Name] != "" {
			continue
		}
		c := configurations[op.Name]
		if c == nil {
			t.Errorf("%s configures something, and nobody looks whether it is kept", op.Name)
			continue
		}
		t.Run(op.Name, func(t *testing.T) {
			t.Parallel()
			e := g.tenant().raw()
			e.must(t, &request{method: "PUT", path: "/kept", header: headers("x-amz-bucket-object-lock-enabled", fmt.Sprint(strings.Contains(op.Name, "Lock") || strings.Contains(op.Name, "Retention") || strings.Contains(op.Name, "Hold")))})
			kept := map[string]bool{}
			for i, doc := range c.documents() {
				path := "/kept"
				if op.Level == s3op.Object {
					path = fmt.Sprintf("/kept/k%d", i)
					e.must(t, &request{method: "PUT", path: path, body: []byte("x")})
				}
				if sent := c.keeps(t, e, path, op.Selector, doc); sent != nil {
					sent.each("", func(path string, _ *node) { kept[path] = true })
				}
			}
			_, elements := taken(t, op.Name)
			for _, path := range elements {
				if !kept[path] {
					t.Errorf("no document with %s was accepted and read back", path)
				}
			}
		})
	}
}

// keeps sends doc, and reads back what was accepted. It returns what was sent if it
// was, and said something.
func (c *configuring) keeps(t *testing.T, e *endpoint, path, selector, doc string) *node {
	t.Helper()
	put := e.do(t, &request{method: "PUT", path: path, query: query(selector, ""), body: []byte(doc)})
	if put.status >= 300 {
		if put.status != 501 && (put.status < 400 || put.status > 409) || textOf(t, put.body, "Message") == "" {
			t.Errorf("%.2000s is answered %d %s", doc, put.status, put.body)
		}
		return nil
	}
	sent := parseNode(t, []byte(doc))
	got := e.do(t, &request{method: "GET", path: path, query: query(selector, "")})
	if got.status == 404 && len(sent.Children) == 0 { // it asks for nothing
		return nil
	}
	if got.status != http.StatusOK {
		t.Errorf("%.2000s is accepted, and read back as %d %s", doc, got.status, got.body)
		return nil
	}
	told := parseNode(t, got.body)
	sent.settle("", told, c.added)
	told.settle("", sent, c.added)
	if a, b := sent.said(""), told.said(""); a != b {
		t.Errorf("%.2000s\n is accepted:  %.2000s\n and read back: %.2000s", doc, a, b)
	}
	return sent
}
