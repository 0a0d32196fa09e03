package sigv4

import (
	"bytes"
	"crypto/subtle"
	"time"
)

// Mechanism is where the credential came from.
type Mechanism uint8

// The three ways to come. POST forms are verified by Policy.
const (
	Anonymous Mechanism = iota
	ByHeader
	ByQuery
)

// Payload is what x-amz-content-sha256 says of the body.
type Payload uint8

// The payload types (docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html).
const (
	PayloadAbsent Payload = iota
	PayloadHashed
	PayloadUnsigned
	PayloadSignedChunks
	PayloadSignedChunksTrailer
	PayloadUnsignedTrailer
)

// Chunked reports whether the body is in aws-chunked framing.
func (p Payload) Chunked() bool { return p >= PayloadSignedChunks }

// HasTrailer reports whether a trailer follows the last chunk.
func (p Payload) HasTrailer() bool {
	return p == PayloadSignedChunksTrailer || p == PayloadUnsignedTrailer
}

// Auth is a parsed credential. The []byte fields alias the Request that it was
// parsed from. Reused, Parse and Verify allocate nothing.
type Auth struct {
	Mechanism   Mechanism
	AccessKeyID []byte
	Day         []byte // of the credential scope, "20060102"
	Region      []byte
	Time        time.Time // of the signature
	Expires     time.Duration
	Payload     Payload
	PayloadHash [32]byte // PayloadHashed

	stamp     [16]byte // Time as x-amz-date has it
	scope     []byte   // day/region/s3/aws4_request
	signed    [][]byte // names of the signed headers
	order     []int    // sortHeaders of the request's
	signature []byte   // 64 lower-case hexadecimal digits
	marker    []byte   // the payload value that was signed
}

// Options are what the verifier knows by itself.
type Options struct {
	Region string
	Now    time.Time
}

const (
	maxSkew       = 15 * time.Minute
	maxExpires    = 7 * 24 * time.Hour
	amzTimeLayout = "20060102T150405Z"
)

// queryAuth are the parameters of a presigned request, in its own spelling.
var queryAuth = [...]string{
	"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature",
}

var (
	errTwoMechanisms = failed(ErrInvalidArgument, "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified").about("Authorization")
	errTwoHeaders    = failed(ErrInvalidArgument, "The Authorization header was sent twice.").about("Authorization")
	errV2            = failed(ErrInvalidRequest, "Signature Version 2 is not supported. Please use AWS4-HMAC-SHA256; "+
		"boto3 presigns with it when its client has Config(signature_version='s3v4').")
	errV4A = failed(ErrNotImplemented, "Signature Version 4A (AWS4-ECDSA-P256-SHA256) is not supported. Please use AWS4-HMAC-SHA256 "+
		"with the region of this endpoint.")
	errAlgorithm = failed(ErrInvalidRequest, "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")
)

// Parse reads the credential of r, or finds that there is none. It checks
// everything that needs no secret: one mechanism, date, scope, payload marker,
// expiry, and that host and every x-amz- header is signed (S3-RULES.md B1, B2,
// B10, B11, B14, B23, A4, B9).
func (a *Auth) Parse(r *Request, o Options) error {
	a.Clear()
	if len(r.Headers) > MaxHeaders {
		return errManyHeaders
	}
	if err := refuseTokens(r); err != nil {
		return err
	}
	header, lines := r.Get("authorization")
	presigned, err := hasQueryAuth(r.Target)
	switch {
	case err != nil:
		return err
	case lines > 1:
		return errTwoHeaders
	case lines == 1 && presigned:
		return errTwoMechanisms
	case lines == 1:
		a.Mechanism = ByHeader
		return a.parseHeader(r, header, o)
	case presigned:
		a.Mechanism = ByQuery
		return a.parseQuery(r, o)
	}
	return a.parseAnonymous(r)
}

// Clear forgets the credential and keeps the memory for the next.
func (a *Auth) Clear() { *a = Auth{signed: a.signed[:0], order: a.order[:0]} }

// refuseTokens refuses session tokens anywhere: there is no STS, and a token
// that is ignored would be a token that is not checked (S3-RULES.md B26).
func refuseTokens(r *Request) error {
	if _, n := r.Get("x-amz-security-token"); n > 0 {
		return ErrInvalidToken
	}
	for i := range r.Target.Query {
		if equalFold(r.Target.Query[i].Name, "x-amz-security-token") {
			return ErrInvalidToken
		}
	}
	return nil
}

// hasQueryAuth reports whether any parameter of a presigned request is there.
// One in an odd spelling is refused: MinIO would see it (S3-RULES.md A1).
func hasQueryAuth(t *Target) (bool, error) {
	found := false
	for i := range t.Query {
		name := t.Query[i].Name
		if equalFold(name, "awsaccesskeyid") || equalFold(name, "signature") {
			return false, errV2
		}
		if len(name) < len("x-amz-date") || !equalFold(name[:6], "x-amz-") {
			continue
		}
		for _, known := range queryAuth {
			if string(name) == known {
				found = true
			} else if bytes.EqualFold(name, []byte(known)) {
				return false, failed(ErrAuthorizationQuery, "The parameters of a presigned request are spelled X-Amz-….")
			}
		}
	}
	return found, nil
}

func (a *Auth) parseAnonymous(r *Request) error {
	marker, n := r.Get("x-amz-content-sha256")
	if n == 0 {
		return nil
	}
	return a.parsePayload(marker)
}

// parseHeader reads "AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…":
// the three parts in any order, each once (S3-RULES.md B12).
func (a *Auth) parseHeader(r *Request, header []byte, o Options) error {
	name, rest, _ := bytes.Cut(header, []byte{' '})
	switch {
	case string(name) == algorithm:
	case string(name) == "AWS":
		return errV2
	case bytes.HasPrefix(name, []byte("AWS4-ECDSA")):
		return errV4A
	default:
		return errAlgorithm
	}
	var credential, signed, signature []byte
	for len(rest) > 0 {
		part, more, _ := bytes.Cut(rest, []byte{','})
		rest = more
		key, value, ok := bytes.Cut(bytes.Trim(part, " \t"), []byte{'='})
		var field *[]byte
		switch {
		case ok && string(key) == "Credential":
			field = &credential
		case ok && string(key) == "SignedHeaders":
			field = &signed
		case ok && string(key) == "Signature":
			field = &signature
		default:
			return failed(ErrAuthorizationHeaderMalformed, "The authorization header is malformed; it has a part that is not Credential, SignedHeaders or Signature.")
		}
		if *field != nil {
			return failed(ErrAuthorizationHeaderMalformed, "The authorization header is malformed; a part of it is doubled.")
		}
		*field = value
	}
	if credential == nil || signed == nil || signature == nil {
		return failed(ErrAuthorizationHeaderMalformed, "The authorization header is malformed; it needs Credential, SignedHeaders and Signature.")
	}
	if err := a.parseCredential(credential, ErrAuthorizationHeaderMalformed); err != nil {
		return err
	}
	if err := a.checkRegion(o.Region, ErrAuthorizationHeaderMalformed); err != nil {
		return err
	}
	if !isSignature(signature) {
		return failed(ErrAuthorizationHeaderMalformed, "The authorization header is malformed; Signature must be 64 lower-case hexadecimal digits.")
	}
	a.signature = signature
	if err := a.parseSigned(signed, ErrAuthorizationHeaderMalformed); err != nil {
		return err
	}
	if err := a.headerTime(r, o.Now); err != nil {
		return err
	}
	marker, n := r.Get("x-amz-content-sha256")
	if n != 1 {
		return failed(ErrMissingSecurityHeader, "Your request is missing a required header: x-amz-content-sha256, once.")
	}
	if err := a.parsePayload(marker); err != nil {
		return err
	}
	return a.checkSigned(r)
}

func (a *Auth) parseQuery(r *Request, o Options) error {
	var values [len(queryAuth)][]byte
	for i, name := range queryAuth {
		v, ok := r.Target.Get(name)
		if !ok || len(v) == 0 {
			return failed(ErrAuthorizationQuery, "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "+
				"X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.")
		}
		values[i] = v
	}
	switch {
	case string(values[0]) == algorithm:
	case bytes.HasPrefix(values[0], []byte("AWS4-ECDSA")):
		return errV4A
	default:
		return failed(ErrAuthorizationQuery, "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\".")
	}
	if err := a.parseCredential(values[1], ErrAuthorizationQuery); err != nil {
		return err
	}
	if err := a.checkRegion(o.Region, ErrAuthorizationQuery); err != nil {
		return err
	}
	if err := a.setTime(values[2], ErrAuthorizationQuery); err != nil {
		return err
	}
	seconds, ok := parseExpires(values[3])
	if !ok {
		return failed(ErrAuthorizationQuery, "X-Amz-Expires must be a number of seconds from 1 to 604800 (seven days).")
	}
	a.Expires = time.Duration(seconds) * time.Second
	if !isSignature(values[5]) {
		return failed(ErrAuthorizationQuery, "X-Amz-Signature must be 64 lower-case hexadecimal digits.")
	}
	a.signature = values[5]
	if err := a.parseSigned(values[4], ErrAuthorizationQuery); err != nil {
		return err
	}
	switch {
	case a.Time.Sub(o.Now) > maxSkew:
		return failed(ErrAccessDenied, "Request is not valid yet")
	case o.Now.After(a.Time.Add(a.Expires)):
		return failed(ErrAccessDenied, "Request has expired")
	}
	marker, n := r.Get("x-amz-content-sha256")
	if n == 0 {
		// aws-sdk-js moves it into the query (S3-RULES.md B24).
		for i := range r.Target.Query {
			if equalFold(r.Target.Query[i].Name, "x-amz-content-sha256") {
				marker, n = r.Target.Query[i].Value, 1
			}
		}
	}
	switch n {
	case 0:
		a.Payload, a.marker = PayloadUnsigned, unsignedMarker
	case 1:
		if err := a.parsePayload(marker); err != nil {
			return err
		}
	default:
		return failed(ErrInvalidArgument, "x-amz-content-sha256 was sent twice.")
	}
	return a.checkSigned(r)
}

// parseCredential reads key/day/region/s3/aws4_request. Key ids are not
// expected to hold a slash.
func (a *Auth) parseCredential(v []byte, base *Error) error {
	id, scope, ok := bytes.Cut(v, []byte{'/'})
	day, rest, ok2 := bytes.Cut(scope, []byte{'/'})
	region, rest, ok3 := bytes.Cut(rest, []byte{'/'})
	if !ok || !ok2 || !ok3 || len(id) == 0 || len(day) != 8 || len(region) == 0 {
		return failed(base, "The credential is malformed; it is <access key id>/<date>/<region>/s3/aws4_request.")
	}
	if string(rest) != service+"/"+terminator {
		return failed(base, "The credential is malformed; the service must be s3 and the end aws4_request.")
	}
	for _, c := range day {
		if c < '0' || c > '9' {
			return failed(base, "The credential is malformed; the date is not yyyymmdd.")
		}
	}
	a.AccessKeyID, a.Day, a.Region, a.scope = id, day, region, scope
	return nil
}

func (a *Auth) checkRegion(region string, base *Error) error {
	if string(a.Region) == region {
		return nil
	}
	return &Error{Code: base.Code, Region: region, Message: "The credential is for another region than this endpoint's; expecting '" + region + "'."}
}

// headerTime takes x-amz-date, or Date when it is absent (S3-RULES.md B10).
func (a *Auth) headerTime(r *Request, now time.Time) error {
	if v, n := r.Get("x-amz-date"); n > 0 {
		if n > 1 {
			return failed(ErrAccessDenied, "x-amz-date was sent twice.")
		}
		if err := a.setTime(v, ErrAccessDenied); err != nil {
			return err
		}
	} else if v, n := r.Get("date"); n == 1 {
		t, err := time.Parse(time.RFC1123, string(v))
		if err != nil {
			return failed(ErrAccessDenied, "The Date header is not a date; send x-amz-date.")
		}
		stamp := AppendTime(nil, t)
		if err := a.setTime(stamp, ErrAccessDenied); err != nil {
			return err
		}
	} else {
		return failed(ErrAccessDenied, "AWS authentication requires a valid Date or x-amz-date header")
	}
	if d := now.Sub(a.Time); d > maxSkew || d < -maxSkew {
		return ErrRequestTimeTooSkewed
	}
	return nil
}

// setTime reads "20060102T150405Z" and holds it against the scope's day.
func (a *Auth) setTime(v []byte, base *Error) error {
	t, ok := parseAmzTime(v)
	if !ok {
		return failed(base, "x-amz-date must be in the form yyyymmddThhmmssZ.")
	}
	copy(a.stamp[:], v)
	a.Time = t
	if !bytes.Equal(v[:8], a.Day) {
		return failed(base, "The date of the credential is not the day of x-amz-date.")
	}
	return nil
}

func parseAmzTime(v []byte) (time.Time, bool) {
	if len(v) != len(amzTimeLayout) || v[8] != 'T' || v[15] != 'Z' {
		return time.Time{}, false
	}
	number := func(from, to int) int {
		n := 0
		for _, c := range v[from:to] {
			if c < '0' || c > '9' {
				return -1 << 20
			}
			n = n*10 + int(c-'0')
		}
		return n
	}
	year, month, day := number(0, 4), number(4, 6), number(6, 8)
	hour, minute, second := number(9, 11), number(11, 13), number(13, 15)
	if year < 1 || month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	return t, t.Day() == day
}

func parseExpires(v []byte) (int64, bool) {
	if len(v) == 0 || len(v) > 6 {
		return 0, false
	}
	var n int64
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, n >= 1 && n <= int64(maxExpires/time.Second)
}

func isSignature(v []byte) bool {
	if len(v) != 64 {
		return false
	}
	for _, c := range v {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// parseSigned splits the list of signed headers: lower case, sorted, each
// once (S3-RULES.md B8).
func (a *Auth) parseSigned(v []byte, base *Error) error {
	for len(v) > 0 {
		name, rest, more := bytes.Cut(v, []byte{';'})
		if len(name) == 0 || more && len(rest) == 0 {
			return failed(base, "SignedHeaders has an empty name.")
		}
		for _, c := range name {
			if c <= ' ' || c >= 0x7f || c == ':' || 'A' <= c && c <= 'Z' {
				return failed(base, "SignedHeaders must be in lower case.")
			}
		}
		if n := len(a.signed); n > 0 && bytes.Compare(a.signed[n-1], name) >= 0 {
			return failed(base, "SignedHeaders must be sorted, each name once.")
		}
		a.signed = append(a.signed, name)
		v = rest
	}
	return nil
}

var (
	unsignedMarker = []byte("UNSIGNED-PAYLOAD")
	errMarker      = failed(ErrInvalidArgument, "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, "+
		"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, STREAMING-UNSIGNED-PAYLOAD-TRAILER or a SHA-256 in lower-case hexadecimal.")
)

func (a *Auth) parsePayload(v []byte) error {
	a.marker = v
	switch string(v) {
	case "UNSIGNED-PAYLOAD":
		a.Payload = PayloadUnsigned
	case "STREAMING-AWS4-HMAC-SHA256-PAYLOAD":
		a.Payload = PayloadSignedChunks
	case "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER":
		a.Payload = PayloadSignedChunksTrailer
	case "STREAMING-UNSIGNED-PAYLOAD-TRAILER":
		a.Payload = PayloadUnsignedTrailer
	case "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER":
		return errV4A
	default:
		if !isSignature(v) {
			return errMarker
		}
		a.Payload = PayloadHashed
		for i := range a.PayloadHash {
			a.PayloadHash[i] = byte(unhex(v[2*i])<<4 | unhex(v[2*i+1]))
		}
	}
	return nil
}

// checkSigned holds the list of signed headers against the headers that are
// there: an x-amz- header that nobody signed would be an instruction of
// somebody else's, and a signed header must be a header (S3-RULES.md A4, B8).
//
// Both lists are sorted, and walked once.
func (a *Auth) checkSigned(r *Request) error {
	a.order = sortHeaders(a.order, r.Headers)
	order, host := a.order, false
	for _, name := range a.signed {
		host = host || string(name) == "host"
		for len(order) > 0 && compareFold(r.Headers[order[0]].Name, name) < 0 {
			if instructs(r.Headers[order[0]].Name) {
				return errNotSigned
			}
			order = order[1:]
		}
		if len(order) == 0 || compareFold(r.Headers[order[0]].Name, name) != 0 {
			return failed(ErrAccessDenied, "A header of SignedHeaders is not in the request.")
		}
		for len(order) > 0 && compareFold(r.Headers[order[0]].Name, name) == 0 {
			order = order[1:]
		}
	}
	if !host {
		return failed(ErrAccessDenied, "The host header must be signed.")
	}
	for _, i := range order {
		if instructs(r.Headers[i].Name) {
			return errNotSigned
		}
	}
	return nil
}

var errNotSigned = failed(ErrAccessDenied, "There were headers present in the request which were not signed")

// instructs reports whether a header is one that asks S3 for something.
func instructs(name []byte) bool { return len(name) >= 6 && equalFold(name[:6], "x-amz-") }

// Verify compares the signature in constant time. It returns
// ErrSignatureDoesNotMatch or nil.
func (a *Auth) Verify(r *Request, k *SigningKey) error {
	w := works.Get().(*work)
	defer works.Put(w)
	skip := ""
	if a.Mechanism == ByQuery {
		skip = "X-Amz-Signature"
	}
	canonicalRequest := w.canon.request(r, a.order, a.signed, skip, a.marker, foldASCII)
	w.sts = append(w.sts[:0], algorithm+"\n"...)
	w.sts = append(w.sts, a.stamp[:]...)
	w.sts = append(w.sts, '\n')
	w.sts = append(w.sts, a.scope...)
	w.sts = append(w.sts, '\n')
	w.sts = w.hashHex(w.sts, canonicalRequest)
	if subtle.ConstantTimeCompare(w.sign(w.hex[:0], k, w.sts), a.signature) != 1 {
		return ErrSignatureDoesNotMatch
	}
	return nil
}
