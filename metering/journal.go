package metering

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/primecloudpro/primecloud/internal/disk"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/tenancy/rowid"
)

// A journal is a file of series that the process maps into its memory: what was
// added is in the page cache at once, and outlives a killed process.
//
// The file is a row of segments, each allocated on the disk before it is
// mapped (a sparse map dies of SIGBUS on a full disk). The first record of the
// file is its header; every other one is a series or free. Integers are in the
// machine's order: a journal is read where it was written.
const (
	recordSize  = 256 // divides a disk's sector: a record is never half of two writes
	segmentSize = 1 << 20
	perSegment  = segmentSize / recordSize

	journalMagic     = "PCMETER\n"
	journalVersion   = 1
	journalSuffix    = ".journal"
	damagedSuffix    = ".damaged"
	unfinishedSuffix = ".new"
)

// The states of a record; one that was never used is all zeros.
const (
	recordFree uint32 = 0x65657246
	recordUsed uint32 = 0x64657355
)

var neverUsed [recordSize]byte

// fileHeader is the first record of a journal.
type fileHeader struct {
	magic   [8]byte
	version uint32
	sum     uint32 // CRC-32C of epoch and size
	epoch   rowid.ID
	size    uint32 // recordSize
	// incomplete is not 0 while series are in memory for lack of room: a process that
	// ends meanwhile has counted what is in no journal.
	incomplete atomic.Uint32
}

// record is a series on its disk. The sum covers the key, so that a torn record
// is found.
type record struct {
	state   uint32
	sum     uint32
	account rowid.ID
	bucket  rowid.ID
	key     rowid.ID
	class   uint32
	hour    uint32
	counters
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const keyFrom, keyTo = unsafe.Offsetof(record{}.account), unsafe.Offsetof(record{}.counters)

func (r *record) keySum() uint32 {
	b := unsafe.Slice((*byte)(unsafe.Pointer(r)), recordSize)
	return crc32.Checksum(b[keyFrom:keyTo], castagnoli)
}

func (h *fileHeader) sumOf() uint32 {
	b := unsafe.Slice((*byte)(unsafe.Pointer(h)), recordSize)
	return crc32.Checksum(b[unsafe.Offsetof(h.epoch):unsafe.Offsetof(h.incomplete)], castagnoli)
}

// journal is the file of this process.
type journal struct {
	dir   string
	lock  *os.File // the folder
	epoch rowid.ID

	mu       sync.Mutex
	file     *os.File // nil: the disk had no room for it yet
	segments [][]byte
	free     []*record
	degraded atomic.Int64 // series that found no room on the disk, and 1 when the journal itself has found none
	allocErr error        // of the latest attempt to get room that failed
	full     bool         // the latest attempt has failed
	closed   bool
}

// openJournal locks the folder and begins a journal of a new epoch. On a full
// disk it begins when there is room.
func openJournal(dir string) (*journal, error) {
	lock, err := disk.MakeAndLock(dir)
	if err != nil {
		return nil, err
	}
	unfinished, _ := filepath.Glob(filepath.Join(dir, "*"+unfinishedSuffix)) // the pattern is ours
	for _, path := range unfinished {
		_ = os.Remove(path) // of a process that died while it began one: nothing was counted in it
	}
	j := &journal{dir: dir, lock: lock, epoch: rowid.New()}
	switch err := j.create(); {
	case disk.IsFull(err):
		j.allocErr, j.full = err, true
		j.degraded.Add(1)
	case err != nil:
		_ = lock.Close()
		return nil, fmt.Errorf("metering: journal: %w", err)
	}
	return j, nil
}

// create makes the file under a name that recovery does not look at, and gives
// it its own when the header is on the disk.
func (j *journal) create() error {
	temporary := filepath.Join(j.dir, j.epoch.String()+unfinishedSuffix)
	file, err := os.OpenFile(temporary, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	j.file = file
	if err = j.extend(); err == nil {
		h := j.header()
		copy(h.magic[:], journalMagic)
		h.version, h.epoch, h.size = journalVersion, j.epoch, recordSize
		h.sum = h.sumOf()
		if err = unix.Msync(j.segments[0], unix.MS_SYNC); err == nil {
			err = disk.Rename(temporary, j.path())
		}
	}
	if err != nil {
		_ = file.Close()
		_ = os.Remove(temporary)
		for _, s := range j.segments {
			_ = unix.Munmap(s) // no series is in it yet
		}
		j.file, j.segments, j.free = nil, nil, nil
	}
	return err
}

func (j *journal) header() *fileHeader { return (*fileHeader)(unsafe.Pointer(&j.segments[0][0])) }

func (j *journal) path() string { return filepath.Join(j.dir, j.epoch.String()+journalSuffix) }

// extend allocates and maps another segment at the end of the file, and makes its
// records free. It fails on a full disk and then changes nothing. With j.mu held,
// or before anybody else has j.
func (j *journal) extend() error {
	if j.file == nil {
		return j.allocErr
	}
	at := int64(len(j.segments)) * segmentSize
	j.full = true
	if err := unix.Fallocate(int(j.file.Fd()), 0, at, segmentSize); err != nil {
		return fmt.Errorf("allocate: %w", err)
	}
	segment, err := unix.Mmap(int(j.file.Fd()), at, segmentSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map: %w", err)
	}
	j.full = false
	j.segments = append(j.segments, segment)
	for i := perSegment - 1; i >= 0; i-- {
		if at == 0 && i == 0 {
			break // the header
		}
		j.free = append(j.free, (*record)(unsafe.Pointer(&segment[i*recordSize])))
	}
	return nil
}

// series makes the series of k. Without room on the disk it is in memory only.
func (j *journal) series(k seriesKey) *series {
	c := &series{key: k}
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.free) == 0 {
		if err := j.extend(); err != nil {
			j.allocErr = err
			j.addDegraded(1)
			c.counters = &counters{}
			c.reset()
			return c
		}
	}
	r := j.free[len(j.free)-1]
	j.free = j.free[:len(j.free)-1]
	r.account, r.bucket, r.key, r.class, r.hour = k.Account, k.Bucket, k.AccessKey, uint32(k.Class), uint32(k.hour)
	r.reset()
	r.sum = r.keySum()
	atomic.StoreUint32(&r.state, recordUsed)
	c.counters, c.record = &r.counters, r
	return c
}

// release gives the place of a retired series to others. A late reader may still
// hold the series, and finds it closed.
func (j *journal) release(c *series) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if c.record == nil {
		j.addDegraded(-1)
		return
	}
	atomic.StoreUint32(&c.record.state, recordFree)
	j.free = append(j.free, c.record)
}

// reason is the error of the latest attempt to get room that failed.
func (j *journal) reason() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.allocErr
}

// sync writes what is mapped to the disk.
func (j *journal) sync() error {
	j.mu.Lock()
	segments := j.segments[:len(j.segments):len(j.segments)]
	j.mu.Unlock()
	for _, s := range segments {
		if err := unix.Msync(s, unix.MS_SYNC); err != nil {
			return fmt.Errorf("metering: sync the journal: %w", err)
		}
	}
	return nil
}

// close lets go of the folder; with remove, everything in the journal is
// confirmed and it is deleted. The mapping stays: a tally may hold a series.
func (j *journal) close(remove bool) error {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	if j.file == nil {
		return j.lock.Close()
	}
	var err error
	if remove {
		err = disk.Remove(j.path())
	} else {
		err = j.sync()
	}
	return errors.Join(err, j.file.Close(), j.lock.Close())
}

// orphan is a journal that was read and not accounted for yet.
type orphan struct {
	path     string
	epoch    rowid.ID
	readings []ledger.Reading
	damage   error // what could not be believed; the readings are intact ones
}

// ingest writes the journal's readings to the ledger and closes its epoch. The
// epoch of a damaged journal stays open: no period becomes final until an operator
// has decided what to do about the records that could not be read.
func (o *orphan) ingest(ctx context.Context, q pg.Querier, node string) error {
	if o.epoch == (rowid.ID{}) {
		return nil // neither header nor name: there is nothing to hold open
	}
	for readings := range slices.Chunk(o.readings, batch) {
		if err := ledger.Write(ctx, q, o.epoch, readings); err != nil {
			return err
		}
	}
	_, err := ledger.ReportProgress(ctx, q, ledger.Progress{Epoch: o.epoch, Node: node, Closed: o.damage == nil, Writer: rowid.New(), TakesOver: true}, nil)
	return err
}

// end deletes the journal, or puts a damaged one aside.
func (o *orphan) end() error {
	if o.damage != nil {
		return disk.Rename(o.path, o.path+damagedSuffix)
	}
	return disk.Remove(o.path)
}

// Imported is what ImportJournal found in a file.
type Imported struct {
	Epoch  rowid.ID
	Series int
}

// ImportJournal writes what the journal of a node that never comes back has
// counted, and says that its epoch is over. The file is left as it is; doing
// it twice changes nothing. Of a damaged one the intact part is written, its
// epoch stays open, and the error says what could not be believed. A journal
// in a folder that a process uses is refused with disk.ErrLocked.
func ImportJournal(ctx context.Context, q pg.Querier, path string) (Imported, error) {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return Imported{}, fmt.Errorf("metering: the journal %q cannot be read (%w); name the file of a journal", path, cmp.Or(err, errNoFile))
	}
	lock, err := disk.Lock(filepath.Dir(path))
	if err != nil {
		return Imported{}, err
	}
	defer lock.Close()
	o, err := readJournal(path)
	if err != nil {
		return Imported{}, err
	}
	done := Imported{o.epoch, len(o.readings)}
	if err := o.ingest(ctx, q, "imported"); err != nil {
		return Imported{}, err
	}
	return done, o.damage
}

var errNoFile = errors.New("it is no file")

// errDamaged is what damage wraps.
var errDamaged = errors.New("metering: damaged journal")

// readJournal reads a journal whole. It believes a record when its key's sum
// is right and the copies of each counter agree.
func readJournal(path string) (*orphan, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	o := &orphan{path: path}
	// The file's name, for a journal whose header cannot be believed.
	name, _, _ := strings.Cut(filepath.Base(path), ".")
	if epoch, err := rowid.Parse(name); err == nil {
		o.epoch = epoch
	}
	if len(data) < recordSize || len(data)%recordSize != 0 {
		o.damage = fmt.Errorf("%w: %s has %d bytes", errDamaged, path, len(data))
		return o, nil
	}
	h := (*fileHeader)(unsafe.Pointer(&data[0]))
	if !bytes.Equal(h.magic[:], []byte(journalMagic)) || h.version != journalVersion || h.size != recordSize || h.sum != h.sumOf() {
		o.damage = fmt.Errorf("%w: %s has no valid header", errDamaged, path)
		return o, nil
	}
	o.epoch = h.epoch
	if h.incomplete.Load() != 0 {
		o.damage = fmt.Errorf("%w: %s: its disk was full, and what was counted in memory is not in it", errDamaged, path)
	}
	for at := recordSize; at < len(data); at += recordSize {
		r := (*record)(unsafe.Pointer(&data[at]))
		if r.state == recordFree || bytes.Equal(data[at:at+recordSize], neverUsed[:]) {
			continue
		}
		t, ok := r.recoverCounts()
		if r.state != recordUsed || r.sum != r.keySum() || !usage.Class(r.class).Known() || !ok {
			o.damage = errors.Join(o.damage, fmt.Errorf("%w: %s at byte %d: account %s, bucket %s, key %s, hour %s", errDamaged, path, at,
				r.account, r.bucket, r.key, hour(r.hour).time().Format("2006-01-02T15")))
			continue
		}
		if t != (ledger.Totals{}) {
			o.readings = append(o.readings, seriesKey{usage.Key{Account: r.account, Bucket: r.bucket, AccessKey: r.key, Class: usage.Class(r.class)}, hour(r.hour)}.reading(t))
		}
	}
	return o, nil
}

// orphans are the journals of a folder that no process writes any more.
func (j *journal) orphans() ([]*orphan, error) {
	paths, err := filepath.Glob(filepath.Join(j.dir, "*"+journalSuffix))
	if err != nil {
		return nil, err
	}
	var all []*orphan
	for _, path := range paths {
		if path == j.path() {
			continue
		}
		o, err := readJournal(path)
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}

var _ = [1]struct{}{}[unsafe.Sizeof(record{})/(recordSize+1)] // a record fits its place
