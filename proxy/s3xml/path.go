package s3xml

import "bytes"

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
