package store

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// defaultReserve and one percent of the disk: the smaller of both is kept free.
	defaultReserve = 64 << 20
	defaultHigh    = 85
	defaultLow     = 75
	defaultGrace   = time.Minute
	// creditBytes is how much is written at most, and creditTime how long, before the disk is asked again how much is left.
	creditBytes = 16 << 20
	creditTime  = time.Second
)

// usage is how large a disk is, and how much of it is left. Without files there is no limit to their number.
type usage struct{ free, total, freeFiles, files int64 }

// fewFiles is how many files, or a hundredth of those that there may be if that is less, are left to others.
const fewFiles = 64

// scarce tells whether there is no place for another file, however many bytes are free.
func (u usage) scarce() bool { return u.files > 0 && u.freeFiles <= min(fewFiles, u.files/100) }

// StorageFullError says that there is no room in the store. It matches ErrStorageFull.
type StorageFullError struct {
	// Used is how much of Max is used; both are zero when it is the disk that is full.
	Used, Max int64
	// Free is what is left of the disk, and Reserve how much of that is kept for the index.
	Free, Reserve int64
	// Files is set when it is not bytes that the disk lacks, but places for files.
	Files bool
	// Err is what the system says, if it is the disk that is full.
	Err error
}

// Error implements error. It says nothing that changes from one attempt to the next.
func (e *StorageFullError) Error() string {
	switch {
	case e.Max > 0:
		return fmt.Sprintf("registry storage is full: the %s that --registry-max-size allows are used; allow more, or delete what is not needed", humanBytes(e.Max))
	case e.Files:
		return "registry storage is full: its disk has no place for more files (inodes); give the registry another disk, or delete what is not needed"
	case e.Reserve > 0:
		return fmt.Sprintf("registry storage is full: its disk is used but for the %s that are kept free for the index; give the registry more disk, or delete what is not needed: %v",
			humanBytes(e.Reserve), e.Err)
	default:
		return fmt.Sprintf("registry storage is full; give the registry more disk, or delete what is not needed: %v", e.Err)
	}
}

// Unwrap returns what the system says.
func (e *StorageFullError) Unwrap() error { return e.Err }

// Is makes the error match ErrStorageFull.
func (e *StorageFullError) Is(target error) bool { return target == ErrStorageFull }

// humanBytes rounds to what people read.
func humanBytes(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	v := float64(max(0, n))
	i := 0
	for ; v >= 1024 && i < len(units)-1; i++ {
		v /= 1024
	}
	if v >= 10 {
		return fmt.Sprintf("%.0f %s", v, units[i])
	}
	return strconv.FormatFloat(v, 'g', 2, 64) + " " + units[i]
}

// room knows how much may be written.
type room struct {
	max, reserve int64
	high, low    int64 // percent
	used         func() int64
	ask          func() (usage, bool)

	// credit is what may be written of the disk without asking it, until that many nanoseconds after the begin.
	credit, until atomic.Int64
	began         time.Time
	mu            sync.Mutex
}

func newRoom(o Options, used func() int64, ask func() (usage, bool)) *room {
	r := &room{began: time.Now(), max: o.MaxBytes, high: int64(o.HighWater), low: int64(o.LowWater), used: used, ask: ask}
	if r.high <= 0 {
		r.high = defaultHigh
	}
	if r.low <= 0 {
		r.low = min(defaultLow, r.high)
	}
	if r.reserve = o.Reserve; r.reserve == 0 {
		r.reserve = defaultReserve
		if disk, known := ask(); known {
			r.reserve = min(r.reserve, disk.total/100)
		}
	}
	return r
}

// lacks tells why there is no room for n bytes that used already counts; nil when there is.
func (r *room) lacks(n int64) *StorageFullError {
	if used := r.used(); r.max > 0 && used > r.max {
		return &StorageFullError{Used: used - n, Max: r.max}
	}
	if r.credit.Add(-n) >= 0 && int64(time.Since(r.began)) < r.until.Load() {
		return nil
	}
	return r.borrow(n)
}

// borrow asks the disk. Several who do so at once may each get what is left for one; the reserve is for such things.
func (r *room) borrow(n int64) *StorageFullError {
	r.mu.Lock()
	defer r.mu.Unlock()
	disk, known := r.ask()
	left := disk.free - max(0, r.reserve)
	switch {
	case !known:
		left = creditBytes
	case disk.scarce():
		r.credit.Store(0)
		return &StorageFullError{Files: true, Err: syscall.ENOSPC}
	case n > left:
		r.credit.Store(0)
		return &StorageFullError{Free: disk.free, Reserve: max(0, r.reserve), Err: syscall.ENOSPC}
	}
	r.credit.Store(min(creditBytes, (left-n)/4))
	r.until.Store(int64(time.Since(r.began) + creditTime))
	return nil
}

// lacksIndex tells whether there is too little room for the index to grow: half of the reserve is left to what makes room.
func (r *room) lacksIndex() *StorageFullError {
	disk, known := r.ask()
	if !known || r.reserve <= 0 || disk.free >= r.reserve/2 {
		return nil
	}
	return &StorageFullError{Free: disk.free, Reserve: r.reserve, Err: syscall.ENOSPC}
}

// left returns how much can be written.
func (r *room) left() int64 {
	left := int64(1) << 62
	if r.max > 0 {
		left = r.max - r.used()
	}
	disk, known := r.ask()
	switch {
	case known && disk.scarce():
		return 0
	case known:
		left = min(left, disk.free-max(0, r.reserve))
	}
	return left
}

// above tells whether more is used than that many percent of what may be used.
func (r *room) above(percent int64) bool {
	if r.max > 0 {
		return r.used() > r.max/100*percent+r.max%100*percent/100
	}
	disk, known := r.ask()
	return known && disk.total-disk.free > disk.total/100*percent
}

// crossed is above for the high mark without asking the disk, which the collector does now and then.
func (r *room) crossed() bool { return r.max > 0 && r.above(r.high) }

// Capacity is how much a store may hold.
type Capacity struct {
	// Max is Options.MaxBytes, and Used how much of it is used: blobs, uploads in progress and quarantine.
	Max, Used int64
	// Free and Total are of the disk; both are zero where the system does not tell.
	Free, Total int64
}

// Capacity returns how much the store may hold, and holds.
func (s *Store) Capacity() Capacity {
	disk, _ := s.room.ask()
	return Capacity{Max: s.room.max, Used: s.room.used(), Free: disk.free, Total: disk.total}
}
