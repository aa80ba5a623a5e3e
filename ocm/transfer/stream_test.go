package transfer_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
)

// web serves content, with its size or without.
func web(t testing.TB, content []byte, sized bool) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if sized {
			_, _ = w.Write(content)
			return
		}
		for part := range bytes.SplitAfterSeq(content, []byte("\n")) {
			_, _ = w.Write(part)
			w.(http.Flusher).Flush()
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// TestStreams keeps what is read from web servers as blobs of the component version,
// whether its size and its digest are known before or not.
func TestStreams(t *testing.T) {
	t.Parallel()
	content := []byte(strings.Repeat("line\n", 1000))
	d := digest.FromBytes(content)
	for name, tt := range map[string]struct {
		sized  bool
		digest *descriptor.Digest
	}{
		"size and digest": {true, descriptor.NewBlobDigest(d)},
		"digest":          {false, descriptor.NewBlobDigest(d)},
		"size":            {true, nil},
		"neither":         {false, nil},
		"another digest":  {true, descriptor.NewBlobDigest(digest.SHA512.FromBytes(content))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			p.options.Allow = access.Guarded()
			p.source = open(t, p.sourceURL, p.options)
			res := withAccess(t, "file", access.Wget{Type: access.KindWget, URL: web(t, content, tt.sized), MediaType: "text/plain"}, "")
			res.Digest = tt.digest
			p.publish(t, one(res))
			dir := t.TempDir()
			o := transfer.Options{TempDir: dir}
			result := run(t, p.source, p.target, shop, "1.0.0", o)
			v := get(t, p.target, shop, "1.0.0")
			if got := accessOf(t, v, "file"); !strings.Contains(got, `"localReference":"`+d.String()+`","mediaType":"text/plain"`) || result.Copied != 1 {
				t.Errorf("access is %s, result is %+v", got, result)
			}
			if again := run(t, p.source, p.target, shop, "1.0.0", o); outcomes(again)[shop+":1.0.0"] != transfer.Unchanged {
				t.Errorf("the second time %+v", again)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("%v is left, %v", left, err)
			}
			verifyTexts(t, p)
		})
	}
}

// TestWrongStream copies nothing that is not what the resource promises.
func TestWrongStream(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.options.Allow = access.Guarded()
	p.source = open(t, p.sourceURL, p.options)
	for _, sized := range []bool{true, false} {
		res := withAccess(t, "file", access.Wget{Type: access.KindWget, URL: web(t, []byte("evil"), sized)}, "")
		res.Digest = descriptor.NewBlobDigest(digestOf("good"))
		p.publish(t, one(res))
		_, err := transfer.Run(t.Context(), p.source, p.target, shop, "1.0.0", transfer.Options{})
		if _, ok := errors.AsType[*ocm.DigestMismatchError](err); !ok {
			t.Errorf("Run = %v", err)
		}
	}
	if n := p.to.Requests()["PUT manifests"]; n != 0 {
		t.Errorf("%d manifests were written", n)
	}
}

// TestNoTempDir says where nothing can be kept.
func TestNoTempDir(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.options.Allow = access.Guarded()
	p.source = open(t, p.sourceURL, p.options)
	p.publish(t, one(withAccess(t, "file", access.Wget{Type: access.KindWget, URL: web(t, []byte("x\ny"), false)}, "")))
	_, err := transfer.Run(t.Context(), p.source, p.target, shop, "1.0.0", transfer.Options{TempDir: "/nowhere"})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "temporary file") || !strings.Contains(err.Error(), "resource file:1.0.0") || oci.SideOf(err) != oci.Here {
		t.Errorf("Run = %v of side %q", err, oci.SideOf(err))
	}
	p.publish(t, packed(t, "x/web:1", false))
	if _, err = transfer.Run(t.Context(), p.source, p.target, shop, "1.0.0", transfer.Options{TempDir: "/nowhere"}); !errors.Is(err, os.ErrNotExist) || oci.SideOf(err) != oci.Here {
		t.Errorf("Run = %v of side %q", err, oci.SideOf(err))
	}
}

// TestCharts copies charts in registries as what their digest is about.
func TestCharts(t *testing.T) {
	t.Parallel()
	chart := ocmtest.Chart("web", "1.0.0", []byte("chart"))
	whole := manifestOf(t, chart)
	for name, tt := range map[string]struct {
		digest *descriptor.Digest
		want   string
	}{
		"artifact": {descriptor.NewArtifactDigest(whole), "/there/charts/web:1.0.0@" + whole.String()},
		"chart":    {descriptor.NewBlobDigest(digestOf("chart")), `"localReference":"` + digestOf("chart").String()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			if _, err := chart.Publish(t.Context(), p.from.URL+"/charts/web:1.0.0", p.options); err != nil {
				t.Fatal(err)
			}
			// References to the registry of the component are spoken to as that is.
			res := withAccess(t, "chart", access.Helm{Type: access.KindHelm, Repository: "oci://" + p.from.Host + "/charts", Chart: "web:1.0.0"}, "")
			res.Digest = tt.digest
			p.publish(t, one(res))
			run(t, p.source, p.target, shop, "1.0.0", transfer.Options{})
			v := get(t, p.target, shop, "1.0.0")
			if got := accessOf(t, v, "chart"); !strings.Contains(got, tt.want) {
				t.Errorf("access is %s, want %s", got, tt.want)
			}
			if err := v.Check(t.Context(), resource(t, v, "chart")); err != nil {
				t.Error(err)
			}
		})
	}
}
