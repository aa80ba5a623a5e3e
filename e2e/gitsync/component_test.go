package gitsync

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

const (
	// app is the name of the objects that bring content into the cluster, and of the resource that they bring.
	app = "app"
	// signature is the name of the signature of every component version, and of who makes it.
	signature = "release"
)

// entry is a file of a component: a symbolic link when it has a target.
type entry struct {
	path, content, target string
	executable            bool
}

func file(path, content string) entry { return entry{path: path, content: content} }
func program(path, content string) entry {
	return entry{path: path, content: content, executable: true}
}
func link(path, target string) entry { return entry{path: path, target: target} }

// pack makes an archive of files as they are, however hostile their names are.
func pack(t *testing.T, entries []entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		header := &tar.Header{Name: e.path, Mode: 0o644, Size: int64(len(e.content)), Linkname: e.target, Typeflag: tar.TypeReg}
		if e.executable {
			header.Mode = 0o755
		}
		if e.target != "" {
			header.Typeflag = tar.TypeSymlink
		}
		if err := w.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// component is the name of the component of a test, which no other test has.
func (w *world) component() string { return "acme.org/" + w.Namespace }

// publish publishes a signed version of the component of the test, and asks the cluster to look.
func (w *world) publish(version string, entries ...entry) {
	w.t.Helper()
	w.publishContent(version, pack(w.t, entries))
}

// publishContent is publish for content that is no archive, or an odd one.
func (w *world) publishContent(version string, content []byte) {
	w.t.Helper()
	signer, _ := ocmtest.SignerOf(w.t, signature)
	component := ocmtest.Component{
		Name: w.component(), Version: version,
		Resources: []ocmtest.Resource{
			{Name: app, Content: content},
			{Name: "config", Type: "PlainText", MediaType: "application/x-yaml", Content: []byte(configData)},
		},
		Signatures: []ocmtest.Signature{{Name: signature, Signer: signer}},
	}
	if _, err := component.Publish(w.t.Context(), w.registry.URL+"/components", ocm.Options{}); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.Lookup(v1alpha1.ComponentVersionKind, app); err == nil {
		w.requests++
		w.Kubectl("annotate", "--overwrite", "cv/"+app, requested+"="+version)
	}
}

// configData is how values get into the files of a component.
const configData = `apiVersion: config.ocm.software/v1alpha1
kind: ConfigData
metadata: {name: app}
configuration:
  defaults: {message: nobody has set this}
  rules:
  - {value: (( message )), file: config.yaml, path: data.message}
`

// Objects that bring content into the cluster.
const (
	resource = `
apiVersion: delivery.ocm.software/v1alpha1
kind: ComponentVersion
metadata: {name: app}
spec:
  interval: 1h
  component: ${COMPONENT}
  repository: {url: "${REGISTRY}/components"}
  version: {semver: ">=0.0.0"}
  verify: [{name: release, publicKey: {value: ${KEY}}}]
---
apiVersion: delivery.ocm.software/v1alpha1
kind: Resource
metadata: {name: app}
spec:
  interval: 1h
  sourceRef: {kind: ComponentVersion, name: app, resourceRef: {name: app}}
`
	configuration = `
apiVersion: delivery.ocm.software/v1alpha1
kind: Configuration
metadata: {name: app}
spec:
  interval: 1h
  sourceRef: {kind: Resource, name: app}
  configRef: {kind: ComponentVersion, name: app, resourceRef: {name: config}}
  values: {message: "${MESSAGE}"}
`
)

// deliver publishes a version and applies what brings it into the cluster.
func (w *world) deliver(version string, entries ...entry) {
	w.t.Helper()
	w.publish(version, entries...)
	w.follow()
}

// follow applies what brings the component of the test into the cluster.
func (w *world) follow() {
	w.t.Helper()
	_, public := ocmtest.SignerOf(w.t, signature)
	w.Apply(strings.TrimSpace(resource), "${COMPONENT}", w.component(), "${REGISTRY}", w.registry.URL, "${KEY}", base64.StdEncoding.EncodeToString(public))
}
