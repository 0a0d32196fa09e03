package s3xml

import "bytes"

// action is what is done with an element's text.
type action uint8

const (
	keep    action = iota // copy it
	replace               // put a value in its place, known before it is read
	seal                  // read it whole and ask Names.Seal
	forbid                // an id where none is known to be: the answer ends
)

// action decides by the path of the element just opened, in the documents that
// hold names and ids (F1, D14). Keys and prefixes are never among them.
func (w *rewriter) action() (value string, f action) {
	n := w.path.depth()
	if n < 2 {
		return "", keep
	}
	name := local(w.path.at(n - 1))
	switch string(local(w.path.at(n - 2))) {
	case "Owner", "Initiator":
		return w.person(name)
	}
	if n == 2 {
		if value, f := w.known(name); f != keep {
			return value, f
		}
	}
	switch string(name) {
	case "UploadId", "UploadIdMarker", "NextUploadIdMarker", "NextContinuationToken":
		return "", forbid
	}
	return "", keep
}

// known are the places of names and ids right below the root.
func (w *rewriter) known(name []byte) (value string, f action) {
	switch w.result.Root {
	case "ListBucketResult":
		switch string(name) {
		case "Name":
			return w.names.Bucket, replace
		case "ContinuationToken": // the client's own
			return w.names.Token, replace
		case "NextContinuationToken", "NextMarker":
			return "", seal
		}
	case "ListVersionsResult":
		switch string(name) {
		case "Name":
			return w.names.Bucket, replace
		case "NextKeyMarker":
			return "", seal
		}
	case "ListPartsResult", "InitiateMultipartUploadResult":
		switch string(name) {
		case "Bucket":
			return w.names.Bucket, replace
		case "UploadId":
			if w.names.UploadID != "" { // the client's own
				return w.names.UploadID, replace
			}
			return "", seal
		}
	case "CompleteMultipartUploadResult":
		switch string(name) {
		case "Location":
			return w.names.Location, replace
		case "Bucket":
			return w.names.Bucket, replace
		}
	}
	return "", keep
}

// person is the account itself: the backend knows one user for all (F3).
func (w *rewriter) person(name []byte) (string, action) {
	switch string(name) {
	case "ID":
		return w.names.Owner, replace
	case "DisplayName":
		return w.names.OwnerName, replace
	}
	return "", keep
}

// local is a name without its name space prefix.
func local(name []byte) []byte {
	return name[bytes.IndexByte(name, ':')+1:]
}

// path is the names of the open elements, the root first.
type path struct {
	names []byte
	ends  []int // of each name in names
}

func (p *path) depth() int { return len(p.ends) }

func (p *path) at(i int) []byte {
	start := 0
	if i > 0 {
		start = p.ends[i-1]
	}
	return p.names[start:p.ends[i]]
}

func (p *path) top() []byte { return p.at(len(p.ends) - 1) }

func (p *path) push(name []byte) {
	p.names = append(p.names, name...)
	p.ends = append(p.ends, len(p.names))
}

func (p *path) pop() {
	n := len(p.ends) - 1
	p.names = p.names[:len(p.names)-len(p.at(n))]
	p.ends = p.ends[:n]
}

func (p *path) reset() path { return path{names: p.names[:0], ends: p.ends[:0]} }
