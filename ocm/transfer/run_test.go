package transfer_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
)

// shopOf returns a component version with a config, and one that it refers to.
func shopOf(config string) (root, leaf ocmtest.Component) {
	leaf = ocmtest.Component{Name: base, Version: "0.1.0", Resources: []ocmtest.Resource{{Name: "notes", Content: []byte("notes")}}}
	root = ocmtest.Component{
		Name: shop, Version: "1.0.0", Resources: []ocmtest.Resource{{Name: "config", Content: []byte(config)}},
		References: []ocmtest.Reference{{Name: "base", To: &leaf}},
	}
	return root, leaf
}

// TestRun transfers a component version with what it refers to, reports how far it
// is, and repairs what the target loses.
func TestRun(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	root, leaf := shopOf("a: 1")
	p.publish(t, leaf, signed(t, root, "dev"))
	var seen []transfer.Progress
	o := transfer.Options{Verify: requests(t, "dev"), Progress: func(now transfer.Progress) { seen = append(seen, now) }}
	result := run(t, p.source, p.target, shop, "1.0.0", o)
	want := map[string]transfer.Outcome{base + ":0.1.0": transfer.Created, shop + ":1.0.0": transfer.Created}
	if diff := cmp.Diff(want, outcomes(result)); diff != "" || result.Versions[1].Component != shop {
		t.Errorf("outcomes differ (-want +got):\n%s", diff)
	}
	checkProgress(t, seen, result)
	if pinned, err := p.target.Resolve(t.Context(), shop, "1.0.0"); err != nil || pinned != result.Versions[1].Target {
		t.Errorf("the target has %s, %v, the result says %s", pinned, err, result.Versions[1].Target)
	}
	contexts := get(t, p.target, shop, "1.0.0").Descriptor().Component.RepositoryContexts
	if len(contexts) != 1 || !strings.Contains(string(contexts[0]), `"subPath":"there"`) || !strings.Contains(string(contexts[0]), p.to.URL) {
		t.Errorf("repository contexts are %s", contexts)
	}
}

// checkProgress wants progress that always moves and ends with everything done.
func checkProgress(t *testing.T, seen []transfer.Progress, result *transfer.Result) {
	t.Helper()
	phases := []transfer.Phase{transfer.Reading, transfer.Copying, transfer.Verifying}
	at := 0
	for i, now := range seen {
		for at < len(phases) && phases[at] != now.Phase {
			at++
		}
		if at == len(phases) || i > 0 && (now == seen[i-1] || now.Steps < seen[i-1].Steps) {
			t.Fatalf("progress %d is %+v after %+v", i, now, seen[max(i-1, 0)])
		}
	}
	last := seen[len(seen)-1]
	if last.Phase != transfer.Verifying || last.Blobs != result.Blobs || last.TotalBlobs != result.Blobs || last.Bytes != result.Bytes || last.Versions != len(result.Versions) {
		t.Errorf("at the end progress is %+v, result is %+v", last, result)
	}
}

// TestConflict publishes other content under the version that was transferred:
// nothing is sent, of the whole closure, unless overwriting is allowed.
func TestConflict(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	root, leaf := shopOf("a: 1")
	p.publish(t, leaf, root)
	run(t, p.source, p.target, shop, "1.0.0", transfer.Options{})
	before := get(t, p.target, shop, "1.0.0").ManifestDigest()
	other, _ := shopOf("a: 2")
	other.References = append(other.References, ocmtest.Reference{Name: "new", To: &ocmtest.Component{Name: "acme.org/new", Version: "1.0.0"}})
	p.publish(t, ocmtest.Component{Name: "acme.org/new", Version: "1.0.0"}, other)
	p.to.ResetRequests()
	_, err := transfer.Run(t.Context(), p.source, p.target, shop, "1.0.0", transfer.Options{})
	conflict, ok := errors.AsType[*transfer.ConflictError](err)
	if !ok || !errors.Is(err, ocm.ErrExists) || conflict.Component != shop || conflict.Version != "1.0.0" || conflict.Found != before || oci.SideOf(err) != oci.Target {
		t.Fatalf("Run = %v", err)
	}
	for _, part := range []string{"resource config:1.0.0 has digest SHA-256:", "nothing was overwritten", p.targetURL} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v doesn't say %q", err, part)
		}
	}
	if n := written(p.to); n != 0 {
		t.Errorf("there were %d requests that write", n)
	}
	result := run(t, p.source, p.target, shop, "1.0.0", transfer.Options{Overwrite: true})
	want := map[string]transfer.Outcome{base + ":0.1.0": transfer.Unchanged, "acme.org/new:1.0.0": transfer.Created, shop + ":1.0.0": transfer.Replaced}
	if diff := cmp.Diff(want, outcomes(result)); diff != "" {
		t.Errorf("outcomes differ (-want +got):\n%s", diff)
	}
	verifyTexts(t, p)
}

// verifyTexts compares the canonical texts of both sides.
func verifyTexts(t *testing.T, p *pair) {
	t.Helper()
	if diff := cmp.Diff(texts(t, p.source, shop, "1.0.0"), texts(t, p.target, shop, "1.0.0")); diff != "" {
		t.Errorf("canonical texts differ (-source +target):\n%s", diff)
	}
}

// TestConflicts says what is different.
func TestConflicts(t *testing.T) {
	t.Parallel()
	plain := func(name, content string) ocmtest.Resource {
		return ocmtest.Resource{Name: name, Content: []byte(content)}
	}
	none := func(content string) ocmtest.Resource {
		r := plain("open", content)
		r.NoDigest = true
		return r
	}
	excluded := func(content string) ocmtest.Resource {
		r := plain("open", content)
		r.Excluded = true
		return r
	}
	label := func(value string, signing bool) []descriptor.Label {
		return []descriptor.Label{{Name: "l", Value: json.RawMessage(value), Signing: signing}}
	}
	for name, tt := range map[string]struct {
		before, after ocmtest.Component
		why           string
	}{
		"another resource": {
			ocmtest.Component{Resources: []ocmtest.Resource{plain("a", "a")}}, ocmtest.Component{Resources: []ocmtest.Resource{plain("b", "a")}}, "it has no resource b:1.0.0",
		},
		"a resource less": {
			ocmtest.Component{Resources: []ocmtest.Resource{plain("a", "a"), plain("b", "b")}}, ocmtest.Component{Resources: []ocmtest.Resource{plain("a", "a")}}, "says something else",
		},
		"a signed label": {ocmtest.Component{Labels: label(`1`, true)}, ocmtest.Component{Labels: label(`2`, true)}, "says something else"},
		"no digest":      {ocmtest.Component{Resources: []ocmtest.Resource{none("a")}}, ocmtest.Component{Resources: []ocmtest.Resource{none("b")}}, "whose content no digest covers"},
		"excluded":       {ocmtest.Component{Resources: []ocmtest.Resource{excluded("a")}}, ocmtest.Component{Resources: []ocmtest.Resource{excluded("b")}}, "whose content no digest covers"},
		"digest added":   {ocmtest.Component{Resources: []ocmtest.Resource{none("a")}}, ocmtest.Component{Resources: []ocmtest.Resource{plain("open", "a")}}, "has digest none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			tt.before.Name, tt.before.Version, tt.after.Name, tt.after.Version = shop, "1.0.0", shop, "1.0.0"
			p.publish(t, tt.before)
			run(t, p.source, p.target, shop, "1.0.0", transfer.Options{})
			p.publish(t, tt.after)
			_, err := transfer.Run(t.Context(), p.source, p.target, shop, "1.0.0", transfer.Options{})
			if !errors.Is(err, ocm.ErrExists) || !strings.Contains(err.Error(), tt.why) {
				t.Errorf("Run = %v, want a conflict that says %q", err, tt.why)
			}
		})
	}
}

// TestMerge publishes the same content with other signatures and labels: the target
// keeps what it had besides, and the second time nothing changes.
func TestMerge(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	version := func(labels ...descriptor.Label) ocmtest.Component {
		return ocmtest.Component{
			Name: shop, Version: "1.0.0", Labels: labels,
			Resources: []ocmtest.Resource{{Name: "config", Content: []byte("a"), Labels: labels}},
		}
	}
	text := func(name, value string) descriptor.Label {
		return descriptor.Label{Name: name, Value: json.RawMessage(value)}
	}
	fixed := descriptor.Label{Name: "fixed", Value: json.RawMessage(`1`), Signing: true}
	p.publish(t, signed(t, version(fixed, text("stage", `"dev"`), text("old", `1`)), "dev", "old"))
	run(t, p.source, p.target, shop, "1.0.0", transfer.Options{})
	p.publish(t, signed(t, version(fixed, text("stage", `"prod"`), text("new", `2`)), "dev", "prod"))
	o := transfer.Options{Verify: requests(t, "dev", "prod")}
	result := run(t, p.source, p.target, shop, "1.0.0", o)
	if got := outcomes(result)[shop+":1.0.0"]; got != transfer.Merged {
		t.Errorf("outcome is %s", got)
	}
	d := get(t, p.target, shop, "1.0.0").Descriptor()
	want := []descriptor.Label{fixed, text("stage", `"prod"`), text("new", `2`), text("old", `1`)}
	if diff := cmp.Diff(want, d.Component.Labels); diff != "" {
		t.Errorf("labels differ (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, d.Component.Resources[0].Labels); diff != "" {
		t.Errorf("labels of the resource differ (-want +got):\n%s", diff)
	}
	var names []string
	for _, s := range d.Signatures {
		names = append(names, s.Name)
	}
	if !slices.Equal(names, []string{"dev", "prod", "old"}) {
		t.Errorf("signatures are %q", names)
	}
	again := run(t, p.source, p.target, shop, "1.0.0", o)
	if outcomes(again)[shop+":1.0.0"] != transfer.Unchanged || again.Versions[0].Target != result.Versions[0].Target {
		t.Errorf("the second time %+v", again.Versions)
	}
	verifyTexts(t, p)
}

// TestMergeContexts transfers through several repositories, which all stay named.
func TestMergeContexts(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	root, leaf := shopOf("a")
	p.publish(t, leaf, root)
	third := open(t, p.to.URL+"/third", p.options)
	run(t, p.source, p.target, shop, "1.0.0", transfer.Options{})
	run(t, p.target, third, shop, "1.0.0", transfer.Options{})
	run(t, third, p.source, shop, "1.0.0", transfer.Options{})
	for i, repo := range []*ocm.Repository{third, p.source} {
		if n := len(get(t, repo, shop, "1.0.0").Descriptor().Component.RepositoryContexts); n != i+2 {
			t.Errorf("%s names %d repositories", repo.URL(), n)
		}
	}
	// What comes back is merged, and adds nothing that was named before.
	result := run(t, p.source, p.target, shop, "1.0.0", transfer.Options{})
	again := run(t, p.source, p.target, shop, "1.0.0", transfer.Options{})
	if outcomes(result)[shop+":1.0.0"] != transfer.Merged || outcomes(again)[shop+":1.0.0"] != transfer.Unchanged {
		t.Errorf("outcomes are %v and then %v", outcomes(result), outcomes(again))
	}
	if n := len(get(t, p.target, shop, "1.0.0").Descriptor().Component.RepositoryContexts); n != 3 {
		t.Errorf("the target names %d repositories", n)
	}
}

// TestOptions transfers one component version with images, charts, sources and local
// blobs in all ways, and looks at where the contents are then.
func TestOptions(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		options transfer.Options
		// copied are the elements whose content is at the target.
		copied string
	}{
		"all":              {transfer.Options{}, "image chart config blob inside"},
		"local resources":  {transfer.Options{Resources: transfer.LocalResources}, "config inside"},
		"by reference":     {transfer.Options{Resources: transfer.NoResources}, "config"},
		"with sources":     {transfer.Options{Sources: true}, "image chart config blob inside code"},
		"sources only":     {transfer.Options{Resources: transfer.NoResources, Sources: true}, "config code"},
		"no charts":        {transfer.Options{OmitResourceTypes: []string{"helmChart", "configData"}}, "image config blob inside"},
		"no blobs":         {transfer.Options{OmitAccessTypes: []string{"ociBlob", "localBlob"}}, "image chart config inside"},
		"no ociArtifact":   {transfer.Options{OmitAccessTypes: []string{"ociArtifact"}, Sources: true}, "config blob"},
		"no OCIImageLayer": {transfer.Options{OmitAccessTypes: []string{"OCIImageLayer"}}, "image chart config blob inside"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			p.publish(t, p.everything(t))
			o := tt.options
			run(t, p.source, p.target, shop, "1.0.0", o)
			v := get(t, p.target, shop, "1.0.0")
			var copied []string
			for i := range v.Descriptor().Component.Resources {
				res := &v.Descriptor().Component.Resources[i]
				if access.IsLocal(res.Access) || strings.Contains(string(res.Access.Raw), p.to.Host+"/there/") {
					copied = append(copied, res.Name)
				}
				if err := v.Check(t.Context(), res); err != nil && !errors.Is(err, ocm.ErrNoDigest) {
					t.Error(err)
				}
			}
			for _, s := range v.Descriptor().Component.Sources {
				if strings.Contains(string(s.Access.Raw), p.to.Host+"/there/") {
					copied = append(copied, s.Name)
				}
			}
			if got := strings.Join(copied, " "); got != tt.copied {
				t.Errorf("copied are %q, want %q", got, tt.copied)
			}
			verifyTexts(t, p)
		})
	}
}

// everything returns a component version with contents of all kinds.
func (p *pair) everything(t *testing.T) ocmtest.Component {
	t.Helper()
	image := p.image(t, "image", "images/web:1.0", "layer 1", "layer 2")
	inside := p.image(t, "inside", "images/inside:1.0", "layer 3")
	chart := ocmtest.Chart("web", "1.0.0", []byte("chart"))
	d, err := chart.Publish(t.Context(), p.from.URL+"/charts/web:1.0.0", p.options)
	if err != nil {
		t.Fatal(err)
	}
	blob, err := descriptor.NewAccess(access.OCIBlob{Type: access.KindOCIBlob, Reference: p.from.URL + "/images/web", Digest: digestOf("layer 1")})
	if err != nil {
		t.Fatal(err)
	}
	code := p.image(t, "code", "code/web:1.0", "code")
	return ocmtest.Component{
		Name: shop, Version: "1.0.0",
		Resources: []ocmtest.Resource{
			image,
			{Name: "chart", Type: "helmChart", Image: p.from.URL + "/charts/web:1.0.0", Digest: descriptor.NewArtifactDigest(d)},
			{Name: "config", Type: "configData", Content: []byte("config")},
			{Name: "blob", Access: &blob, Digest: descriptor.NewBlobDigest(digestOf("layer 1"))},
			inside,
			{Name: "nothing", Access: &descriptor.Access{Type: "none", Raw: json.RawMessage(`{"type":"none"}`)}},
		},
		Tamper: func(d *descriptor.Descriptor, _ ocmtest.Blobs) error {
			for i := range d.Component.Resources {
				if d.Component.Resources[i].Name == "inside" {
					d.Component.Resources[i].Relation = descriptor.LocalRelation
				}
			}
			a, err := descriptor.NewAccess(access.OCIArtifact{Type: access.KindOCIArtifact, ImageReference: code.Image})
			d.Component.Sources = []descriptor.Source{{Element: descriptor.Element{Name: "code", Version: "1.0.0"}, Type: "git", Access: a}}
			return err
		},
	}
}

// TestUnreadable refuses what can't be read by value, and says how to go on.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		access string
		says   []string
		is     error
	}{
		"unknown kind": {`{"type":"s3","bucket":"b"}`, []string{"resource thing:1.0.0", `"s3"`, "omit access of type s3, or resources of type blob"}, ocm.ErrUnsupported},
		"not allowed":  {`{"type":"wget","url":"http://127.0.0.1/x"}`, []string{"resource thing:1.0.0", "omit access of type wget"}, ocm.ErrUnsupported},
		"gone":         {`{"type":"ociArtifact","imageReference":"http://HOST/gone/web:1"}`, []string{"resource thing:1.0.0", "not found"}, ocm.ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			a := descriptor.Access{}
			if err := json.Unmarshal([]byte(strings.ReplaceAll(tt.access, "HOST", p.from.Host)), &a); err != nil {
				t.Fatal(err)
			}
			p.publish(t, ocmtest.Component{Name: shop, Version: "1.0.0", Resources: []ocmtest.Resource{
				{Name: "config", Content: []byte("config")}, {Name: "thing", Access: &a},
			}})
			result, err := transfer.Run(t.Context(), p.source, p.target, shop, "1.0.0", transfer.Options{})
			if !errors.Is(err, tt.is) || oci.SideOf(err) != oci.Source || result == nil || len(result.Versions) > 0 {
				t.Fatalf("Run = %+v, %v", result, err)
			}
			for _, part := range tt.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%v doesn't say %q", err, part)
				}
			}
			if n := written(p.to); n != 0 {
				t.Errorf("there were %d requests that write", n)
			}
			run(t, p.source, p.target, shop, "1.0.0", transfer.Options{OmitResourceTypes: []string{"blob"}})
		})
	}
}

// TestPinned copies what was proven, whatever the tags lead to by now, and nothing
// that was not.
func TestPinned(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	root, leaf := shopOf("a: 1")
	p.publish(t, leaf, root)
	proven := map[string]digest.Digest{}
	for _, c := range []string{shop + ":1.0.0", base + ":0.1.0"} {
		name, version, _ := strings.Cut(c, ":")
		proven[c] = get(t, p.source, name, version).ManifestDigest()
	}
	want := texts(t, p.source, shop, "1.0.0")
	evil, _ := shopOf("a: 2")
	p.publish(t, evil)
	o := transfer.Options{Pinned: func(component, version string) (digest.Digest, bool) {
		d, ok := proven[component+":"+version]
		return d, ok
	}}
	run(t, p.source, p.target, shop, "1.0.0", o)
	if diff := cmp.Diff(want, texts(t, p.target, shop, "1.0.0")); diff != "" {
		t.Errorf("canonical texts differ (-proven +target):\n%s", diff)
	}
	delete(proven, base+":0.1.0")
	if _, err := transfer.Run(t.Context(), p.source, open(t, p.to.URL+"/other", p.options), shop, "1.0.0", o); err == nil || !strings.Contains(err.Error(), base+":0.1.0 is not among what was proven") {
		t.Errorf("Run = %v", err)
	}
}

// TestRefused copies nothing that does not verify.
func TestRefused(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	root, leaf := shopOf("a: 1")
	p.publish(t, leaf, signed(t, root, "dev"))
	_, err := transfer.Run(t.Context(), p.source, p.target, shop, "1.0.0", transfer.Options{Verify: requests(t, "dev", "other")})
	if err == nil || !strings.Contains(err.Error(), "other") || oci.SideOf(err) != oci.Source {
		t.Errorf("Run = %v", err)
	}
	if n := written(p.to); n != 0 {
		t.Errorf("there were %d requests that write", n)
	}
}

// TestFlat leaves out what the component version refers to, and still has all of it
// verified at the source.
func TestFlat(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	root, leaf := shopOf("a: 1")
	p.publish(t, leaf, signed(t, root, "dev"))
	result := run(t, p.source, p.target, shop, "1.0.0", transfer.Options{Flat: true, Verify: requests(t, "dev")})
	if len(result.Versions) != 1 {
		t.Errorf("result is %+v", result)
	}
	if _, err := p.target.Get(t.Context(), base, "0.1.0"); !errors.Is(err, ocm.ErrNotFound) {
		t.Errorf("Get = %v", err)
	}
	p.from.Inject(ocmtest.FailWith(http.StatusForbidden, -1, "GET manifests"))
	if _, err := transfer.Run(t.Context(), p.source, p.target, shop, "1.0.0", transfer.Options{Flat: true}); oci.SideOf(err) != oci.Source {
		t.Errorf("Run = %v", err)
	}
}
