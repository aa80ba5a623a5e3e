package mutation_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/binaries"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/registry"
	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/registry/certs"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// helmChart is a chart as `helm create` lays one out, as far as Helm asks for it.
var helmChart = map[string]string{
	"podinfo/Chart.yaml":   "apiVersion: v2\nname: podinfo\ndescription: A chart\nicon: https://example.com/icon.png\ntype: application\nversion: 6.3.5\nappVersion: 6.3.5\ndependencies:\n  - name: redis\n    version: 1.0.0\n",
	"podinfo/values.yaml":  "# Values of the chart.\nimage: placeholder # moved by localization\nreplicas: 1\n",
	"podinfo/.helmignore":  "*.bak\n",
	"podinfo/_helpers.txt": "kept\n",
	"podinfo/values.schema.json": `{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": {
		"image": {"type": "string"}, "replicas": {"type": "integer"}}}`,
	"podinfo/templates/deployment.yaml": `apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}-podinfo
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: podinfo}}
  template:
    metadata: {labels: {app: podinfo, chart: "{{ .Chart.Version | replace "+" "_" }}"}}
    spec:
      containers:
        - name: podinfo
          image: {{ .Values.image | quote }}
`,
	"podinfo/charts/redis/Chart.yaml":             "apiVersion: v2\nname: redis\nversion: 1.0.0\nicon: https://example.com/icon.png\n",
	"podinfo/charts/redis/values.yaml":            "tag: \"0\"\n",
	"podinfo/charts/redis/templates/service.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: redis, annotations: {tag: {{ .Values.tag | quote }}}}\nspec: {ports: [{port: 6379}]}\n",
}

// helm is the command of Helm in a home of its own.
type helm struct {
	t             *testing.T
	program, home string
}

func newHelm(t *testing.T) *helm {
	t.Helper()
	cache, err := binaries.Open(binaries.Options{Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	program, err := cache.Helm(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &helm{t: t, program: program, home: t.TempDir()}
}

func (h *helm) try(args ...string) (string, error) {
	cmd := exec.CommandContext(h.t.Context(), h.program, args...)
	cmd.Env, cmd.Dir = []string{"HOME=" + h.home, "PATH="}, h.home
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (h *helm) run(args ...string) string {
	h.t.Helper()
	out, err := h.try(args...)
	if err != nil {
		h.t.Fatalf("helm %v: %v\n%s", args, err, out)
	}
	return out
}

// serve serves the snapshots to others, with TLS if there are certificates.
func (s *stage) serve(t *testing.T, authorizer auth.Authorizer, certificates *certs.Dynamic) (address string) {
	t.Helper()
	handler := registry.NewHandler(s.Contents, registry.Options{Authorizer: authorizer})
	server := &registry.Server{Addr: "127.0.0.1:0", Handler: handler, Grace: time.Second}
	if certificates != nil {
		server.TLS = certificates.Config()
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		handler.Close()
	})
	<-server.Ready()
	return server.Address()
}

// TestHelmTakesTheChart proves with Helm itself that a chart that was localized and then configured is one: it is pulled from
// the registry as any other, has nothing that lint complains about, and renders the image and the value.
func TestHelmTakesTheChart(t *testing.T) {
	t.Parallel()
	h := newHelm(t)
	s := newStage(t, config)
	s.releaseChart(t, helmChart, chartConfig)
	wantReady(t, s.localize(t))
	c := s.configure(t, func(spec *v1alpha1.MutationSpec) {
		spec.SourceRef = reconcilertest.From(v1alpha1.LocalizationKind, "localized")
	})
	wantReady(t, c)
	repository := snapshot.RepositoryName("default", c.Status.SnapshotName)

	plain := t.TempDir()
	h.run("pull", "oci://"+s.serve(t, auth.AllowAll(), nil)+"/"+repository, "--version=6.3.5", "--plain-http", "--destination="+plain)
	packed := theOnly(t, plain)
	if out := h.run("lint", "--strict", packed); !strings.Contains(out, "1 chart(s) linted, 0 chart(s) failed") {
		t.Errorf("lint says\n%s", out)
	}
	rendered := h.run("template", "blue", packed)
	for _, want := range []string{`image: "ghcr.io/acme/app:1.1.0"`, "replicas: 2", "name: blue-podinfo", `chart: "6.3.5"`, `tag: "1.0.0"`} {
		if !strings.Contains(rendered, want) {
			t.Errorf("%s is not in\n%s", want, rendered)
		}
	}
	if out := h.run("show", "chart", packed); !strings.Contains(out, "version: 6.3.5") {
		t.Errorf("the chart says\n%s", out)
	}
	s.pullSafely(t, h, repository, packed)
}

// pullSafely pulls the chart with TLS and credentials, and wants the same bytes.
func (s *stage) pullSafely(t *testing.T, h *helm, repository, want string) {
	t.Helper()
	issuer, err := auth.NewIssuer(bytes.Repeat([]byte{7}, 32), nil)
	if err != nil {
		t.Fatal(err)
	}
	bundle, _, err := certs.Ensure(certs.Bundle{}, certs.Options{Hosts: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	certificates := &certs.Dynamic{}
	if err := certificates.Set(bundle); err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(h.home, "ca.crt")
	if err := os.WriteFile(ca, bundle.CACert, 0o600); err != nil {
		t.Fatal(err)
	}
	address := s.serve(t, issuer, certificates)
	credential, err := issuer.Issue(auth.Scope{Prefix: repository + "/"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	target := t.TempDir()
	pull := []string{"pull", "oci://" + address + "/" + repository, "--version=6.3.5", "--destination=" + target, "--ca-file=" + ca}
	if out, err := h.try(pull...); err == nil {
		t.Errorf("Helm pulled without credentials:\n%s", out)
	}
	h.run(append(pull, "--username="+credential.Username, "--password="+credential.Password)...)
	got, err := os.ReadFile(theOnly(t, target))
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(want)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, before) {
		t.Error("with TLS it is another chart")
	}
}

// theOnly returns the only file of a folder.
func theOnly(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(files) != 1 {
		t.Fatalf("in %s are %v (%v), want one chart", dir, files, err)
	}
	return files[0]
}
