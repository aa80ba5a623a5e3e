package chartcheck

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
)

const released = "v9.8.7-rc.1"

// script runs hack/chart.sh as a release does.
func script(t *testing.T, args ...string) {
	t.Helper()
	helm, err := openCache(t).Helm(t.Context())
	if err != nil {
		t.Fatalf("find helm: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(repository, "hack", "chart.sh"), args...)
	cmd.Env = append(os.Environ(), "HELM="+helm, "VERSION="+released)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("hack/chart.sh %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestPackage(t *testing.T) {
	t.Parallel()
	var archives [2][]byte
	var file string
	for i := range archives {
		dir := t.TempDir()
		script(t, "package", dir)
		file = filepath.Join(dir, "ocm-operator-"+strings.TrimPrefix(released, "v")+".tgz")
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		archives[i] = content
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("two archives of the same chart differ")
	}
	files := unpack(t, archives[0])
	for _, wanted := range []string{"Chart.yaml", "README.md", "values.schema.json", "files/rbac/Resource.yaml", "templates/crds/snapshots.yaml"} {
		if !slices.Contains(files, "ocm-operator/"+wanted) {
			t.Errorf("%s is missing in the archive", wanted)
		}
	}
	for _, name := range files {
		for _, unwanted := range []string{"/ci/", "/tests/", ".gotmpl"} {
			if strings.Contains(name, unwanted) {
				t.Errorf("%s is in the archive, where nobody needs it", name)
			}
		}
	}
	about, err := helm(t, "show", "chart", file)
	if err != nil {
		t.Fatal(err)
	}
	for _, wanted := range []string{
		"version: " + strings.TrimPrefix(released, "v"), "appVersion: " + released, "artifacthub.io/changes:", "- kind: added",
		"image: ghcr.io/ocm-operator/ocm-operator:" + released,
	} {
		if !strings.Contains(about, wanted) {
			t.Errorf("the archive's Chart.yaml has no %q", wanted)
		}
	}
	out, err := helm(t, "template", release, file, "--namespace", namespace)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, "ghcr.io/ocm-operator/ocm-operator:"+released) {
		t.Error("the archive installs another version")
	}
}

func unpack(t *testing.T, archive []byte) []string {
	t.Helper()
	content, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for r := tar.NewReader(content); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, header.Name)
	}
}

// TestInstallYAML applies the one file to an empty cluster, as its first line says.
func TestInstallYAML(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "install.yaml")
	script(t, "install-yaml", file)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c := clustertest.Start(t, cluster.Options{})
	kubectl := func(args ...string) string {
		t.Helper()
		out, err := program(t, c.State().Kubectl, append([]string{"--kubeconfig", c.Kubeconfig()}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	kubectl("apply", "--server-side", "--validate=strict", "--filename", file)
	objects := decode(t, string(content))
	if there := strings.Fields(kubectl("get", "--output", "name", "--filename", file)); len(there) != len(objects) {
		t.Errorf("the file has %d objects, and the cluster %d of them: %v", len(objects), len(there), there)
	}
	image := kubectl("get", "deployment", "--namespace", namespace, "ocm-operator", "--output", "jsonpath={.spec.template.spec.containers[0].image}")
	if want := "ghcr.io/ocm-operator/ocm-operator:" + released; image != want {
		t.Errorf("got the image %s, want %s", image, want)
	}
	// Everything of the chart is in the file but what only Helm runs.
	var rest []string
	for _, obj := range mustRender(t) {
		key := obj.GetKind() + " " + obj.GetName()
		if _, hook := obj.GetAnnotations()["helm.sh/hook"]; hook {
			continue
		}
		if !slices.ContainsFunc(objects, func(o *unstructured.Unstructured) bool { return o.GetKind()+" "+o.GetName() == key }) {
			rest = append(rest, key)
		}
	}
	if len(rest) > 0 {
		t.Errorf("the file lacks %v", rest)
	}
	for _, obj := range objects {
		if obj.GetLabels()["app.kubernetes.io/managed-by"] == "Helm" {
			t.Errorf("%s %s says that Helm manages it", obj.GetKind(), obj.GetName())
		}
	}
}
