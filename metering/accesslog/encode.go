package accesslog

import (
	"encoding/hex"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/tenancy"
)

// AppendLine appends the record's JSON and a line feed. The text is that of
// encoding/json without its HTML escapes, each text up to its bound; unlike that
// it allocates nothing.
func (r *Record) AppendLine(dst []byte) []byte {
	dst = appendTime(append(dst, `{"time":`...), r.Time)
	dst = appendText(append(dst, `,"request_id":`...), r.RequestID, mostOther)
	dst = appendText(append(dst, `,"node":`...), r.Node, mostOther)
	dst = appendText(append(dst, `,"host_id":`...), r.HostID, mostOther)
	dst = append(dst, `,"remote_ip":"`...)
	if r.Remote.IsValid() {
		dst = r.Remote.AppendTo(dst)
	}
	dst = appendText(append(dst, `","operation":`...), r.Operation, mostOther)
	dst = appendOptional(dst, `,"method":`, r.Method, mostOther)
	dst = appendOptional(dst, `,"protocol":`, r.Protocol, mostOther)
	dst = strconv.AppendInt(append(dst, `,"status":`...), int64(r.Status), 10)
	dst = appendOptional(dst, `,"error":`, r.ErrorCode, mostOther)
	dst = appendID(append(dst, `,"account_id":`...), r.AccountID)
	dst = appendID(append(dst, `,"bucket_id":`...), r.BucketID)
	dst = appendID(append(dst, `,"key_id":`...), r.AccessKeyID)
	dst = appendCounted(append(dst, ','), &r.Delta)
	for i := range r.Parts {
		if i == 0 {
			dst = append(dst, `,"parts":[{`...)
		} else {
			dst = append(dst, `,{`...)
		}
		dst = append(appendCounted(dst, &r.Parts[i]), '}')
	}
	if len(r.Parts) > 0 {
		dst = append(dst, ']')
	}
	dst = appendID(append(dst, `,"owner_id":`...), r.OwnerID)
	dst = appendOptional(dst, `,"owner":`, r.Owner, mostOther)
	dst = appendOptional(dst, `,"bucket":`, r.Bucket, mostOther)
	dst = appendOptional(dst, `,"key":`, r.Key, mostKey)
	dst = appendOptional(dst, `,"version_id":`, r.VersionID, mostOther)
	dst = appendOptional(dst, `,"requester":`, r.Requester, mostOther)
	dst = appendOptional(dst, `,"access_key":`, r.AccessKey, mostOther)
	dst = appendText(append(dst, `,"auth":`...), r.Auth, mostOther)
	dst = appendOptional(dst, `,"target":`, r.Target, mostTarget)
	dst = appendOptional(dst, `,"host":`, r.Host, mostHost)
	dst = appendOptional(dst, `,"referer":`, r.Referer, mostAgent)
	dst = appendOptional(dst, `,"user_agent":`, r.UserAgent, mostAgent)
	dst = appendOptional(dst, `,"tls":`, r.TLS, mostOther)
	dst = appendOptional(dst, `,"cipher":`, r.Cipher, mostOther)
	dst = strconv.AppendInt(append(dst, `,"object_size":`...), r.ObjectSize, 10)
	dst = strconv.AppendInt(append(dst, `,"elapsed_ns":`...), int64(r.Elapsed), 10)
	dst = strconv.AppendInt(append(dst, `,"backend_ns":`...), int64(r.Backend), 10)
	return append(dst, "}\n"...)
}

func appendCounted(dst []byte, c *usage.Delta) []byte {
	dst = appendText(append(dst, `"class":`...), c.Class.String(), mostOther)
	dst = appendTime(append(dst, `,"hour":`...), c.Hour)
	dst = strconv.AppendInt(append(dst, `,"requests":`...), c.Requests, 10)
	dst = strconv.AppendInt(append(dst, `,"ingress_bytes":`...), c.Ingress, 10)
	dst = strconv.AppendInt(append(dst, `,"egress_bytes":`...), c.Egress, 10)
	dst = strconv.AppendInt(append(dst, `,"declared_ingress_bytes":`...), c.DeclaredIngress, 10)
	return strconv.AppendInt(append(dst, `,"declared_egress_bytes":`...), c.DeclaredEgress, 10)
}

func appendTime(dst []byte, t time.Time) []byte {
	return append(t.AppendFormat(append(dst, '"'), time.RFC3339Nano), '"')
}

func appendID(dst []byte, id tenancy.ID) []byte {
	dst = hex.AppendEncode(append(dst, '"'), id[0:4])
	dst = hex.AppendEncode(append(dst, '-'), id[4:6])
	dst = hex.AppendEncode(append(dst, '-'), id[6:8])
	dst = hex.AppendEncode(append(dst, '-'), id[8:10])
	return append(hex.AppendEncode(append(dst, '-'), id[10:]), '"')
}

func appendOptional[T texts](dst []byte, name string, value T, most int) []byte {
	if len(value) == 0 {
		return dst
	}
	return appendText(append(dst, name...), value, most)
}

// plain are the bytes that stand for themselves in a JSON string.
var plain = func() (safe [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		safe[c] = c != '"' && c != '\\'
	}
	return safe
}()

const lowerHex = "0123456789abcdef"

func appendText[T texts](dst []byte, s T, most int) []byte {
	return append(appendBounded(append(dst, '"'), s, most, appendJSON[T]), '"')
}

func appendJSON[T texts](dst []byte, s T) []byte {
	from := 0
	for i := 0; i < len(s); {
		if plain[s[i]] {
			i++
			continue
		}
		dst = append(dst, s[from:i]...)
		var width int
		dst, width = appendEscaped(dst, []byte(s[i:min(len(s), i+utf8.UTFMax)]))
		i += width
		from = i
	}
	return append(dst, s[from:]...)
}

// appendEscaped appends the first character of s and returns its width.
func appendEscaped(dst, s []byte) ([]byte, int) {
	switch c := s[0]; c {
	case '"', '\\':
		return append(dst, '\\', c), 1
	case '\b':
		return append(dst, `\b`...), 1
	case '\f':
		return append(dst, `\f`...), 1
	case '\n':
		return append(dst, `\n`...), 1
	case '\r':
		return append(dst, `\r`...), 1
	case '\t':
		return append(dst, `\t`...), 1
	default:
		if c < utf8.RuneSelf {
			return append(dst, '\\', 'u', '0', '0', lowerHex[c>>4], lowerHex[c&15]), 1
		}
	}
	switch r, width := utf8.DecodeRune(s); {
	case r == utf8.RuneError && width == 1:
		return append(dst, `\ufffd`...), 1
	case r == '\u2028', r == '\u2029':
		return append(dst, '\\', 'u', '2', '0', '2', lowerHex[r&15]), width
	default:
		return append(dst, s[:width]...), width
	}
}
