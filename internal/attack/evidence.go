package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/minio/minio-go/v7"
)

// stored returns the objects in MinIO whose keys contain the mark, in any bucket:
// what an attack made there, seen from behind the product.
func (p *site) stored(ctx context.Context, mark string) ([]string, error) {
	buckets, err := p.minio.ListBuckets(ctx)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, b := range buckets {
		for o := range p.minio.ListObjects(ctx, b.Name, minio.ListObjectsOptions{Recursive: true}) {
			if o.Err != nil {
				return nil, o.Err
			}
			if strings.Contains(o.Key, mark) {
				found = append(found, b.Name+"/"+o.Key)
			}
		}
	}
	return found, nil
}

// storesNothing is broken when there are such objects.
func (p *site) storesNothing(ctx context.Context, mark string) error {
	found, err := p.stored(ctx, mark)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		return broken("MinIO has %q", found)
	}
	return nil
}

// accessLog is everything in the node's access log.
func (p *site) accessLog() ([]byte, error) {
	var all bytes.Buffer
	logs := os.DirFS(p.Path("access-log"))
	err := fs.WalkDir(logs, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := fs.ReadFile(logs, path)
		all.Write(b)
		return err
	})
	return all.Bytes(), err
}

// metric is a figure of the node's metrics: the sum over a name's labels.
func (p *site) metric(ctx context.Context, name string) (float64, error) {
	b, err := p.get(ctx, "http://"+p.Env["ADMIN_ADDR"]+"/metrics")
	if err != nil {
		return 0, err
	}
	var sum float64
	seen := false
	for line := range strings.Lines(string(b)) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		var v float64
		if _, err := fmt.Sscan(rest[strings.LastIndexByte(rest, ' ')+1:], &v); err != nil {
			return 0, err
		}
		sum, seen = sum+v, true
	}
	if !seen {
		return 0, fmt.Errorf("there is no metric %s", name)
	}
	return sum, nil
}
