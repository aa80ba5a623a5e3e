package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/e2e/measure"
)

const (
	// tailBytes is the part of a large blob that makes it another one.
	tailBytes = 64
	largeRepo = namespace + "/large"
	// pullsInTurn are large pulls in one turn: one is over too soon to be measured.
	pullsInTurn = 2
)

// source is a large file on the disk. Its end is changed for each push, so that a registry has never seen what it gets,
// and the digest is known without reading all of it again.
type source struct {
	path  string
	bytes int64
	head  hash.Cloner // before the tail
	n     measure.Counter
}

func newSource(dir string, bytes int64, seed uint64) (_ *source, err error) {
	s := &source{path: filepath.Join(dir, "source"), bytes: bytes}
	f, err := os.Create(s.path)
	if err != nil {
		return nil, fmt.Errorf("create a large file: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	state := sha256.New()
	buffered := bufio.NewWriterSize(io.MultiWriter(f, state), 1<<20)
	chunk := make([]byte, 64<<10)
	for left, n := bytes-tailBytes, int64(0); left > 0; n++ {
		chunk = chunk[:min(int64(len(chunk)), left)]
		measure.Fill(chunk, seed, "large", n)
		if _, err := buffered.Write(chunk); err != nil {
			return nil, fmt.Errorf("write a large file: %w", err)
		}
		left -= int64(len(chunk))
	}
	if err := buffered.Flush(); err != nil {
		return nil, fmt.Errorf("write a large file: %w", err)
	}
	var clones bool
	if s.head, clones = state.(hash.Cloner); !clones {
		return nil, fmt.Errorf("a hash of the type %T can't be cloned", state)
	}
	_, err = f.WriteAt(make([]byte, tailBytes), bytes-tailBytes)
	return s, err
}

// tail makes the end of another blob, and the digest of all of it.
func (s *source) tail() ([]byte, digest.Digest, error) {
	tail := make([]byte, tailBytes)
	binary.LittleEndian.PutUint64(tail, uint64(s.n.Next()))
	state, err := s.head.Clone()
	if err != nil {
		return nil, "", fmt.Errorf("clone a hash: %w", err)
	}
	state.Write(tail)
	return tail, digest.NewDigest(digest.SHA256, state), nil
}

// file returns another blob as a file, which the kernel sends by itself: a client shall take as little of the machine as possible.
func (s *source) file() (measure.Body, digest.Digest, error) {
	tail, d, err := s.tail()
	if err != nil {
		return measure.Body{}, "", err
	}
	f, err := os.OpenFile(s.path, os.O_RDWR, 0)
	if err != nil {
		return measure.Body{}, "", fmt.Errorf("open the large file: %w", err)
	}
	if _, err := f.WriteAt(tail, s.bytes-tailBytes); err != nil {
		return measure.Body{}, "", errors.Join(fmt.Errorf("change the large file: %w", err), f.Close())
	}
	return measure.Body{Reader: f, Size: s.bytes}, d, nil
}

// view is another blob that can be read beside others.
func (s *source) view(f *os.File) (measure.Body, digest.Digest, error) {
	tail, d, err := s.tail()
	return measure.Body{Reader: io.MultiReader(io.NewSectionReader(f, 0, s.bytes-tailBytes), bytes.NewReader(tail)), Size: s.bytes}, d, err
}

// large measures one transfer at a time.
func (b *bench) large(ctx context.Context, w *measure.World) error {
	content, err := newSource(w.Dir, b.largest, b.Seed)
	if err != nil {
		return err
	}
	field, err := w.Field(ctx, false, machine, ours, other)
	if err != nil {
		return err
	}
	if err := b.largePush(ctx, content, field); err != nil {
		return err
	}
	if err := b.largePull(ctx, "large pull", content, field, measure.Goal{Against: machine, Least: 0.80}); err != nil {
		return err
	}
	secure, err := w.Field(ctx, true, machine, ours, other)
	if err != nil {
		return err
	}
	return b.largePull(ctx, "large pull, TLS", content, secure, measure.Goal{Against: machine, Least: 0.80})
}

// largePush pushes to the sink and to the registries. The first pull after a push is one of its own: that is when our
// registry compares what the file system has with the digest.
func (b *bench) largePush(ctx context.Context, content *source, field []*measure.Contestant) error {
	var first [2]measure.Series
	pushAndPull := func(n int) measure.Turn {
		c := field[1+n]
		return func(ctx context.Context, _ int) (measure.Sample, error) {
			push, d, err := b.pushLarge(ctx, c, content)
			if err != nil {
				return push, err
			}
			pull, err := c.Account(func() (measure.Sample, error) {
				return measure.Once(content.bytes, func() error { return c.Pull(ctx, "/v2/"+largeRepo+"/blobs/"+d.String(), content.bytes) })
			})
			first[n] = append(first[n], pull)
			return push, err
		}
	}
	results, err := measure.TakeTurns(ctx, b.pushes, b.sink(field[0], content, "/sink"), b.sink(field[0], content, "/sink?sync"), pushAndPull(0), pushAndPull(1))
	if err != nil {
		return fmt.Errorf("large push: %w", err)
	}
	b.Report.Add(&measure.Row{
		Name: "large push", Results: contest{machine: results[1], ours: results[2], other: results[3]}.results(megabytes), Goals: against(machine, 0.85),
		About: fmt.Sprintf("%d MiB, one at a time, durable; machine: PUT to a sink that hashes, writes a file and syncs it", content.bytes>>20),
	})
	b.Report.Add(&measure.Row{
		Name: "large push, sink without sync", Results: contest{machine: results[0], ours: results[2], other: results[3]}.results(megabytes),
		About: "the same pushes beside a sink that leaves its file to the kernel",
	})
	b.Report.Add(&measure.Row{
		Name: "first large pull", Results: contest{ours: first[0], other: first[1]}.results(megabytes),
		About: "right after the push: ours reads and hashes the file before it serves any of it",
	})
	return nil
}

func (b *bench) sink(c *measure.Contestant, content *source, path string) measure.Turn {
	return func(ctx context.Context, _ int) (measure.Sample, error) {
		sent, _, err := content.file()
		if err != nil {
			return measure.Sample{}, err
		}
		return c.Account(func() (measure.Sample, error) {
			return measure.Once(content.bytes, func() error {
				_, _, err := c.Do(ctx, http.StatusCreated, http.MethodPut, path, sent)
				return err
			})
		})
	}
}

func (b *bench) pushLarge(ctx context.Context, c *measure.Contestant, content *source) (measure.Sample, digest.Digest, error) {
	sent, d, err := content.file()
	if err != nil {
		return measure.Sample{}, "", err
	}
	s, err := c.Account(func() (measure.Sample, error) {
		return measure.Once(content.bytes, func() error { return c.PushBlob(ctx, largeRepo, d, sent) })
	})
	return s, d, err
}

// largePull pulls what was pushed and pulled before.
func (b *bench) largePull(ctx context.Context, name string, content *source, field []*measure.Contestant, aim measure.Goal) error {
	turns := make([]measure.Turn, len(field))
	for i, c := range field {
		path := "/source"
		if c.Name == machine {
			if err := os.Link(content.path, filepath.Join(c.Dir, "source")); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		} else {
			_, d, err := b.pushLarge(ctx, c, content)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			path = "/v2/" + largeRepo + "/blobs/" + d.String()
		}
		if err := c.Pull(ctx, path, content.bytes); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		turns[i] = func(ctx context.Context, _ int) (measure.Sample, error) {
			return c.Account(func() (measure.Sample, error) {
				return measure.Once(pullsInTurn*content.bytes, func() error {
					for range pullsInTurn {
						if err := c.Pull(ctx, path, content.bytes); err != nil {
							return err
						}
					}
					return nil
				})
			})
		}
	}
	results, err := measure.TakeTurns(ctx, b.pulls, turns...)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	b.Report.Add(&measure.Row{
		Name: name, Results: contest{machine: results[0], ours: results[1], other: results[2]}.results(megabytes), Goals: []measure.Goal{aim},
		About: fmt.Sprintf("%d MiB, one at a time, again and again; machine: http.ServeFile", content.bytes>>20),
	})
	return nil
}
