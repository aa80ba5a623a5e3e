package ctf

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// maxReplaced bounds how often a file is opened again because it was replaced in
// between.
const maxReplaced = 100

// openRegular opens a regular file and returns what it is. Links lead out of what
// a directory is, and other kinds may block.
func openRegular(dir *os.Root, name string, o Options) (*os.File, fs.FileInfo, error) {
	for range maxReplaced {
		before, err := dir.Lstat(name)
		if err != nil {
			return nil, nil, err
		}
		if !before.Mode().IsRegular() {
			return nil, nil, fmt.Errorf("%s is no regular file", name)
		}
		if o.OneName && names(before) > 1 {
			return nil, nil, fmt.Errorf("%s has another name besides, by a hard link, so it may be somebody else's; copy it in place of linking it", name)
		}
		f, err := dir.OpenFile(name, os.O_RDONLY|nonblocking, 0)
		if err != nil {
			return nil, nil, err
		}
		after, err := f.Stat()
		if err == nil && os.SameFile(before, after) {
			return f, after, nil
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, nil, err
		}
	}
	return nil, nil, fmt.Errorf("%s is replaced all the time", name)
}

// spot is where a file is, or will be: a name in a directory that is kept open.
type spot struct {
	dir  *os.Root
	name string
}

// spotOf returns the spot of a path. Links on the way are followed: the path is
// that of the user.
func spotOf(at string) (spot, error) {
	at, err := filepath.Abs(at)
	if err != nil {
		return spot{}, err
	}
	if target, err := filepath.EvalSymlinks(at); err == nil {
		at = target
	}
	dir, err := os.OpenRoot(filepath.Dir(at))
	return spot{dir: dir, name: filepath.Base(at)}, err
}

// below returns the spot of a name that may have folders in front, below a
// directory. No link is followed, so the name leads to one file only.
func below(root *os.Root, name string, create bool) (spot, error) {
	if !fs.ValidPath(name) || name == "." {
		return spot{}, fmt.Errorf("%q is no path below a folder", name)
	}
	dir, err := root.OpenRoot(".")
	if err != nil {
		return spot{}, err
	}
	folders := strings.Split(path.Dir(name), "/")
	if folders[0] == "." {
		folders = nil
	}
	for _, folder := range folders {
		next, err := step(dir, folder, create)
		if err := errors.Join(err, dir.Close()); err != nil {
			return spot{}, err
		}
		dir = next
	}
	return spot{dir: dir, name: path.Base(name)}, nil
}

// step goes into a folder, which is made if it is to be.
func step(dir *os.Root, folder string, create bool) (*os.Root, error) {
	info, err := dir.Lstat(folder)
	if create && errors.Is(err, fs.ErrNotExist) {
		if err := dir.Mkdir(folder, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		info, err = dir.Lstat(folder)
	}
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is no folder, but %s", folder, kindOf(info))
	}
	next, err := dir.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	now, err := next.Stat(".")
	if err == nil && !os.SameFile(info, now) {
		err = fmt.Errorf("%s was replaced meanwhile", folder)
	}
	if err != nil {
		return nil, errors.Join(err, next.Close())
	}
	return next, nil
}

func kindOf(info fs.FileInfo) string {
	if info.Mode()&fs.ModeSymlink != 0 {
		return "a link, which is not followed"
	}
	return "something else"
}

// tell returns what is at the spot, which is no link.
func (s spot) tell() (fs.FileInfo, error) {
	info, err := s.dir.Lstat(s.name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("it is neither a file nor a directory, but %s", kindOf(info))
	}
	return info, nil
}

// unlike tells whether a file has changed, or is another one.
func unlike(before, after fs.FileInfo) bool {
	return !os.SameFile(before, after) || before.Size() != after.Size() || !before.ModTime().Equal(after.ModTime())
}

// partialAge is how long nobody writes to a file before it is taken for what is
// left of a writer that was killed.
const partialAge = time.Hour

// replace writes a file beside the old one and puts it in its place. When it
// returns, a crash of the machine takes nothing back, provided that the names in
// the directory are synchronised, too.
func replace(dir *os.Root, name, prefix string, write func(*os.File) error) error {
	partial := prefix + unique()
	f, err := dir.OpenFile(partial, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	if err = write(f); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = dir.Rename(partial, name)
	}
	if err != nil {
		return errors.Join(err, dir.Remove(partial))
	}
	return nil
}

// syncNames makes the names in a directory outlive a crash of the machine. Not
// every file system can.
func syncNames(dir *os.Root, name string) error {
	f, err := dir.Open(name)
	if err != nil {
		return err
	}
	err = f.Sync()
	if unsupported(err) {
		err = nil
	}
	return errors.Join(err, f.Close())
}

// sweep removes what writers left that were killed.
func sweep(dir *os.Root, prefix string, age time.Duration) error {
	f, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	for {
		entries, err := f.ReadDir(100)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if !strings.HasPrefix(entry.Name(), prefix) {
				continue
			}
			info, err := entry.Info()
			if err != nil || time.Since(info.ModTime()) < age {
				continue
			}
			if err := dir.Remove(entry.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
}
