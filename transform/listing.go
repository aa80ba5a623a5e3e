package transform

import (
	"fmt"
	"strings"
)

// listing remembers some of the files that are there, for messages.
type listing struct {
	files []string
	more  bool
	near  map[string]string // wanted files that are one folder deeper
}

func (l *listing) add(file string, wanted func(string) bool) {
	const most = 20
	if len(l.files) < most {
		l.files = append(l.files, file)
	} else {
		l.more = true
	}
	if _, below, ok := strings.Cut(file, "/"); ok && wanted(below) && l.near[below] == "" {
		if l.near == nil {
			l.near = map[string]string{}
		}
		l.near[below] = file
	}
}

// lacks says that a file is not there, and what is.
func (l *listing) lacks(file string) error {
	if near := l.near[file]; near != "" {
		return fmt.Errorf("%w, where it is %q: name the file with its folder", ErrNoFile, near)
	}
	there := strings.Join(l.files, ", ")
	switch {
	case l.more:
		there += ", ..."
	case there == "":
		there = "nothing"
	}
	return fmt.Errorf("%w; it holds: %s", ErrNoFile, there)
}
