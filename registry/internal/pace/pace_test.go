package pace_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/registry/internal/pace"
)

// wire stands for a connection that can take a file by itself.
type wire struct {
	*httptest.ResponseRecorder
	files int
}

// ReadFrom implements io.ReaderFrom. What the kernel can send alone is a file behind one limit.
func (w *wire) ReadFrom(src io.Reader) (int64, error) {
	if limited, ok := src.(*io.LimitedReader); ok {
		if _, file := limited.R.(*os.File); file {
			w.files++
		}
	}
	return io.Copy(w.ResponseRecorder, src)
}

// TestFileReachesTheWire serves a file, and the whole of it goes to the connection as one, also in parts and as a range.
func TestFileReachesTheWire(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("0123456789abcdef", 40_000)
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for header, want := range map[string]string{"": content, "bytes=10-299999": content[10:300_000]} {
		w := &wire{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		if header != "" {
			r.Header.Set("Range", header)
		}
		x, r := pace.Begin(w, r, time.Minute)
		x.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(x, r, "", time.Time{}, f)
		x.End()
		if w.Body.String() != want || x.Sent() != int64(len(want)) || x.Status() == 0 {
			t.Errorf("%q: %d bytes of %d, status %d", header, x.Sent(), len(want), x.Status())
		}
		if strides := len(want)/(256<<10) + 1; w.files != strides {
			t.Errorf("%q: %d of %d parts are a file", header, w.files, strides)
		}
	}
}

func TestCounts(t *testing.T) {
	t.Parallel()
	for method, sent := range map[string]int64{http.MethodGet: 6, http.MethodHead: 0} {
		x, r := pace.Begin(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), method, "/", strings.NewReader("1234")), time.Minute)
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(x, "answer"); err != nil {
			t.Fatal(err)
		}
		x.End()
		if x.Received() != 4 || x.Sent() != sent || x.Status() != http.StatusOK {
			t.Errorf("%s: received %d, sent %d, status %d", method, x.Received(), x.Sent(), x.Status())
		}
	}
}

// TestStatusIsThatOfTheAnswer: what is told before the answer, as by a proxy that passes it on, is not the status.
func TestStatusIsThatOfTheAnswer(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		told []int
		want int
	}{
		"goes on":        {[]int{http.StatusContinue}, 0},
		"then created":   {[]int{http.StatusContinue, http.StatusEarlyHints, http.StatusCreated}, http.StatusCreated},
		"only the first": {[]int{http.StatusCreated, http.StatusOK}, http.StatusCreated},
		"another way":    {[]int{http.StatusSwitchingProtocols}, http.StatusSwitchingProtocols},
	} {
		x, _ := pace.Begin(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/", strings.NewReader("1")), time.Minute)
		for _, status := range tc.told {
			x.WriteHeader(status)
		}
		x.End()
		if x.Status() != tc.want {
			t.Errorf("%s: the status is %d, want %d", name, x.Status(), tc.want)
		}
	}
}
