package replication

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// crowd is how many replications from the slow source there are.
const crowd = 6

// slowSource replicates much from a registry that hardly answers: who has a fast one does not wait. What is slow goes on over a restart,
// is cancelled when it is not wanted any more, and is completed when the registry recovers.
func slowSource(t *testing.T, w *world, all *registries) {
	slow, quick, to := place(t, all.theirs, "slow-source"), place(t, all.ours.gate, "quick-source"), place(t, all.theirs, "slow-mirror")
	slow.gate.crawls(1 << 10)
	for i := range crowd {
		w.begin(fmt.Sprintf("slow%d", i), slow, to)
	}
	w.Eventually("a transfer from the slow source", func() error {
		if slow.gate.seen().requests["GET "+ocmtest.ClassBlobs] == 0 {
			return errors.New("no blob was asked for yet")
		}
		return nil
	})
	w.overtakes(quick, to)
	for i := range crowd {
		w.stillSlow(fmt.Sprintf("slow%d", i))
	}
	w.RestartOperator() // ends in time in spite of what goes on, and goes on with it
	const left = 2
	for i := range crowd - left {
		w.cancels(i, slow, to)
	}
	w.atWork(left, left)
	slow.gate.crawls(0)
	for i := crowd - left; i < crowd; i++ {
		name := fmt.Sprintf("slow%d", i)
		w.replicated(name, "1.0.0")
		medium(name).proves(t, to)
	}
	w.atWork(0, 0)
	w.tellTransfers()
}

// medium is a component that takes a slow source minutes.
func medium(name string) component {
	return component{name: "acme.org/" + name, version: "1.0.0", size: 64 << 10}
}

// begin publishes a component, and has it replicated.
func (w *world) begin(name string, from, to at) component {
	w.t.Helper()
	c := medium(name)
	c.publish(w.t, from)
	w.subscribe(subscription{name: name, component: c.name, from: from.gate.url(from.path), to: to.gate.url(to.path), verify: byValue(w.t)})
	return c
}

// overtakes replicates from a fast source, while the slow ones are at it.
func (w *world) overtakes(quick, to at) {
	w.t.Helper()
	for i := range 3 {
		began, name := time.Now(), fmt.Sprintf("quick%d", i)
		c := w.begin(name, quick, to)
		w.replicated(name, c.version)
		w.t.Logf("%s took %d ms beside %d slow ones", name, time.Since(began).Milliseconds(), crowd)
		c.proves(w.t, to)
	}
}

// stillSlow wants a replication not to be done, and to tell how far it is.
func (w *world) stillSlow(name string) {
	w.t.Helper()
	obj := w.Get(v1alpha1.ComponentSubscriptionKind, name)
	if err := e2etest.Ready(obj); err == nil {
		w.t.Errorf("%s is ready: it was not slow", name)
	}
	obj = w.Wait(v1alpha1.ComponentSubscriptionKind, name, reconciling, e2etest.Field("1.0.0", "status", "progress", "version"))
	condition, err := e2etest.Condition(obj, "Reconciling")
	if err != nil {
		w.t.Fatal(err)
	}
	phase, _, err := unstructured.NestedString(obj.Object, "status", "progress", "phase")
	w.t.Logf("%s is %s (%v): %s: %s", name, phase, err, condition.Reason, condition.Message)
}

// reconciling wants an object to say that it is at work on the version.
func reconciling(obj *unstructured.Unstructured) error {
	condition, err := e2etest.Condition(obj, "Reconciling")
	if err == nil && (condition.Status != metav1.ConditionTrue || !strings.Contains(condition.Message, "1.0.0")) {
		err = fmt.Errorf("Reconciling is %s: %s; want it to tell of version 1.0.0", condition.Status, condition.Message)
	}
	return err
}

// cancels deletes a slow replication, or suspends it, in turn.
func (w *world) cancels(i int, slow, to at) {
	w.t.Helper()
	name := fmt.Sprintf("slow%d", i)
	if i%2 == 0 {
		w.Delete(v1alpha1.ComponentSubscriptionKind, name)
		return
	}
	w.Apply("apiVersion: delivery.ocm.software/v1alpha1\nkind: ComponentSubscription\nmetadata: {name: " + name + "}\nspec: {suspend: true, interval: 1s, component: acme.org/" + name +
		", source: {url: " + slow.gate.url(slow.path) + "}, destination: {url: " + to.gate.url(to.path) + "}}")
}

// tellTransfers logs what the operator counts of its transfers.
func (w *world) tellTransfers() {
	w.t.Helper()
	metrics, err := w.Operator.Metrics(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(metrics)) {
		if n := metrics[name]; n > 0 && strings.HasPrefix(name, "ocm_transfer") && !strings.Contains(name, "_bucket") {
			w.t.Logf("%s %v", name, n)
		}
	}
}

// atWork waits until so many transfers run or wait.
func (w *world) atWork(least, most int) {
	w.t.Helper()
	w.Eventually(fmt.Sprintf("%d to %d transfers run or wait", least, most), func() error {
		metrics, err := w.Operator.Metrics(w.t.Context())
		if err != nil {
			return err
		}
		if running, waiting := metrics["ocm_transfers_running"], metrics["ocm_transfers_waiting"]; int(running+waiting) < least || int(running+waiting) > most {
			return fmt.Errorf("%v transfers run and %v wait", running, waiting)
		}
		return nil
	})
}
