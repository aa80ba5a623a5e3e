package oci

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// gullible is what a registry answers that stores everything.
func gullible(v *vault) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, req *http.Request) bool {
		switch {
		case req.Method == http.MethodPut:
			body, err := io.ReadAll(req.Body)
			if err != nil {
				return true // the client is gone
			}
			v.mu.Lock()
			defer v.mu.Unlock()
			v.blobs["c@"+req.URL.Query().Get("digest")] = body
			clear(v.sessions)
			w.WriteHeader(http.StatusCreated)
			return true
		case req.Method == http.MethodDelete && !strings.Contains(req.URL.Path, "/uploads/"):
			v.mu.Lock()
			defer v.mu.Unlock()
			delete(v.blobs, "c@"+req.URL.Path[len("/v2/c/blobs/"):])
			w.WriteHeader(http.StatusAccepted)
			return true
		}
		return false
	}
}

// damaged answers with other content of the same size.
func damaged(content []byte) func(http.ResponseWriter, *http.Request) bool {
	wrong := bytes.Clone(content)
	wrong[len(wrong)/2]++
	return times(99, http.MethodGet, func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Length", strconv.Itoa(len(wrong)))
		_, _ = w.Write(wrong)
		return true
	})
}

// probe is what a host is asked that compares digests.
var probe = []string{"POST upload", "PUT upload", "DELETE upload"}

// TestCompares leaves it to the target to compare digests only where that is proven, and finds what is wrong in any case.
func TestCompares(t *testing.T) {
	t.Parallel()
	upload := []string{"HEAD blob", "POST upload", "PUT upload"}
	for name, tc := range map[string]struct {
		target   func(*vault) func(http.ResponseWriter, *http.Request) bool
		compares bool
		requests []string // for the first content
	}{
		"compares":         {compares: true, requests: slices.Concat(upload[:1], probe, upload[1:])},
		"compares nothing": {target: gullible, requests: []string{"HEAD blob", "POST upload", "PUT upload", "DELETE blob", "POST upload", "PUT upload"}},
		"refuses without a reason": {
			target: func(*vault) func(http.ResponseWriter, *http.Request) bool {
				return times(1, http.MethodPut, status(http.StatusBadRequest, "UNKNOWN", "go away"))
			},
			requests: slices.Concat(upload[:1], probe, upload[1:]),
		},
		"refuses with the reason in words": {
			target: func(*vault) func(http.ResponseWriter, *http.Request) bool {
				return times(1, http.MethodPut, status(http.StatusUnprocessableEntity, "INVALID", "The Digest is another"))
			},
			compares: true, requests: slices.Concat(upload[:1], probe, upload[1:]),
		},
		"breaks": {
			target: func(*vault) func(http.ResponseWriter, *http.Request) bool {
				return times(1, http.MethodPut, status(http.StatusInternalServerError, "DIGEST_INVALID", "other content"))
			},
			requests: slices.Concat(upload[:1], probe, upload[1:]),
		},
		"says another digest": {
			target: func(v *vault) func(http.ResponseWriter, *http.Request) bool {
				return times(1, http.MethodPut, func(w http.ResponseWriter, _ *http.Request) bool {
					v.mu.Lock()
					defer v.mu.Unlock()
					clear(v.sessions)
					w.Header().Set(digestHeader, digest.FromString("else").String())
					w.WriteHeader(http.StatusCreated)
					return true
				})
			},
			requests: []string{"HEAD blob", "POST upload", "PUT upload", "DELETE blob", "POST upload", "PUT upload"},
		},
		"unauthorized": {
			target: func(*vault) func(http.ResponseWriter, *http.Request) bool {
				return times(1, http.MethodPost, status(http.StatusUnauthorized, "UNAUTHORIZED", "no"))
			},
			requests: []string{"HEAD blob", "POST upload", "POST upload", "PUT upload"},
		},
		"denied": {
			target: func(*vault) func(http.ResponseWriter, *http.Request) bool {
				return times(1, http.MethodPost, status(http.StatusForbidden, "DENIED", "the digest"))
			},
			requests: []string{"HEAD blob", "POST upload", "POST upload", "PUT upload"},
		},
		"read-only": {
			target: func(*vault) func(http.ResponseWriter, *http.Request) bool {
				return times(1, http.MethodPost, status(http.StatusMethodNotAllowed, "UNSUPPORTED", "no"))
			},
			requests: []string{"HEAD blob", "POST upload", "POST upload", "PUT upload"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source, target := newVault(t), newVault(t)
			from, to := source.repository(t, "a"), target.repository(t, "c")
			small, first, second := source.put("a", some(leaveFrom-1)), source.put("a", some(leaveFrom)), source.put("a", some(leaveFrom+1))
			for _, x := range []struct {
				desc     ocispec.Descriptor
				requests []string
			}{{small, upload}, {first, tc.requests}, {second, upload}} {
				if got, err := CopyBlob(t.Context(), from, to, x.desc, CopyOptions{}); got != Copied || err != nil {
					t.Fatalf("CopyBlob of %d bytes = %q, %v, want copied", x.desc.Size, got, err)
				}
				target.want(t, x.requests...)
				if x.desc.Digest == small.Digest && tc.target != nil {
					target.instead = tc.target(target)
				}
			}
			if got := to.compares(t.Context()); got != tc.compares {
				t.Errorf("compares = %t, want %t", got, tc.compares)
			}
			if len(target.blobs) != 3 {
				t.Errorf("%d blobs are stored, want 3", len(target.blobs))
			}
			wrong := some(leaveFrom + 2)
			third := source.put("a", wrong)
			source.instead = damaged(wrong)
			source.asked()
			var sent atomic.Int64
			_, err := CopyBlob(t.Context(), from, to, third, CopyOptions{Report: func(n int64) { sent.Add(n) }})
			mismatch, ok := errors.AsType[*DigestMismatchError](err)
			if !ok || SideOf(err) != Source || mismatch.Want != third.Digest.String() {
				t.Errorf("CopyBlob of wrong content = %v of side %q, want a mismatch of the source", err, SideOf(err))
			}
			if target.has("c", third) || target.open() > 0 || sent.Load() != 0 {
				t.Errorf("stored: %t; %d uploads are open, %d bytes are reported", target.has("c", third), target.open(), sent.Load())
			}
			if tc.compares {
				source.want(t, "GET blob", "GET blob") // once more, to see who is wrong
			} else {
				source.want(t, "GET blob")
			}
		})
	}
}

// TestComparesTarget blames the target for refusing what is right.
func TestComparesTarget(t *testing.T) {
	t.Parallel()
	source, target := newVault(t), newVault(t)
	target.instead = times(99, http.MethodPut, status(http.StatusBadRequest, "DIGEST_INVALID", "other content"))
	_, err := CopyBlob(t.Context(), source.repository(t, "a"), target.repository(t, "c"), source.put("a", some(leaveFrom)), CopyOptions{})
	if _, ok := errors.AsType[*DigestMismatchError](err); !ok || SideOf(err) != Target {
		t.Errorf("CopyBlob = %v of side %q, want a mismatch of the target", err, SideOf(err))
	}
}

// TestComparesPages hashes what is a page for people, and doubts it.
func TestComparesPages(t *testing.T) {
	t.Parallel()
	source, target := newVault(t), newVault(t)
	content := some(leaveFrom)
	desc := source.put("a", content)
	wrong := damaged(content)
	source.instead = func(w http.ResponseWriter, req *http.Request) bool {
		w.Header().Set("Content-Type", "text/html")
		return wrong(w, req)
	}
	to := target.repository(t, "c")
	known(t, to, true)
	_, err := CopyBlob(t.Context(), source.repository(t, "a"), to, desc, CopyOptions{})
	if _, ok := errors.AsType[*DigestMismatchError](err); !ok || !errors.Is(err, ErrUnsure) || SideOf(err) != Source {
		t.Errorf("CopyBlob = %v of side %q, want a doubtful mismatch of the source", err, SideOf(err))
	}
	source.want(t, "GET blob")
}

// TestComparesShared asks a host once, whichever client wants to know.
func TestComparesShared(t *testing.T) {
	t.Parallel()
	target := newVault(t)
	memory := NewMemory(MemoryOptions{})
	answers := make(chan bool)
	for range 8 {
		r, err := NewClient(Options{Home: target.host, Memory: memory}).Repository(Location{Host: target.host, Path: "c", PlainHTTP: true})
		if err != nil {
			t.Fatal(err)
		}
		go func() { answers <- r.compares(t.Context()) }()
	}
	for range 8 {
		if !<-answers {
			t.Error("a registry that compares digests was taken for one that does not")
		}
	}
	target.want(t, probe...)
}

// TestVerdicts are good for a time, and bounded.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	v, asked, now := newVerdicts(), 0, time.Unix(0, 0)
	v.now = func() time.Time { return now }
	ask := func(compares bool) func(context.Context) bool {
		return func(context.Context) bool { asked++; return compares }
	}
	if !v.of(t.Context(), "a", ask(true)) || v.of(t.Context(), "b", ask(false)) || !v.of(t.Context(), "a", ask(false)) || v.of(t.Context(), "b", ask(true)) || asked != 2 {
		t.Errorf("hosts were asked %d times, want 2 and the first answers", asked)
	}
	now = now.Add(verdictAge)
	if v.of(t.Context(), "a", ask(false)) || asked != 3 {
		t.Error("a verdict is good for ever")
	}
	gone, cancel := context.WithCancel(t.Context())
	v.of(gone, "c", func(context.Context) bool { cancel(); return false })
	if !v.of(t.Context(), "c", ask(true)) {
		t.Error("what was given up is remembered")
	}
	v.of(t.Context(), "d", func(context.Context) bool {
		if v.of(gone, "d", ask(true)) {
			t.Error("an answer came before it was given")
		}
		return true
	})
	for i := range 3 * maxVerdicts {
		v.of(t.Context(), strconv.Itoa(i), ask(true))
	}
	if len(v.known) > maxVerdicts {
		t.Errorf("%d hosts are known", len(v.known))
	}
}
