package archive

import (
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strings"
)

// File is one entry that Files found.
type File struct {
	// Path is the normalised path.
	Path string
	// Mode has the type bits and 0644 or 0755.
	Mode fs.FileMode
	// Size is the length of a regular file.
	Size int64
	// Target is where a symbolic link points.
	Target string
	// Reader reads the content of a regular file. It is valid until the next iteration.
	io.Reader
}

// Files iterates over the entries of a tar or tar.gz archive under the same checks as Copy. It ends
// after the first error. Without an error and without a break it reads src to its end.
func Files(src io.Reader, l Limits) iter.Seq2[*File, error] {
	return func(yield func(*File, error) bool) {
		r, err := newReader(src, l.withDefaults())
		if err != nil {
			yield(nil, err)
			return
		}
		for {
			e, err := r.next()
			if err == io.EOF { //nolint:errorlint // an error that wraps io.EOF is no end
				return
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(r.file(e), nil) {
				return
			}
		}
	}
}

func (r *reader) file(e entry) *File {
	f := &File{Path: e.path, Size: e.size, Target: e.target, Mode: 0o644, Reader: strings.NewReader("")}
	switch e.kind {
	case kindDir:
		f.Mode = fs.ModeDir | 0o755
	case kindLink:
		f.Mode = fs.ModeSymlink | 0o777
	default:
		f.Reader = &fileReader{r}
		if e.executable {
			f.Mode = 0o755
		}
	}
	return f
}

// fileReader gives the errors of a file's content the same form as those of its header.
type fileReader struct{ r *reader }

func (f *fileReader) Read(p []byte) (int, error) {
	n, err := f.r.tar.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // an error that wraps io.EOF is no end
		err = f.r.fail(err)
	}
	return n, err
}

// Pack writes a file system as a canonical archive, in lexical order.
func Pack(dst io.Writer, fsys fs.FS) error {
	p := packer{fsys: fsys, writer: newWriter(dst), tree: newTree(DefaultLimits())}
	if err := fs.WalkDir(fsys, ".", p.visit); err != nil {
		return err
	}
	return p.writer.close()
}

type packer struct {
	fsys   fs.FS
	writer *writer
	tree   *tree
}

func (p *packer) visit(name string, d fs.DirEntry, err error) error {
	if err != nil {
		return fmt.Errorf("pack %s: %w", quote(name), err)
	}
	if name == "." {
		return nil
	}
	if _, err := cleanPath(name, p.tree.limits); err != nil {
		return err
	}
	switch {
	case d.IsDir():
		if _, err := p.tree.add(name, kindDir); err != nil {
			return err
		}
		return p.writer.directory(name)
	case d.Type()&fs.ModeSymlink != 0:
		return p.link(name)
	case d.Type().IsRegular():
		return p.file(name)
	default:
		return &EntryError{Path: name, Err: ErrSpecialFile}
	}
}

func (p *packer) link(name string) error {
	target, err := fs.ReadLink(p.fsys, name)
	if err != nil {
		return fmt.Errorf("pack %s: %w", quote(name), err)
	}
	if target, err = cleanTarget(name, target, p.tree.limits); err != nil {
		return err
	}
	if _, err := p.tree.add(name, kindLink); err != nil {
		return err
	}
	return p.writer.link(name, target)
}

func (p *packer) file(name string) error {
	if _, err := p.tree.add(name, kindFile); err != nil {
		return err
	}
	f, err := p.fsys.Open(name)
	if err != nil {
		return fmt.Errorf("pack %s: %w", quote(name), err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("pack %s: %w", quote(name), err)
	}
	return p.writer.file(name, info.Mode()&0o111 != 0, info.Size(), f)
}
