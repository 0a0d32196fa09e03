package sigv4

import (
	"bytes"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Policy is a POST policy: what a browser form may upload
// (docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html).
type Policy struct {
	Expiration time.Time
	Min, Max   int64 // content-length-range, on the file's bytes; 0 and MaxInt64 without one
	conditions []condition
}

type condition struct {
	field  string // lower case, without "$"
	value  string
	prefix bool
}

// Field is a form field before the file, name in lower case.
type Field struct{ Name, Value string }

const maxPolicy = 64 << 10

// ParsePolicy reads the base64 text of the policy field.
func ParsePolicy(text string) (*Policy, error) {
	if len(text) > maxPolicy {
		return nil, failed(ErrInvalidPolicyDocument, "The policy is too large.")
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, failed(ErrInvalidPolicyDocument, "The policy is not base64.")
	}
	var doc struct {
		Expiration string            `json:"expiration"`
		Conditions []json.RawMessage `json:"conditions"`
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&doc); err != nil || d.More() {
		return nil, failed(ErrInvalidPolicyDocument, "The policy is not a JSON document with expiration and conditions.")
	}
	expiration, err := time.Parse(time.RFC3339Nano, doc.Expiration)
	if err != nil {
		return nil, failed(ErrInvalidPolicyDocument, "The policy's expiration is not an ISO 8601 time.")
	}
	p := &Policy{Expiration: expiration, Max: math.MaxInt64}
	if doc.Conditions == nil {
		return nil, failed(ErrInvalidPolicyDocument, "The policy has no conditions.")
	}
	for _, c := range doc.Conditions {
		if err := p.parseCondition(c); err != nil {
			return nil, err
		}
	}
	return p, nil
}

var errCondition = failed(ErrInvalidPolicyDocument, "A condition of the policy is not an exact match, [\"eq\", …], [\"starts-with\", …] or [\"content-length-range\", min, max].")

func (p *Policy) parseCondition(raw json.RawMessage) error {
	var exact map[string]string
	if json.Unmarshal(raw, &exact) == nil {
		if len(exact) != 1 {
			return errCondition
		}
		for field, value := range exact {
			p.conditions = append(p.conditions, condition{field: strings.ToLower(field), value: value})
		}
		return nil
	}
	var list []any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&list) != nil || len(list) != 3 {
		return errCondition
	}
	op, _ := list[0].(string)
	switch strings.ToLower(op) {
	case "eq", "starts-with":
		field, ok := list[1].(string)
		value, ok2 := list[2].(string)
		if !ok || !ok2 || !strings.HasPrefix(field, "$") {
			return errCondition
		}
		p.conditions = append(p.conditions, condition{
			field: strings.ToLower(field[1:]), value: value, prefix: strings.EqualFold(op, "starts-with"),
		})
		return nil
	case "content-length-range":
		low, ok := wholeNumber(list[1])
		high, ok2 := wholeNumber(list[2])
		if !ok || !ok2 || low < 0 || high < low {
			return errCondition
		}
		p.Min, p.Max = max(p.Min, low), min(p.Max, high)
		return nil
	}
	return errCondition
}

func wholeNumber(v any) (int64, bool) {
	switch v := v.(type) {
	case json.Number:
		n, err := v.Int64()
		return n, err == nil
	case string: // browsers' libraries write them quoted, and S3 takes it
		n, err := json.Number(v).Int64()
		return n, err == nil
	}
	return 0, false
}

// unconditioned are the fields that need no condition.
var unconditioned = []string{"policy", "file", "x-amz-signature", "bucket"}

// Check holds the form against the policy: not expired, every condition met,
// every field covered by a condition. bucket is the bucket of the URL: only that
// one counts, whatever a field says (S3-RULES.md B27, A6, A7).
func (p *Policy) Check(fields []Field, bucket string, now time.Time) error {
	if !now.Before(p.Expiration) {
		return failed(ErrAccessDenied, "Invalid according to Policy: Policy expired.")
	}
	values := make(map[string]string, len(fields)+1)
	for _, f := range slices.Backward(fields) { // the first of a name counts
		values[f.Name] = f.Value
	}
	values["bucket"] = bucket
	covered := make(map[string]bool, len(p.conditions))
	for _, c := range p.conditions {
		covered[c.field] = true
		v := values[c.field]
		if !c.holds(v) {
			return failed(ErrAccessDenied, "Invalid according to Policy: Policy Condition failed: "+c.String())
		}
	}
	if !covered["bucket"] || !covered["key"] {
		return failed(ErrAccessDenied, "Invalid according to Policy: it must have a condition for the bucket and one for the key.")
	}
	for _, f := range fields {
		if strings.HasPrefix(f.Name, "x-ignore-") || slices.Contains(unconditioned, f.Name) {
			continue
		}
		if !covered[f.Name] {
			return failed(ErrAccessDenied, "Invalid according to Policy: Extra input fields: "+f.Name)
		}
	}
	return nil
}

// Lets reports whether the policy has a condition for the field and its value
// meets every one: without one nobody may choose it.
func (p *Policy) Lets(f Field) bool {
	covered := false
	for _, c := range p.conditions {
		if c.field != f.Name {
			continue
		}
		if !c.holds(f.Value) {
			return false
		}
		covered = true
	}
	return covered
}

// String is the condition as S3 quotes it in its answer: in the policy's own form,
// with a space behind each comma.
func (c *condition) String() string {
	op := "eq"
	if c.prefix {
		op = "starts-with"
	}
	return fmt.Sprintf(`["%s", "$%s", "%s"]`, op, c.field, c.value)
}

func (c *condition) holds(v string) bool {
	if c.prefix {
		return startsWith(c, v)
	}
	return v == c.value
}

// startsWith: a Content-Type may be a list, of which every element must match.
func startsWith(c *condition, v string) bool {
	if c.field != "content-type" {
		return strings.HasPrefix(v, c.value)
	}
	for _, part := range strings.Split(v, ",") {
		if !strings.HasPrefix(strings.TrimSpace(part), c.value) {
			return false
		}
	}
	return true
}

// ParseForm reads the credential of a POST form, as Auth.Parse does that of a
// request. The signature is over the policy field's text as it was sent.
func (a *Auth) ParseForm(fields []Field, o Options) error {
	a.Clear()
	get := func(name string) string {
		for _, f := range fields {
			if f.Name == name {
				return f.Value
			}
		}
		return ""
	}
	for _, f := range fields {
		switch f.Name {
		case "x-amz-security-token":
			return ErrInvalidToken
		case "awsaccesskeyid", "signature":
			return errV2
		}
	}
	switch alg := get("x-amz-algorithm"); {
	case alg == algorithm:
	case strings.HasPrefix(alg, "AWS4-ECDSA"):
		return errV4A
	default:
		return failed(ErrInvalidArgument, "x-amz-algorithm must be AWS4-HMAC-SHA256.")
	}
	a.Mechanism = ByQuery
	if err := a.parseCredential([]byte(get("x-amz-credential")), ErrInvalidArgument); err != nil {
		return err
	}
	if err := a.checkRegion(o.Region, ErrInvalidArgument); err != nil {
		return err
	}
	if err := a.setTime([]byte(get("x-amz-date")), ErrInvalidArgument); err != nil {
		return err
	}
	if a.Time.Sub(o.Now) > maxSkew {
		return ErrRequestTimeTooSkewed
	}
	a.signature = []byte(get("x-amz-signature"))
	if !isSignature(a.signature) {
		return failed(ErrInvalidArgument, "x-amz-signature must be 64 lower-case hexadecimal digits.")
	}
	if get("policy") == "" {
		return failed(ErrInvalidArgument, "The form has no policy.")
	}
	return nil
}

// VerifyPolicy checks the form's signature in constant time.
func (a *Auth) VerifyPolicy(policy string, k *SigningKey) error {
	w := works.Get().(*work)
	defer works.Put(w)
	w.sts = append(w.sts[:0], policy...)
	if subtle.ConstantTimeCompare(w.sign(w.hex[:0], k, w.sts), a.signature) != 1 {
		return ErrSignatureDoesNotMatch
	}
	return nil
}

// SignPolicy returns the x-amz-signature of a policy's base64 text.
func SignPolicy(policy string, k *SigningKey) string {
	w := works.Get().(*work)
	defer works.Put(w)
	return string(w.sign(nil, k, []byte(policy)))
}
