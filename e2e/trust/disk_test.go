package trust_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	"go.etcd.io/bbolt"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
)

// pulled is a FluxDeployer without a template, which gets an OCIRepository also where others get an ExternalArtifact.
const pulled = `apiVersion: delivery.ocm.software/v1alpha1
kind: FluxDeployer
metadata: {name: pulled}
spec: {interval: 10m0s, sourceRef: {kind: Resource, name: app}}
---
`

// TestChangedOnDisk changes what was verified and published, in the folder of the embedded registry. Nobody gets the bytes,
// neither by the registry nor as an artifact, Flux applies nothing of them, and the operator writes the content again.
func TestChangedOnDisk(t *testing.T) {
	e := artifactsCluster(t)
	v := newVictim(t)
	e.Apply(keys(t, "operations") + follow(v.Server, "{semver: 1.0.0}", bySecret) + attackedPipeline + pulled)
	d := &disk{Env: e, t: t}
	d.delivered()
	applied := e.Get("ConfigMap", "app").GetResourceVersion()
	for _, step := range []struct {
		name string
		run  func()
	}{
		{"one bit of each content", func() { d.change(flip) }},
		{"other archives", func() { d.change(d.forge) }},
		{"one bit, while the operator does not run", func() { d.stopped(func() { d.change(flip) }) }},
		{"other archives, while the operator does not run", func() { d.stopped(func() { d.change(d.forge) }) }},
		{"manifests", func() { d.stopped(d.changeManifests) }},
	} {
		step.run()
		// Flux fetches everything again.
		e.Delete("OCIRepository", "pulled")
		e.Delete("ExternalArtifact", "app")
		d.delivered()
		if got := e.Get("ConfigMap", "app").GetResourceVersion(); got != applied {
			t.Errorf("%s: what is deployed was written again", step.name)
		}
		if found := stored(t, e.Operator.RegistryDir(), "says: "+evil); len(found) > 0 {
			t.Errorf("%s: left in %v", step.name, found)
		}
	}
}

// disk is the folder of the embedded registry.
type disk struct {
	*e2etest.Env
	t *testing.T
}

// delivered waits until everything is ready, and everybody can read everything. What is read until then is never wrong.
func (d *disk) delivered() {
	d.t.Helper()
	d.Wait("ConfigMap", "app", e2etest.Field(good, "data", "says"))
	for _, name := range []string{"app", "pulled"} {
		d.Wait("FluxDeployer", name, e2etest.Ready)
	}
	d.Wait("OCIRepository", "pulled", e2etest.Ready)
	d.Wait("ExternalArtifact", "app", func(obj *unstructured.Unstructured) error { return d.fetch(obj) })
	d.Eventually("the content of every Snapshot", func() error {
		for _, s := range list(d.t, d.Env, "Snapshot") {
			if err := e2etest.Ready(&s); err != nil {
				return err
			}
			raw, err := os.ReadFile(d.blob(&s))
			if err != nil {
				return err
			}
			if want := digestOf(&s); digest.FromBytes(raw) != want {
				return fmt.Errorf("content of %s is %s, want %s", s.GetName(), digest.FromBytes(raw), want)
			}
		}
		return nil
	})
	d.Puller("pulled").Snapshot()
}

// fetch reads an artifact as Flux does.
func (d *disk) fetch(artifact *unstructured.Unstructured) error {
	url, _, err := unstructured.NestedString(artifact.Object, "status", "artifact", "url")
	if err != nil || url == "" {
		return errors.Join(errors.New("there is no artifact yet"), err)
	}
	want, _, err := unstructured.NestedString(artifact.Object, "status", "artifact", "digest")
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(d.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return errors.Join(fmt.Errorf("fetch %s: %s", url, response.Status), err)
	}
	if got := digest.FromBytes(content).String(); got != want {
		d.t.Errorf("the artifact %s was served as %s", want, got)
	}
	return nil
}

func digestOf(snapshot *unstructured.Unstructured) digest.Digest {
	value, _, _ := unstructured.NestedString(snapshot.Object, "spec", "digest")
	return digest.Digest(value)
}

// blob is the file with the content of a Snapshot.
func (d *disk) blob(snapshot *unstructured.Unstructured) string {
	hex := digestOf(snapshot).Encoded()
	return filepath.Join(d.Operator.RegistryDir(), "blobs", "sha256", hex[:2], hex)
}

// change changes the content of every Snapshot, and reads what the registry serves then.
func (d *disk) change(how func(content []byte) []byte) {
	d.t.Helper()
	for _, s := range list(d.t, d.Env, "Snapshot") {
		path := d.blob(&s)
		content, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, how(content), 0o600)
		}
		if err != nil {
			d.t.Fatal(err)
		}
	}
}

// flip changes the last bit, which keeps the size.
func flip(content []byte) []byte {
	content[len(content)-1] ^= 1
	return content
}

// forge makes an archive that says something else, and that everybody could read.
func (d *disk) forge(content []byte) []byte {
	d.t.Helper()
	unpacked, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		d.t.Fatal(err)
	}
	files, err := io.ReadAll(unpacked)
	if err != nil {
		d.t.Fatal(err)
	}
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(bytes.ReplaceAll(files, []byte("says: "+good), []byte("says: "+evil))); err != nil {
		d.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		d.t.Fatal(err)
	}
	return out.Bytes()
}

// stopped does something while the operator does not run.
func (d *disk) stopped(do func()) {
	d.t.Helper()
	if err := d.Operator.Stop(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	do()
	if err := d.Operator.Restart(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
}

// changeManifests makes every manifest of the registry name other content.
func (d *disk) changeManifests() {
	d.t.Helper()
	db, err := bbolt.Open(filepath.Join(d.Operator.RegistryDir(), "index.db"), 0o600, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		bodies := tx.Bucket([]byte("bodies"))
		changed := map[string][]byte{}
		err := bodies.ForEach(func(name, body []byte) error {
			changed[string(name)] = bytes.ReplaceAll(body, []byte("sha256:"), []byte("sha256:0000"))[:len(body)]
			return nil
		})
		for name, body := range changed {
			err = errors.Join(err, bodies.Put([]byte(name), body))
		}
		return err
	})
	if err := errors.Join(err, db.Close()); err != nil {
		d.t.Fatal(err)
	}
}
