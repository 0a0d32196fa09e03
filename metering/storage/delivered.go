package storage

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// MAC authenticates data under a label: a keyring's, the same on every node.
type MAC func(label string, data []byte) []byte

// deliveredLabel is that of the names of delivered objects. Another one would
// make all that were delivered before count against quotas.
const deliveredLabel = "delivered access log"

// The last digits of the name of a delivered object: those that make it unique,
// and those that say who wrote it.
const (
	uniqueDigits = 8
	stampDigits  = 8
)

// StampDelivered completes the name of an object of the access log, so that
// whoever lists the bucket knows it again: a name that is not the delivery's,
// or an object that has another size, counts against its owner's quota
// (docs/decisions/0030). bucket is the backend's name, stem ends with the
// digits that make it unique.
func (m MAC) StampDelivered(bucket, stem string, size int64) string {
	var data bytes.Buffer
	for _, part := range []string{bucket, stem} {
		data.Write(binary.AppendUvarint(nil, uint64(len(part))))
		data.WriteString(part)
	}
	data.Write(binary.AppendVarint(nil, size))
	return stem + strings.ToUpper(hex.EncodeToString(m(deliveredLabel, data.Bytes())[:stampDigits/2]))
}

// delivered reports whether the access log's delivery made the object.
func (m MAC) delivered(bucket, key string, size int64) bool {
	stem := len(key) - stampDigits
	if stem < uniqueDigits || size <= 0 {
		return false
	}
	for i := stem - uniqueDigits; i < len(key); i++ {
		if c := key[i]; (c < '0' || c > '9') && (c < 'A' || c > 'F') {
			return false // most keys: without a MAC
		}
	}
	return m.StampDelivered(bucket, key[:stem], size) == key
}
