package transfers_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	accesses "github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/ctf"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/transfers"
)

// layer is how large the layer of the artifact is that has to be unpacked.
const layer = 64 << 10

// pack publishes a version whose image is an archive among its blobs.
func (r *route) pack(version string) {
	r.t.Helper()
	content := make([]byte, layer)
	_, _ = rand.Read(content)
	image := ocmtest.Artifact{Layers: []ocmtest.Layer{{MediaType: "application/vnd.oci.image.layer.v1.tar", Content: content}}}
	set, manifest, err := image.Pack(ocmtest.Archive{})
	if err != nil {
		r.t.Fatal(err)
	}
	blob := digest.FromBytes(set)
	at, err := descriptor.NewAccess(accesses.LocalBlob{
		Type: accesses.KindLocalBlob, LocalReference: blob.String(), MediaType: "application/vnd.oci.image.manifest.v1+tar+gzip", ReferenceName: "x/web:" + version,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.Publish(r.from.URL+"/ocm", ocmtest.Component{
		Name: app, Version: version,
		Resources: []ocmtest.Resource{{Name: "image", Type: "ociImage", Access: &at, Digest: descriptor.NewArtifactDigest(manifest)}},
		Tamper: func(_ *descriptor.Descriptor, all ocmtest.Blobs) error {
			maps.Copy(all, ocmtest.Blobs{blob: set})
			return nil
		},
	})
}

// keep has temporary files in a folder, which it returns, with room for so many bytes.
func (r *route) keep(size int64) (dir string, room *ctf.Room) {
	r.t.Helper()
	dir = filepath.Join(r.t.TempDir(), "made")
	var err error
	r.Repositories, err = access.New(access.Options{
		Live: r.Client, Transport: http.DefaultTransport, AllowedHosts: []string{"127.0.0.1"}, Archives: access.ArchiveOptions{TempDir: dir, TempBytes: size},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	used, room := r.open(r.to).Temporary()
	if used != dir {
		r.t.Errorf("temporary files are in %q, want %q", used, dir)
	}
	return dir, room
}

func wantNothingLeft(t *testing.T, dir string, room *ctf.Room) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 || room.Used() != 0 {
		t.Errorf("%v is left, %v; %d bytes are still taken", left, err, room.Used())
	}
}

// TestCopiesTakeTheRoomOfArchives whatever becomes of them.
func TestCopiesTakeTheRoomOfArchives(t *testing.T) {
	t.Parallel()
	r := newRoute(t)
	r.pack("1.0.0")
	dir, room := r.keep(2 * layer)
	ctx, cancel := context.WithCancel(t.Context())
	var most atomic.Int64
	var meets atomic.Pointer[func(http.ResponseWriter) bool]
	r.to.Inject(func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodPost && req.Method != http.MethodPatch && req.Method != http.MethodPut {
			return false
		}
		most.Store(max(most.Load(), room.Used()))
		fault := meets.Load()
		return fault != nil && (*fault)(w)
	})
	denies := func(w http.ResponseWriter) bool { w.WriteHeader(http.StatusForbidden); return true }
	meets.Store(&denies)
	if _, err := r.copy("1.0.0", transfer.Options{}); !errors.Is(err, oci.ErrUnauthorized) {
		t.Errorf("copy to a destination that denies is %v", err)
	}
	wantNothingLeft(t, dir, room)
	ends := func(http.ResponseWriter) bool { cancel(); return false }
	meets.Store(&ends)
	job := transfers.Copy("key", r.open(r.from), r.open(r.to), app, "1.0.0", transfer.Options{})
	if _, err := job.Run(ctx, func(transfer.Progress) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("copy that is cancelled is %v", err)
	}
	wantNothingLeft(t, dir, room)
	meets.Store(nil)
	most.Store(0)
	if _, err := r.copy("1.0.0", transfer.Options{}); err != nil || most.Load() < layer || most.Load() > 2*layer {
		t.Errorf("copy is %v, with %d bytes in temporary files at most", err, most.Load())
	}
	wantNothingLeft(t, dir, room)
}

// TestCopiesAreBoundByTheRoom of all temporary files together, and by the disk.
func TestCopiesAreBoundByTheRoom(t *testing.T) {
	t.Parallel()
	r := newRoute(t)
	r.pack("1.0.0")
	advice := transfers.Advice{Source: "spec.source", Destination: "spec.destination"}
	want := func(err error, is error, says string) {
		t.Helper()
		verdict, ok := errors.AsType[*lifecycle.Verdict](transfers.Verdict(err, advice))
		if !errors.Is(err, is) || oci.SideOf(err) != oci.Here || !strings.Contains(err.Error(), says) {
			t.Errorf("copy is %v of side %q, want %v that says %q", err, oci.SideOf(err), is, says)
		}
		if !ok || verdict.Final() || verdict.Reason != v1alpha1.TransferFailedReason || strings.Contains(verdict.Error(), "spec.") {
			t.Errorf("verdict is %v, want one that passes by itself and blames no side", verdict)
		}
	}
	dir, room := r.keep(layer)
	if err := room.Take(layer / 2); err != nil {
		t.Fatal(err)
	}
	_, err := r.copy("1.0.0", transfer.Options{})
	want(err, ctf.ErrNoRoom, "--archives-temp-size")
	room.Give(layer / 2)
	wantNothingLeft(t, dir, room)

	dir, room = r.keep(0)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	_, err = r.copy("1.0.0", transfer.Options{})
	want(err, fs.ErrNotExist, dir)
	if room.Used() != 0 {
		t.Errorf("%d bytes are taken", room.Used())
	}
}
