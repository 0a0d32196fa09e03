package accesslog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/primecloudpro/primecloud/tenancy"
)

// The reasons for which lines are not delivered at all.
const (
	withoutTarget = "target"
	notActive     = "account"
	hiddenName    = "name"
	retention     = "retention"
)

func (d *Delivery) withhold(reason string, p *object) error {
	d.log.metrics.withheld.WithLabelValues(reason).Add(float64(p.lines))
	return nil
}

// send returns nil when there is nothing to be done any more: also for lines
// that nobody can take.
func (d *Delivery) send(ctx context.Context, file string, s *span, p *object) error {
	switch {
	case p.to.Status != tenancy.Active:
		return d.withhold(notActive, p)
	case p.to.BackendName == "":
		return d.withhold(withoutTarget, p)
	}
	c, err := d.client(ctx, p.to.BackendID)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s %d %d %s %s", filepath.Base(file), s.Start, s.End, p.to.ID, p.day.Format(time.DateOnly))
	sum := sha256.Sum256([]byte(name))
	unique := strings.ToUpper(hex.EncodeToString(sum[:8]))
	if d.cfg.MAC != nil {
		unique = unique[:8]
	}
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
	defer cancel()
	key := objectKey(p.to, d.cfg.Region, s.At, p.day, unique)
	if d.cfg.MAC != nil {
		key = d.cfg.MAC.StampDelivered(p.to.BackendName, key, int64(p.text.Len()))
	}
	if d.clients[p.to.BackendID].backend.Kind != tenancy.BackendS3 {
		if hidden, err := belowObject(ctx, c, p.to.BackendName, key); err != nil {
			return err
		} else if hidden {
			return d.withhold(hiddenName, p)
		}
	}
	if keeps, err := keepsObjects(ctx, c, p.to.BackendName); err != nil {
		return err
	} else if keeps {
		return d.withhold(retention, p)
	}
	_, err = c.PutObject(ctx, p.to.BackendName, key,
		bytes.NewReader(p.text.Bytes()), int64(p.text.Len()),
		minio.PutObjectOptions{ContentType: "text/plain", DisableMultipart: true, SendContentMd5: true}) // MD5: a bucket with object lock wants one
	if minio.ToErrorResponse(err).Code == "NoSuchBucket" {
		return d.withhold(withoutTarget, p)
	}
	if err == nil {
		d.log.metrics.delivered.Add(float64(p.lines))
	}
	return err
}

// keepsObjects reports whether the bucket has a default retention: nobody could
// delete what is delivered, and strangers make lines. Neither can be asked for
// while the other is there; a bucket of the target's name may be made later.
func keepsObjects(ctx context.Context, c *minio.Client, bucket string) (bool, error) {
	mode, _, _, err := c.GetBucketObjectLockConfig(ctx, bucket)
	if err != nil && minio.ToErrorResponse(err).StatusCode == http.StatusNotFound {
		return false, nil // no object lock, or no bucket
	}
	return mode != nil, err
}

// belowObject reports whether the key is below an object, or below what is left of
// one in its versions: MinIO would store it, and list it nowhere
// (docs/decisions/0026).
func belowObject(ctx context.Context, c *minio.Client, bucket, key string) (bool, error) {
	for i := strings.LastIndexByte(key, '/'); i > 0; i = strings.LastIndexByte(key[:i], '/') {
		o, err := c.StatObject(ctx, bucket, key[:i], minio.StatObjectOptions{})
		switch {
		case err == nil || o.IsDeleteMarker:
			return true, nil
		case minio.ToErrorResponse(err).StatusCode != http.StatusNotFound:
			return false, err
		}
	}
	return false, nil
}

func (d *Delivery) client(ctx context.Context, id tenancy.ID) (*minio.Client, error) {
	backend, err := d.cfg.Directory.Backend(ctx, id)
	if err != nil {
		return nil, err
	}
	if c := d.clients[id]; c.backend == backend {
		return c.s3, nil
	}
	s3, err := backend.Client()
	if err == nil {
		d.clients[id] = client{backend, s3}
	}
	return s3, err
}
