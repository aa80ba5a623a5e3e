package manager_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// pipeline is a component with everything up to what Flux gets.
type pipeline struct {
	*chain
	deployer *v1alpha1.FluxDeployer
}

// newPipeline returns a pipeline that is called something. Its intervals never end within the test.
func (o *operator) newPipeline(name string) *pipeline {
	p := &pipeline{chain: o.newChain()}
	for _, obj := range []client.Object{p.component, p.resource, p.localization, p.configuration} {
		obj.SetName(name)
	}
	config := reconcilertest.FromComponent(name, "config")
	p.resource.Spec.SourceRef.Name = name
	p.localization.Spec.SourceRef.Name, p.localization.Spec.ConfigRef = name, &config
	p.configuration.Spec.SourceRef.Name, p.configuration.Spec.ConfigRef = name, &config
	p.deployer = &v1alpha1.FluxDeployer{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.FluxDeployerSpec{
		Schedule: p.resource.Spec.Schedule, SourceRef: reconcilertest.From(v1alpha1.ConfigurationKind, name),
		KustomizationTemplate: &apiextensionsv1.JSON{Raw: []byte(`{"prune":true,"path":"./"}`)},
	}}
	return p
}

// objects are the pipeline's, in the order in which a file has them.
func (p *pipeline) objects() []client.Object {
	return []client.Object{p.component, p.resource, p.localization, p.configuration, p.deployer}
}

// deployed tells whether a pipeline has come to its end.
func (o *operator) deployed(p *pipeline) bool {
	o.t.Helper()
	if err := o.Get(o.t.Context(), client.ObjectKeyFromObject(p.deployer), p.deployer); err != nil {
		o.t.Fatal(err)
	}
	return reconcilertest.Conditions(p.deployer)["Ready"] == "True Succeeded"
}

// rests waits until there was no request for a while.
func (o *operator) rests() {
	o.t.Helper()
	last, since := -1, time.Now()
	o.eventually("the operator is at rest", func() bool {
		if now := sum(o.wire.seen()); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) > time.Second
	})
}

func show(counts map[string]int) string {
	var text strings.Builder
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&text, "%4d %s\n", counts[what], what)
	}
	return text.String()
}

// What one pipeline may cost the API server and the registry of components. The latter is asked for a listing, twice because
// it wants a log-in, for a manifest with its config and its descriptor, and for a blob by each of three that read a resource.
const (
	maxRequests       = 35
	maxSourceRequests = 8
)

// TestRequestsOfOnePipeline counts what a pipeline costs the API server and the registry of components from its creation
// until nothing is left to do.
func TestRequestsOfOnePipeline(t *testing.T) {
	o := newOperator(t)
	o.args = []string{"--secret-check-interval=1h"} // looks at Secrets have a schedule; what they lead to is counted elsewhere
	o.run()
	o.release("1.0.0")
	p := o.newPipeline("app")
	o.create(secret("login"), p.values)
	o.rests()
	o.wire.take()
	o.source.ResetRequests()
	o.create(p.objects()...)
	o.eventually("the pipeline is deployed", func() bool { return o.deployed(p) })
	o.rests()
	counts := o.wire.take()
	t.Logf("%d requests to the API server:\n%s\nrequests to the registry of components: %v", sum(counts), show(counts), o.source.Requests())
	if got := sum(counts); got > maxRequests {
		t.Errorf("one pipeline costs %d requests to the API server, want at most %d", got, maxRequests)
	}
	if asked := o.source.Requests(); sum(asked) > maxSourceRequests {
		t.Errorf("one pipeline costs %v, want at most %d requests to the registry of components", asked, maxSourceRequests)
	}
}
