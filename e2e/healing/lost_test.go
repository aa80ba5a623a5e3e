package healing

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/e2e/loopback"
	"github.com/ocm-operator/ocm-operator/registry/auth"
)

// noise is the size of the content.
const noise = 256 << 10

// harm is something that happens to the disk of the registry.
type harm struct {
	name string
	do   func(w *world, p *puller, layer string) error
}

// harms are all the ways in which a disk loses content.
var harms = []harm{
	{"a file is changed", changeFile},
	{"a file is shortened", func(w *world, _ *puller, layer string) error { return os.Truncate(w.blob(layer), noise/2) }},
	{"a file is removed", func(w *world, _ *puller, layer string) error { return os.Remove(w.blob(layer)) }},
	{"all files are removed", func(w *world, _ *puller, _ string) error {
		return os.RemoveAll(filepath.Join(w.Operator.RegistryDir(), "blobs"))
	}},
	{"a file is changed while the operator does not run", func(w *world, _ *puller, layer string) error {
		return w.without(func() error { return flip(w.blob(layer)) })
	}},
	{"the index is damaged while the operator does not run", func(w *world, _ *puller, _ string) error {
		return w.without(func() error {
			return os.WriteFile(filepath.Join(w.Operator.RegistryDir(), "index.db"), []byte("this is no index"), 0o600)
		})
	}},
	{"the index is lost while the operator does not run", func(w *world, _ *puller, _ string) error {
		return w.without(func() error { return os.Remove(filepath.Join(w.Operator.RegistryDir(), "index.db")) })
	}},
	{"the node is replaced", func(w *world, _ *puller, _ string) error { return w.replaceNode() }},
}

// changeFile changes a file that somebody reads again and again. What is on its way already when that happens was proven before.
func changeFile(w *world, p *puller, layer string) error {
	return p.between(func() error { return flip(w.blob(layer)) })
}

// TestLostContentHeals has content lost in every way that a disk knows, while somebody pulls it: nothing wrong is ever served,
// the same content is back soon, and Flux goes on by itself.
func TestLostContentHeals(t *testing.T) {
	w := newWorld(t)
	w.publish("app", "1.0.0", noise)
	w.follow("app")
	w.deploy("app")
	w.arrived("app", "1.0.0")
	for i, h := range harms {
		before := w.content("app")
		p := w.always(w.registry("app", before))
		if err := h.do(w, p, before.layer); err != nil {
			t.Fatalf("%s: %v", h.name, err)
		}
		w.comesBack(h.name, before)
		w.Eventually("it can be pulled", func() error { return p.pull(w.Context()) })
		w.Wait("OCIRepository", "app", e2etest.Ready)
		// What comes next comes, too: nobody has to be woken. What was before stays, so that it can be gone back to.
		version := fmt.Sprintf("1.%d.0", i+1)
		w.publish("app", version, noise)
		w.arrived("app", version)
		p.finish(h.name)
	}
	metrics, err := w.Operator.Metrics(w.Context())
	if err != nil {
		t.Fatal(err)
	}
	missing, healed := metrics["ocm_snapshot_content_missing_total"], metrics["ocm_snapshot_content_healed_total"]
	if missing < 1 || missing != healed {
		t.Errorf("content was missing %v times and healed %v times since the last start", missing, healed)
	}
}

// comesBack waits until the file of the content is sound again. The Snapshot is of the same content as before.
func (w *world) comesBack(harm string, before content) {
	w.t.Helper()
	w.Eventually("the content is back", func() error { return w.sound(before.layer) })
	if diff := cmp.Diff(before, w.content("app"), cmp.AllowUnexported(content{})); diff != "" {
		w.t.Errorf("%s: the content is another (-before +after):\n%s", harm, diff)
	}
}

// TestScrubFindsDamage changes a file that nobody reads: the registry finds it out by itself.
func TestScrubFindsDamage(t *testing.T) {
	w := newWorld(t, "--registry-scrub-interval=1s")
	w.publish("app", "1.0.0", noise)
	w.follow("app")
	before := w.content("app")
	if err := flip(w.blob(before.layer)); err != nil {
		t.Fatal(err)
	}
	w.comesBack("a file is changed", before)
}

// TestArtifactsHeal is the same for those who read content as ExternalArtifacts, which have no registry to tell them anything.
func TestArtifactsHeal(t *testing.T) {
	address, kept, err := loopback.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	w := newWorld(t, "--external-artifacts", "--artifact-addr="+address, "--artifact-address="+address)
	w.publish("app", "1.0.0", noise)
	w.follow("app")
	w.deploy("app")
	w.arrived("app", "1.0.0")
	before := w.content("app")
	for _, h := range []harm{
		{"a file is changed", changeFile},
		{"all files are removed", func(w *world, _ *puller, _ string) error {
			return os.RemoveAll(filepath.Join(w.Operator.RegistryDir(), "blobs"))
		}},
		{"everything is lost while the operator does not run", func(w *world, _ *puller, _ string) error {
			return w.without(func() error { return os.RemoveAll(w.Operator.RegistryDir()) })
		}},
	} {
		url, _, _ := unstructured.NestedString(w.Wait("ExternalArtifact", "app").Object, "status", "artifact", "url")
		p := w.always(func(ctx context.Context) error {
			return get(ctx, http.DefaultClient, url, before.layer, auth.Credential{})
		})
		if err := h.do(w, p, before.layer); err != nil {
			t.Fatalf("%s: %v", h.name, err)
		}
		w.Eventually("the artifact can be read", func() error {
			return errors.Join(w.sound(before.layer), p.pull(w.Context()))
		})
		p.finish(h.name)
		w.Wait("Kustomization", "app", e2etest.Ready, e2etest.Field("ExternalArtifact", "spec", "sourceRef", "kind"))
	}
	w.Wait(v1alpha1.FluxDeployerKind, "app", e2etest.Ready)
}

// without does something while the operator does not run.
func (w *world) without(do func() error) error {
	if err := w.Operator.Stop(w.Context()); err != nil {
		return err
	}
	return errors.Join(do(), w.Operator.Restart(w.Context()))
}

// replaceNode has the operator crash, and come back with an empty disk.
func (w *world) replaceNode() error {
	w.KillOperator()
	dir := w.Operator.RegistryDir()
	return errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700), w.Operator.Restart(w.Context()))
}

// flip changes a byte in the middle of a file.
func flip(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	raw[len(raw)/2] ^= 1
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(raw[len(raw)/2:len(raw)/2+1], int64(len(raw)/2))
	return errors.Join(err, file.Close())
}
