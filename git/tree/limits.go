package tree

import "fmt"

// Limits bounds what content may cost. A field that is zero has the value that DefaultLimits gives it.
type Limits struct {
	// Files is the greatest number of entries; folders count, also those that are only implied by the path of a file.
	Files int
	// Bytes is the greatest size of all files together.
	Bytes int64
	// FileBytes is the greatest size of one file.
	FileBytes int64
	// PathBytes is the greatest length of a path, and of what a symbolic link points at.
	PathBytes int
	// Depth is the greatest number of parts of a path.
	Depth int
}

// DefaultLimits returns limits that fit every honest deployment.
func DefaultLimits() Limits {
	return Limits{Files: 100_000, Bytes: 4 << 30, FileBytes: 2 << 30, PathBytes: 1024, Depth: 64}
}

// WithDefaults returns the limits with defaults in place of what is zero or less.
func (l Limits) WithDefaults() Limits {
	d := DefaultLimits()
	if l.Files <= 0 {
		l.Files = d.Files
	}
	if l.Bytes <= 0 {
		l.Bytes = d.Bytes
	}
	if l.FileBytes <= 0 {
		l.FileBytes = d.FileBytes
	}
	if l.PathBytes <= 0 {
		l.PathBytes = d.PathBytes
	}
	if l.Depth <= 0 {
		l.Depth = d.Depth
	}
	return l
}

// maxPart is the longest name that the file systems of Linux have.
const maxPart = 255

// maxShown is how much of a foreign name a message shows.
const maxShown = 200

// PathError says which path is refused, and why. It is a verdict about content or configuration: trying again doesn't help.
type PathError struct {
	// Path is the path as it was given; it is empty if the archive itself is refused.
	Path string
	// Why is the reason, and what to do about it.
	Why string
	// Err is the cause, if there is one.
	Err error
}

// Error implements error.
func (e *PathError) Error() string {
	subject := "archive"
	if e.Path != "" {
		subject = "path " + shown(e.Path)
	}
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", subject, e.Why, e.Err)
	}
	return subject + ": " + e.Why
}

// Unwrap returns the cause.
func (e *PathError) Unwrap() error { return e.Err }

// LimitError says that content is larger than allowed, and in what. It is a verdict about content: trying again doesn't help.
type LimitError struct {
	// What is what there is too much of, such as "entries".
	What string
	// Limit is how much is allowed.
	Limit int64
	// Path is where that was found; it is empty if it is the content as a whole.
	Path string
}

// Error implements error.
func (e *LimitError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("content has more than the %d %s allowed", e.Limit, e.What)
	}
	return fmt.Sprintf("path %s has more than the %d %s allowed", shown(e.Path), e.Limit, e.What)
}

// shown quotes a foreign name and bounds it.
func shown(name string) string {
	if len(name) > maxShown {
		return fmt.Sprintf("%.*q...", maxShown, name)
	}
	return fmt.Sprintf("%q", name)
}
