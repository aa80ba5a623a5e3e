package manager_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// order returns the pipelines in the order in which they were deployed, and when.
func (o *operator) order(count int, begin func()) []time.Duration {
	o.t.Helper()
	watching, err := client.NewWithWatch(clustertest.APIServer(o.t), client.Options{Scheme: o.Scheme()})
	if err != nil {
		o.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(o.t.Context(), 10*longest)
	defer cancel()
	events, err := watching.Watch(ctx, &v1alpha1.FluxDeployerList{}, client.InNamespace(o.namespace))
	if err != nil {
		o.t.Fatal(err)
	}
	defer events.Stop()
	start := time.Now()
	var group sync.WaitGroup
	group.Go(begin)
	defer group.Wait()
	done := map[string]bool{}
	var times []time.Duration
	for event := range events.ResultChan() {
		deployer, ok := event.Object.(*v1alpha1.FluxDeployer)
		if !ok || event.Type == watch.Error || done[deployer.Name] || reconcilertest.Conditions(deployer)["Ready"] != "True Succeeded" {
			continue
		}
		done[deployer.Name] = true
		if times = append(times, time.Since(start)); len(times) == count {
			return times
		}
	}
	o.t.Fatalf("%d of %d pipelines were deployed", len(times), count)
	return nil
}

// TestManyPipelines creates many pipelines at once. One after another is finished, and they cost no more than one alone.
func TestManyPipelines(t *testing.T) {
	count := 20
	if text := os.Getenv("PIPELINES"); text != "" {
		var err error
		if count, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	o := startOperator(t)
	var objects []client.Object
	for i := range count {
		p := o.newPipeline(fmt.Sprintf("app%d", i))
		p.component.Spec.Component = fmt.Sprintf("acme.org/app%d", i)
		o.publish(p.component.Spec.Component, "1.0.0")
		objects = append(objects, p.objects()...)
		if i == 0 {
			o.create(secret("login"), p.values)
		}
	}
	o.rests()
	o.wire.take()
	var created time.Duration
	times := o.order(count, func() {
		start := time.Now()
		var group sync.WaitGroup
		for part := range slices.Chunk(objects, max(len(objects)/16, 1)) {
			group.Go(func() { o.create(part...) })
		}
		group.Wait()
		created = time.Since(start)
	})
	counts := o.wire.take()
	t.Logf("%d pipelines: first %s, median %s, last %s; %.1f requests each, created after %s:\n%s", count,
		times[0], times[count/2], times[count-1], float64(sum(counts))/float64(count), created, show(counts))
	// Objects may say once that they wait, and meet writes of others.
	if each := float64(sum(counts)) / float64(count); each > 1.25*maxRequests {
		t.Errorf("a pipeline among many costs %.1f requests, want hardly more than one alone", each)
	}
}
