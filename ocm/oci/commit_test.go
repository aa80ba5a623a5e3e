package oci

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm/panics"
)

// ever is longer than any test.
const ever = time.Hour

// patiently are the times for a test that decides itself when something comes.
var patiently = commitTimes{least: ever, rate: 1, most: ever, look: time.Millisecond, lookAgain: time.Millisecond}

// tally counts what is reported of a copy.
type tally struct {
	sum, back, beats atomic.Int64
}

func (c *tally) report(n int64) {
	c.sum.Add(n)
	switch {
	case n < 0:
		c.back.Add(-n)
	case n == 0:
		c.beats.Add(1)
	}
}

// commits answers uploads: it takes all of the content first, and has a function for
// what comes then.
func (v *vault) commits(then func(w http.ResponseWriter, req *http.Request, commit func())) {
	v.instead = func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodPut {
			return false
		}
		body, _ := io.ReadAll(req.Body) // the digest tells if this fails
		then(w, req, func() {
			again := req.Clone(req.Context())
			again.Body = io.NopCloser(strings.NewReader(string(body)))
			v.upload(httptest.NewRecorder(), again, "c", path.Base(req.URL.Path))
		})
		return true
	}
}

// onHead may answer a HEAD, given its number.
func (v *vault) onHead(answer func(n int64, w http.ResponseWriter, req *http.Request) bool) {
	var asked atomic.Int64
	other := v.instead
	v.instead = func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodHead {
			return other(w, req)
		}
		return answer(asked.Add(1), w, req)
	}
}

// TestSlowCommit waits for a registry that takes its time when it has everything, and
// gives signs of life meanwhile.
func TestSlowCommit(t *testing.T) {
	t.Parallel()
	source, target := newVault(t), newVault(t)
	desc := source.put("a", some(99))
	var told tally
	alive := make(chan struct{})
	target.commits(func(w http.ResponseWriter, _ *http.Request, commit func()) {
		<-alive
		commit()
		w.WriteHeader(http.StatusCreated)
	})
	to := target.repository(t, "c")
	to.times = patiently
	once := sync.OnceFunc(func() { close(alive) })
	o := CopyOptions{Report: func(n int64) {
		if told.report(n); told.beats.Load() > 2 {
			once()
		}
	}}
	if got, err := CopyBlob(t.Context(), source.repository(t, "a"), to, desc, o); got != Copied || err != nil || told.sum.Load() != 99 || told.back.Load() != 0 {
		t.Errorf("CopyBlob = %q, %v; reported %d bytes and %d in vain", got, err, told.sum.Load(), told.back.Load())
	}
	target.want(t, "HEAD blob", "POST upload", "PUT upload")
}

// TestUndecided looks for a blob before it sends it again, and leaves an upload alone
// that may be on its way.
func TestUndecided(t *testing.T) {
	t.Parallel()
	short := commitTimes{least: 50 * time.Millisecond, rate: 1 << 30, most: ever, look: time.Millisecond, lookAgain: ever}
	once, again := []string{"HEAD blob", "POST upload", "PUT upload", "HEAD blob"}, []string{"HEAD blob", "POST upload", "PUT upload"}
	proxy := func(code int) func(w http.ResponseWriter, _ *http.Request, commit func()) {
		return func(w http.ResponseWriter, _ *http.Request, commit func()) {
			commit()
			w.WriteHeader(code)
		}
	}
	for name, tc := range map[string]struct {
		times commitTimes
		then  func(w http.ResponseWriter, req *http.Request, commit func())
		want  []string
	}{
		"answer lost":      {patiently, func(w http.ResponseWriter, req *http.Request, commit func()) { commit(); cut(w, req) }, once},
		"answer too late":  {short, func(_ http.ResponseWriter, req *http.Request, commit func()) { commit(); <-req.Context().Done() }, once},
		"bad gateway":      {patiently, proxy(http.StatusBadGateway), once},
		"gateway timeout":  {patiently, proxy(http.StatusGatewayTimeout), once},
		"upload not known": {patiently, proxy(http.StatusNotFound), once},
		"odd answer":       {patiently, proxy(http.StatusAccepted), once},
		"the registry knows that it failed": {
			patiently, func(w http.ResponseWriter, _ *http.Request, commit func()) {
				commit()
				fail(w, http.StatusInternalServerError, "UNKNOWN", "the last step")
			}, once,
		},
		"refused": {
			patiently, func(w http.ResponseWriter, _ *http.Request, commit func()) {
				commit()
				fail(w, http.StatusUnauthorized, "UNAUTHORIZED", "the token is too old")
			}, append(again, "DELETE upload", "HEAD blob"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source, target := newVault(t), newVault(t)
			desc := source.put("a", some(99))
			target.commits(tc.then)
			to := target.repository(t, "c")
			to.times = tc.times
			var told tally
			got, err := CopyBlob(t.Context(), source.repository(t, "a"), to, desc, CopyOptions{Report: told.report})
			if got != Copied || err != nil {
				t.Errorf("CopyBlob = %q, %v, want it copied", got, err)
			}
			if kept := name != "refused"; kept && (told.sum.Load() != 99 || told.back.Load() != 0) {
				t.Errorf("reported %d bytes and %d in vain", told.sum.Load(), told.back.Load())
			}
			target.want(t, tc.want...)
		})
	}
}

// TestArrivesLater looks more than once behind a proxy that did not wait.
func TestArrivesLater(t *testing.T) {
	t.Parallel()
	source, target := newVault(t), newVault(t)
	desc := source.put("a", some(99))
	arrive := make(chan func(), 1)
	target.commits(func(w http.ResponseWriter, _ *http.Request, commit func()) {
		arrive <- commit
		w.WriteHeader(http.StatusGatewayTimeout)
	})
	target.onHead(func(n int64, _ http.ResponseWriter, _ *http.Request) bool {
		if n == 4 {
			(<-arrive)()
		}
		return false
	})
	to := target.repository(t, "c")
	to.times = patiently
	var told tally
	got, err := CopyBlob(t.Context(), source.repository(t, "a"), to, desc, CopyOptions{Report: told.report})
	if got != Copied || err != nil || told.back.Load() != 0 {
		t.Errorf("CopyBlob = %q, %v; %d bytes were in vain", got, err, told.back.Load())
	}
	target.want(t, "HEAD blob", "POST upload", "PUT upload", "HEAD blob", "HEAD blob", "HEAD blob")
}

// TestNeverAnswers gives up once, says what happened, and leaves the upload alone.
func TestNeverAnswers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		head func(http.ResponseWriter, *http.Request) bool
		says string
	}{
		"not there": {func(http.ResponseWriter, *http.Request) bool { return false }, "sent all of it, and had no answer for 50ms: it does not have it so far"},
		"locked":    {status(http.StatusUnauthorized, "UNAUTHORIZED", "who"), "had no answer for 50ms: nor can it be asked whether it has it: "},
	} {
		source, target := newVault(t), newVault(t)
		desc := source.put("a", some(99))
		over := make(chan struct{})
		t.Cleanup(func() { close(over) })
		target.commits(func(http.ResponseWriter, *http.Request, func()) { <-over })
		target.onHead(func(n int64, w http.ResponseWriter, req *http.Request) bool { return n > 1 && tc.head(w, req) })
		to := target.repository(t, "c")
		to.times = commitTimes{least: 50 * time.Millisecond, rate: 1 << 40, most: ever, look: time.Millisecond, lookAgain: ever}
		var told tally
		_, err := CopyBlob(t.Context(), source.repository(t, "a"), to, desc, CopyOptions{Report: told.report})
		if !errors.Is(err, ErrUnreachable) || SideOf(err) != Target || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: CopyBlob = %v of %q, want %q of the target", name, err, SideOf(err), tc.says)
		}
		if told.sum.Load() != 0 {
			t.Errorf("%s: %d bytes are reported", name, told.sum.Load())
		}
		target.want(t, "HEAD blob", "POST upload", "PUT upload", "HEAD blob")
	}
}

// TestCommitCanceled leaves what may be stored to the registry.
func TestCommitCanceled(t *testing.T) {
	t.Parallel()
	source, target := newVault(t), newVault(t)
	desc := source.put("a", some(99))
	ctx, cancel := context.WithCancel(t.Context())
	target.commits(func(_ http.ResponseWriter, req *http.Request, _ func()) { cancel(); <-req.Context().Done() })
	_, err := CopyBlob(ctx, source.repository(t, "a"), target.repository(t, "c"), desc, CopyOptions{})
	if !errors.Is(err, context.Canceled) || SideOf(err) != "" {
		t.Errorf("CopyBlob = %v of %q, want that it is canceled", err, SideOf(err))
	}
	target.want(t, "HEAD blob", "POST upload", "PUT upload")
}

// TestConnectionsAreShared by uploads and everything else.
func TestConnectionsAreShared(t *testing.T) {
	t.Parallel()
	target := newVault(t)
	content := string(some(3 << 20))
	var fresh atomic.Int64
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if !info.Reused {
			fresh.Add(1)
		}
	}})
	to := target.repository(t, "c")
	for size := range 3 {
		part := content[:size<<20]
		desc := ocispec.Descriptor{Digest: digest.FromString(part), Size: int64(len(part))}
		err := to.PushBlob(ctx, desc, func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(part)), nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	if fresh.Load() != 1 {
		t.Errorf("%d connections were made, want one", fresh.Load())
	}
}

func TestCommitTimes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		size int64
		want time.Duration
	}{
		"nothing": {0, time.Minute},
		"small":   {100, time.Minute + 23*time.Microsecond},
		"large":   {1 << 30, time.Minute + 256*time.Second},
		"huge":    {1 << 40, 15 * time.Minute},
		"largest": {1<<63 - 1, 15 * time.Minute},
	} {
		if got := usualTimes.of(tc.size); got.Truncate(time.Microsecond) != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
	if got := (&lateError{15 * time.Minute}).Error(); got != "sent all of it, and had no answer for 15m0s" {
		t.Error(got)
	}
}

// TestCommitIsNoStall blames nobody before the time for a commit is over, however short
// the patience is.
func TestCommitIsNoStall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told tally
		_, f := newFlow(t.Context(), 20*time.Second, told.report)
		defer f.stop(nil)
		f.times.rate = 1
		f.over(io.NopCloser(strings.NewReader(strings.Repeat("x", 240))), 240)
		if _, err := io.Copy(io.Discard, struct{ io.Reader }{f}); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		<-f.ctx.Done()
		if took := time.Since(begun); took != 5*time.Minute || told.beats.Load() < 9 {
			t.Errorf("given up after %s, with %d signs of life", took, told.beats.Load())
		}
		if err := f.failure(); SideOf(err) != Target || !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "sent all of it, and had no answer for 5m0s") {
			t.Errorf("failure is %v of %q", err, SideOf(err))
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
}

// explosive is content whose parser did not foresee it.
type explosive struct{ Blobs }

func (explosive) String() string { return "the archive" }

func (explosive) Blob(context.Context, digest.Digest, int64, ...digest.Digest) (io.ReadCloser, int64, error) {
	return io.NopCloser(readerFunc(func([]byte) (int, error) { panic("index out of range") })), -1, nil
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestPanicOfContent is an error of the source: it is the transport that reads, and
// nothing else recovers there.
func TestPanicOfContent(t *testing.T) {
	t.Parallel()
	target := newVault(t)
	desc := ocispec.Descriptor{Digest: digest.FromString("x"), Size: 1}
	_, err := CopyBlob(t.Context(), explosive{}, target.repository(t, "c"), desc, CopyOptions{})
	if SideOf(err) != Source || !strings.Contains(err.Error(), "panic: index out of range") || !strings.Contains(panics.Stack(err), "explosive") {
		t.Errorf("CopyBlob = %v of %q, want the panic of the source", err, SideOf(err))
	}
	if target.open() != 0 {
		t.Error("an upload is open")
	}
}
