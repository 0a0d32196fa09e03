package s3xml

import (
	"bufio"
	"bytes"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// maxUploadText bounds the texts of one upload together: a key of 1,024
	// bytes, each of them encoded, and an id of 2,048 are less than a third.
	maxUploadText = 16 << 10
	// maxPrefixes is S3's bound on what a page has.
	maxPrefixes = 1000
)

// ReadUploads reads the backend's response while it arrives and calls each for
// every upload. each may copy the upload but not keep the pointer; its error ends
// the reading. head is everything else, as far as it was read; the whole of it
// is returned at the end.
//
// Memory is a window and one upload, whatever the response's size: MinIO's has
// all uploads of a bucket, of which the caller keeps a page. It is a reader of
// our own, as for every other answer (see Rewrite): encoding/xml is several
// times slower, and holds a text whole, however long.
//
// When the backend has sent an error document instead, that is returned, alone.
func ReadUploads(src io.Reader, each func(head *Uploads, u *Upload) error) (head *Uploads, failed *ErrorDocument, err error) {
	r := &uploadsReader{each: each}
	// WriteTo gives up when src has nothing to give many times in a row.
	if _, err := bufio.NewReaderSize(src, windowSize).WriteTo(r); err != nil {
		return nil, nil, err
	}
	switch {
	case r.mark.open() || r.path.depth() > 0:
		return nil, nil, ErrDocument
	case r.root == errorRoot:
		return nil, &r.failed, nil
	case r.root == uploadsRoot:
		return &r.head, nil, nil
	}
	return nil, nil, ErrDocument
}

const (
	uploadsRoot = "ListMultipartUploadsResult"
	errorRoot   = "Error"
)

// uploadsReader is the state between two pieces of a response.
type uploadsReader struct {
	each   func(*Uploads, *Upload) error
	head   Uploads
	failed ErrorDocument
	upload Upload // the one that is being read
	prefix string // the common prefix that is being read
	number string // MaxUploads or IsTruncated
	mark   markup
	path   path
	root   string
	field  *string // what the text is for, nil: for nothing
	text   []byte  // of the field, escaped
	size   int     // of the texts of one upload
}

// Write takes the next piece of the response, cut anywhere.
func (r *uploadsReader) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		if !r.mark.open() {
			n := textLen(p)
			if err := r.chars(p[:n]); err != nil {
				return 0, err
			}
			if p = p[n:]; len(p) == 0 {
				break
			}
			n, err := r.simple(p)
			if err != nil {
				return 0, err
			}
			if n > 0 {
				p = p[n:]
				continue
			}
		}
		n, done, err := r.mark.feed(p)
		if err != nil {
			return 0, err
		}
		p = p[n:]
		if done {
			if err := r.markup(); err != nil {
				return 0, err
			}
			r.mark.reset()
		}
	}
	return total, nil
}

// simple takes a tag without attributes, as nearly all are, when it is whole in
// p, which begins with '<'. It returns how much of p it took: 0 leaves all
// else to the state machine.
func (r *uploadsReader) simple(p []byte) (int, error) {
	length := bytes.IndexByte(p, '>')
	if length < 2 {
		return 0, nil
	}
	name := p[1:length]
	if name[0] == '/' {
		if len(name) > 1 && plainName(name[1:]) {
			return length + 1, r.close(name[1:])
		}
		return 0, nil
	}
	if plainName(name) {
		return length + 1, r.open(name)
	}
	return 0, nil
}

func (r *uploadsReader) chars(b []byte) error {
	switch {
	case r.path.depth() == 0 && !white(b):
		return ErrDocument
	case r.field == nil:
		return nil
	}
	if r.size += len(b); r.size > maxUploadText {
		return ErrDocument
	}
	r.text = append(r.text, b...)
	return nil
}

func (r *uploadsReader) markup() error {
	switch {
	case r.mark.kind == kindEnd:
		return r.close(r.mark.name())
	case r.mark.kind == kindStart:
		name := r.mark.name()
		err := r.open(name)
		if err == nil && r.mark.selfClosing() {
			err = r.close(name)
		}
		return err
	case r.field != nil, r.mark.kind == kindCDATA && r.path.depth() == 0:
		return ErrDocument // a field is text and nothing else
	}
	return nil
}

func (r *uploadsReader) open(name []byte) error {
	if len(name) == 0 || r.field != nil || r.path.depth() >= maxDepth {
		return ErrDocument
	}
	r.path.push(name)
	switch r.path.depth() {
	case 1:
		if r.root != "" {
			return ErrDocument
		}
		r.root = string(local(name))
		if r.root != uploadsRoot && r.root != errorRoot {
			return ErrDocument
		}
	case 2:
		r.size = 0
		r.upload, r.prefix = Upload{}, ""
		r.field = r.topField(string(local(name)))
	case 3:
		r.field = r.nestedField(string(local(r.path.at(1))), string(local(name)))
	}
	return nil
}

// topField is where the text of an element right below the root belongs.
func (r *uploadsReader) topField(name string) *string {
	if r.root == errorRoot {
		switch name {
		case "Code":
			return &r.failed.Code
		case "Message":
			return &r.failed.Message
		}
		return nil
	}
	switch name {
	case "Bucket":
		return &r.head.Bucket
	case "KeyMarker":
		return &r.head.KeyMarker
	case "UploadIdMarker":
		return &r.head.UploadIDMarker
	case "NextKeyMarker":
		return &r.head.NextKeyMarker
	case "NextUploadIdMarker":
		return &r.head.NextUploadIDMarker
	case "Delimiter":
		return &r.head.Delimiter
	case "Prefix":
		return &r.head.Prefix
	case "EncodingType":
		return &r.head.EncodingType
	case "MaxUploads", "IsTruncated":
		return &r.number
	}
	return nil
}

// nestedField is where the text of an element of an upload or a common prefix belongs.
func (r *uploadsReader) nestedField(parent, name string) *string {
	switch {
	case parent == "CommonPrefixes" && name == "Prefix":
		return &r.prefix
	case parent != "Upload":
		return nil
	}
	switch name {
	case "Key":
		return &r.upload.Key
	case "UploadId":
		return &r.upload.UploadID
	case "StorageClass":
		return &r.upload.StorageClass
	case "Initiated":
		return &r.upload.Initiated
	case "ChecksumAlgorithm":
		return &r.upload.ChecksumAlgorithm
	case "ChecksumType":
		return &r.upload.ChecksumType
	}
	return nil
}

func (r *uploadsReader) close(name []byte) (err error) {
	if r.path.depth() == 0 || string(name) != string(r.path.top()) {
		return ErrDocument
	}
	if r.field != nil {
		if *r.field, err = unescape(r.text); err != nil || !utf8.Valid(r.text) {
			return ErrDocument
		}
		r.field, r.text = nil, r.text[:0]
	}
	if r.path.depth() == 2 && r.root == uploadsRoot {
		err = r.closeTop(string(local(name)))
	}
	r.path.pop()
	return err
}

// closeTop ends an element right below the root.
func (r *uploadsReader) closeTop(name string) (err error) {
	switch name {
	case "Upload":
		return r.each(&r.head, &r.upload)
	case "CommonPrefixes":
		if len(r.head.CommonPrefixes) >= maxPrefixes {
			return ErrDocument
		}
		r.head.CommonPrefixes = append(r.head.CommonPrefixes, r.prefix)
	case "MaxUploads":
		r.head.MaxUploads, err = strconv.ParseInt(strings.TrimSpace(r.number), 10, 64)
	case "IsTruncated":
		r.head.IsTruncated, err = strconv.ParseBool(strings.TrimSpace(r.number))
	}
	if err != nil {
		return ErrDocument
	}
	return nil
}
