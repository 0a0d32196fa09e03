// Package opaque makes the ids that a backend gave out into ids of ours, which
// clients carry and bring back: the backend's own text, authenticated together
// with the place it was given for. It does no I/O.
//
// A backend decodes its ids. MinIO takes an upload id as base64 of a path below
// a folder of its own, so that one with `../` in it reached every object of
// every account, and a continuation token as a marker with orders to its
// listing cache. So nothing that a client made up may arrive there: what does
// not open for exactly the place that was authorised was never given out.
//
// A token is base64url, without padding, of
//
//	version (1 byte) | MAC (16 bytes) | the backend's text
//
// and is not secret: it says nothing that the backend did not say to the same
// client. There is one spelling of each token.
package opaque

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
)

// MAC authenticates data under a label. It must be the same on every node, for
// as long as tokens are to open.
type MAC func(label string, data []byte) []byte

// Kind is what a token stands for; a token of one kind is none of another.
type Kind string

// The kinds. They are labels of the MAC: to change one is to void its tokens.
const (
	UploadID          Kind = "proxy upload id"
	ContinuationToken Kind = "proxy continuation token"
)

// Place is what a token is good for.
type Place struct {
	Backend, Bucket [16]byte
	Key             []byte // of an upload; a listing has none
}

// ErrBackendText means that the backend gave out a text which no backend gives
// out: it is not passed on in any form.
var ErrBackendText = errors.New("opaque: the backend's id is empty, too long or not printable ASCII")

const (
	version = 1
	macLen  = 16
	head    = 1 + macLen

	// maxText bounds the backend's text. MinIO's upload ids have 124 bytes,
	// its continuation tokens at most base64 of a key and a hundred bytes.
	maxText = 2048
)

// encoding has one spelling for each token, but for the line ends that Go's
// decoder skips: Open looks for them.
var encoding = base64.RawURLEncoding.Strict()

// maxToken bounds what is worth decoding.
var maxToken = encoding.EncodedLen(head + maxText)

// Seal makes a token of the backend's text.
func (m MAC) Seal(k Kind, p Place, text string) (string, error) {
	if !plain([]byte(text), maxText) {
		return "", ErrBackendText
	}
	raw := make([]byte, head, head+len(text))
	raw[0] = version
	copy(raw[1:], m.of(k, p, []byte(text)))
	return encoding.EncodeToString(append(raw, text...)), nil
}

// Open returns the backend's text of a token, or false when it was not made for
// this place. The text is a copy.
func (m MAC) Open(k Kind, p Place, token []byte) (text []byte, ok bool) {
	if !plain(token, maxToken) {
		return nil, false
	}
	raw, err := encoding.AppendDecode(make([]byte, 0, encoding.DecodedLen(len(token))), token)
	if err != nil || len(raw) <= head || raw[0] != version {
		return nil, false
	}
	text = raw[head:]
	if subtle.ConstantTimeCompare(raw[1:head], m.of(k, p, text)) != 1 || !plain(text, maxText) {
		return nil, false
	}
	return text, true
}

// of is the MAC over everything that a token says. Every part has its length
// or a fixed one, so that no two places have the same bytes.
func (m MAC) of(k Kind, p Place, text []byte) []byte {
	b := make([]byte, 0, 1+len(p.Backend)+len(p.Bucket)+binary.MaxVarintLen64+len(p.Key)+len(text))
	b = append(b, version)
	b = append(b, p.Backend[:]...)
	b = append(b, p.Bucket[:]...)
	b = binary.AppendUvarint(b, uint64(len(p.Key)))
	b = append(b, p.Key...)
	return m(string(k), append(b, text...))[:macLen]
}

// plain reports whether b is printable ASCII without spaces, not empty and not
// longer than limit: what ids look like.
func plain(b []byte, limit int) bool {
	if len(b) == 0 || len(b) > limit {
		return false
	}
	for _, c := range b {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}
