package pipeline_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
	got := e.Puller("podinfo").Files()
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
