package gitsync_test

import (
	"archive/tar"
	"compress/gzip"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/forge/forgetest"
	"github.com/ocm-operator/ocm-operator/git/gittest"
	"github.com/ocm-operator/ocm-operator/git/tree"
	"github.com/ocm-operator/ocm-operator/reconcilers/gitsync"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

const (
	repositoryName = "acme/fleet.git"
	password       = "s3cret-of-git"
)

// stage is a cluster with a Resource whose content a GitSync pushes to a real git server.
type stage struct {
	*reconcilertest.World

	t      *testing.T
	syncs  *reconcilertest.Controller
	server *gittest.Server
	// forge is nil without one.
	forge    *forgetest.Server
	registry *prometheus.Registry
	options  gitsync.Options
	// dir is the bare repository.
	dir      string
	resource *v1alpha1.Resource
	sync     *v1alpha1.GitSync
}

// newStage makes a repository with the files, and a GitSync whose source has no content yet.
func newStage(t *testing.T, files map[string]string) *stage {
	t.Helper()
	s := &stage{World: reconcilertest.New(t), t: t, server: gittest.NewServer(t, gittest.Options{Username: "git", Password: password})}
	s.dir = s.server.Dir(repositoryName)
	gittest.NewRepository(t, s.dir, files, "main")
	s.options = gitsync.Options{Lifecycle: s.Lifecycle, Store: s.Store, TempDir: t.TempDir(), UserAgent: "ocm-operator/test", Settling: time.Millisecond, Limits: tree.Limits{Files: 1000}}
	s.install()
	s.resource = reconcilertest.Resource("manifests", "app", "manifests")
	s.Create(s.resource, &corev1.Secret{ObjectMeta: reconcilertest.Named("git"), Data: map[string][]byte{"username": []byte("git"), "password": []byte(password)}})
	s.sync = &v1alpha1.GitSync{ObjectMeta: reconcilertest.Named("app"), Spec: v1alpha1.GitSyncSpec{
		Schedule:       reconcilertest.Schedule(),
		SourceRef:      &v1alpha1.ObjectReference{Kind: v1alpha1.ResourceKind, Name: "manifests"},
		Repository:     v1alpha1.GitRepository{URL: s.server.RepositoryURL(repositoryName), SecretRef: &meta.LocalObjectReference{Name: "git"}},
		SubPath:        "apps/podinfo",
		Prune:          true,
		CommitTemplate: v1alpha1.CommitTemplate{Name: "ocm", Email: "ocm@acme.org"},
	}}
	s.forget()
	return s
}

// install starts the feature anew, as another process would.
func (s *stage) install() {
	s.t.Helper()
	s.registry = prometheus.NewRegistry()
	s.options.Metrics = s.registry
	s.syncs = s.Install(gitsync.Plugin(s.options))
}

// create creates the GitSync with what the test wants else of it.
func (s *stage) create(change func(spec *v1alpha1.GitSyncSpec)) *stage {
	s.t.Helper()
	if change != nil {
		change(&s.sync.Spec)
	}
	s.Create(s.sync)
	s.forget()
	return s
}

// change changes its spec.
func (s *stage) change(change func(spec *v1alpha1.GitSyncSpec)) {
	s.t.Helper()
	s.Change(s.sync, func() { change(&s.sync.Spec) })
}

func (s *stage) forget() {
	s.Events()
	s.Writes()
	s.server.ForgetRequests()
	if s.forge != nil {
		s.forge.Forget()
	}
}

// reconcile reconciles the GitSync until it wants to be left alone for a while.
func (s *stage) reconcile() reconcile.Result {
	s.t.Helper()
	for range 10 {
		if result := s.syncs.Reconcile(s.sync); result.RequeueAfter == 0 || result.RequeueAfter > 100*1000*1000 {
			return result
		}
	}
	s.t.Fatalf("the GitSync is never done: %v: %s", reconcilertest.Conditions(s.sync), reconcilertest.Message(s.sync, "Ready"))
	return reconcile.Result{}
}

// provide gives the Resource content, as a tar archive of files; one whose name ends in @ is a link to its content, and one that ends in *
// is executable.
func (s *stage) provide(version string, files map[string]string) {
	s.t.Helper()
	s.provideStream(version, snapshot.Directory, "", func(w io.Writer) error { return pack(w, files) })
}

func (s *stage) provideStream(version string, kind snapshot.Kind, mediaType string, content func(io.Writer) error) {
	s.t.Helper()
	name := snapshot.Name(v1alpha1.ResourceKind, s.resource.Name)
	stored, err := s.Store.Repository(snapshot.RepositoryName(s.resource.Namespace, name))
	if err != nil {
		s.t.Fatal(err)
	}
	written, err := snapshot.Write(s.t.Context(), stored, snapshot.Meta{
		Component: "acme.org/app", ComponentVersion: version, Resource: "manifests", ResourceVersion: version, Kind: kind, MediaType: mediaType,
	}, content)
	if err != nil {
		s.t.Fatal(err)
	}
	s.publish(name, version, written)
}

// publish says what controllers of other kinds say of content.
func (s *stage) publish(name, version string, written snapshot.Result) {
	s.t.Helper()
	snap := &v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named(name), Spec: v1alpha1.SnapshotSpec{
		Identity: map[string]string{"a": "b"}, Digest: written.LayerDigest.String(), ManifestDigest: written.ManifestDigest.String(), Tag: "t",
	}}
	snap.Namespace = s.resource.Namespace
	snap.OwnerReferences = []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.ResourceKind, Name: s.resource.Name, UID: s.resource.UID}}
	if !s.Has(snap) {
		s.Create(snap)
	}
	ready := func(generation int64) []metav1.Condition {
		return []metav1.Condition{{Type: "Ready", Status: "True", Reason: "Succeeded", ObservedGeneration: generation, LastTransitionTime: metav1.Now()}}
	}
	s.SetStatus(snap, func() {
		snap.Status.ManifestDigest, snap.Status.ObservedGeneration, snap.Status.Conditions = written.ManifestDigest.String(), snap.Generation, ready(snap.Generation)
	})
	s.SetStatus(s.resource, func() {
		status := &s.resource.Status
		status.SnapshotName, status.LatestSnapshotDigest, status.LatestManifestDigest = name, written.LayerDigest.String(), written.ManifestDigest.String()
		status.LastAppliedComponentVersion, status.LatestSourceVersion, status.LastAppliedResourceVersion = version, version, version
		status.Origins = []v1alpha1.Origin{{Namespace: "default", Name: "app", Version: version, ManifestDigest: "sha256:" + strings.Repeat("a", 64)}}
		status.ObservedGeneration, status.Conditions = s.resource.Generation, ready(s.resource.Generation)
	})
}

// secret returns the Secret of the repository.
func (s *stage) secret() *corev1.Secret {
	s.t.Helper()
	secret := &corev1.Secret{ObjectMeta: reconcilertest.Named("git")}
	s.Get(secret)
	return secret
}

// pack writes files as a compressed archive.
func pack(w io.Writer, files map[string]string) error {
	zipped := gzip.NewWriter(w)
	archive := tar.NewWriter(zipped)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(files[name]))}
		if link, ok := strings.CutSuffix(name, "@"); ok {
			header = &tar.Header{Typeflag: tar.TypeSymlink, Name: link, Linkname: files[name]}
		}
		if program, ok := strings.CutSuffix(name, "*"); ok {
			header.Name, header.Mode = program, 0o755
		}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if header.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(archive, files[name]); err != nil {
				return err
			}
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return zipped.Close()
}

// wantReady checks that the GitSync is ready, and returns the message.
func (s *stage) wantReady() string {
	s.t.Helper()
	got := reconcilertest.Conditions(s.sync)
	if len(got) != 1 || got["Ready"] != "True Succeeded" {
		s.t.Fatalf("conditions %v, want Ready: %s", got, reconcilertest.Message(s.sync, "Ready"))
	}
	return reconcilertest.Message(s.sync, "Ready")
}

// wantNotReady checks the verdict, and returns its message.
func (s *stage) wantNotReady(reason string) string {
	s.t.Helper()
	got := reconcilertest.Conditions(s.sync)
	if got["Ready"] != "False "+reason {
		s.t.Fatalf("conditions %v, want Ready to be False %s: %s", got, reason, reconcilertest.Message(s.sync, "Ready"))
	}
	return reconcilertest.Message(s.sync, "Ready")
}

// wantQuiet reconciles once more, and checks that one request was sent to git and as many as that to the forge, and nothing was written
// or said.
func (s *stage) wantQuiet(requests int) {
	s.t.Helper()
	s.forget()
	s.reconcile()
	if requests := s.server.Requests(); len(requests) != 1 || !strings.HasSuffix(requests[0].Path, "/info/refs") {
		s.t.Errorf("%d requests, want the one that lists branches", len(requests))
		for _, r := range requests {
			s.t.Logf("%s %s?%s", r.Method, r.Path, r.Query)
		}
	}
	if s.forge != nil && len(s.forge.Requests()) != requests {
		s.t.Errorf("%d requests to the forge, want %d: %+v", len(s.forge.Requests()), requests, s.forge.Requests())
	}
	if writes, events := s.Writes(), s.Events(); len(writes) > 0 || len(events) > 0 {
		s.t.Errorf("writes %q and events %q, want none", writes, events)
	}
}

// contents returns the files of a branch.
func (s *stage) contents(branch string) map[string]string {
	s.t.Helper()
	return gittest.Contents(s.t, s.dir, branch)
}

// tip returns the newest commit of a branch.
func (s *stage) tip(branch string) gittest.LogEntry {
	s.t.Helper()
	log := gittest.Log(s.t, s.dir, branch)
	if len(log) == 0 {
		s.t.Fatalf("branch %s has no commit", branch)
	}
	return log[0]
}
