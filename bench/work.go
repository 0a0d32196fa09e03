package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/primecloudpro/primecloud/bench/load"
	"github.com/primecloudpro/primecloud/bench/peer"
)

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

// work is a load by name: what is sent to a server, signed for it.
type work struct {
	name string
	op   func(*load.Signer) (load.Op, error)
}

// keys is how many objects of a size are read in turn.
const keys = 16

func size(n int64) string {
	switch {
	case n >= gib:
		return fmt.Sprintf("%d GiB", n/gib)
	case n >= mib:
		return fmt.Sprintf("%d MiB", n/mib)
	}
	return fmt.Sprintf("%d KiB", n/kib)
}

// objects is how many of a size exist: long ones need not be many.
func objects(n int64) int {
	if n > 100*mib {
		return 1
	}
	return keys
}

func replay(n int, one func(int) (*load.Request, error)) (load.Op, error) {
	list := make([]*load.Request, n)
	for i := range list {
		var err error
		if list[i], err = one(i); err != nil {
			return nil, err
		}
	}
	return load.Replay(list), nil
}

func get(n int64) work {
	return work{"GET " + size(n), func(s *load.Signer) (load.Op, error) {
		return replay(objects(n), func(i int) (*load.Request, error) { return s.Read("GET", peer.ObjectPath(n, i), 200, n) })
	}}
}

func head() work {
	return work{"HEAD", func(s *load.Signer) (load.Op, error) {
		return replay(keys, func(i int) (*load.Request, error) { return s.Read("HEAD", peer.ObjectPath(kib, i), 200, 0) })
	}}
}

// listKeys is how many keys a list has.
const listKeys = 1000

func list1000() work {
	return work{"LIST 1,000", func(s *load.Signer) (load.Op, error) {
		return replay(1, func(int) (*load.Request, error) { return s.Read("GET", listTarget, 200, -1) })
	}}
}

const listTarget = "/" + peer.Bucket + "?list-type=2&max-keys=1000"

func put(n int64, p load.Payload) work {
	return work{"PUT " + size(n) + ", " + payloadName(p), func(s *load.Signer) (load.Op, error) {
		c, err := load.NewContent(noise(n))
		if err != nil {
			return nil, err
		}
		// Framed bodies are signed with the request: few, since each is kept.
		count := keys
		if n >= mib && (p == load.SignedChunks || p == load.UnsignedTrailer) {
			count = 2
		}
		return replay(count, func(i int) (*load.Request, error) { return s.Put(peer.ObjectPath(n, i), c, p) })
	}}
}

func payloadName(p load.Payload) string {
	switch p {
	case load.SignedChunks:
		return "signed chunks"
	case load.UnsignedTrailer:
		return "unsigned trailer"
	case load.Unsigned:
		return "unsigned"
	}
	return string(p)
}

// noise does not compress, and is the same in every run.
func noise(n int64) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b) // never fails
	return b
}

// mixed is 70 % reads, 20 % uploads and 10 % lists of 64 KiB objects.
func mixed() work {
	return work{"mixed 70/20/10", func(s *load.Signer) (load.Op, error) {
		c, err := load.NewContent(noise(64 * kib))
		if err != nil {
			return nil, err
		}
		return replay(100, func(i int) (*load.Request, error) {
			switch {
			case i%10 == 9:
				return s.Read("GET", listTarget, 200, -1)
			case i%10%4 == 3:
				return s.Put(peer.ObjectPath(64*kib, i), c, load.SignedHash)
			}
			return s.Read("GET", peer.ObjectPath(64*kib, i%keys), 200, 64*kib)
		})
	}}
}

const (
	parts    = 10
	partSize = 10 * mib
)

// multipart is an upload of 100 MiB in ten parts, one after the other.
func multipart() work {
	return work{"multipart 100 MiB", func(s *load.Signer) (load.Op, error) {
		c, err := load.NewContent(noise(partSize))
		if err != nil {
			return nil, err
		}
		return func(conn *load.Conn, n int64) (load.Moved, error) {
			m, err := uploadParts(conn, s, fmt.Sprintf("/%s/multipart/%d", peer.Bucket, n%keys), c)
			if err != nil {
				err = fmt.Errorf("multipart: %w", err)
			}
			return m, err
		}, nil
	}}
}

func uploadParts(conn *load.Conn, sign *load.Signer, path string, c *load.Content) (m load.Moved, err error) {
	s := *sign // it may derive a new day's key: not shared between connections
	r, err := s.Post(path+"?uploads=", nil)
	if err != nil {
		return m, err
	}
	a, err := conn.DoKeep(r)
	if err != nil {
		return m, err
	}
	var created struct {
		ID string `xml:"UploadId"`
	}
	if err := xml.Unmarshal(a.Body, &created); err != nil || created.ID == "" {
		return m, errors.Join(errors.New("no upload id"), err)
	}
	done := []byte("<CompleteMultipartUpload>")
	for i := range parts {
		r, err := s.Put(fmt.Sprintf("%s?partNumber=%d&uploadId=%s", path, i+1, created.ID), c, load.Unsigned)
		if err != nil {
			return m, err
		}
		if a, err = conn.DoKeep(r); err != nil {
			return m, err
		}
		done = fmt.Appendf(done, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i+1, a.ETag)
		m.Bytes += r.Bytes
	}
	if r, err = s.Post(path+"?uploadId="+created.ID, append(done, "</CompleteMultipartUpload>"...)); err != nil {
		return m, err
	}
	_, err = conn.DoKeep(r)
	m.Requests = parts + 2
	return m, err
}
