package s3xml

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

// Names are what the names in a backend's answer become.
type Names struct {
	BackendBucket, Bucket string
	Owner, OwnerName      string // ID and DisplayName of Owner and Initiator (F3)
	Location              string // of CompleteMultipartUploadResult
	Resource              string // of Error
	RequestID, HostID     string // of Error
	UploadID, Token       string // the client's own, which the answer repeats; "": the answer's are new
	// Seal is what becomes of an id or a marker that the backend gives out, by
	// the name of its element. An error ends the answer: nothing of the text
	// is passed on.
	Seal func(element, text string) (string, error)
	// Blames says of an error's code that it is about the gateway and not about
	// the client's request: the client is told ServiceUnavailable. nil: of none.
	Blames func(code string) bool
}

// Result is what passed.
type Result struct {
	Root  string // the document's root element
	Error *Error // an error document as the backend wrote it, whatever the status was (E8, F7)
	Bytes int64  // written to dst
}

// ErrDocument means that an answer is not well-formed XML, or deeper or wider
// than any S3 document.
var ErrDocument = errors.New("s3xml: the answer is not a well-formed S3 document")

const (
	windowSize = 32 << 10
	maxDepth   = 32
	maxError   = 64 << 10
	maxSealed  = 16 << 10  // of an id or a marker, escaped
	keptOutput = 256 << 10 // a larger buffer is not kept for the next answer
	emptyReads = 100       // in a row, as bufio allows
)

// Rewrite copies an answer and replaces the text of the elements that hold
// names and ids; every other byte stays as it is, keys above all. A list of
// uploads is not for it: see ReadUploads. An error document is
// built anew instead: the backend's code goes through MapCode, and its text
// stays behind.
//
// Memory is a window, whatever the answer's size. What one Read of src gave is
// one Write to dst before the next Read, so that white space which the backend
// sends while it works keeps flowing (E8). dst must not keep the slice. When the
// answer breaks off or is malformed, what came before has been written.
func Rewrite(dst io.Writer, src io.Reader, n *Names) (Result, error) {
	w := rewriters.Get().(*rewriter)
	defer w.release()
	w.names = n
	err := w.copy(dst, src)
	return w.result, err
}

var rewriters = sync.Pool{New: func() any { return &rewriter{window: make([]byte, windowSize)} }}

// rewriter is the state between two pieces of an answer.
type rewriter struct {
	names    *Names
	window   []byte // what was read
	out      []byte // what becomes of it
	mark     markup
	path     path
	skip     bool   // text is replaced: drop the original
	sealing  bool   // text is sealed: collect it
	text     []byte // what was collected of it, escaped
	failed   bool   // inside an error document: collect, do not copy
	errorDoc []byte // the error document as it came
	result   Result
}

func (w *rewriter) release() {
	w.clear()
	rewriters.Put(w)
}

func (w *rewriter) clear() {
	if cap(w.out) > keptOutput {
		w.out = nil
	}
	*w = rewriter{
		window: w.window, out: w.out[:0], errorDoc: w.errorDoc[:0], text: w.text[:0],
		mark: markup{b: w.mark.b[:0]}, path: w.path.reset(),
	}
}

func (w *rewriter) copy(dst io.Writer, src io.Reader) error {
	for empty := 0; empty < emptyReads; empty++ {
		n, rerr := src.Read(w.window)
		if n > 0 {
			empty = -1
			ferr := w.feed(w.window[:n])
			if err := w.flush(dst); err != nil {
				return err
			}
			if ferr != nil {
				return ferr
			}
		}
		switch {
		case errors.Is(rerr, io.EOF):
			return w.end()
		case rerr != nil:
			return rerr
		}
	}
	return io.ErrNoProgress
}

func (w *rewriter) flush(dst io.Writer) error {
	if len(w.out) == 0 {
		return nil
	}
	n, err := dst.Write(w.out)
	w.result.Bytes += int64(n)
	w.out = w.out[:0]
	return err
}

func (w *rewriter) end() error {
	if w.mark.open() || w.path.depth() > 0 || w.result.Root == "" {
		return ErrDocument
	}
	return nil
}

// feed takes the next piece of the answer, cut anywhere.
func (w *rewriter) feed(p []byte) error {
	for len(p) > 0 {
		if !w.mark.open() {
			p = p[w.simple(p):]
			n := textLen(p)
			if err := w.chars(p[:n]); err != nil {
				return err
			}
			if p = p[n:]; len(p) == 0 {
				return nil
			}
		}
		n, done, err := w.mark.feed(p)
		if err != nil {
			return err
		}
		p = p[n:]
		if done {
			if err := w.markup(); err != nil {
				return err
			}
			w.mark.reset()
		}
	}
	return nil
}

// simple takes text and tags without attributes, which is nearly all of a list,
// a stretch at a time, and returns how much of p it took. It stops before what
// is anything else, or wrong, or cut: the state machine takes that.
func (w *rewriter) simple(p []byte) (n int) {
	if w.failed || w.sealing {
		return 0
	}
	from := 0 // not copied yet
	for w.path.depth() > 0 {
		open := bytes.IndexByte(p[n:], '<')
		if open < 0 {
			break
		}
		tag := p[n+open+1:]
		length := bytes.IndexByte(tag, '>')
		if length < 1 {
			break
		}
		tag = tag[:length]
		if tag[0] == '/' {
			if w.path.depth() == 1 || string(tag[1:]) != string(w.path.top()) {
				break
			}
			if w.skip {
				from, w.skip = n+open, false
			}
			w.path.pop()
			n += open + length + 2
			continue
		}
		if w.skip || !plainName(tag) || w.path.depth() >= maxDepth {
			break
		}
		w.path.push(tag)
		value, action := w.action()
		if action == seal || action == forbid {
			w.path.pop()
			break
		}
		n += open + length + 2
		if action == replace {
			w.skip = true
			w.out = appendText(append(w.out, p[from:n]...), value)
		}
	}
	if !w.skip {
		w.out = append(w.out, p[from:n]...)
	}
	return n
}

// plainName reports whether a tag is a name and nothing else.
func plainName(tag []byte) bool {
	for _, c := range tag {
		if !nameBytes[c] {
			return false
		}
	}
	return nameStart(tag[0])
}

// nameBytes are the bytes of names in ASCII (XML 1.0 section 2.3).
var nameBytes = func() (set [256]bool) {
	for _, c := range []byte("-.:_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		set[c] = true
	}
	return set
}()

func (w *rewriter) emit(b []byte) error {
	if !w.failed {
		w.out = append(w.out, b...)
		return nil
	}
	if len(w.errorDoc)+len(b) > maxError {
		return ErrDocument
	}
	w.errorDoc = append(w.errorDoc, b...)
	return nil
}

func (w *rewriter) chars(b []byte) error {
	switch {
	case w.sealing:
		if len(w.text)+len(b) > maxSealed {
			return ErrDocument
		}
		w.text = append(w.text, b...)
		return nil
	case w.path.depth() == 0 && !white(b):
		return ErrDocument
	case w.skip:
		return nil
	}
	return w.emit(b)
}

func (w *rewriter) markup() error {
	switch {
	case w.mark.kind == kindStart:
		return w.startTag()
	case w.mark.kind == kindEnd:
		return w.endTag()
	case w.sealing:
		return ErrDocument // an id is text and nothing else
	case w.skip:
		return nil
	case w.mark.kind == kindCDATA && w.path.depth() == 0:
		return ErrDocument
	}
	return w.emit(w.mark.b)
}

func (w *rewriter) startTag() error {
	name := w.mark.name()
	if w.skip || w.sealing || len(name) == 0 {
		return ErrDocument // an element inside one that holds a name
	}
	root := w.path.depth() == 0
	if root {
		if w.result.Root != "" {
			return ErrDocument
		}
		w.result.Root = string(local(name))
		w.failed = w.result.Root == "Error"
	}
	if err := w.emit(w.mark.b); err != nil {
		return err
	}
	if w.mark.selfClosing() {
		if root && w.failed {
			return w.errorEnd()
		}
		return nil
	}
	if w.path.depth() >= maxDepth {
		return ErrDocument
	}
	w.path.push(name)
	if w.failed {
		return nil
	}
	switch value, action := w.action(); action {
	case replace:
		w.skip = true
		w.out = appendText(w.out, value)
	case seal:
		w.sealing = true
	case forbid:
		return ErrDocument
	case keep:
	}
	return nil
}

// seal puts what becomes of the collected text in its place. An empty element
// holds no id.
func (w *rewriter) seal() error {
	w.sealing = false
	if len(w.text) == 0 {
		return nil
	}
	text, err := unescape(w.text)
	if err != nil {
		return err
	}
	w.text = w.text[:0]
	if w.names.Seal == nil {
		return ErrDocument
	}
	sealed, err := w.names.Seal(string(local(w.path.top())), text)
	if err != nil {
		return err
	}
	w.out = appendKeyText(w.out, sealed)
	return nil
}

func (w *rewriter) endTag() error {
	if w.path.depth() == 0 || string(w.mark.name()) != string(w.path.top()) {
		return ErrDocument
	}
	if w.sealing {
		if err := w.seal(); err != nil {
			return err
		}
	}
	w.path.pop()
	w.skip = false
	if err := w.emit(w.mark.b); err != nil {
		return err
	}
	if w.failed && w.path.depth() == 0 {
		return w.errorEnd()
	}
	return nil
}

// errorEnd puts the gateway's error document in the place of the backend's.
func (w *rewriter) errorEnd() error {
	e, err := ParseError(w.errorDoc)
	if err != nil {
		return ErrDocument
	}
	w.result.Error = e
	w.failed = false
	w.out = appendErrorElement(w.out, e.forClient(w.names))
	return nil
}

// forClient is the error with the client's names and nothing of the backend's
// text, which may name buckets, paths or hosts (F1, F4).
func (e *Error) forClient(n *Names) *Error {
	code, message, ok := MapCode(e.Code)
	switch {
	case n.Blames != nil && n.Blames(e.Code):
		code, message = "ServiceUnavailable", ""
	case !ok:
		code = "InternalError"
	}
	if message == "" {
		message = "The request could not be completed."
	}
	out := &Error{Code: code, Message: message, Key: e.Key, Resource: n.Resource, RequestID: n.RequestID, HostID: n.HostID}
	if e.BucketName != "" {
		out.BucketName = n.Bucket
	}
	return out
}
