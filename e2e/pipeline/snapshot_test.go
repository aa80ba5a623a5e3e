package pipeline_test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// Files of a component that try what an edit could spoil.
const (
	deployYAML = `# This file has a head,
# of two lines.

apiVersion: v1
kind: Service
metadata:   {name: podinfo}   # written in one line
spec:
    ports: [ {port: 9898} ]
    selector: {app: podinfo}
---
# The one that is localized.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: podinfo
spec:
  selector: {matchLabels: {app: podinfo}}
  template:
    metadata: {labels: {app: podinfo}}
    spec:
      containers:
      - name: podinfo
        # the image is above the arguments
        image: placeholder # replaced
        args: ["--level=debug", '--quiet',   "--port" , "9898"]
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: other
data:
  text: |+
    kept   as it is	

  yes: "no"
# the end
`
	configYAML = `apiVersion: v1
kind: ConfigMap
metadata:
  name: podinfo
data:
  PODINFO_UI_MESSAGE: not configured   # a greeting
  # PODINFO_UI_COLOR: "#000000"
`
	rulesYAML = `apiVersion: config.ocm.software/v1alpha1
kind: ConfigData
metadata:
  name: rules
localization:
- resource:
    name: image
  file: deploy/deploy.yaml
  selector: {kind: Deployment, name: podinfo}
  image: spec.template.spec.containers[0].image
configuration:
  rules:
  - value: (( message ))
    file: deploy/config.yaml
    path: data.PODINFO_UI_MESSAGE
`
	logo = "\x89PNG\r\n\x1a\n\x00\xff\xfe no text"
)

// TestSnapshotKeepsWhatNobodyChanged pulls what was made of a component as Flux does, and compares it to the last byte.
func TestSnapshotKeepsWhatNobodyChanged(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	manifests, err := ocmtest.Tar(
		ocmtest.File{Name: "deploy/"}, ocmtest.File{Name: "deploy/deploy.yaml", Content: []byte(deployYAML)},
		ocmtest.File{Name: "deploy/config.yaml", Content: []byte(configYAML)}, ocmtest.File{Name: "logo.png", Content: []byte(logo)},
	)
	if err != nil {
		t.Fatal(err)
	}
	component := ocmtest.Component{Name: "phoban.io/podinfo", Version: "1.0.0", Resources: []ocmtest.Resource{
		{Name: "manifests", Type: "Directory", MediaType: "application/x-tar", Content: manifests},
		{Name: "config", Type: "PlainText", MediaType: "application/x-yaml", Content: []byte(rulesYAML)},
		{Name: "image", Image: imageRegistry + "/podinfo:1.0.0"},
	}}
	if _, err := component.Publish(t.Context(), repository(registry), ocm.Options{}); err != nil {
		t.Fatal(err)
	}
	e.Apply(pipeline, "${REPOSITORY}", repository(registry), "${VALUES}", "values: {message: 'configured: yes'}")
	arrives(e, imageRegistry+"/podinfo:1.0.0", "configured: yes")

	want := map[string]string{
		"deploy/deploy.yaml": strings.Replace(deployYAML, "placeholder", imageRegistry+"/podinfo:1.0.0", 1),
		"deploy/config.yaml": strings.Replace(configYAML, "not configured", "'configured: yes'", 1),
		"logo.png":           logo,
	}
	got := newPuller(t, e, "podinfo").files()
	// How a text is quoted is the editor's business.
	got["deploy/config.yaml"] = strings.Replace(got["deploy/config.yaml"], `"configured: yes"`, "'configured: yes'", 1)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files of the snapshot (-want +got):\n%s", diff)
	}
	expectSnapshotNames(t, e, "manifests", "manifests", "configuration")
}

// expectSnapshotNames checks that there is a snapshot for each owner, named after it as is documented.
func expectSnapshotNames(t *testing.T, e *e2etest.Env, owners ...string) {
	t.Helper()
	snapshots := &v1alpha1.SnapshotList{}
	if err := e.Client.List(t.Context(), snapshots, client.InNamespace(e.Namespace)); err != nil {
		t.Fatal(err)
	}
	if len(snapshots.Items) != len(owners) {
		t.Errorf("there are %d snapshots, want %d", len(snapshots.Items), len(owners))
	}
	for _, snapshot := range snapshots.Items {
		if len(snapshot.OwnerReferences) != 1 {
			t.Fatalf("snapshot %s has %d owners, want one", snapshot.Name, len(snapshot.OwnerReferences))
		}
		owner := snapshot.OwnerReferences[0]
		if !regexp.MustCompile(`^` + regexp.QuoteMeta(owner.Name) + `-[a-z2-7]{7}$`).MatchString(snapshot.Name) {
			t.Errorf("snapshot of %s %s is called %s", owner.Kind, owner.Name, snapshot.Name)
		}
	}
}

// puller reads the embedded registry as Flux does: by the Secrets of a FluxDeployer, over TLS.
type puller struct {
	t    *testing.T
	http *http.Client
	// host is the address of the registry, repository and manifest what the FluxDeployer deploys.
	host, repository, manifest string
	username, password         string
}

func newPuller(t *testing.T, e *e2etest.Env, deployer string) *puller {
	t.Helper()
	source := e.Get("OCIRepository", deployer)
	field := func(path ...string) string {
		value, _, err := unstructured.NestedString(source.Object, append([]string{"spec"}, path...)...)
		if err != nil || value == "" {
			t.Fatalf("spec of OCIRepository %s has no %v: %v", deployer, path, err)
		}
		return value
	}
	p := &puller{t: t, manifest: field("ref", "digest")}
	p.host, p.repository, _ = strings.Cut(strings.TrimPrefix(field("url"), "oci://"), "/")
	pull, ca := &corev1.Secret{}, &corev1.Secret{}
	if err := get(e, field("secretRef", "name"), pull); err != nil {
		t.Fatal(err)
	}
	if err := get(e, field("certSecretRef", "name"), ca); err != nil {
		t.Fatal(err)
	}
	var config struct {
		Auths map[string]struct {
			Username string `json:"username"`
			Password string `json:"password"`
		} `json:"auths"`
	}
	if err := json.Unmarshal(pull.Data[corev1.DockerConfigJsonKey], &config); err != nil {
		t.Fatal(err)
	}
	p.username, p.password = config.Auths[p.host].Username, config.Auths[p.host].Password
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca.Data["ca.crt"]) {
		t.Fatal("the CA Secret has no certificates")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	p.http = &http.Client{Transport: transport, Timeout: 30 * time.Second}
	return p
}

// request asks the registry and returns status and body.
func (p *puller) request(ctx context.Context, method, path string) (int, []byte) {
	p.t.Helper()
	request, err := http.NewRequestWithContext(ctx, method, "https://"+p.host+path, http.NoBody)
	if err != nil {
		p.t.Fatal(err)
	}
	if p.username != "" {
		request.SetBasicAuth(p.username, p.password)
	}
	request.Header.Set("Accept", ocispec.MediaTypeImageManifest)
	response, err := p.http.Do(request)
	if err != nil {
		p.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatalf("%s %s: %v", method, path, err)
	}
	return response.StatusCode, body
}

// pull reads something by its digest.
func (p *puller) pull(kind string, want digest.Digest) []byte {
	p.t.Helper()
	status, body := p.request(p.t.Context(), http.MethodGet, fmt.Sprintf("/v2/%s/%s/%s", p.repository, kind, want))
	if status != http.StatusOK {
		p.t.Fatalf("pull %s %s: status %d: %s", kind, want, status, body)
	}
	if got := digest.FromBytes(body); got != want {
		p.t.Fatalf("pull %s %s: got %s", kind, want, got)
	}
	return body
}

// files returns the regular files of the snapshot.
func (p *puller) files() map[string]string {
	p.t.Helper()
	manifest := &ocispec.Manifest{}
	if err := json.Unmarshal(p.pull("manifests", digest.Digest(p.manifest)), manifest); err != nil {
		p.t.Fatal(err)
	}
	if len(manifest.Layers) != 1 {
		p.t.Fatalf("the snapshot has %d layers, want one", len(manifest.Layers))
	}
	unpacked, err := gzip.NewReader(strings.NewReader(string(p.pull("blobs", manifest.Layers[0].Digest))))
	if err != nil {
		p.t.Fatal(err)
	}
	files := map[string]string{}
	for archive := tar.NewReader(unpacked); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			p.t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			p.t.Fatal(err)
		}
		if header.Typeflag == tar.TypeReg {
			files[header.Name] = string(content)
		}
	}
}
