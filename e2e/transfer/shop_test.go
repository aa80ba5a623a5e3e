package transfer_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/e2e/shop"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
)

// release is the request that the shop's signature satisfies, and who makes it.
func release(t *testing.T) (*signing.Signer, signing.Request) {
	t.Helper()
	signer, public := ocmtest.SignerOf(t, "release")
	keys, err := signing.ParsePublicKeys(public)
	if err != nil {
		t.Fatal(err)
	}
	return signer, signing.Request{Name: shop.Signature, Keys: keys}
}

// publish publishes a version of the shop at a place.
func publish(t *testing.T, p place, version string) *shop.Made {
	t.Helper()
	signer, _ := release(t)
	made, err := shop.Publish(t.Context(), shop.Options{URL: p.URL(), Version: version, Seed: t.Name(), Signer: signer, Access: access(t, p.URL(), nil)})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// deliver transfers a version of the shop and proves that it has arrived.
func deliver(t *testing.T, from, to place, version string, o transfer.Options) *transfer.Result {
	t.Helper()
	_, request := release(t)
	result, err := transfer.Run(t.Context(), from.Repository, to.Repository, shop.Name, version, o)
	if err != nil {
		t.Fatalf("%s to %s: %v", from.name, to.name, err)
	}
	proof := prove(t, to, shop.Name, version, request)
	arrived(t, to, proof, result)
	if o.Have == nil {
		same(t, from, to, proof)
		if n := images(t, from, to, proof, true); n != 3 {
			t.Errorf("%s: %d artifacts were compared, want two images and a chart", to.name, n)
		}
	}
	return result
}

// TestShopTravels copies a component with nested references, a chart and images for two platforms in both formats between
// registries of all makes, and as an archive of each kind.
func TestShopTravels(t *testing.T) {
	t.Parallel()
	makes := []string{ours, distribution, gcr}
	for i, from := range makes {
		to, kind := makes[(i+1)%len(makes)], []string{"folder", "shop.tar", "shop.tgz"}[i]
		t.Run(from+"-by-"+kind+"-to-"+to, func(t *testing.T) {
			t.Parallel()
			source, target := in(t, from, nil), in(t, to, nil)
			made := publish(t, source, "1.0.0")
			_, open := archive(t, kind)
			carrier := open()
			deliver(t, source, carrier, "1.0.0", transfer.Options{})
			carrier.closed(t)
			carrier = open()
			deliver(t, carrier, target, "1.0.0", transfer.Options{})
			carrier.closed(t)
			direct := in(t, to, nil)
			direct.Repository = at(t, direct, "direct")
			deliver(t, source, direct, "1.0.0", transfer.Options{})
			for _, p := range []place{target, direct} {
				namesNoHost(t, p, source.host)
				for name, reference := range made.Images {
					if got := imageAt(t, p, name); strings.HasPrefix(got, source.host) || digestOf(got) != digestOf(reference) {
						t.Errorf("%s: image %s is %s, was %s", p.name, name, got, reference)
					}
				}
			}
		})
	}
}

// at returns the place below another one.
func at(t *testing.T, p place, path string) *ocm.Repository {
	t.Helper()
	u, err := url.Parse(p.URL())
	if err != nil {
		t.Fatal(err)
	}
	repository, err := ocm.Open(p.URL()+"/"+path, access(t, "http://"+u.Host, nil))
	if err != nil {
		t.Fatal(err)
	}
	return repository
}

func digestOf(reference string) string {
	_, d, _ := strings.Cut(reference, "@")
	return d
}

// components are the components of the shop.
var components = []string{shop.DataName, shop.BackendName, shop.Name}

// namesNoHost wants no access to lead to a host.
func namesNoHost(t *testing.T, p place, host string) {
	t.Helper()
	for _, component := range components {
		cv, err := p.Get(t.Context(), component, "1.0.0")
		if err != nil {
			t.Fatal(err)
		}
		for _, res := range cv.Descriptor().Component.Resources {
			if strings.Contains(string(res.Access.Raw), host) {
				t.Errorf("%s: %s of %s is at the source still: %s", p.name, res.Name, component, res.Access.Raw)
			}
		}
	}
}

// imageAt returns the reference of an image of the shop as a pod gets it.
func imageAt(t *testing.T, p place, name string) string {
	t.Helper()
	for _, component := range components {
		cv, err := p.Get(t.Context(), component, "1.0.0")
		if err != nil {
			t.Fatal(err)
		}
		for i := range cv.Descriptor().Component.Resources {
			if res := &cv.Descriptor().Component.Resources[i]; res.Name == name {
				reference, err := cv.PinnedImageReference(res)
				if err != nil {
					t.Error(err)
				}
				return reference
			}
		}
	}
	t.Errorf("%s has no image %s", p.name, name)
	return ""
}

// TestNothingIsSentTwice counts what is sent: each blob once, after it was looked for, the tags of component versions last,
// and nothing at all when everything is there.
func TestNothingIsSentTwice(t *testing.T) {
	t.Parallel()
	for _, name := range []string{ours, distribution, gcr} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := in(t, distribution, nil)
			source.Repository = at(t, source, "source")
			made := publish(t, source, "1.0.0")
			c := registry(t, name)
			p := newProxy(t, c.URL)
			target := inAt(t, c, p.url, nil)
			result := deliver(t, source, target, "1.0.0", transfer.Options{Confirm: transfer.ConfirmDescriptors})
			first := p.seen()
			lookedFirst(t, first)
			uploads := sent(first)
			for what, n := range uploads {
				if n != 1 {
					t.Errorf("%s was sent %d times", what, n)
				}
			}
			// That of go-containerregistry has each blob in all repositories, so that of other tests.
			if name != gcr && len(uploads) < len(made.Blobs) || result.Copied > len(uploads) {
				t.Errorf("%d blobs were sent, the result says %d, there are %d of the contents", len(uploads), result.Copied, len(made.Blobs))
			}
			tagsAreLast(t, first, made)
			t.Logf("%s: %d requests at first, %d blobs and %d bytes of %d sent", name, len(first), len(uploads), result.CopiedBytes, result.Bytes)

			again := deliver(t, source, target, "1.0.0", transfer.Options{Confirm: transfer.ConfirmDescriptors})
			nothingIsDone(t, p.seen(), again)
		})
	}
}

// lookedFirst wants every blob to have been looked for before it was sent.
func lookedFirst(t *testing.T, all []request) {
	t.Helper()
	looked := map[string]bool{}
	for _, r := range all {
		switch {
		case r.method == http.MethodHead && r.class == ocmtest.ClassBlobs:
			looked[strings.Replace(strings.TrimPrefix(r.path, "/v2/"), "/blobs/", "@", 1)] = true
		case r.method == http.MethodPut && r.class == ocmtest.ClassUploads && !looked[repositoryOf(r)+"@"+r.blob]:
			t.Errorf("%s was sent to %s before it was looked for", r.blob, repositoryOf(r))
		}
	}
}

// nothingIsDone wants a transfer of what was there to have changed nothing, and to say so.
func nothingIsDone(t *testing.T, all []request, result *transfer.Result) {
	t.Helper()
	for _, r := range all {
		if r.method != http.MethodGet && r.method != http.MethodHead {
			t.Errorf("%s %s although everything was there", r.method, r.path)
		}
	}
	if result.Copied != 0 || result.CopiedBytes != 0 || result.Present != result.Blobs {
		t.Errorf("the second result says %+v", result)
	}
	for _, v := range result.Versions {
		if v.Outcome != transfer.Unchanged {
			t.Errorf("%s is %s, want unchanged", v.Component, v.Outcome)
		}
	}
}

// tagsAreLast wants every component version to be tagged after all contents were sent, and after what it refers to.
func tagsAreLast(t *testing.T, all []request, made *shop.Made) {
	t.Helper()
	var order []string
	for _, r := range all {
		switch {
		case r.method == http.MethodPut && made.Blobs[digest.Digest(r.blob)] > 0 && len(order) > 0:
			t.Errorf("%s was sent after %s was tagged", r.blob, order[0])
		case r.method == http.MethodPut && strings.HasSuffix(r.path, "/manifests/1.0.0") && strings.Contains(r.path, "/component-descriptors/"):
			_, component, _ := strings.Cut(repositoryOf(r), "/component-descriptors/")
			order = append(order, component)
		}
	}
	if !slices.Equal(order, components) {
		t.Errorf("tagged in the order %v, want %v", order, components)
	}
}

// TestWhatWasCutOffGoesOn cuts a transfer off at several places, and wants the next one to send nothing anew that had arrived,
// and no component version to be seen at the target before all of it is there.
func TestWhatWasCutOffGoesOn(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]int{"first": 1, "some": 5, "most": 11} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := in(t, gcr, nil)
			source.Repository = at(t, source, "source")
			publish(t, source, "1.0.0")
			c := registry(t, ours)
			p := newProxy(t, c.URL)
			target := inAt(t, c, p.url, nil)
			runCutOff(t, source, target, p, after)
			for _, component := range components {
				if _, err := target.Get(t.Context(), component, "1.0.0"); !errors.Is(err, ocm.ErrNotFound) {
					t.Errorf("Get(%s) = %v, want that it is not there yet", component, err)
				}
			}
			arrivedFirst := sent(settled(t, p))
			deliver(t, source, target, "1.0.0", transfer.Options{})
			second := sent(p.seen())
			for what := range arrivedFirst {
				if second[what] > 0 {
					t.Errorf("%s was sent again", what)
				}
			}
			t.Logf("%d blobs had arrived, %d were sent then", len(arrivedFirst), len(second))
		})
	}
}

// runCutOff transfers the shop through a proxy until more than a number of blobs are sent.
func runCutOff(t *testing.T, source, target place, p *proxy, after int) {
	t.Helper()
	ctx, cut := context.WithCancel(t.Context())
	defer cut()
	var left int
	interfere := func(before func(request)) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.before = before
	}
	interfere(func(r request) {
		if r.method != http.MethodPut || r.class != ocmtest.ClassUploads {
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if left++; left > after {
			cut()
		}
	})
	if _, err := transfer.Run(ctx, source.Repository, target.Repository, shop.Name, "1.0.0", transfer.Options{Concurrency: 2}); !errors.Is(err, context.Canceled) {
		t.Fatalf("Run = %v, want that it was cut off", err)
	}
	interfere(nil)
}

// settled returns what a proxy has seen when nothing is on the way any more.
func settled(t *testing.T, p *proxy) []request {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for p.onTheWay() > 0 {
		select {
		case <-ticker.C:
		case <-t.Context().Done():
			t.Fatal("there is no end of requests")
		}
	}
	return p.seen()
}

// TestConflict wants other content under the same version to be left alone, unless it may be overwritten.
func TestConflict(t *testing.T) {
	t.Parallel()
	source, target := in(t, distribution, nil), in(t, ours, nil)
	publish(t, source, "1.0.0")
	_, request := release(t)
	deliver(t, source, target, "1.0.0", transfer.Options{})
	before := prove(t, target, shop.Name, "1.0.0", request)
	other := ocmtest.Component{Name: shop.DataName, Version: "1.0.0", Provider: "acme.org", Resources: []ocmtest.Resource{{Name: "catalogue", Content: []byte("another")}}}
	if _, err := other.Publish(t.Context(), source.URL(), access(t, source.URL(), nil)); err != nil {
		t.Fatal(err)
	}
	_, err := transfer.Run(t.Context(), source.Repository, target.Repository, shop.DataName, "1.0.0", transfer.Options{})
	conflict, ok := errors.AsType[*transfer.ConflictError](err)
	if !ok || conflict.Component != shop.DataName || !errors.Is(err, ocm.ErrExists) {
		t.Errorf("Run = %v, want a conflict about %s", err, shop.DataName)
	}
	if after := prove(t, target, shop.Name, "1.0.0", request); !slices.Equal(before.Versions, after.Versions) {
		t.Errorf("the target had %v and has %v", before.Versions, after.Versions)
	}
	if _, err := transfer.Run(t.Context(), source.Repository, target.Repository, shop.DataName, "1.0.0", transfer.Options{Overwrite: true}); err != nil {
		t.Error(err)
	}
	cv, err := target.Get(t.Context(), shop.DataName, "1.0.0")
	if err != nil || cv.Descriptor().Component.Resources[0].Digest.Value != digest.FromString("another").Encoded() {
		t.Errorf("Get = %v, want what was published last", err)
	}
}
