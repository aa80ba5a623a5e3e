package pipeline_test

import (
	"fmt"
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// TestValues delivers the same component with values from each place that they may come from, and changes them there.
func TestValues(t *testing.T) {
	for name, place := range map[string]struct {
		reason string
		// prepare returns what the Configuration says about its values, and what sets the message in that place.
		prepare func(t *testing.T, e *e2etest.Env, registry *ocmtest.Server) (values string, set func(message string))
	}{
		"inline":        {"the shortest form", inlineValues},
		"ConfigMap":     {"an edit has to arrive at once", configMapValues},
		"Secret":        {"as a ConfigMap, with a path into it", secretValues},
		"OCIRepository": {"Flux fetches it; its new artifact has to arrive at once", ociValues},
		"GitRepository": {"the documented one: in another namespace, with a path into the file", gitValues},
	} {
		t.Run(name, func(t *testing.T) {
			e := e2etest.Shared(t)
			t.Parallel()
			registry := ocmtest.Start(t)
			publish(t, registry, "6.3.6")
			values, set := place.prepare(t, e, registry)
			apply := func(values string) { e.Apply(pipeline, "${REPOSITORY}", repository(registry), "${VALUES}", values) }
			for _, message := range []string{"first message", "second message"} {
				if set == nil {
					apply(fmt.Sprintf(values, message))
				} else {
					set(message)
					apply(values)
				}
				arrives(e, imageRegistry+"/podinfo:6.3.6", message)
			}
		})
	}
}

func inlineValues(*testing.T, *e2etest.Env, *ocmtest.Server) (string, func(string)) {
	return `values: {message: "%s"}`, nil
}

func configMapValues(_ *testing.T, e *e2etest.Env, _ *ocmtest.Server) (string, func(string)) {
	return `valuesFrom: {configMapSource: {sourceRef: {name: site}, key: values.yaml}}`, func(message string) {
		e.Apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: site}, data: {values.yaml: 'message: " + message + "'}}")
	}
}

func secretValues(_ *testing.T, e *e2etest.Env, _ *ocmtest.Server) (string, func(string)) {
	return `valuesFrom: {secretSource: {sourceRef: {name: site}, key: site, subPath: apps.podinfo}}`, func(message string) {
		e.Apply("{apiVersion: v1, kind: Secret, metadata: {name: site}, stringData: {site: '{apps: {podinfo: {message: " + message + "}}}'}}")
	}
}

// ociValues publishes values as "flux push artifact" does.
func ociValues(t *testing.T, e *e2etest.Env, registry *ocmtest.Server) (string, func(string)) {
	set := func(message string) {
		content, err := ocmtest.Tar(ocmtest.File{Name: "site/values.yaml", Content: []byte("message: " + message)})
		if err == nil {
			content, err = ocmtest.Gzip(content)
		}
		if err != nil {
			t.Fatal(err)
		}
		artifact := ocmtest.Artifact{
			ConfigMediaType: "application/vnd.cncf.flux.config.v1+json",
			Layers:          []ocmtest.Layer{{MediaType: "application/vnd.cncf.flux.content.v1.tar+gzip", Content: content}},
		}
		if _, err := artifact.Publish(t.Context(), registry.URL+"/site/values:latest", ocm.Options{}); err != nil {
			t.Fatal(err)
		}
		e.Apply(`{apiVersion: source.toolkit.fluxcd.io/v1, kind: OCIRepository, metadata: {name: site, annotations: {reconcile.fluxcd.io/requestedAt: "${NOW}"}},
			spec: {interval: 10m0s, url: "oci://${HOST}/site/values", insecure: true, ref: {tag: latest}}}`, "${NOW}", message, "${HOST}", registry.Host)
	}
	return `valuesFrom: {fluxSource: {sourceRef: {kind: OCIRepository, name: site}, path: ./site/values.yaml}}`, set
}

// gitValues serves a Git repository as Git itself does.
func gitValues(t *testing.T, e *e2etest.Env, _ *ocmtest.Server) (string, func(string)) {
	git := e2etest.ServeGit(t)
	set := func(message string) {
		git.Push("values.yaml", "component-x-configs:\n  message: "+message+"\nanother: {}\n")
		e.Apply(`{apiVersion: source.toolkit.fluxcd.io/v1, kind: GitRepository, metadata: {name: "${NAMESPACE}", namespace: flux-system,
			annotations: {reconcile.fluxcd.io/requestedAt: "${NOW}"}},
			spec: {interval: 10m0s, url: "${URL}", ref: {branch: main}}}`, "${NOW}", message, "${URL}", git.URL)
	}
	return fmt.Sprintf(`valuesFrom: {fluxSource: {sourceRef: {kind: GitRepository, name: %s, namespace: flux-system}, path: ./values.yaml, subPath: component-x-configs}}`,
		e.Namespace), set
}
