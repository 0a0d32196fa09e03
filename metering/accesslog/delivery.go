package accesslog

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/primecloudpro/primecloud/metering/storage"
	"github.com/primecloudpro/primecloud/tenancy"
)

// DeliveryConfig configures a Delivery. Log and Directory are required.
type DeliveryConfig struct {
	Log       *Log
	Directory *tenancy.Directory
	MAC       storage.MAC   // the keyring's; nil: what is delivered counts against its owner's storage quota
	Region    string        // in the lines, and in keys that are partitioned
	Interval  time.Duration // 5 min; also when a file ends
	Timeout   time.Duration // of one object; 1 min
	Retry     time.Duration // after a failure, doubled each time up to an hour; 1 min
}

// spanSize bounds what a pass holds in memory: lines of so many bytes.
const spanSize = 16 << 20

// Delivery puts the lines of this node's files into the buckets that accounts
// have named, as S3 does: one object for each bucket that lines are about, and
// for each span of a file. It writes to the backend with the backend's own
// credential: it is nobody's request, so that it is neither billed nor makes
// lines of its own.
//
// What a span holds and what its objects are called is recorded before it
// is sent: a process that is killed sends the same objects again.
type Delivery struct {
	cfg     DeliveryConfig
	log     *Log
	clients map[tenancy.ID]client
}

type client struct {
	backend *tenancy.Backend
	s3      *minio.Client
}

// NewDelivery makes a delivery; files of the log then stay until they are
// delivered. Run delivers.
func NewDelivery(cfg DeliveryConfig) *Delivery {
	cfg.Interval = cmp.Or(cfg.Interval, 5*time.Minute)
	cfg.Timeout = cmp.Or(cfg.Timeout, time.Minute)
	cfg.Retry = cmp.Or(cfg.Retry, time.Minute)
	d := &Delivery{cfg: cfg, log: cfg.Log, clients: map[tenancy.ID]client{}}
	cfg.Log.undelivered = d.undelivered
	return d
}

func (d *Delivery) undelivered(file string) bool {
	info, err := os.Stat(file)
	if err != nil {
		return false
	}
	p, err := loadProgress(file)
	return err != nil || !p.over(info.Size())
}

// Run delivers until ctx ends.
func (d *Delivery) Run(ctx context.Context) error {
	tick := time.NewTicker(d.cfg.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-d.log.ended:
		}
		if err := d.Deliver(ctx); err != nil && ctx.Err() == nil {
			d.log.cfg.Logger.Warn("access logs not delivered; they are kept and delivered later", "error", err)
		}
	}
}

// Deliver goes once through all files. What a backend does not take is tried
// again by a later pass, as is a file that could not be read: the error names
// it, and the others are delivered.
func (d *Delivery) Deliver(ctx context.Context) error {
	list, err := d.cfg.Directory.LoggedBuckets(ctx)
	if err != nil {
		return err
	}
	routes := newRoutes(list)
	files, err := Files(d.log.cfg.Dir)
	if err != nil {
		return err
	}
	current := d.log.current() // asked after listing: a file of the list that is none of them has ended
	var behind int64
	var errs []error
	for _, file := range deliverable(files) {
		left, err := d.deliverFile(ctx, file, slices.Contains(current, file), routes)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", filepath.Base(file), err))
		}
		behind += left
	}
	d.log.metrics.behind.Set(float64(behind))
	return errors.Join(errs...)
}

// deliverable are the files that have lines to deliver: strangers' come last,
// however many there are.
func deliverable(files []string) []string {
	files = slices.DeleteFunc(files, func(f string) bool { return kindOf(f) == ofSums })
	slices.SortStableFunc(files, func(a, b string) int { return strings.Compare(kindOf(a), kindOf(b)) })
	return files
}

// deliverFile returns how many bytes of the file are not delivered.
func (d *Delivery) deliverFile(ctx context.Context, file string, growing bool, routes *routes) (int64, error) {
	info, err := os.Stat(file)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil // swept
	}
	if err != nil {
		return 0, err
	}
	size := info.Size()
	p, err := loadProgress(file)
	if err != nil {
		// Beginning anew would send what is there already under other names.
		return size, err
	}
	if p.over(size) {
		return 0, nil
	}
	if err := d.again(ctx, file, p, routes); err != nil {
		return size, err
	}
	for p.Offset < size && ctx.Err() == nil {
		s := span{Start: p.Offset, At: d.log.cfg.Now().UTC().Truncate(time.Second)}
		objects, end, err := d.collect(file, s.Start, size, growing, routes)
		if err != nil {
			return size, err
		}
		if end == s.Start {
			break // half a line
		}
		s.End, p.Offset = end, end
		if len(objects) > 0 {
			p.Ranges = append(p.Ranges, s)
		}
		if err := p.save(file); err != nil {
			return size, err
		}
		if len(objects) > 0 {
			if err := d.finish(ctx, file, p, len(p.Ranges)-1, objects); err != nil {
				return size, err
			}
		}
	}
	left := size - p.Offset
	for i := range p.Ranges {
		left += p.Ranges[i].End - p.Ranges[i].Start
	}
	return left, ctx.Err()
}

// again sends what is left of earlier spans and is due.
func (d *Delivery) again(ctx context.Context, file string, p *progress, routes *routes) error {
	for i := len(p.Ranges) - 1; i >= 0; i-- {
		s := p.Ranges[i]
		if d.log.cfg.Now().Before(s.Next) {
			continue
		}
		objects, _, err := d.collect(file, s.Start, s.End, false, routes)
		if err != nil {
			return err
		}
		if len(s.Buckets) > 0 {
			objects = slices.DeleteFunc(objects, func(p *object) bool { return !slices.Contains(s.Buckets, p.to.ID) })
		}
		if err := d.finish(ctx, file, p, i, objects); err != nil {
			return err
		}
	}
	return nil
}

// finish sends a span's objects and records which of them are left to be sent.
func (d *Delivery) finish(ctx context.Context, file string, p *progress, i int, objects []*object) error {
	s := &p.Ranges[i]
	s.Buckets = nil
	for _, object := range objects {
		err := d.send(ctx, file, s, object)
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err() // as if killed
		}
		d.log.metrics.refused.Inc()
		d.log.cfg.Logger.Warn("access log lines not delivered; they are sent again", "bucket", object.to.ID.String(), "error", err)
		if !slices.Contains(s.Buckets, object.to.ID) {
			s.Buckets = append(s.Buckets, object.to.ID)
		}
	}
	if len(s.Buckets) == 0 {
		p.Ranges = slices.Delete(p.Ranges, i, i+1)
	} else {
		s.Next = d.log.cfg.Now().Add(min(d.cfg.Retry<<min(s.Tries, 10), time.Hour))
		s.Tries++
	}
	return p.save(file)
}

// object is the lines of a span about one bucket, of one day where their
// object's name has the day.
type object struct {
	to    *tenancy.LoggedBucket
	day   time.Time // zero: any
	lines int
	text  bytes.Buffer
}

// collect reads whole lines from start on, up to a span's size and not beyond
// end, and returns where it has stopped. A file that grows may end in half a
// line, which is left for later.
func (d *Delivery) collect(file string, start, end int64, growing bool, routes *routes) ([]*object, int64, error) {
	if routes.none() {
		stop, err := lastLine(file, start, end, growing)
		return nil, stop, err
	}
	type group struct {
		bucket tenancy.ID
		day    time.Time
	}
	byGroup, objects, at := map[group]*object{}, []*object(nil), start
	for e, err := range ReadFrom(file, start) {
		var damage *DamageError
		switch {
		case errors.As(err, &damage):
			if growing && errors.Is(err, ErrTorn) {
				return objects, at, nil
			}
			d.log.cfg.Logger.Warn("an access log line is damaged and not delivered", "error", err)
			at = min(damage.End, end)
			continue
		case err != nil:
			return nil, start, err
		}
		if e.End > end {
			break
		}
		at = e.End
		if to := routes.target(e); to != nil {
			g := group{bucket: to.ID}
			if to.Logging.Format == tenancy.ByEventTime {
				g.day = e.Record.Time.UTC().Truncate(24 * time.Hour)
			}
			p := byGroup[g]
			if p == nil {
				p = &object{to: to, day: g.day}
				byGroup[g], objects = p, append(objects, p)
			}
			p.lines++
			p.text.Write(appendS3Line(p.text.AvailableBuffer(), &e.Record, to, d.cfg.Region))
		}
		if at-start >= spanSize {
			break
		}
	}
	return objects, at, nil
}

// lastLine is where the last whole line ends.
func lastLine(file string, start, end int64, growing bool) (int64, error) {
	if !growing {
		return end, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return start, err
	}
	defer f.Close()
	tail := make([]byte, min(end-start, maxLine))
	if _, err := f.ReadAt(tail, end-int64(len(tail))); err != nil {
		return start, err
	}
	if i := bytes.LastIndexByte(tail, '\n'); i >= 0 {
		return end - int64(len(tail)-i-1), nil
	}
	return start, nil
}

// routes finds the bucket that a line is about among those with logging on.
type routes struct {
	byID   map[tenancy.ID]*tenancy.LoggedBucket
	byName map[name]*tenancy.LoggedBucket
}

type name struct {
	account tenancy.ID
	bucket  string
}

func newRoutes(list []*tenancy.LoggedBucket) *routes {
	r := &routes{byID: map[tenancy.ID]*tenancy.LoggedBucket{}, byName: map[name]*tenancy.LoggedBucket{}}
	for _, b := range list {
		r.byID[b.ID] = b
		r.byName[name{b.AccountID, b.Name}] = b
	}
	return r
}

func (r *routes) none() bool { return len(r.byID) == 0 }

// of returns nil for lines that nobody wants. What was refused before its
// bucket was looked up is told by the name that it asked for, in the name
// space that it addressed: strangers' attempts are in S3's logs too.
func (r *routes) target(e *Entry) *tenancy.LoggedBucket {
	if !e.IsRecord() {
		return nil
	}
	rec := &e.Record
	b := r.byID[rec.BucketID]
	if b == nil && rec.BucketID == (tenancy.ID{}) {
		b = r.byName[name{rec.OwnerID, string(rec.Bucket)}]
	}
	if b == nil || rec.Time.Before(b.Since) {
		return nil
	}
	return b
}
