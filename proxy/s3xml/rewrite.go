package s3xml

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

// Names are what the names in a backend's response become.
type Names struct {
	Bucket           string
	Owner, OwnerName string // ID and DisplayName of Owner and Initiator (S3-RULES.md F3)
	Location         string // of CompleteMultipartUploadResult
	UploadID, Token  string // the client's own, which the response repeats; "": the response's are new
	// Seal is what becomes of an id or a marker that the backend gives out, by
	// the name of its element. An error ends the response: nothing of the text
	// is passed on.
	Seal func(element, text string) (string, error)
	// Failed is what the client is told of an error document that came in the
	// response's place. nil: nothing; the caller does it.
	Failed func(e *ErrorDocument) *ErrorDocument
}

// Result is what passed.
type Result struct {
	Root  string         // the document's root element
	Error *ErrorDocument // an error document as the backend wrote it, whatever the status was (S3-RULES.md E8, F7)
	Bytes int64          // written to dst
}

// ErrDocument means that a response is not well-formed XML, or deeper or wider
// than any S3 document, or not the operation's.
var ErrDocument = errors.New("s3xml: the answer is not a well-formed S3 document")

const (
	windowSize = 32 << 10
	maxDepth   = 32
	maxError   = 64 << 10
	maxText    = 64 << 10  // of an element, escaped
	maxSealed  = 16 << 10  // of an id or a marker, escaped
	keptOutput = 256 << 10 // a larger buffer is not kept for the next answer
	emptyReads = 100       // in a row, as bufio allows
)

// Rewrite copies of a response what is known in it, and replaces the text of the
// elements that hold names and ids; other text stays as it is, keys above all.
// What is not in a does not get out: elements, attributes, comments, processing
// instructions, and text where none belongs; nor do characters that are no XML.
// A document of another root is refused. A list of uploads is not for it: see
// ReadUploads. An error document is built anew instead: see Names.Failed.
//
// Memory is a window, whatever the response's size. What one Read of src gave is
// one Write to dst before the next Read, so that white space which the backend
// sends while it works keeps flowing (S3-RULES.md E8). dst must not keep the
// slice. When the response breaks off or is malformed, what came before has been
// written.
func Rewrite(dst io.Writer, src io.Reader, a *Response, n *Names) (Result, error) {
	w := rewriters.Get().(*rewriter)
	defer w.release()
	w.response, w.names = a, n
	err := w.copy(dst, src)
	return w.result, err
}

var rewriters = sync.Pool{New: func() any { return &rewriter{window: make([]byte, windowSize)} }}

// rewriter is the state between two pieces of a response.
type rewriter struct {
	response *Response
	names    *Names
	window   []byte // what was read
	out      []byte // what becomes of it
	begun    bool   // a byte of the response has come
	mark     markup
	open     []place // the known elements that are open, the root first
	lost     path    // what is open below them and is left out; of an error document, all
	skip     bool    // text is replaced: drop the original
	text     []byte  // what was collected of an element's, escaped
	failed   bool    // inside an error document: collect, do not copy
	errorDoc []byte  // the error document as it came
	result   Result
}

// place is an element that is open.
type place struct {
	*element
	next int // where its next child is looked for first
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
		mark: markup{b: w.mark.b[:0]}, open: w.open[:0], lost: w.lost.reset(),
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
	if w.mark.open() || w.depth() > 0 || w.result.Root == "" {
		return ErrDocument
	}
	return nil
}

func (w *rewriter) depth() int { return len(w.open) + w.lost.depth() }

func (w *rewriter) top() *place { return &w.open[len(w.open)-1] }

// feed takes the next piece of the response, cut anywhere.
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

// simple takes known elements without attributes, and text that can stay as it
// is, which is nearly all of a list, a stretch at a time, and returns how much of
// p it took. It stops before what is anything else, or wrong, or cut: the state
// machine takes that.
func (w *rewriter) simple(p []byte) (n int) {
	if w.lost.depth() > 0 || len(w.text) > 0 {
		return 0
	}
	from := 0 // not copied yet
	for len(w.open) > 0 {
		top := w.top()
		if top.sealed(w.names) {
			break
		}
		open := bytes.IndexByte(p[n:], '<')
		if open < 0 || open > 0 && !w.skip && !top.takes(p[n:n+open]) {
			break
		}
		tag := p[n+open+1:]
		length := bytes.IndexByte(tag, '>')
		if length < 1 {
			break
		}
		tag = tag[:length]
		if tag[0] == '/' {
			if len(w.open) == 1 || string(tag[1:]) != top.name {
				break
			}
			if w.skip {
				from, w.skip = n+open, false
			}
			w.open = w.open[:len(w.open)-1]
			n += open + length + 2
			continue
		}
		at, known := top.child(tag, top.next)
		if w.skip || !known {
			break
		}
		w.enter(at)
		n += open + length + 2
		if value, replaced := w.names.value(w.top().element); replaced {
			w.skip = true
			w.out = appendText(append(w.out, p[from:n]...), value)
		}
	}
	if !w.skip {
		w.out = append(w.out, p[from:n]...)
	}
	return n
}

// enter opens a child of the innermost known element.
func (w *rewriter) enter(at int) {
	top := w.top()
	top.next = at
	w.open = append(w.open, place{element: top.inside[at]})
}

// takes reports whether b may stand in the element as it is.
func (e *element) takes(b []byte) bool {
	if e.inside != nil {
		return white(b)
	}
	return fit(b)
}

func (w *rewriter) chars(b []byte) error {
	w.begun = w.begun || len(b) > 0
	switch {
	case w.depth() == 0:
		if !white(b) {
			return ErrDocument
		}
		w.out = append(w.out, b...)
	case w.failed:
		return w.collect(b)
	case w.lost.depth() > 0, w.skip:
	case w.top().inside != nil:
		for _, c := range b {
			if isWhite(c) {
				w.out = append(w.out, c)
			}
		}
	default:
		if len(w.text)+len(b) > maxText {
			return ErrDocument
		}
		w.text = append(w.text, b...)
	}
	return nil
}

// collect keeps a piece of an error document.
func (w *rewriter) collect(b []byte) error {
	if len(w.errorDoc)+len(b) > maxError {
		return ErrDocument
	}
	w.errorDoc = append(w.errorDoc, b...)
	return nil
}

func (w *rewriter) markup() error {
	first := !w.begun
	w.begun = true
	switch {
	case w.mark.kind == kindStart:
		return w.startTag()
	case w.mark.kind == kindEnd:
		return w.endTag()
	case w.failed:
		return w.collect(w.mark.b)
	case w.mark.kind == kindInstruction && first && bytes.HasPrefix(w.mark.b, []byte("<?xml ")):
		w.out = append(w.out, declaration...)
	case w.mark.kind == kindCDATA && w.depth() == 0:
		return ErrDocument
	case len(w.open) > 0 && w.lost.depth() == 0 && w.top().sealed(w.names):
		return ErrDocument // an id is text and nothing else
	case w.mark.kind == kindCDATA && w.lost.depth() == 0 && w.top().inside == nil:
		return w.chars(appendText(nil, string(w.mark.section())))
	}
	return nil
}

const declaration = `<?xml version="1.0" encoding="UTF-8"?>`

func (w *rewriter) startTag() error {
	name := w.mark.name()
	switch {
	case len(name) == 0, w.depth() >= maxDepth:
		return ErrDocument
	case w.depth() == 0:
		return w.root(name)
	case w.failed:
		if err := w.collect(w.mark.b); err != nil {
			return err
		}
	case w.lost.depth() > 0:
	case w.skip, w.top().sealed(w.names):
		return ErrDocument // an element inside one that holds a name
	default:
		if at, known := w.top().child(name, w.top().next); known {
			if err := w.write(); err != nil {
				return err
			}
			w.enter(at)
			return w.begin("")
		}
	}
	if !w.mark.selfClosing() {
		w.lost.push(name)
	}
	return nil
}

// root opens the document.
func (w *rewriter) root(name []byte) error {
	if w.result.Root != "" {
		return ErrDocument
	}
	if w.result.Root = string(name); string(local(name)) == errorRoot {
		w.failed = true
		if err := w.collect(w.mark.b); err != nil {
			return err
		}
		if w.mark.selfClosing() {
			return w.errorEnd()
		}
		w.lost.push(name)
		return nil
	}
	for _, root := range w.response.roots {
		if root.name != w.result.Root {
			continue
		}
		w.open = append(w.open, place{element: root})
		space := ""
		if bytes.Contains(w.mark.b, []byte(namespace)) {
			space = ` xmlns="` + namespace + `"`
		}
		return w.begin(space)
	}
	return ErrDocument
}

// begin writes the start of the innermost known element.
func (w *rewriter) begin(attributes string) error {
	top := w.top()
	w.out = append(append(append(append(w.out, '<'), top.name...), attributes...), '>')
	if value, replaced := w.names.value(top.element); replaced {
		w.skip = true
		w.out = appendText(w.out, value)
	}
	if w.mark.selfClosing() {
		return w.finish()
	}
	return nil
}

// finish writes the end of the innermost known element, and its text before it.
func (w *rewriter) finish() error {
	if err := w.write(); err != nil {
		return err
	}
	w.out = append(append(append(w.out, "</"...), w.top().name...), '>')
	w.open, w.skip = w.open[:len(w.open)-1], false
	return nil
}

// write puts what becomes of the collected text in its place. An empty element
// holds no id.
func (w *rewriter) write() error {
	if len(w.text) == 0 {
		return nil
	}
	top := w.top()
	if fit(w.text) && !top.sealed(w.names) {
		w.out = append(w.out, w.text...)
		w.text = w.text[:0]
		return nil
	}
	if top.sealed(w.names) && (len(w.text) > maxSealed || w.names.Seal == nil) {
		return ErrDocument
	}
	text, err := unescape(w.text)
	if err == nil && top.sealed(w.names) {
		text, err = w.names.Seal(top.name, text)
	}
	if err != nil {
		return err
	}
	w.out, w.text = appendKeyText(w.out, text), w.text[:0]
	return nil
}

func (w *rewriter) endTag() error {
	name := w.mark.name()
	if w.lost.depth() == 0 {
		if len(w.open) == 0 || string(name) != w.top().name {
			return ErrDocument
		}
		return w.finish()
	}
	if string(name) != string(w.lost.top()) {
		return ErrDocument
	}
	w.lost.pop()
	if !w.failed {
		return nil
	}
	if err := w.collect(w.mark.b); err != nil {
		return err
	}
	if w.lost.depth() == 0 {
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
	w.result.Error, w.failed = e, false
	if w.names.Failed != nil {
		w.out = appendErrorElement(w.out, w.names.Failed(e))
	}
	return nil
}
