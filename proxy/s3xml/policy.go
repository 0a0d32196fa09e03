package s3xml

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/primecloudpro/primecloud/proxy/s3err"
)

// maxPolicy is S3's bound on a bucket policy.
const maxPolicy = 20 << 10

// policyActions are what everyone may be allowed: reading and listing.
var policyActions = map[string]bool{
	"s3:GetObject": true, "s3:GetObjectVersion": true, "s3:GetBucketLocation": true, "s3:ListBucket": true,
	"s3:ListBucketVersions": true, "s3:ListBucketMultipartUploads": true, "s3:ListMultipartUploadParts": true,
	"s3:GetObjectTagging": true,
}

const sentencePolicy = "Bucket policies can only let everyone read or list: statements with Effect Allow, Principal \"*\", " +
	"read and list actions, and resources of this bucket. Use access keys with fewer rights for anything else."

const arnPrefix = "arn:aws:s3:::"

// The versions of the policy language. Without one it is the older
// (docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html).
const (
	policyVersion    = "2012-10-17"
	policyVersionOld = "2008-10-17"
)

// bucketPolicy is a policy as it is stored. MinIO takes the newer version alone: a
// client's own stands in front of its Id there, unless nothing of both was said.
type bucketPolicy struct {
	Version   string            `json:"Version"`
	ID        string            `json:"Id,omitempty"`
	Statement []policyStatement `json:"Statement"`
}

func (p *bucketPolicy) hideVersion() {
	if p.ID != "" || p.Version != policyVersion {
		p.ID = p.Version + " " + p.ID
	}
	p.Version = policyVersion
}

func (p *bucketPolicy) showVersion() {
	version, id, ok := strings.Cut(p.ID, " ")
	if ok && (version == policyVersion || version == policyVersionOld) {
		p.Version, p.ID = version, id
	}
	if p.Version != policyVersionOld {
		p.Version = policyVersion
	}
}

type policyStatement struct {
	Sid       string    `json:"Sid,omitempty"`
	Effect    string    `json:"Effect"`
	Principal principal `json:"Principal"`
	Action    many      `json:"Action"`
	Resource  many      `json:"Resource"`
}

// many is a string or a list of strings.
type many []string

func (m *many) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*m = many{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(m))
}

// principal is everyone, in one of the three spellings.
type principal struct{ everyone bool }

func (p *principal) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		p.everyone = text == "*"
		return nil
	}
	var aws map[string]many
	if err := json.Unmarshal(b, &aws); err != nil {
		return err
	}
	p.everyone = len(aws) == 1 && len(aws["AWS"]) == 1 && aws["AWS"][0] == "*"
	return nil
}

func (p principal) MarshalJSON() ([]byte, error) { return []byte(`{"AWS":["*"]}`), nil }

// PolicyIn reads a client's bucket policy and builds the backend's. MinIO
// consults a policy only for anonymous requests, so one that would restrict
// key holders is refused instead of being accepted and ignored (S3-RULES.md D11).
func PolicyIn(doc []byte, bucket, backendBucket string) ([]byte, error) {
	if len(doc) > maxPolicy {
		return nil, s3err.New("MalformedPolicy", "The policy is larger than 20 KB.")
	}
	if err := noRepeatedKeys(doc); err != nil {
		return nil, err
	}
	var in struct {
		Version   string
		ID        string `json:"Id"`
		Statement json.RawMessage
	}
	if err := strictJSON(doc, &in); err != nil {
		return nil, err
	}
	raw := in.Statement
	if trimmed := bytes.TrimSpace(raw); len(trimmed) > 0 && trimmed[0] == '{' {
		raw = append(append([]byte{'['}, trimmed...), ']')
	}
	var statements []policyStatement
	if err := strictJSON(raw, &statements); err != nil {
		return nil, err
	}
	if len(statements) == 0 {
		return nil, s3err.New("MalformedPolicy", "The policy has no statement.")
	}
	switch in.Version {
	case "":
		in.Version = policyVersionOld
	case policyVersion, policyVersionOld:
	default:
		return nil, s3err.New("MalformedPolicy", "The policy's Version must be 2012-10-17 or 2008-10-17.")
	}
	said := map[string]bool{}
	for i := range statements {
		if err := statements[i].in(bucket, backendBucket); err != nil {
			return nil, err
		}
		// MinIO keeps the first of them.
		what := statements[i].what()
		if said[what] {
			return nil, unsupported("Two statements of the policy that differ in nothing but their Sid are not supported; leave one out.")
		}
		said[what] = true
	}
	out := bucketPolicy{in.Version, in.ID, statements}
	out.hideVersion()
	return json.Marshal(&out)
}

// what is all that the statement lets everyone do.
func (s *policyStatement) what() string {
	var all []string
	for _, list := range []many{s.Action, s.Resource} {
		list = slices.Clone(list)
		slices.Sort(list)
		all = append(append(all, slices.Compact(list)...), "")
	}
	return strings.Join(all, "\x00")
}

func (s *policyStatement) in(bucket, backendBucket string) error {
	if s.Effect != "Allow" || !s.Principal.everyone || len(s.Action) == 0 || len(s.Resource) == 0 {
		return unsupported(sentencePolicy)
	}
	for _, a := range s.Action {
		if !policyActions[a] {
			return unsupported(sentencePolicy)
		}
	}
	for i, r := range s.Resource {
		rest, ok := strings.CutPrefix(r, arnPrefix+bucket)
		if !ok || rest != "" && rest[0] != '/' {
			return s3err.New("MalformedPolicy", "Policy has invalid resource: every resource must be of this bucket, arn:aws:s3:::"+bucket+" or arn:aws:s3:::"+bucket+"/*.")
		}
		s.Resource[i] = arnPrefix + backendBucket + rest
	}
	return nil
}

// ErrForeignBucket means that the backend's policy is for another bucket.
var ErrForeignBucket = errors.New("s3xml: the backend's policy names another bucket")

// PolicyOut maps the backend's policy back, element by element: what has no place
// in a policy as it is put here stays behind.
func PolicyOut(doc []byte, bucket, backendBucket string) ([]byte, error) {
	var out bucketPolicy
	if err := json.Unmarshal(doc, &out); err != nil {
		return nil, err
	}
	for _, s := range out.Statement {
		for i, r := range s.Resource {
			if rest, ok := strings.CutPrefix(r, arnPrefix+backendBucket); ok {
				s.Resource[i] = arnPrefix + bucket + rest
				continue
			}
			return nil, ErrForeignBucket
		}
	}
	out.showVersion()
	return json.Marshal(&out)
}

func strictJSON(doc []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(doc))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		if strings.Contains(err.Error(), "unknown field") {
			return unsupported(sentencePolicy)
		}
		return s3err.New("MalformedPolicy", "The policy is not a well-formed JSON policy.")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return s3err.New("MalformedPolicy", "The policy goes on after its end.")
	}
	return nil
}

// noRepeatedKeys refuses a document that two readers could read in two ways.
func noRepeatedKeys(doc []byte) error {
	bad := s3err.New("MalformedPolicy", "The policy is not a well-formed JSON policy, or a key of it occurs twice.")
	d := json.NewDecoder(bytes.NewReader(doc))
	type level struct {
		keys  map[string]bool // nil in a list
		value bool            // the next token is a value
	}
	var stack []level
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil || len(stack) > 32 {
			return bad
		}
		if n := len(stack); n > 0 && stack[n-1].keys != nil && !stack[n-1].value {
			if key, ok := token.(string); ok {
				// encoding/json matches names without regard to case.
				key = strings.ToLower(key)
				if stack[n-1].keys[key] {
					return bad
				}
				stack[n-1].keys[key] = true
				stack[n-1].value = true
				continue
			}
		} else if n > 0 {
			stack[n-1].value = false
		}
		switch token {
		case json.Delim('{'):
			stack = append(stack, level{keys: map[string]bool{}})
		case json.Delim('['):
			stack = append(stack, level{})
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:len(stack)-1]
		}
	}
}
