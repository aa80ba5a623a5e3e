package airgap_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/e2e/operator"
	"github.com/ocm-operator/ocm-operator/e2e/shop"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/credentials"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
)

// TestAirGap exports a version, carries it, imports it where nothing else is, deploys it, and then does the same with the next
// version, of which only what has changed is carried.
func TestAirGap(t *testing.T) {
	outside := newSide(t, "", cluster.Options{})
	registry := newSource(t)
	registry.begin(t)
	first := registry.publish(t, "1.0.0")
	outside.Apply(guide(t, "export.yaml", theirSource, registry.url()))
	outside.replicated(t, "1.0.0")
	registry.end(t)

	inside := newSide(t, operator.Namespace, cluster.Options{ControllerManager: true, Flux: true}, "--registry-writer-secret=ocm-registry-writer")
	whole := carry(t, outside.file(archive), inside.file(archive))
	inside.Apply(guide(t, "direct.yaml"))
	inside.Wait("ComponentVersion", "shop", e2etest.Ready)
	inside.login(t)
	inside.Apply(guide(t, "import-embedded.yaml", theirRegistry, inside.Operator.RegistryAddress()))
	inside.replicated(t, "1.0.0")
	inside.Apply(guide(t, "deliver-embedded.yaml", theirRegistry, inside.Operator.RegistryAddress()))
	inside.Apply(delivery)
	inside.deployed(t, "1.0.0", first, registry.address)
	inside.holds(t, "1.0.0", first)

	registry.begin(t)
	second := registry.publish(t, "1.1.0")
	delta := exportDelta(t, outside, registry, "1.1.0")
	registry.end(t)
	changed, small := second.Changed(first), carry(t, delta, inside.file(archive))
	t.Logf("all of a version is %d bytes, the first archive %d; %d bytes of blobs have changed, the second archive has %d", second.Bytes(), whole, changed, small)
	if most := changed + describing(second); small > most {
		t.Errorf("the second archive has %d bytes, want at most %d", small, most)
	}
	inside.again("componentsubscription", "shop")
	inside.replicated(t, "1.1.0")
	inside.again("componentversion", "shop")
	inside.deployed(t, "1.1.0", second, registry.address)
	inside.holds(t, "1.1.0", second)
	inside.holds(t, "1.0.0", first)
}

// replicated waits until the subscription has replicated a version, and verified it.
func (s *side) replicated(t *testing.T, version string) {
	t.Helper()
	s.Within(longest, "version "+version+" is replicated", func() error {
		obj, err := s.Lookup("ComponentSubscription", "shop")
		if err != nil {
			return err
		}
		if err := e2etest.Ready(obj); err != nil {
			return err
		}
		status, _, err := unstructured.NestedMap(obj.Object, "status")
		if err != nil {
			return err
		}
		if status["replicatedVersion"] != version || status["latestVersion"] != version || status["lastAppliedVersion"] != version || status["verified"] != true {
			return fmt.Errorf("status is %v", status)
		}
		return nil
	})
}

// deployed waits until Flux has applied a version, with the image at the embedded registry.
func (s *side) deployed(t *testing.T, version string, made *shop.Made, outside string) {
	t.Helper()
	_, pin, _ := strings.Cut(made.Images["web"], "@")
	s.Within(longest, "version "+version+" is deployed", func() error {
		deployment, config := &appsv1.Deployment{}, &corev1.ConfigMap{}
		name := client.ObjectKey{Namespace: "default", Name: "shop"}
		if err := s.Client.Get(t.Context(), name, config); err != nil {
			return err
		}
		if err := s.Client.Get(t.Context(), name, deployment); err != nil {
			return err
		}
		image := deployment.Spec.Template.Spec.Containers[0].Image
		if got := config.Data["version"]; got != version || !strings.HasPrefix(image, s.Operator.RegistryAddress()+"/"+operator.Namespace+"/components/") || !strings.HasSuffix(image, "@"+pin) {
			return fmt.Errorf("version %q, image %q, want the one with %s", got, image, pin)
		}
		return nil
	})
	for kind, name := range map[string]string{"ComponentVersion": "shop", "Resource": "manifests", "Localization": "manifests", "FluxDeployer": "shop"} {
		text := fmt.Sprint(s.Wait(kind, name, e2etest.Ready).Object["status"])
		if strings.Contains(text, outside) {
			t.Errorf("%s %s leads outside: %s", kind, name, text)
		}
	}
}

// holds wants the embedded registry to have a version with all its images for all platforms, to the byte.
func (s *side) holds(t *testing.T, version string, made *shop.Made) {
	t.Helper()
	manifests := 0
	for _, component := range []string{shop.Name, shop.BackendName, shop.DataName} {
		cv, err := s.inner(t).Get(t.Context(), component, version)
		if err != nil {
			t.Fatal(err)
		}
		for i := range cv.Descriptor().Component.Resources {
			res := &cv.Descriptor().Component.Resources[i]
			if err := cv.Check(t.Context(), res); err != nil {
				t.Error(err)
			}
			place, err := cv.Source().Place(t.Context(), res)
			if err != nil {
				t.Fatal(err)
			}
			if place.Form != access.Artifact {
				continue
			}
			tree, err := oci.TreeOf(t.Context(), place.Repository, place.Manifest, oci.TreeLimits{})
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range tree.Manifests {
				if !bytes.Equal(made.Manifests[m.Digest], m.Bytes) {
					t.Errorf("%s has the manifest\n%s, want\n%s", res.Name, m.Bytes, made.Manifests[m.Digest])
				}
				manifests++
			}
			for _, b := range tree.Blobs {
				if has, err := place.Repository.Has(t.Context(), b); err != nil || !has {
					t.Errorf("%s lacks %s: %v", res.Name, b.Digest, err)
				}
			}
		}
	}
	if manifests != len(made.Manifests) {
		t.Errorf("the registry has %d manifests of images of %s, want %d", manifests, version, len(made.Manifests))
	}
}

// inner opens what was imported into the embedded registry.
func (s *side) inner(t *testing.T) *ocm.Repository {
	t.Helper()
	username, password := s.login(t)
	_, roots := s.RegistryRights()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	repository, err := ocm.Open("https://"+s.Operator.RegistryAddress()+"/"+operator.Namespace+"/components",
		ocm.Options{Transport: transport, Credentials: credentials.FromBasic(s.Operator.RegistryAddress(), username, password)})
	if err != nil {
		t.Fatal(err)
	}
	return repository
}

// exportDelta exports a version without what the archive has that was carried before, and returns the file.
func exportDelta(t *testing.T, outside *side, registry *source, version string) string {
	t.Helper()
	carried, err := ocm.OpenCTF(outside.file(archive), ocm.Options{TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	have, err := transfer.ListHave(t.Context(), carried, shop.Name, "1.0.0", transfer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := carried.Close(); err != nil {
		t.Fatal(err)
	}
	from, err := ocm.Open(registry.url(), ocm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	path := outside.file("delta.tgz")
	to, err := ocm.CreateCTF(path, ocm.Options{TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := transfer.Run(t.Context(), from, to, shop.Name, version, transfer.Options{Have: have}); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// overhead is what an archive has besides contents and manifests: three descriptors and what leads to them, its index, and the
// headers of its files.
const overhead = 48 << 10

func describing(m *shop.Made) int64 {
	bytes := int64(overhead)
	for _, raw := range m.Manifests {
		bytes += int64(len(raw))
	}
	return bytes
}
