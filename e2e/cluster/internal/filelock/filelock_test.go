package filelock_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/internal/filelock"
)

const holderVariable = "FILELOCK_TEST_HOLDS"

// TestMain lets the test binary be the other process that holds a lock.
func TestMain(m *testing.M) {
	path := os.Getenv(holderVariable)
	if path == "" {
		os.Exit(m.Run())
	}
	lock, err := filelock.Try(path)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("locked")
	<-time.After(time.Minute) // until killed
	runtime.KeepAlive(lock)   // a lock that is collected is given back
}

func TestTryRefusesSecondHolder(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "missing", "folder", "lock")
	first, err := filelock.Try(path)
	if err != nil {
		t.Fatalf("first: %v", err)
	}
	if _, err := filelock.Try(path); !errors.Is(err, filelock.ErrLocked) {
		t.Fatalf("second: got %v, want ErrLocked", err)
	}
	if err := errors.Join(first.Release(), first.Release()); err != nil {
		t.Fatalf("release twice: %v", err)
	}
	third, err := filelock.Try(path)
	if err != nil {
		t.Fatalf("after the release: %v", err)
	}
	if err := third.Release(); err != nil {
		t.Fatal(err)
	}
}

func TestAcquire(t *testing.T) {
	t.Parallel()
	cause := errors.New("no more time")
	for name, tc := range map[string]struct {
		reason  string
		release bool
		cancel  bool
		giveUp  bool
		want    error
		locked  bool
	}{
		"waits for the holder":     {reason: "a released lock goes to the one who waits", release: true, locked: true},
		"ends with its context":    {reason: "nobody waits longer than they wanted", cancel: true, want: cause},
		"gives up when not needed": {reason: "the holder has done the work meanwhile", giveUp: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "lock")
			holder, err := filelock.Try(path)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			lock, err := filelock.Acquire(ctx, path, func() bool { // called when the lock was seen to be taken
				if tc.release {
					if err := holder.Release(); err != nil {
						t.Error(err)
					}
				}
				if tc.cancel {
					cancel(cause)
				}
				return tc.giveUp
			})
			if !errors.Is(err, tc.want) {
				t.Errorf("got error %v, want %v: %s", err, tc.want, tc.reason)
			}
			if (lock != nil) != tc.locked {
				t.Errorf("got lock %v, want one: %t: %s", lock, tc.locked, tc.reason)
			}
			if err := errors.Join(lock.Release(), holder.Release()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRemovedFileIsLockedByOneOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	var held atomic.Int32
	var holders sync.WaitGroup
	for range 8 {
		holders.Go(func() {
			for range 50 {
				lock, err := filelock.Try(path)
				if errors.Is(err, filelock.ErrLocked) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if held.Add(1) != 1 {
					t.Error("two hold the lock")
				}
				held.Add(-1)
				if err := errors.Join(lock.Remove(), lock.Remove(), lock.Release()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	holders.Wait()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		// Whoever was told that it is locked may have created it anew.
		lock, err := filelock.Try(path)
		if err != nil {
			t.Fatalf("nobody holds it, but: %v", err)
		}
		if err := lock.Remove(); err != nil {
			t.Error(err)
		}
	}
}

func TestLockOfKilledProcessIsFree(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	holder := exec.Command(os.Args[0])
	holder.Env = append(os.Environ(), holderVariable+"="+path)
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	if _, err := filelock.Try(path); !errors.Is(err, filelock.ErrLocked) {
		t.Errorf("while it lives: got %v, want ErrLocked", err)
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait() // "signal: killed"
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	lock, err := filelock.Acquire(ctx, path, nil)
	if err != nil {
		t.Fatalf("after its death: %v", err)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
}
