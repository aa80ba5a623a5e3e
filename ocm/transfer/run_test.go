package transfer_test

import (
	"encoding/json"
	"errors"
	"net/http"
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
			run(t, p.source, p.target, shop, "1.0.0", tt.options)
			if got := strings.Join(p.copied(t), " "); got != tt.copied {
				t.Errorf("copied are %q, want %q", got, tt.copied)
			}
			verifyTexts(t, p)
		})
	}
}

// copied returns the names of the elements whose contents are at the target, and checks
// all contents.
func (p *pair) copied(t *testing.T) []string {
	t.Helper()
	v := get(t, p.target, shop, "1.0.0")
	var names []string
	for i := range v.Descriptor().Component.Resources {
		res := &v.Descriptor().Component.Resources[i]
		if access.IsLocal(res.Access) || strings.Contains(string(res.Access.Raw), p.to.Host+"/there/") {
			names = append(names, res.Name)
		}
		if err := v.Check(t.Context(), res); err != nil && !errors.Is(err, ocm.ErrNoDigest) {
			t.Error(err)
		}
	}
	for _, s := range v.Descriptor().Component.Sources {
		if strings.Contains(string(s.Access.Raw), p.to.Host+"/there/") {
			names = append(names, s.Name)
		}
	}
	return names
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
