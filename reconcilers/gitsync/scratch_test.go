package gitsync

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestScratch leaves nothing of processes that are gone, and everything of those that are not.
func TestScratch(t *testing.T) {
	t.Parallel()
	parent := filepath.Join(t.TempDir(), "made")
	ctx, cancel := context.WithCancel(t.Context())
	alive, err := newScratch(ctx, parent)
	if err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(parent, scratchPrefix+"dead")
	for _, dir := range []string{filepath.Join(dead, "store"), filepath.Join(parent, "somebody-elses")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(dead+lockSuffix, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	second, err := newScratch(t.Context(), parent)
	if err != nil || second == alive {
		t.Fatalf("the second folder is %s beside %s, %v", second, alive, err)
	}
	for path, want := range map[string]bool{alive: true, second: true, dead: false, dead + lockSuffix: false, filepath.Join(parent, "somebody-elses"): true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", path, err == nil, want)
		}
	}
	cancel()
	for deadline := time.Now().Add(10 * time.Second); ; {
		if _, err := os.Stat(alive); os.IsNotExist(err) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the folder stays when the process ends")
		}
	}
}

func TestBadBranch(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"main": true, "ocm/default/app": true, "release-1.2": true, "über": true, "a.b": true,
		"": false, "a..b": false, "a b": false, "a/": false, "/a": false, "a//b": false, "-a": false, ".a": false, "a/.b": false, "a.lock": false, "a.lock/b": false,
		"@": false, "a@{1}": false, "a^": false, "a~1": false, "a:b": false, `a\b`: false, "a\x00": false, "a.": false, "HEAD": false, "refs/heads/a": false,
	} {
		if why := badBranch(name); (why == "") != ok {
			t.Errorf("badBranch(%q) = %q", name, why)
		}
	}
}
