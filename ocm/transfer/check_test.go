package transfer_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
)

// transferred returns two registries, and a component version with a nested one,
// images beside it and in their own repository that was copied from one to the other.
func transferred(t testing.TB, o transfer.Options) (*pair, digest.Digest) {
	t.Helper()
	p := newPair(t)
	newShelves(p.to)
	root, leaf := shopOf("a: 1")
	root.Resources = append(root.Resources, p.image(t, "image", "a/web:1.0", "layer 1", "layer 2"))
	p.publish(t, leaf, root)
	result := run(t, p.source, p.target, shop, "1.0.0", o)
	return p, result.Versions[len(result.Versions)-1].Target
}

// gone makes a registry answer requests whose path ends like this as if it had lost
// what they are about.
func gone(server *ocmtest.Server, suffix string) {
	server.Inject(func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodGet && req.Method != http.MethodHead || !strings.HasSuffix(req.URL.Path, suffix) {
			return false
		}
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"errors":[{"code":"BLOB_UNKNOWN","message":"gone"}]}`))
		return true
	})
}

// TestCheck finds whatever a target loses, and a transfer repairs it.
func TestCheck(t *testing.T) {
	t.Parallel()
	image := manifestOf(t, ocmtest.Artifact{Layers: []ocmtest.Layer{
		{MediaType: "application/vnd.oci.image.layer.v1.tar", Content: []byte("layer 1")},
		{MediaType: "application/vnd.oci.image.layer.v1.tar", Content: []byte("layer 2")},
	}})
	for name, tt := range map[string]struct {
		options transfer.Options
		gone    string
		lost    string
	}{
		"nothing":                 {transfer.Options{}, "/nothing", ""},
		"nothing, kept inside":    {transfer.Options{Artifacts: transfer.LocalArtifacts}, "/nothing", ""},
		"tag":                     {transfer.Options{}, shop + "/manifests/1.0.0", shop + ":1.0.0"},
		"tag of a reference":      {transfer.Options{}, base + "/manifests/0.1.0", base + ":0.1.0"},
		"local blob":              {transfer.Options{}, "/blobs/" + digestOf("a: 1").String(), "blob " + digestOf("a: 1").String()},
		"blob of a reference":     {transfer.Options{}, "/blobs/" + digestOf("notes").String(), "blob " + digestOf("notes").String()},
		"tag of the image":        {transfer.Options{}, "a/web/manifests/1.0", "tag 1.0 for " + image.String()},
		"layer":                   {transfer.Options{}, "/blobs/" + digestOf("layer 2").String(), "there/a/web"},
		"layer inside":            {transfer.Options{Artifacts: transfer.LocalArtifacts}, "/blobs/" + digestOf("layer 2").String(), "there/component-descriptors/" + shop},
		"image inside":            {transfer.Options{Artifacts: transfer.LocalArtifacts}, "/manifests/" + image.String(), image.String()},
		"by reference is no loss": {transfer.Options{Resources: transfer.NoResources}, "/manifests/" + image.String(), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, want := transferred(t, tt.options)
			memory := transfer.Options{Memory: transfer.NewMemory(0)}
			if drift, err := transfer.Check(t.Context(), p.target, shop, "1.0.0", want, memory); drift != nil || err != nil {
				t.Fatalf("Check = %v, %v before anything is lost", drift, err)
			}
			gone(p.to, tt.gone)
			for _, o := range []transfer.Options{memory, {}} {
				checkLost(t, p, want, tt.lost, o)
			}
		})
	}
}

// checkLost wants the target to have lost something, or nothing.
func checkLost(t *testing.T, p *pair, want digest.Digest, lost string, o transfer.Options) {
	t.Helper()
	drift, err := transfer.Check(t.Context(), p.target, shop, "1.0.0", want, o)
	switch {
	case err != nil:
		t.Fatal(err)
	case lost == "" && drift != nil:
		t.Errorf("Check = %v", drift)
	case lost != "" && (drift == nil || drift.Moved != "" || !strings.Contains(drift.String(), lost)):
		t.Errorf("Check = %v, want %q", drift, lost)
	}
}

// TestCheckAsksLittle sends nothing but HEAD requests for what is known.
func TestCheckAsksLittle(t *testing.T) {
	t.Parallel()
	p, want := transferred(t, transfer.Options{})
	o := transfer.Options{Memory: transfer.NewMemory(0)}
	for i := range 3 {
		p.to.ResetRequests()
		if drift, err := transfer.Check(t.Context(), p.target, shop, "1.0.0", want, o); drift != nil || err != nil {
			t.Fatalf("Check = %v, %v", drift, err)
		}
		requests := p.to.Requests()
		if i > 0 && (requests["GET manifests"]+requests["GET blobs"] > 0 || requests["HEAD manifests"] != 3) {
			t.Errorf("requests are %v", requests)
		}
	}
	small := transfer.Options{Memory: transfer.NewMemory(1)}
	for range 2 {
		if drift, err := transfer.Check(t.Context(), p.target, shop, "1.0.0", want, small); drift != nil || err != nil {
			t.Fatalf("Check = %v, %v", drift, err)
		}
	}
}

// TestCheckMoved tells what a tag leads to in place of what it should.
func TestCheckMoved(t *testing.T) {
	t.Parallel()
	p, want := transferred(t, transfer.Options{})
	other, _ := shopOf("a: 2")
	moved, err := other.Publish(t.Context(), p.targetURL, p.options)
	if err != nil {
		t.Fatal(err)
	}
	drift, err := transfer.Check(t.Context(), p.target, shop, "1.0.0", want, transfer.Options{})
	if err != nil || drift == nil || drift.Moved != moved || !strings.Contains(drift.String(), want.String()) {
		t.Errorf("Check = %+v, %v", drift, err)
	}
	// What is referred to is pinned by the reference.
	leaf := ocmtest.Component{Name: base, Version: "0.1.0", Resources: []ocmtest.Resource{{Name: "notes", Content: []byte("other")}}}
	if _, err := leaf.Publish(t.Context(), p.targetURL, p.options); err != nil {
		t.Fatal(err)
	}
	drift, err = transfer.Check(t.Context(), p.target, shop, "1.0.0", moved, transfer.Options{})
	if err != nil || drift == nil || drift.Moved != "" || !strings.Contains(drift.String(), base+":0.1.0") {
		t.Errorf("Check = %+v, %v", drift, err)
	}
}

// TestCheckByReference leaves alone what belongs to others, also where the target is
// the registry that they keep it in.
func TestCheckByReference(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.target = open(t, p.from.URL, p.options)
	o := transfer.Options{Resources: transfer.NoResources, Memory: transfer.NewMemory(0)}
	image := p.image(t, "image", "elsewhere/web:1.0", "old")
	image.Image += "@sha256:" + image.Digest.Value
	p.publish(t, one(image))
	want := run(t, p.source, p.target, shop, "1.0.0", o).Versions[0].Target
	p.image(t, "image", "elsewhere/web:1.0", "new") // its owner moves the tag
	if drift, err := transfer.Check(t.Context(), p.target, shop, "1.0.0", want, o); drift != nil || err != nil {
		t.Errorf("Check = %v, %v", drift, err)
	}
	o.Resources = transfer.AllResources // what is remembered is not that for other options
	if drift, err := transfer.Check(t.Context(), p.target, shop, "1.0.0", want, o); drift == nil || err != nil {
		t.Errorf("Check = %v, %v, want that the tag has moved", drift, err)
	}
}

// TestCheckPromises compares a component version with what each one promises that
// refers to it, whatever another one does.
func TestCheckPromises(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	leaf := ocmtest.Component{Name: base, Version: "0.1.0", Resources: []ocmtest.Resource{{Name: "notes", Content: []byte("notes")}}}
	p.publish(t, leaf)
	found, err := normalize.Digest(get(t, p.source, base, "0.1.0").Descriptor(), "SHA-256", normalize.V4Alpha1)
	if err != nil {
		t.Fatal(err)
	}
	other := found
	other.Value = digestOf("other").Encoded()
	unknown := descriptor.Digest{HashAlgorithm: "SHA-1", NormalisationAlgorithm: normalize.V1, Value: "00"}
	for name, tt := range map[string]struct {
		promises []*descriptor.Digest
		lost     bool
	}{
		"none":                         {[]*descriptor.Digest{nil}, false},
		"right":                        {[]*descriptor.Digest{&found, nil, &found}, false},
		"wrong":                        {[]*descriptor.Digest{&other}, true},
		"right and then wrong":         {[]*descriptor.Digest{&found, &other}, true},
		"none and then wrong":          {[]*descriptor.Digest{nil, &other}, true},
		"what nobody can compare":      {[]*descriptor.Digest{&unknown}, false},
		"and beside it what is wrong":  {[]*descriptor.Digest{&unknown, &other}, true},
		"what is wrong, then is right": {[]*descriptor.Digest{&other, &found}, true},
	} {
		root := ocmtest.Component{Name: shop, Version: "1.0.0"}
		for i, promise := range tt.promises {
			root.References = append(root.References, ocmtest.Reference{Name: fmt.Sprint("base", i), Component: base, Version: "0.1.0", Digest: promise})
		}
		p.publish(t, root)
		want := get(t, p.source, shop, "1.0.0").ManifestDigest()
		o := transfer.Options{Memory: transfer.NewMemory(0)}
		for range 2 {
			drift, err := transfer.Check(t.Context(), p.source, shop, "1.0.0", want, o)
			if err != nil || (drift != nil) != tt.lost {
				t.Errorf("%s: Check = %v, %v", name, drift, err)
			}
		}
	}
}

// TestCheckFails tells a registry that does not answer from one that has lost
// something.
func TestCheckFails(t *testing.T) {
	t.Parallel()
	p, want := transferred(t, transfer.Options{})
	p.to.Inject(ocmtest.FailWith(http.StatusUnauthorized, -1, "HEAD blobs"))
	if drift, err := transfer.Check(t.Context(), p.target, shop, "1.0.0", want, transfer.Options{}); err == nil || drift != nil {
		t.Errorf("Check = %v, %v", drift, err)
	}
}

// TestManyLost names a few of many things.
func TestManyLost(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	newShelves(p.to)
	c := ocmtest.Component{Name: shop, Version: "1.0.0"}
	for i := range 30 {
		c.Resources = append(c.Resources, ocmtest.Resource{Name: "r" + string(rune('a'+i%26)), Version: "1.0." + string(rune('0'+i/26)), Content: []byte{byte(i)}})
	}
	p.publish(t, c)
	result := run(t, p.source, p.target, shop, "1.0.0", transfer.Options{})
	for i := range 30 {
		gone(p.to, "/blobs/"+digest.FromBytes([]byte{byte(i)}).String())
	}
	drift, err := transfer.Check(t.Context(), p.target, shop, "1.0.0", result.Versions[0].Target, transfer.Options{})
	if err != nil || drift == nil || len(drift.Lost) != 20 || drift.More != 10 || !strings.HasSuffix(drift.String(), "and 10 more") {
		t.Errorf("Check = %+v, %v", drift, err)
	}
}

// TestCheckReferences finds out that something else is at the target in place of what a
// reference without a digest leads to, if it is told what that was.
func TestCheckReferences(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	root, leaf := shopOf("a: 1")
	root.Tamper = func(d *descriptor.Descriptor, _ ocmtest.Blobs) error {
		d.Component.References[0].Digest = nil
		return nil
	}
	p.publish(t, leaf, root)
	result := run(t, p.source, p.target, shop, "1.0.0", transfer.Options{})
	o := transfer.Options{Memory: transfer.NewMemory(0), Targets: func(component, version string) (digest.Digest, bool) {
		for _, v := range result.Versions {
			if v.Component == component && v.Version == version {
				return v.Target, true
			}
		}
		return "", false
	}}
	want := result.Versions[1].Target
	checkLost(t, p, want, "", o)
	other := ocmtest.Component{Name: base, Version: "0.1.0", Resources: []ocmtest.Resource{plain("notes", "other notes")}}
	if _, err := other.Publish(t.Context(), p.targetURL, p.options); err != nil {
		t.Fatal(err)
	}
	checkLost(t, p, want, base+":0.1.0 is sha256:", o)
	checkLost(t, p, want, "", transfer.Options{Memory: o.Memory})
}

// TestRepair sends again what a target has lost, and only that.
func TestRepair(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]string{"tag": "/manifests/1.0.0", "blob": digestOf("a: 1").String(), "layer": digestOf("layer 1").String()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, want := transferred(t, transfer.Options{})
			loseUntilSent(p.to, lose)
			result := run(t, p.source, p.target, shop, "1.0.0", transfer.Options{Concurrency: 1})
			sent := 1
			if name == "tag" {
				sent = 0
			}
			if result.Copied != sent || result.Versions[1].Target != want {
				t.Errorf("result is %+v, want %d blobs sent", result, sent)
			}
			if drift, err := transfer.Check(t.Context(), p.target, shop, "1.0.0", want, transfer.Options{}); drift != nil || err != nil {
				t.Errorf("Check = %v, %v", drift, err)
			}
		})
	}
}

// loseUntilSent makes a registry lack what has a digest, or a path that ends like this,
// until it is sent.
func loseUntilSent(server *ocmtest.Server, what string) {
	lost := true
	server.Inject(func(w http.ResponseWriter, req *http.Request) bool {
		if !lost || !strings.Contains(req.URL.Path, "/there/") {
			return false
		}
		found := strings.HasSuffix(req.URL.Path, what)
		if req.Method == http.MethodPut && (found || strings.HasSuffix(req.URL.Query().Get("digest"), what)) {
			lost = false
			return false
		}
		if !found {
			return false
		}
		http.Error(w, `{"errors":[{"code":"BLOB_UNKNOWN","message":"gone"}]}`, http.StatusNotFound)
		return true
	})
}

// TestDamaged repairs a component version whose parts are lost, and leaves alone what
// may be something else.
func TestDamaged(t *testing.T) {
	t.Parallel()
	p, want := transferred(t, transfer.Options{})
	v := get(t, p.target, shop, "1.0.0")
	config := v.Source().Component.Manifest.Config.Digest
	lost := true
	p.to.Inject(func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method == http.MethodPut && strings.Contains(req.URL.RawQuery, config.Encoded()) {
			lost = false
		}
		if !lost || !strings.HasSuffix(req.URL.Path, config.String()) {
			return false
		}
		http.Error(w, `{"errors":[{"code":"BLOB_UNKNOWN","message":"gone"}]}`, http.StatusNotFound)
		return true
	})
	result := run(t, p.source, p.target, shop, "1.0.0", transfer.Options{})
	if outcomes(result)[shop+":1.0.0"] != transfer.Merged || result.Versions[1].Target != want || lost {
		t.Errorf("result is %+v", result)
	}
	// An image has the tag: nothing tells whether it is of use to somebody.
	other := open(t, p.to.URL+"/other", p.options)
	if _, err := small("image").Publish(t.Context(), p.to.URL+"/other/component-descriptors/"+shop+":1.0.0", p.options); err != nil {
		t.Fatal(err)
	}
	_, err := transfer.Run(t.Context(), p.source, other, shop, "1.0.0", transfer.Options{})
	if err == nil || !strings.Contains(err.Error(), "it can't be read") || oci.SideOf(err) != oci.Target {
		t.Errorf("Run = %v", err)
	}
	if got := outcomes(run(t, p.source, other, shop, "1.0.0", transfer.Options{Overwrite: true}))[shop+":1.0.0"]; got != transfer.Replaced {
		t.Errorf("outcome is %s", got)
	}
}
