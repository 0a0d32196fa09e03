package proxy

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"

	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/sigv4"
)

// readDocument reads a request document whole and holds it against every
// digest the client sent, before anything acts on it (S3-RULES.md B15, D22).
func (x *exchange) readDocument() ([]byte, error) {
	x.conn.ReadBody(true)
	defer x.conn.ReadBody(false)
	src := x.ctx.RequestBodyStream()
	if src == nil {
		src = emptyReader{}
	}
	limit := int64(s3op.MaxDocument)
	if x.length >= 0 {
		limit = x.length
	}
	x.tally.DeclaredIngress(max(x.length, 0))
	doc := x.newDoc(&x.held.asked, nil)
	err := doc.readAll(io.LimitReader(&countingReader{r: src, x: x}, limit+1), limit)
	switch {
	case errors.Is(err, errLongDoc):
		return nil, &s3err.Error{Code: "MaxMessageLengthExceeded"}
	case err != nil:
		return nil, err
	case x.length >= 0 && int64(len(doc.b)) < x.length:
		return nil, errIncomplete
	}
	if err := x.roomToUnderstand(doc.b); err != nil {
		return nil, err
	}
	if err := x.checkDigests(doc.b); err != nil {
		return nil, err
	}
	return doc.b, x.recheckLast() // the client took its time to send it
}

// roomToUnderstand takes room for what is understood of a document, and for the
// one that is made of that.
func (x *exchange) roomToUnderstand(doc []byte) error {
	if len(doc) <= keptLocal {
		return nil
	}
	return x.held.asked.grow(x.srv.documents, x.holder(), 2*int64(len(doc)))
}

func (x *exchange) checkDigests(doc []byte) error {
	if x.auth.Payload == sigv4.PayloadHashed && sha256.Sum256(doc) != x.auth.PayloadHash {
		return &s3err.Error{Code: "XAmzContentSHA256Mismatch"}
	}
	digests := 0
	for i := range x.headers {
		name, value := x.headers[i].Name, x.headers[i].Value
		if string(name) == "content-md5" {
			digests++
			want, err := base64.StdEncoding.DecodeString(string(value))
			if err != nil || len(want) != md5.Size {
				return &s3err.Error{Code: "InvalidDigest"}
			}
			if sum := md5.Sum(doc); !bytes.Equal(want, sum[:]) {
				return s3err.BadDigest(string(value), base64.StdEncoding.EncodeToString(sum[:]))
			}
			continue
		}
		sum, ok := sigv4.ParseChecksum(string(name))
		if !ok || x.op.WholeObjectDigests {
			continue
		}
		digests++
		h := sum.New()
		h.Write(doc)
		if computed := base64.StdEncoding.EncodeToString(h.Sum(nil)); computed != string(value) {
			return s3err.BadDigest(string(value), computed)
		}
	}
	if digests == 0 && x.op.NeedsDigest && x.auth.Payload != sigv4.PayloadHashed {
		return s3err.New("InvalidRequest", "Missing required header for this request: Content-MD5 or x-amz-checksum-*.")
	}
	return nil
}

func (x *exchange) hexSHA256(doc []byte) []byte {
	sum := sha256.Sum256(doc)
	n := len(x.arena)
	x.arena = hex.AppendEncode(x.arena, sum[:])
	return x.arena[n:len(x.arena):len(x.arena)]
}

func (x *exchange) base64MD5(doc []byte) []byte {
	sum := md5.Sum(doc)
	n := len(x.arena)
	x.arena = base64.StdEncoding.AppendEncode(x.arena, sum[:])
	return x.arena[n:len(x.arena):len(x.arena)]
}
