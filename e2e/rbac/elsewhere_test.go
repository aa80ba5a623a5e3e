package rbac_test

import (
	"encoding/json"
	"encoding/pem"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/e2e/operator"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// elsewhere keeps snapshots in the registry of others, where nobody deploys them.
var elsewhere = scenario{
	name: "elsewhere",
	args: []string{
		"--watch-namespace=" + watched, "--features=ComponentSubscription=false,Localization=false,Configuration=false,FluxDeployer=false,GitSync=false",
		// The names of the Secrets decide, not where the registry is.
		"--snapshot-registry=oci://registry.example.com/snapshots",
		"--snapshot-registry-secret=push", "--snapshot-registry-pull-secret=pull", "--snapshot-registry-cert-secret=authority",
	},
	more: func(w *world) []string {
		registry := ocmtest.Start(w.t)
		target, err := url.Parse(registry.URL)
		if err != nil {
			w.t.Fatal(err)
		}
		front := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(target))
		w.t.Cleanup(front.Close)
		host := strings.TrimPrefix(front.URL, "https://")
		login, err := json.Marshal(map[string]any{"auths": map[string]any{host: map[string]string{"username": "user", "password": "word"}}})
		if err != nil {
			w.t.Fatal(err)
		}
		authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})
		for name, data := range map[string]map[string][]byte{
			"push": {corev1.DockerConfigJsonKey: login}, "pull": {corev1.DockerConfigJsonKey: login}, "authority": {"ca.crt": authority},
		} {
			secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operator.Namespace, Name: name}, Data: data}
			if err := w.Client.Create(w.t.Context(), secret); err != nil {
				w.t.Fatal(err)
			}
		}
		return []string{"--snapshot-registry=oci://" + host + "/snapshots", "--snapshot-recheck-interval=1s", "--snapshot-history=0"}
	},
	play: func(w *world) {
		components := ocmtest.Start(w.t)
		publish(w.t, components, "1.0.0")
		w.Apply(pipeline, "${REPOSITORY}", components.URL)
		w.Wait("Resource", "app", e2etest.Ready)
		publish(w.t, components, "2.0.0")
		w.request("ComponentVersion", "app")
		w.used("list", "fluxdeployers")
	},
}

// foreigners has a kind of others in the place of one of ours.
var foreigners = scenario{
	name:    "foreigners",
	args:    []string{"--watch-namespace=" + watched, "--features=Snapshot=false,ComponentVersion=false,Resource=false,Localization=false,Configuration=false,FluxDeployer=false,GitSync=false"},
	refuses: true,
	before: func(w *world) {
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := w.definitions().Get(w.t.Context(), client.ObjectKey{Name: "resources.delivery.ocm.software"}, crd); err != nil {
			w.t.Fatal(err)
		}
		for i := range crd.Spec.Versions {
			schema := crd.Spec.Versions[i].Schema.OpenAPIV3Schema
			schema.Properties["spec"] = apiextensionsv1.JSONSchemaProps{
				Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"componentRef": {Type: "object"}},
			}
			schema.XValidations = nil
		}
		if err := w.definitions().Update(w.t.Context(), crd); err != nil {
			w.t.Fatal(err)
		}
	},
}
