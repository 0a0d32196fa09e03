package s3xml

import "bytes"

// replacement decides by the path of the element just opened, in the documents
// that hold names (F1). Keys, prefixes and markers are never among them.
func (w *rewriter) replacement() (string, bool) {
	n := w.path.depth()
	if n < 2 {
		return "", false
	}
	name := local(w.path.at(n - 1))
	switch string(local(w.path.at(n - 2))) {
	case "Owner", "Initiator":
		return w.person(name)
	}
	if n != 2 {
		return "", false
	}
	switch w.result.Root {
	case "ListBucketResult", "ListVersionsResult":
		return w.names.Bucket, string(name) == "Name"
	case "ListMultipartUploadsResult", "ListPartsResult", "InitiateMultipartUploadResult":
		return w.names.Bucket, string(name) == "Bucket"
	case "CompleteMultipartUploadResult":
		if string(name) == "Location" {
			return w.names.Location, true
		}
		return w.names.Bucket, string(name) == "Bucket"
	}
	return "", false
}

// person is the account itself: the backend knows one user for all (F3).
func (w *rewriter) person(name []byte) (string, bool) {
	switch string(name) {
	case "ID":
		return w.names.Owner, true
	case "DisplayName":
		return w.names.OwnerName, true
	}
	return "", false
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
