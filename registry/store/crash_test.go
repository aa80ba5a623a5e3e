package store_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

// crashDir names the variable that turns the test binary into the process that is killed.
const crashDir = "STORE_TEST_CRASH_DIR"

// pushUntilKilled pushes artifacts, replaces them and collects what was replaced. It prints a
// line for each artifact after the store said that it is durable.
func pushUntilKilled(dir string) {
	s, err := store.Open(dir, store.Options{LeaseTTL: 100 * time.Millisecond})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	out := sync.Mutex{}
	for worker := range 4 {
		go func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("repo-%d", worker)
				tag := fmt.Sprintf("t%d", i%5)
				if err := pushOne(s, name, tag); err != nil {
					fmt.Println("error", err)
					os.Exit(1)
				}
				out.Lock()
				fmt.Println("pushed", name, tag)
				out.Unlock()
			}
		}()
	}
	for {
		if _, err := s.Collect(context.Background(), roots{Complete: true}); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
}

func pushOne(s *store.Store, name, tag string) error {
	r, err := s.Repository(name)
	if err != nil {
		return err
	}
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest}
	m.SchemaVersion = 2
	if m.Config, err = pushBlob(context.Background(), r, []byte("{}"), ""); err != nil {
		return err
	}
	layer, err := pushBlob(context.Background(), r, []byte(strings.Repeat(rand.Text(), 2000)), "")
	if err != nil {
		return err
	}
	m.Layers = []ocispec.Descriptor{layer}
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	_, err = r.PutManifest(context.Background(), m.MediaType, body, tag)
	// A lease this short may end between blob and manifest, which is an answer, not damage.
	if missing := new(store.MissingBlobError); errors.As(err, &missing) {
		return pushOne(s, name, tag)
	}
	return err
}

// checkArtifact reads a manifest and everything that it names, and checks every digest.
func checkArtifact(ctx context.Context, r *store.Repository, ref string) error {
	_, body, err := r.Manifest(ctx, ref)
	if err != nil {
		return err
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(body, &m); err != nil {
		return err
	}
	for _, d := range append(m.Layers, m.Config) {
		f, _, err := r.OpenBlob(ctx, d.Digest)
		if err != nil {
			return err
		}
		got, err := d.Digest.Algorithm().FromReader(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		if got != d.Digest {
			return &store.DigestMismatchError{Want: d.Digest, Got: got}
		}
	}
	return nil
}

// TestKill kills a process that pushes and collects, again and again over one directory. What
// it said was pushed has to be there, and nothing may be torn or dangle.
func TestKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	acknowledged := map[string]bool{}
	for round := range 6 {
		killAfter(t, dir, 5+17*round, acknowledged)
		checkAll(t, dir, acknowledged)
	}
	t.Logf("%d tags were acknowledged", len(acknowledged))
}

func killAfter(t *testing.T, dir string, pushes int, acknowledged map[string]bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) != 3 || fields[0] != "pushed" {
			t.Errorf("the pusher says %q", lines.Text())
			continue
		}
		acknowledged[fields[1]+" "+fields[2]] = true
		// Lines that were written before the kill still count.
		if n++; n == pushes {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the pusher ended by itself")
	}
}

func checkAll(t *testing.T, dir string, acknowledged map[string]bool) {
	t.Helper()
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatalf("the store does not open after a kill: %v", err)
	}
	defer s.Close()
	for line := range acknowledged {
		name, tag, _ := strings.Cut(line, " ")
		if err := checkArtifact(t.Context(), repository(t, s, name), tag); err != nil {
			t.Errorf("acknowledged %s: %v", line, err)
		}
	}
	names, _, err := s.Repositories(t.Context(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		r := repository(t, s, name)
		tags, _, err := r.Tags(t.Context(), "", 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, tag := range tags {
			if err := checkArtifact(t.Context(), r, tag); err != nil {
				t.Errorf("%s:%s: %v", name, tag, err)
			}
		}
	}
	if _, err := s.Collect(t.Context(), roots{Complete: true}); err != nil {
		t.Errorf("collect after a kill: %v", err)
	}
}
