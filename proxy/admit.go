package proxy

import (
	"github.com/primecloudpro/primecloud/proxy/form"
	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/proxy/s3op"
)

// admit refuses by length, by ids that are not ours and by limits, before a byte of the body is asked
// for. From here on the request has a ledger cell (charge.go).
func admit(x *exchange) error {
	x.bind()
	if err := x.admitBody(); err != nil {
		return err
	}
	if err := x.admitMetadata(); err != nil {
		return err
	}
	if x.op.Action == s3op.Forward && x.bucket != nil {
		b, err := x.srv.backends.get(x.srv.ctx, x.bucket.BackendID)
		if err != nil {
			return err
		}
		x.backend = b
		if err := x.openIDs(); err != nil {
			return err
		}
		if err := x.admitCustomerKey(); err != nil {
			return err
		}
	}
	if x.op.Body == s3op.Form {
		return nil // whose it is, the form says
	}
	return x.chargeRequest(x.stores())
}

// admitBody finds the decoded length of the body. Framing is the gateway's
// own on the way out, so it must know the length: MinIO answers 411 to a
// chunked PUT (S3-RULES.md C1).
func (x *exchange) admitBody() error {
	f := &x.framing
	payload := x.auth.Payload
	if payload.Chunked() {
		// Only uploads may be framed (S3-RULES.md B16).
		if x.op.Body != s3op.Stream {
			return s3err.New("InvalidRequest", "Streaming payloads are for PutObject and UploadPart only.")
		}
		raw, ok := x.header("x-amz-decoded-content-length")
		if !ok {
			return errMissingLength
		}
		n, ok := s3op.Decimal(raw)
		if !ok {
			return s3err.New("InvalidArgument", "x-amz-decoded-content-length is not a decimal number.")
		}
		x.length = n
	} else {
		x.length = max(f.length, 0)
		if f.chunked {
			x.length = -1
		}
	}
	switch x.op.Body {
	case s3op.NoBody:
		if x.length != 0 {
			return &s3err.Error{Code: "UnexpectedContent"}
		}
	case s3op.Stream:
		if x.length < 0 || f.length < 0 && !f.chunked {
			return errMissingLength
		}
		if most := x.srv.cfg.Limits.ObjectSize; x.length > most {
			return s3err.TooLarge(x.length, most)
		}
	case s3op.Document:
		if x.length > s3op.MaxDocument {
			return &s3err.Error{Code: "MaxMessageLengthExceeded"}
		}
	case s3op.Form:
		if x.length < 0 {
			return errMissingLength
		}
		if most := x.srv.cfg.Limits.ObjectSize + form.MaxAround; x.length > most {
			return s3err.TooLarge(x.length, most)
		}
		contentType, _ := x.header("content-type")
		boundary, err := form.Boundary(string(contentType))
		if err != nil {
			return err
		}
		x.boundary = boundary
	}
	return nil
}

// admitCustomerKey keeps customers' encryption keys off plain-text hops.
func (x *exchange) admitCustomerKey() error {
	if x.op.Headers&(s3op.CustomerKey|s3op.CopyFrom) != 0 && !x.backend.tls && x.hasCustomerKey() {
		return errPlainBackend
	}
	return nil
}

// hasCustomerKey reports whether the request has a key of the customer's, for
// what is read or written or for the source of a copy.
func (x *exchange) hasCustomerKey() bool {
	_, own := x.header("x-amz-server-side-encryption-customer-key")
	_, source := x.header("x-amz-copy-source-server-side-encryption-customer-key")
	return own || source
}

var errPlainBackend = s3err.New("InvalidRequest", "Customer-provided encryption keys are not accepted: "+
	"the storage behind this endpoint is not reached over TLS.")
