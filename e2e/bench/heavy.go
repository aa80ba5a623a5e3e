package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
)

const mebibyte = 1 << 20

// largeCase is large content on its way through some kinds.
type largeCase struct {
	// name has a verb for the size.
	name     string
	upstream string
	bytes    int64
	// count is how many of them there are at once.
	count int
	// objects follow the ComponentVersion, and the last kind is the one that is waited for.
	objects string
	last    string
}

var largeCases = []largeCase{
	{
		name: "Localization of %d MiB", upstream: "0.7-1.1 GiB", bytes: 256 * mebibyte, count: 1,
		objects: largeLocalization, last: v1alpha1.LocalizationKind,
	},
	{
		name: "Localization of %d MiB", upstream: "3.4 GiB", bytes: 1024 * mebibyte, count: 1,
		objects: largeLocalization, last: v1alpha1.LocalizationKind,
	},
	{
		name: "4 Localizations of %d MiB at once", upstream: "not measured", bytes: 64 * mebibyte, count: 4,
		objects: largeLocalization, last: v1alpha1.LocalizationKind,
	},
	{
		name: "localBlob of %d MiB through Resource and FluxDeployer", upstream: "93 MiB", bytes: 512 * mebibyte, count: 1,
		objects: largeResource, last: v1alpha1.FluxDeployerKind,
	},
}

// large measures what large content takes, in an operator that was just started.
func (b *bench) large(ctx context.Context, w *world) error {
	for i, c := range largeCases {
		if b.largest > 0 {
			c.bytes = min(c.bytes, b.largest*mebibyte)
		}
		if err := b.largeCase(ctx, w, i, c); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) largeCase(ctx context.Context, w *world, number int, c largeCase) error {
	w.say("publishing %d x %d MiB", c.count, c.bytes/mebibyte)
	var names []string
	for i := range c.count {
		names = append(names, fmt.Sprintf("large-%d-%d", number, i))
		if err := publishLarge(ctx, filepath.Join(w.dir, "source"), w.source.repository(names[i]), c.bytes, uint64(10*number+i)); err != nil {
			return err
		}
		if err := w.namespace(ctx, names[i]); err != nil {
			return err
		}
	}
	if err := w.operator.Restart(ctx); err != nil {
		return err
	}
	r := b.row(fmt.Sprintf(c.name, c.bytes/mebibyte))
	r.upstream = c.upstream
	before, err := w.begin(ctx)
	if err != nil {
		return err
	}
	r.begun = time.Now()
	for _, name := range names {
		if err := w.create(ctx, largeVersionObject+c.objects, "${NAMESPACE}", name, "${REPOSITORY}", w.source.repository(name)); err != nil {
			return err
		}
	}
	w.say("%s", r.name)
	for _, name := range names {
		if err := w.readyLarge(ctx, name, c.last); err != nil {
			return err
		}
	}
	r.took = []time.Duration{time.Since(r.begun)}
	if r.cost, err = w.since(ctx, before); err != nil {
		return err
	}
	r.note("%.0f MiB/s", mebibytes(c.bytes)*float64(c.count)/r.last().Seconds())
	r.aimMemory()
	return nil
}

func (w *world) readyLarge(ctx context.Context, namespace, kind string) error {
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	return w.poll(ctx, 100*time.Millisecond, kind+" of "+namespace+" is ready", func(ctx context.Context) (bool, string, error) {
		if err := w.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "large"}, obj); err != nil {
			return false, "", err
		}
		ready, why := isReady(obj)
		return ready, why, nil
	})
}

const largeVersionObject = `
apiVersion: delivery.ocm.software/v1alpha1
kind: ComponentVersion
metadata: {name: large, namespace: "${NAMESPACE}"}
spec:
  interval: 10m
  component: ` + largeComponent + `
  repository: {url: "${REPOSITORY}"}
  version: {semver: ">=1.0.0"}
`

const largeLocalization = `
---
apiVersion: delivery.ocm.software/v1alpha1
kind: Localization
metadata: {name: large, namespace: "${NAMESPACE}"}
spec:
  interval: 10m
  sourceRef: {kind: ComponentVersion, name: large, resourceRef: {name: directory}}
  configRef: {kind: ComponentVersion, name: large, resourceRef: {name: config}}
`

const largeResource = `
---
apiVersion: delivery.ocm.software/v1alpha1
kind: Resource
metadata: {name: large, namespace: "${NAMESPACE}"}
spec:
  interval: 10m
  sourceRef: {kind: ComponentVersion, name: large, resourceRef: {name: directory}}
---
apiVersion: delivery.ocm.software/v1alpha1
kind: FluxDeployer
metadata: {name: large, namespace: "${NAMESPACE}"}
spec:
  interval: 10m
  waitForReady: true
  sourceRef: {kind: Resource, name: large}
  kustomizationTemplate: {path: ./, prune: true, targetNamespace: "${NAMESPACE}", timeout: 3m}
`
