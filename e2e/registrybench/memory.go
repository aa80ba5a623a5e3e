package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"
)

const (
	// lookEvery is how often the memory of a server is looked at.
	lookEvery = 5 * time.Millisecond
	maxGrowth = 16 << 20
)

// memory measures by how much servers grow with large transfers at once.
func (b *bench) memory(ctx context.Context, w *world) error {
	content, err := newSource(w.dir, b.largest, b.seed)
	if err != nil {
		return err
	}
	grown := map[string]int64{}
	for _, run := range []struct {
		name   string
		secure bool
	}{{ours, false}, {ours, true}, {other, false}, {other, true}} {
		c, err := w.start(ctx, run.name, run.secure)
		if err != nil {
			return err
		}
		if grown[run.name+strconv.FormatBool(run.secure)], err = b.growth(ctx, c, content); err != nil {
			return err
		}
	}
	about := fmt.Sprintf("RssAnon at most, above what it was before %d pushes and then %d pulls of %d MiB at once", b.parallel, b.parallel, content.bytes>>20)
	b.bounds = append(b.bounds,
		&bound{name: "growth of memory", unit: mebibytes, ours: grown[ours+"false"], other: grown[other+"false"], most: maxGrowth, about: about},
		&bound{name: "growth of memory, TLS", unit: mebibytes, ours: grown[ours+"true"], other: grown[other+"true"], most: maxGrowth, about: about})
	return nil
}

func (b *bench) growth(ctx context.Context, c *contestant, content *source) (int64, error) {
	// Whatever a server makes once is there before.
	a := newArtifact(b.seed, c.name, 0)
	if err := c.push(ctx, a); err != nil {
		return 0, err
	}
	if err := c.pull(ctx, "/v2/"+a.repository+"/blobs/"+digest.FromBytes(a.layer).String(), smallBytes); err != nil {
		return 0, err
	}
	before, err := anonymous(c.process.PID())
	if err != nil {
		return 0, err
	}
	watching, stop := context.WithCancel(ctx)
	peak := make(chan int64, 1)
	go func() { peak <- watch(watching, c.process.PID()) }()
	err = b.atOnce(ctx, c, content)
	stop()
	return max(0, <-peak-before), err
}

// atOnce pushes blobs at once, and then pulls them at once.
func (b *bench) atOnce(ctx context.Context, c *contestant, content *source) error {
	f, err := os.Open(content.path)
	if err != nil {
		return fmt.Errorf("open the large file: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	pushes, pushing := errgroup.WithContext(ctx)
	digests := make([]digest.Digest, b.parallel)
	for i := range digests {
		sent, d, err := content.view(f)
		if err != nil {
			return errors.Join(err, pushes.Wait())
		}
		digests[i] = d
		pushes.Go(func() error { return c.pushBlob(pushing, largeRepo, d, sent) })
	}
	if err := pushes.Wait(); err != nil {
		return err
	}
	pulls, pulling := errgroup.WithContext(ctx)
	for _, d := range digests {
		pulls.Go(func() error { return c.pull(pulling, "/v2/"+largeRepo+"/blobs/"+d.String(), content.bytes) })
	}
	return pulls.Wait()
}

// watch returns the most memory that a process has had.
func watch(ctx context.Context, pid int) int64 {
	var most int64
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		if now, err := anonymous(pid); err == nil {
			most = max(most, now)
		}
		select {
		case <-ctx.Done():
			return most
		case <-ticker.C:
		}
	}
}

// anonymous returns the memory that is a process's own, and no page of a file.
func anonymous(pid int) (int64, error) {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	_, rest, _ := strings.Cut(string(status), "\nRssAnon:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0, fmt.Errorf("read the memory of process %d: status has no RssAnon", pid)
	}
	n, err := strconv.ParseInt(fields[0], 10, 64)
	return n << 10, err
}
