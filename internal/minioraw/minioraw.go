// Package minioraw reads the names of the files in which MinIO keeps objects,
// by its admin API's inspect-data. It shows what no listing of S3 does.
package minioraw

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7/pkg/signer"
	"github.com/secure-io/sio-go"
)

var (
	// ErrDenied means that the credential has not the right admin:InspectData.
	ErrDenied = errors.New("minioraw: the credential may not read the drives' files: it lacks the right admin:InspectData")
	// ErrNoInspection means that the server has no inspect-data: it is no MinIO,
	// or a proxy before it lets no admin request pass.
	ErrNoInspection = errors.New("minioraw: the server does not offer MinIO's admin API (inspect-data)")
	// ErrData means that more than MaxData came that is no metadata: MinIO sends a
	// whole object when a part of its key's path is named as a metadata file is.
	ErrData = errors.New("minioraw: objects with xl.meta in their keys' paths: MinIO sends all of their data")
)

// Server is a MinIO.
type Server struct {
	Endpoint  string // http(s)://host:port
	Region    string
	AccessKey string
	SecretKey string
	HTTP      *http.Client // without a time limit: an answer may be long
	MaxData   int64        // before ErrData; 1 GiB by default
}

const (
	metadata = "/xl.meta"    // the file of an object's versions, in a folder of the object's name
	dirMark  = "__XLDIR__"   // stands for the slash at the end of a key
	system   = ".minio.sys"  // MinIO's own bucket
	format   = "format.json" // one on each drive
	failure  = "GetRawData-err.txt"
)

// Drives returns where the drives that MinIO reads begin in the names of its
// answers. It transfers a few hundred bytes of each.
func (s *Server) Drives(ctx context.Context) ([]string, error) {
	var drives []string
	err := s.inspect(ctx, system, format, func(name string, _ int64) error {
		if drive, ok := strings.CutSuffix(name, "/"+system+"/"+format); ok && !slices.Contains(drives, drive) {
			drives = append(drives, drive)
		}
		return nil
	})
	if err == nil && len(drives) == 0 {
		err = errors.New("minioraw: MinIO names no drive")
	}
	return drives, err
}

// Objects calls f for each key that has a folder under those that glob names,
// at any depth, once for each of its drives. It reads past the metadata and
// the small objects within, and holds nothing of it.
//
// MinIO leaves out a drive in silence when a file goes away while it looks: that
// something did not come which is known to be there says that the answer is not
// whole. A key with a backslash never comes: MinIO takes it for an escape.
func (s *Server) Objects(ctx context.Context, drives []string, bucket, glob string, f func(key string)) error {
	limit, data := s.MaxData, int64(0)
	if limit == 0 {
		limit = 1 << 30
	}
	return s.inspect(ctx, bucket, glob+"/**"+metadata, func(name string, size int64) error {
		file, ok := strings.CutSuffix(name, metadata)
		if !ok {
			if data += size; data > limit {
				return ErrData
			}
			return nil
		}
		for _, d := range drives {
			if key, ok := strings.CutPrefix(file, d+"/"+bucket+"/"); ok {
				if folder, marked := strings.CutSuffix(key, dirMark); marked {
					key = folder + "/"
				}
				f(key)
				return nil
			}
		}
		return fmt.Errorf("minioraw: %q is on no drive that is known: one was added meanwhile", name)
	})
}

// Literal is a glob that matches name alone. Brackets instead of backslashes
// where they do: a backslash before a star, and a star behind it, would be two
// stars to MinIO, which looks for them without regard to escapes.
func Literal(name string) string {
	return strings.NewReplacer("*", "[*]", "?", "[?]", "[", "[[]", `\`, `\\`).Replace(name)
}

var emptySum = func() string { s := sha256.Sum256(nil); return hex.EncodeToString(s[:]) }()

// inspect calls f with the name of each file that MinIO sends for glob in volume.
func (s *Server) inspect(ctx context.Context, volume, glob string, f func(name string, size int64) error) error {
	// S3's signature wants %20 for a space.
	query := strings.ReplaceAll(url.Values{"volume": {volume}, "file": {glob}}.Encode(), "+", "%20")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(s.Endpoint, "/")+"/minio/admin/v3/inspect-data?"+query, nil)
	if err != nil {
		return err
	}
	req.Header.Set("X-Amz-Content-Sha256", emptySum)
	resp, err := s.HTTP.Do(signer.SignV4(*req, s.AccessKey, s.SecretKey, "", s.Region))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return refusal(resp)
	}
	plain, err := decrypt(resp.Body)
	if err != nil {
		return err
	}
	return zipNames(plain, f)
}

// refusal names the cause of an answer that is none.
func refusal(resp *http.Response) error {
	var said struct{ Code, Message string }
	_ = json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&said)
	switch {
	case resp.StatusCode == http.StatusForbidden && (said.Code == "" || said.Code == "AccessDenied"):
		return ErrDenied
	case resp.StatusCode == http.StatusForbidden, resp.StatusCode == http.StatusServiceUnavailable:
		return fmt.Errorf("minioraw: %s %q", resp.Status, said.Code)
	}
	return fmt.Errorf("%w: %s %q", ErrNoInspection, resp.Status, said.Code)
}

// decrypt opens an answer: a byte that is its form's number, a key, and what is
// encrypted with it. That keeps nothing secret, but shows an answer's end.
func decrypt(r io.Reader) (io.Reader, error) {
	var head [33]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("minioraw: the answer's head: %w", err)
	}
	if head[0] != 1 {
		return nil, fmt.Errorf("%w: its answer has the form %d, known is 1", ErrNoInspection, head[0])
	}
	stream, err := sio.AES_256_GCM.Stream(head[1:])
	if err != nil {
		return nil, err
	}
	// Its WriteTo returns io.EOF, which io.WriterTo does not allow, at the end.
	return struct{ io.Reader }{stream.DecryptReader(r, make([]byte, stream.NonceSize()), nil)}, nil
}
