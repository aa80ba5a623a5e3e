package remote

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/ocm-operator/ocm-operator/git/gittest"
)

// TestPatience pushes to servers that take it, and then do not come to an end.
func TestPatience(t *testing.T) {
	t.Parallel()
	report := line("\x01" + line("unpack ok\n") + line("ok refs/heads/new\n") + "0000")
	for name, after := range map[string]func(w http.ResponseWriter, r *http.Request){
		"silent": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"talkative": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, line("\x02running the pipeline\n")); err != nil {
					return
				}
			}
		},
		"confused": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "zzzz") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := gittest.NewServer(t, gittest.Options{})
			commit := gittest.NewRepository(t, s.Dir("site.git"), map[string]string{"a": "1"}, "main")
			s.SetFault(gittest.When(gittest.IsPush, func(w http.ResponseWriter, r *http.Request) bool {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Type", "application/x-git-receive-pack-result")
				_, _ = io.WriteString(w, report)
				_ = http.NewResponseController(w).Flush()
				after(w, r)
				return true
			}))
			r, err := Open(Options{URL: s.RepositoryURL("site.git"), TempDir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			r.patience = 50 * time.Millisecond
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			u := Update{Branch: "new", New: plumbing.NewHash(commit), Pack: func() (io.ReadCloser, int64, error) { return http.NoBody, 0, nil }}
			if err := r.Push(ctx, u); err != nil || ctx.Err() != nil {
				t.Errorf("got %v and %v, want a push that is done when the server has reported it", err, ctx.Err())
			}
		})
	}
}
