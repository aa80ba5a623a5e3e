package transfer_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
)

// meanwhile returns options that have something done once, when everything was
// compared and contents are copied.
func meanwhile(do func()) transfer.Options {
	var once sync.Once
	return transfer.Options{Progress: func(now transfer.Progress) {
		if now.Phase == transfer.Copying {
			once.Do(do)
		}
	}}
}

// TestMeanwhile has others publish the same version at the target while contents are
// copied.
func TestMeanwhile(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		theirs    string
		overwrite bool
		want      transfer.Outcome // nothing is a conflict
	}{
		"other content":              {theirs: "theirs"},
		"other content, overwriting": {theirs: "theirs", overwrite: true, want: transfer.Replaced},
		"the same content":           {theirs: "ours", want: transfer.Merged},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			p.publish(t, version(plain("config", "ours")))
			var theirs digest.Digest
			o := meanwhile(func() {
				if _, err := version(plain("config", tt.theirs)).Publish(t.Context(), p.targetURL, p.options); err != nil {
					t.Error(err)
				}
				theirs = get(t, p.target, shop, "1.0.0").ManifestDigest()
			})
			o.Overwrite = tt.overwrite
			result, err := transfer.Run(t.Context(), p.source, p.target, shop, "1.0.0", o)
			if tt.want == "" {
				checkConflict(t, p, theirs, result, err)
				return
			}
			if err != nil || outcomes(result)[shop+":1.0.0"] != tt.want {
				t.Errorf("Run = %+v, %v", result, err)
			}
			verifyTexts(t, p)
		})
	}
}

// checkConflict wants a transfer to have ended with a conflict with what others wrote,
// which is there still.
func checkConflict(t *testing.T, p *pair, theirs digest.Digest, result *transfer.Result, err error) {
	t.Helper()
	conflict, ok := errors.AsType[*transfer.ConflictError](err)
	if !ok || conflict.Found != theirs || oci.SideOf(err) != oci.Target || len(result.Versions) > 0 {
		t.Errorf("Run = %+v, %v", result, err)
	}
	if now := get(t, p.target, shop, "1.0.0").ManifestDigest(); now != theirs {
		t.Errorf("the target has %s, and they wrote %s", now, theirs)
	}
}

// TestTagMeanwhile has others take the tag of an image while contents are copied: it
// stays theirs, and the image gets another one.
func TestTagMeanwhile(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.publish(t, one(p.image(t, "image", "a/web:1.0", "ours")))
	var theirs digest.Digest
	o := meanwhile(func() {
		var err error
		if theirs, err = small("theirs").Publish(t.Context(), p.targetURL+"/a/web:1.0", p.options); err != nil {
			t.Error(err)
		}
	})
	first := run(t, p.source, p.target, shop, "1.0.0", o)
	checkTag(t, p.target, "a/web", "1.0", theirs)
	ours := manifestOf(t, small("ours"))
	checkTag(t, p.target, "a/web", "1.0-"+ours.Encoded()[:12], ours)
	v := get(t, p.target, shop, "1.0.0")
	if got := accessOf(t, v, "image"); !strings.Contains(got, "/there/a/web:1.0-"+ours.Encoded()[:12]+"@"+ours.String()) {
		t.Errorf("access is %s", got)
	}
	if err := v.Check(t.Context(), resource(t, v, "image")); err != nil {
		t.Error(err)
	}
	again := run(t, p.source, p.target, shop, "1.0.0", transfer.Options{})
	if outcomes(again)[shop+":1.0.0"] != transfer.Unchanged || again.Versions[0].Target != first.Versions[0].Target {
		t.Errorf("the second time %+v", again.Versions)
	}
}

// checkTag wants a tag of a repository below the target to lead somewhere.
func checkTag(t *testing.T, target *ocm.Repository, path, tag string, want digest.Digest) {
	t.Helper()
	repo, err := target.At(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := repo.Resolve(t.Context(), tag); err != nil || got != want {
		t.Errorf("%s:%s leads to %s, %v, want %s", path, tag, got, err, want)
	}
}

// TestTagsTaken never moves tags that lead elsewhere, also of those that are made of
// a digest.
func TestTagsTaken(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.publish(t, one(p.image(t, "image", "a/web:1.0", "ours")))
	ours := manifestOf(t, small("ours"))
	tags := []string{"1.0", "1.0-" + ours.Encoded()[:12], "1.0-" + ours.Encoded()}
	for i, tag := range tags {
		// The one before is not free any longer.
		run(t, p.source, open(t, p.targetURL, p.options), shop, "1.0.0", transfer.Options{Overwrite: true})
		checkTag(t, p.target, "a/web", tag, ours)
		theirs, err := small("theirs "+tag).Publish(t.Context(), p.targetURL+"/a/web:"+tag, p.options)
		if err != nil {
			t.Fatal(err)
		}
		_, err = transfer.Run(t.Context(), p.source, p.target, shop, "1.0.0", transfer.Options{Overwrite: true})
		checkTag(t, p.target, "a/web", tag, theirs)
		if last := i == len(tags)-1; last && (err == nil || !strings.Contains(err.Error(), "no tag is left") || oci.SideOf(err) != oci.Target) || !last && err != nil {
			t.Errorf("Run = %v", err)
		}
	}
}

// TestSharedTag has two versions with images of one tag: neither takes it from the
// other, whatever may be overwritten.
func TestSharedTag(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	o := transfer.Options{Overwrite: true}
	for i, content := range []string{"old", "new"} {
		c := one(p.image(t, "image", "a/web:latest", content))
		c.Version = []string{"1.0.0", "1.1.0"}[i]
		c.Resources[0].Image += "@" + manifestOf(t, small(content)).String()
		p.publish(t, c)
	}
	targets := map[string]digest.Digest{}
	for range 2 {
		for _, version := range []string{"1.0.0", "1.1.0"} {
			target := run(t, p.source, p.target, shop, version, o).Versions[0].Target
			if before := targets[version]; before != "" && before != target {
				t.Errorf("%s is %s and then %s", version, before, target)
			}
			targets[version] = target
		}
	}
	for version, target := range targets {
		if drift, err := transfer.Check(t.Context(), p.target, shop, version, target, o); drift != nil || err != nil {
			t.Errorf("%s has lost %v, %v", version, drift, err)
		}
	}
}
