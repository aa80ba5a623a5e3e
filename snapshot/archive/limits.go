package archive

import (
	"errors"
	"fmt"
)

// Errors that tell which limit an archive passed. They are matched with errors.Is; the
// *LimitError around them has the bound and the entry.
var (
	// ErrTooManyEntries says that the archive has more entries than Limits.Entries.
	ErrTooManyEntries = errors.New("archive has too many entries")
	// ErrTooLarge says that the unpacked archive is larger than Limits.TotalBytes.
	ErrTooLarge = errors.New("unpacked archive is too large")
	// ErrFileTooLarge says that one file is larger than Limits.FileBytes.
	ErrFileTooLarge = errors.New("file in the archive is too large")
	// ErrEditTooLarge says that a file to be edited is larger than Limits.EditBytes.
	ErrEditTooLarge = errors.New("file in the archive is too large to be edited")
	// ErrPathTooLong says that a path has more bytes than Limits.PathBytes.
	ErrPathTooLong = errors.New("path in the archive is too long")
	// ErrPathTooDeep says that a path has more elements than Limits.PathDepth.
	ErrPathTooDeep = errors.New("path in the archive is too deep")
	// ErrHeaderTooLarge says that the names and records of one entry are larger than the decoder reads, which is
	// 1 MiB and no part of Limits. The path is that of the entry before.
	ErrHeaderTooLarge = errors.New("header in the archive is too large")
	// ErrCompressionRatio says that the archive unpacks to more than Limits.Ratio times its size.
	ErrCompressionRatio = errors.New("archive is compressed beyond what is plausible")
)

// Limits bounds what an archive may cost. A field that is zero has the value that
// DefaultLimits gives it.
type Limits struct {
	// Entries is the greatest number of entries.
	Entries int
	// TotalBytes is the greatest size of the unpacked archive, headers included.
	TotalBytes int64
	// FileBytes is the greatest size of one file.
	FileBytes int64
	// EditBytes is the greatest size of one file that an Editor gets, before and after.
	EditBytes int64
	// PathBytes is the greatest length of a path, and of what a symbolic link points at.
	PathBytes int
	// PathDepth is the greatest number of elements of a path.
	PathDepth int
	// Ratio is how many times larger than its compressed form the archive may be. It is
	// looked at from the 17th MiB on, since small archives of repetitive text are dense.
	Ratio int64
}

// DefaultLimits returns the limits that fit every honest Kubernetes deployment.
func DefaultLimits() Limits {
	return Limits{
		Entries:    100_000,
		TotalBytes: 4 << 30,
		FileBytes:  2 << 30,
		EditBytes:  8 << 20,
		PathBytes:  1024,
		PathDepth:  64,
		Ratio:      200,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	if l.Entries <= 0 {
		l.Entries = d.Entries
	}
	if l.TotalBytes <= 0 {
		l.TotalBytes = d.TotalBytes
	}
	if l.FileBytes <= 0 {
		l.FileBytes = d.FileBytes
	}
	if l.EditBytes <= 0 {
		l.EditBytes = d.EditBytes
	}
	if l.PathBytes <= 0 {
		l.PathBytes = d.PathBytes
	}
	if l.PathDepth <= 0 {
		l.PathDepth = d.PathDepth
	}
	if l.Ratio <= 0 {
		l.Ratio = d.Ratio
	}
	return l
}

// LimitError says which limit an archive passed, and where.
type LimitError struct {
	// Err is one of the errors above.
	Err error
	// Path is the entry; empty when the limit is one of the whole archive.
	Path string
	// Max is the bound.
	Max int64
}

// Error implements error.
func (e *LimitError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("%v: more than %d", e.Err, e.Max)
	}
	return fmt.Sprintf("%v: %s: more than %d", e.Err, quote(e.Path), e.Max)
}

// Unwrap makes errors.Is see which limit it was.
func (e *LimitError) Unwrap() error { return e.Err }
