package artifact_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/registry"
	"github.com/ocm-operator/ocm-operator/registry/artifact"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

var _ artifact.Meter = (*registry.Metrics)(nil)

// request is what a meter is told of one.
type request struct {
	Operation, Method string
	Status            int
	Received, Sent    int64
}

// meter remembers what it is told.
type meter struct{ begun, ended []request }

// Begin implements artifact.Meter.
func (m *meter) Begin() func(string, string, int, int64, int64, time.Duration) {
	m.begun = append(m.begun, request{})
	return func(operation, method string, status int, received, sent int64, _ time.Duration) {
		m.ended = append(m.ended, request{operation, method, status, received, sent})
	}
}

// TestEachRequestIsCountedAndLogged, and what leads to the content is not in the log.
func TestEachRequestIsCountedAndLogged(t *testing.T) {
	t.Parallel()
	s, blob := open(t)
	var log bytes.Buffer
	h, err := artifact.NewHandler(s, bytes.Repeat([]byte{1}, 32), slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	var m meter
	h.Measure(&m)
	path := "/" + h.Path(repository, blob)
	seal := strings.Split(path, "/")[3]
	ask(t, h, http.MethodGet, path, nil)
	ask(t, h, http.MethodHead, path, nil)
	ask(t, h, http.MethodGet, path+"/"+seal, nil)
	ask(t, h, http.MethodPut, path, nil)
	want := []request{
		{"artifact", "GET", 200, 0, int64(len(content))},
		{"artifact", "HEAD", 200, 0, 0},
		{"artifact", "GET", 404, 0, int64(len("404 page not found\n"))},
		{"artifact", "PUT", 405, 0, int64(len("artifacts are read only\n"))},
	}
	if diff := cmp.Diff(want, m.ended); diff != "" || len(m.begun) != len(want) {
		t.Errorf("%d began, ended (-want +got):\n%s", len(m.begun), diff)
	}
	if strings.Contains(log.String(), seal) {
		t.Errorf("the log has the seal: %s", &log)
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d lines", len(lines))
	}
	for i, known := range []bool{true, true, false, false} {
		var line map[string]any
		if err := json.Unmarshal([]byte(lines[i]), &line); err != nil {
			t.Fatal(err)
		}
		wantRepository, wantReference := "", ""
		if known {
			wantRepository, wantReference = repository, blob.String()
		}
		if line["operation"] != "artifact" || line["status"] != float64(want[i].Status) || line["repository"] != wantRepository || line["reference"] != wantReference {
			t.Errorf("line %d: %v", i, line)
		}
	}
}

// TestFailuresDoNotFillTheLog: every client asks again when the disk is broken.
func TestFailuresDoNotFillTheLog(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.TempDir(), store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	h, err := artifact.NewHandler(s, bytes.Repeat([]byte{1}, 32), slog.New(slog.NewJSONHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		ask(t, h, http.MethodGet, "/"+h.Path(repository, digest.FromString("x")), nil)
	}
	if n := strings.Count(log.String(), "not served"); n < 10 || n > 20 {
		t.Errorf("%d lines about 1000 failures", n)
	}
}
