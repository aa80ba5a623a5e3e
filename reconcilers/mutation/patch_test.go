package mutation_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

const (
	// siteDeployment is what the site wants of the deployment, and shippedDeployment what the component does, which wins.
	siteDeployment = `# of the site
apiVersion: apps/v1
kind: Deployment
metadata:
  name: app
  labels: {site: north}
spec:
  replicas: 1
  template:
    spec:
      containers:
        - name: proxy
          image: proxy:1
        - name: app
          imagePullPolicy: IfNotPresent
`
	shippedDeployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  replicas: 2
  template:
    spec:
      containers:
        - {name: app, image: placeholder, imagePullPolicy: Always}
`
	mergedDeployment = `# of the site
apiVersion: apps/v1
kind: Deployment
metadata:
  name: app
  labels: {site: north}
spec:
  replicas: 2
  template:
    spec:
      containers:
        - name: app
          imagePullPolicy: Always
          image: placeholder
        - name: proxy
          image: proxy:1
`
)

// releasePatch publishes version 1.1.0, whose manifests are the files, and whose resource base has the site's.
func (s *stage) releasePatch(t *testing.T, files map[string]string) {
	t.Helper()
	s.Publish(s.url, ocmtest.Component{Name: app, Version: "1.1.0", Resources: []ocmtest.Resource{
		{Name: "manifests", Content: reconcilertest.Tar(t, files)},
		{Name: "base", Content: reconcilertest.Gzip(t, reconcilertest.Tar(t, map[string]string{"site/app.yaml": siteDeployment}))},
		{Name: "config", Content: []byte("localization:\n- {resource: {name: image}, file: deploy.yaml, image: 'spec.template.spec.containers[0].image'}\nconfiguration:\n  rules:\n  - {value: 5, file: deploy.yaml, path: spec.replicas}\n")},
		{Name: "text", Content: []byte("kind: Deployment\n")},
		{Name: "image", Image: "ghcr.io/acme/app:1.1.0"},
	}})
	s.components.Reconcile(s.component)
	s.resources.Reconcile(s.resource)
	s.prove(t)
}

// patched asks for a merge of deploy.yaml over a file of an object of the kind, and for nothing else.
func patched(kind, path string) func(*v1alpha1.MutationSpec) {
	return func(spec *v1alpha1.MutationSpec) {
		spec.ConfigRef = nil
		spec.PatchStrategicMerge = &v1alpha1.PatchStrategicMerge{
			Source: v1alpha1.PatchSource{SourceRef: meta.NamespacedObjectKindReference{Kind: kind, Name: "site"}, Path: path},
			Target: v1alpha1.PatchTarget{Path: "deploy.yaml"},
		}
	}
}

// patchStage is a stage with a component to be patched and a GitRepository with the files to patch over.
func patchStage(t *testing.T, shipped string, files map[string]string) *stage {
	t.Helper()
	s := newStage(t, config)
	s.releasePatch(t, map[string]string{"deploy.yaml": shipped, "other.txt": "kept"})
	s.fluxSource(t, files, "")
	return s
}

func TestPatchOverFluxSources(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"GitRepository", "OCIRepository", "Bucket", "ExternalArtifact"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, config)
			s.releasePatch(t, map[string]string{"deploy.yaml": shippedDeployment, "other.txt": "kept"})
			site := s.fluxSourceOf(t, kind, map[string]string{"apps/app.yaml": siteDeployment, "more.yaml": "a: 1\n"}, "")
			c := s.configure(t, patched(kind, "./apps/app.yaml"))
			wantReady(t, c)
			stored := s.Stored("default", c.Status.SnapshotName, c.Status.LatestManifestDigest)
			// The tree is that of the component: of the site it has what was merged.
			want := map[string]string{"deploy.yaml": mergedDeployment, "other.txt": "kept"}
			if diff := cmp.Diff(want, reconcilertest.Untar(t, stored.Content)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if c.Status.LatestPatchSourceVersion != "main@sha1:abc" || c.Status.LatestConfigVersion != "" || c.Status.LatestSourceVersion != "1.1.0" {
				t.Errorf("status is %+v", c.Status)
			}
			snap := &v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named(c.Status.SnapshotName)}
			s.Get(snap)
			artifact, _ := site.Object["status"].(map[string]any)["artifact"].(map[string]any)
			identity := map[string]string{"source-name": "site", "source-namespace": "default", "source-artifact-checksum": artifact["digest"].(string)}
			if diff := cmp.Diff(identity, snap.Spec.Identity); diff != "" || snap.Spec.Tag != "1.1.0" {
				t.Errorf("tag %s, identity (-want +got):\n%s", snap.Spec.Tag, diff)
			}
		})
	}
}

func TestPatchOverSnapshots(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{v1alpha1.ResourceKind, v1alpha1.LocalizationKind, v1alpha1.ConfigurationKind} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, config)
			s.releasePatch(t, map[string]string{"deploy.yaml": shippedDeployment})
			s.site(t, kind)
			c := s.configure(t, patched(kind, "site/app.yaml"))
			wantReady(t, c)
			if diff := cmp.Diff(mergedDeployment, s.file(t, c.Status)); diff != "" {
				t.Errorf("file (-want +got):\n%s", diff)
			}
			if c.Status.LatestPatchSourceVersion != "1.1.0" || len(c.Status.Origins) != 1 {
				t.Errorf("status is %+v", c.Status)
			}
		})
	}
}

// site creates an object of the kind that writes a snapshot with the site's files.
func (s *stage) site(t *testing.T, kind string) {
	t.Helper()
	spec := v1alpha1.MutationSpec{Schedule: reconcilertest.Schedule(), SourceRef: reconcilertest.FromComponent("app", "base")}
	s.fluxSource(t, map[string]string{"empty.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: app\n"}, "")
	switch kind {
	case v1alpha1.ResourceKind:
		r := reconcilertest.Resource("site", "app", "base")
		s.Create(r)
		s.resources.Reconcile(r)
	case v1alpha1.LocalizationKind:
		s.keep(&spec)
		l := &v1alpha1.Localization{ObjectMeta: reconcilertest.Named("site"), Spec: spec}
		s.Create(l)
		s.localizations.Reconcile(l)
		wantReady(t, l)
	default:
		s.keep(&spec)
		c := &v1alpha1.Configuration{ObjectMeta: reconcilertest.Named("site"), Spec: spec}
		s.Create(c)
		s.configurations.Reconcile(c)
		wantReady(t, c)
	}
	s.prove(t)
}

// keep asks for a merge that leaves all as it is.
func (s *stage) keep(spec *v1alpha1.MutationSpec) {
	patched("GitRepository", "empty.yaml")(spec)
	spec.PatchStrategicMerge.Target.Path = "site/app.yaml"
}

// TestPatchComesAfterRules has both: the rules change the file of the component, and that is merged.
func TestPatchComesAfterRules(t *testing.T) {
	t.Parallel()
	s := patchStage(t, shippedDeployment, map[string]string{"app.yaml": siteDeployment})
	both := func(spec *v1alpha1.MutationSpec) {
		configRef := spec.ConfigRef
		patched("GitRepository", "app.yaml")(spec)
		spec.ConfigRef = configRef
	}
	c := s.configure(t, both)
	wantReady(t, c)
	if diff := cmp.Diff(strings.Replace(mergedDeployment, "replicas: 2", "replicas: 5", 1), s.file(t, c.Status)); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
	snap := &v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named(c.Status.SnapshotName)}
	s.Get(snap)
	if id := snap.Spec.Identity; id[v1alpha1.ResourceNameKey] != "config" || id[v1alpha1.SourceNameKey] != "site" || c.Status.LatestConfigVersion != "1.1.0" {
		t.Errorf("identity %v, status %+v", id, c.Status)
	}
	l := &v1alpha1.Localization{ObjectMeta: reconcilertest.Named("localized"), Spec: *c.Spec.DeepCopy()}
	s.Create(l)
	s.localizations.Reconcile(l)
	wantReady(t, l)
	if diff := cmp.Diff(strings.Replace(mergedDeployment, "placeholder", `"ghcr.io/acme/app:1.1.0"`, 1), s.file(t, l.Status)); diff != "" {
		t.Errorf("localized (-want +got):\n%s", diff)
	}
}

func TestPatchShapes(t *testing.T) {
	t.Parallel()
	const widget = "apiVersion: example.com/v1\nkind: Widget\nmetadata:\n  name: w\n"
	for name, tc := range map[string]struct{ reason, base, shipped, want string }{
		"documents": {
			"what the component says nothing of stays as it is, to the byte",
			"# one\nkind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\ndata: {x:   '1'}\n---\n" + siteDeployment, shippedDeployment,
			"# one\nkind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\ndata: {x:   '1'}\n---\n" + mergedDeployment,
		},
		"both have documents": {
			"each finds its own", widget + "spec: {a: 1}\n---\n" + siteDeployment, shippedDeployment + "---\n" + widget + "spec: {b: 2}\n",
			widget + "spec: {a: 1, b: 2}\n---\n" + mergedDeployment,
		},
		"unknown kind": {
			"nobody knows the keys of its lists", widget + "spec:\n  containers:\n    - name: a\n      x: 1\n", widget + "spec: {containers: [{name: a, y: 2}]}\n",
			widget + "spec:\n  containers: [{name: a, y: 2}]\n",
		},
		"null deletes": {"", widget + "spec:\n  a: 1\n  b: 2\n", widget + "spec: {a: null, c: null}\n", widget + "spec:\n  b: 2\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := patchStage(t, tc.shipped, map[string]string{"app.yaml": tc.base})
			c := s.configure(t, patched("GitRepository", "app.yaml"))
			wantReady(t, c)
			if diff := cmp.Diff(tc.want, s.file(t, c.Status)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestPatchesThatCannotBeMerged(t *testing.T) {
	t.Parallel()
	target := func(path string) func(*v1alpha1.MutationSpec) {
		return func(spec *v1alpha1.MutationSpec) {
			patched("GitRepository", "app.yaml")(spec)
			spec.PatchStrategicMerge.Target.Path = path
		}
	}
	for name, tc := range map[string]struct {
		change func(*v1alpha1.MutationSpec)
		says   string
	}{
		"missing base":   {patched("GitRepository", "none.yaml"), `base of the patch from GitRepository default/site at main@sha1:abc: file "none.yaml": there is no such file`},
		"directory":      {patched("GitRepository", "."), "file"},
		"base outside":   {patched("GitRepository", "../../etc/passwd"), `file "etc/passwd": there is no such file`},
		"large base":     {patched("GitRepository", "large.yaml"), `file "large.yaml" is larger than 8388608 bytes, the limit that --max-edited-file-size sets`},
		"base is none":   {patched("GitRepository", "notes.txt"), "patchStrategicMerge: file \"deploy.yaml\": base, line 1: this is no Kubernetes object"},
		"other object":   {patched("GitRepository", "other.yaml"), `patchStrategicMerge: file "deploy.yaml": patch, line 1, Deployment "app": the base has no such object`},
		"missing target": {target("none.yaml"), `patchStrategicMerge: file "none.yaml": not a regular file in the source; it holds: deploy.yaml, other.txt`},
		"outside":        {target("../x"), "the file must be a path within the source"},
		"target is none": {target("other.txt"), `patchStrategicMerge: file "other.txt": patch, line 1: this is no Kubernetes object`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := patchStage(t, shippedDeployment, map[string]string{
				"app.yaml": siteDeployment, "notes.txt": "notes\n", "other.yaml": strings.ReplaceAll(siteDeployment, "name: app", "name: other"),
				"large.yaml": "# " + strings.Repeat("x", 8<<20),
			})
			wantRefused(t, s.configure(t, tc.change), "False "+v1alpha1.ReconcileMutationObjectFailedReason, tc.says)
		})
	}
}

func TestPatchFromASnapshotThatIsNoTree(t *testing.T) {
	t.Parallel()
	s := newStage(t, config)
	s.releasePatch(t, map[string]string{"deploy.yaml": shippedDeployment})
	r := reconcilertest.Resource("site", "app", "text")
	s.Create(r)
	s.resources.Reconcile(r)
	s.prove(t)
	c := s.configure(t, patched(v1alpha1.ResourceKind, "app.yaml"))
	wantRefused(t, c, "False "+v1alpha1.ReconcileMutationObjectFailedReason, "base of the patch from Resource default/site: read archive: content is no tar archive")
}

func TestPatchSourcesThatAreNotReady(t *testing.T) {
	t.Parallel()
	const waits, failed = v1alpha1.PatchStrategicMergeSourceRefNotReadyReason, v1alpha1.PatchStrategicMergeSourceRefNotReadyWithErrorReason
	for name, tc := range map[string]struct {
		prepare      func(*testing.T, *stage)
		change       func(*v1alpha1.MutationSpec)
		reason, says string
		stalled      bool
	}{
		"Flux is not installed": {nil, patched("Bucket", "x"), v1alpha1.FluxNotInstalledReason, "the cluster has no kind Bucket: install Flux's source-controller, or take the base of the patch from elsewhere", false},
		"no such source": {
			func(_ *testing.T, s *stage) { s.Serve(gitRepository) },
			patched("GitRepository", "x"), waits, "GitRepository default/site does not exist: create it, or correct spec.patchStrategicMerge.source.sourceRef", false,
		},
		"no such object": {nil, patched(v1alpha1.ResourceKind, "x"), waits, "Resource default/site does not exist: create it, or correct spec.patchStrategicMerge.source.sourceRef", false},
		"no artifact": {func(t *testing.T, s *stage) {
			t.Helper()
			site := s.fluxSource(t, nil, "")
			s.Change(site, func() { delete(site.Object, "status") })
		}, patched("GitRepository", "x"), waits, "GitRepository default/site has no artifact yet", false},
		"wrong digest": {
			func(t *testing.T, s *stage) { t.Helper(); s.fluxSource(t, nil, digest.FromString("x").String()) },
			patched("GitRepository", "x"), failed, "", false,
		},
		"no source": {nil, patched(v1alpha1.ComponentVersionKind, "x"), "InvalidSpec", `spec.patchStrategicMerge.source.sourceRef.kind is "ComponentVersion": use GitRepository, OCIRepository, Bucket, ExternalArtifact, Resource, Localization or Configuration`, true},
		"other namespace": {nil, func(spec *v1alpha1.MutationSpec) {
			patched("GitRepository", "x")(spec)
			spec.PatchStrategicMerge.Source.SourceRef.Namespace = "team"
		}, "AccessDenied", "GitRepository team/site is in another namespace", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, config)
			if tc.prepare != nil {
				tc.prepare(t, s)
			}
			c := s.configure(t, tc.change)
			wantRefused(t, c, "False "+tc.reason, tc.says)
			if got := reconcilertest.Conditions(c)["Stalled"] != ""; got != tc.stalled {
				t.Errorf("conditions are %v, want stalled %t", reconcilertest.Conditions(c), tc.stalled)
			}
		})
	}
}

// TestPatchIsMergedOnce does nothing while nothing changes, and fetches what Flux offers once.
func TestPatchIsMergedOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t, config)
	fetched := 0
	s.artifacts.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		fetched++
		return http.DefaultTransport.RoundTrip(r)
	})
	s.releasePatch(t, map[string]string{"deploy.yaml": shippedDeployment})
	site := s.fluxSource(t, map[string]string{"app.yaml": siteDeployment}, "")
	c := s.configure(t, patched("GitRepository", "app.yaml"))
	wantReady(t, c)
	s.forget()
	for range 3 {
		s.configurations.Reconcile(c)
	}
	if requests, writes := s.registry.Requests(), s.Writes(); fetched != 1 || len(requests) > 0 || len(writes) > 0 {
		t.Errorf("fetched %d times, requests %v, writes %v, want one fetch and nothing else", fetched, requests, writes)
	}
	s.Change(site, func() {
		site.Object["status"] = map[string]any{"artifact": serveArtifact(t, map[string]string{"app.yaml": strings.Replace(siteDeployment, "north", "south", 1)}, "", "main@sha1:def")}
	})
	s.configurations.Reconcile(c)
	wantReady(t, c)
	if diff := cmp.Diff(strings.Replace(mergedDeployment, "north", "south", 1), s.file(t, c.Status)); diff != "" || c.Status.LatestPatchSourceVersion != "main@sha1:def" {
		t.Errorf("patched over %s, file (-want +got):\n%s", c.Status.LatestPatchSourceVersion, diff)
	}
	s.Change(c, func() {
		configRef := reconcilertest.FromComponent("app", "config")
		c.Spec.PatchStrategicMerge, c.Spec.ConfigRef = nil, &configRef
	})
	s.configurations.Reconcile(c)
	wantReady(t, c)
	if c.Status.LatestPatchSourceVersion != "" || !strings.Contains(s.file(t, c.Status), "replicas: 5") {
		t.Errorf("without the patch: %s from %q", s.file(t, c.Status), c.Status.LatestPatchSourceVersion)
	}
}

// TestPatchArrivesInOrder upgrades a component that has both, the base and the patch: they are never of two versions.
func TestPatchArrivesInOrder(t *testing.T) {
	t.Parallel()
	s := newStage(t, config)
	s.releasePatch(t, map[string]string{"deploy.yaml": shippedDeployment})
	r := reconcilertest.Resource("site", "app", "base")
	s.Create(r)
	s.resources.Reconcile(r)
	s.prove(t)
	c := s.configure(t, patched(v1alpha1.ResourceKind, "site/app.yaml"))
	wantReady(t, c)
	s.Publish(s.url, ocmtest.Component{Name: app, Version: "1.2.0", Resources: []ocmtest.Resource{
		{Name: "manifests", Content: reconcilertest.Tar(t, map[string]string{"deploy.yaml": strings.Replace(shippedDeployment, "replicas: 2", "replicas: 3", 1)})},
		{Name: "base", Content: reconcilertest.Tar(t, map[string]string{"site/app.yaml": strings.Replace(siteDeployment, "proxy:1", "proxy:2", 1)})},
	}})
	s.components.Reconcile(s.component)
	s.resources.Reconcile(s.resource)
	s.prove(t)
	s.configurations.Reconcile(c)
	if c.Status.LatestSourceVersion != "1.1.0" || s.file(t, c.Status) != mergedDeployment {
		t.Errorf("two versions were merged:\n%s", s.file(t, c.Status))
	}
	s.resources.Reconcile(r)
	s.prove(t)
	s.configurations.Reconcile(c)
	wantReady(t, c)
	want := strings.NewReplacer("replicas: 2", "replicas: 3", "proxy:1", "proxy:2").Replace(mergedDeployment)
	if diff := cmp.Diff(want, s.file(t, c.Status)); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
}
