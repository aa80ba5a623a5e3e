package snapshot_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	snapshotkind "github.com/ocm-operator/ocm-operator/reconcilers/snapshot"
)

func installWith(w *reconcilertest.World, history int) *reconcilertest.Controller {
	return w.Install(snapshotkind.Plugin(snapshotkind.Options{Lifecycle: w.Lifecycle, Store: w.Store, Address: address, History: history}))
}

// turn gives a Snapshot other content, as its owner does.
func turn(t *testing.T, w *reconcilertest.World, s *v1alpha1.Snapshot, content string) {
	t.Helper()
	result := writeContent(t, w, content)
	w.Change(s, func() {
		s.Spec.Tag, s.Spec.Digest, s.Spec.ManifestDigest = content, result.LayerDigest.String(), result.ManifestDigest.String()
	})
}

// past is what the history lists, by the tags, which are the contents.
func past(t *testing.T, s *v1alpha1.Snapshot) []string {
	t.Helper()
	var tags []string
	for _, revision := range s.Status.History {
		if want := digest.FromString(revision.Tag).String(); revision.Digest != want || revision.ManifestDigest == "" {
			t.Errorf("the history says that %s has digest %s and manifest %q", revision.Tag, revision.Digest, revision.ManifestDigest)
		}
		tags = append(tags, revision.Tag)
	}
	return tags
}

func TestHistory(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		limit  int
		turns  string
		want   []string
		reason string
	}{
		"one content":   {2, "a", nil, "there was nothing before"},
		"two":           {2, "ab", []string{"a"}, "the one before"},
		"more":          {2, "abcd", []string{"c", "b"}, "newest first, and no more than the flag says"},
		"none wanted":   {0, "abc", nil, "the flag says none"},
		"back":          {2, "aba", []string{"b"}, "what is current is no past"},
		"to and fro":    {2, "ababab", []string{"a"}, "each content once"},
		"back and on":   {3, "abcac", []string{"a", "b"}, "each content once, by the time that it was current last"},
		"same as ever":  {2, "aaa", nil, "written again is not changed"},
		"as it can be":  {64, "abcdefgh", []string{"g", "f", "e", "d", "c", "b", "a"}, "all of it fits"},
		"out and again": {1, "abca", []string{"c"}, "what was forgotten is new"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := reconcilertest.New(t)
			controller, s := installWith(w, tc.limit), written(t, w)
			w.SetStatus(s, func() { s.Status.Tag = "legacy" }) // without a digest it is no content that could be gone back to
			for content := range strings.SplitSeq(tc.turns, "") {
				turn(t, w, s, content)
				controller.Reconcile(s)
				if got := s.Status.Tag; got != content {
					t.Fatalf("the status is of %q, not %q: %s", got, content, reconcilertest.Message(s, "Ready"))
				}
			}
			if diff := cmp.Diff(tc.want, past(t, s)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestHistoryIsShortenedAtOnce(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	long, s := installWith(w, 3), written(t, w)
	for _, content := range []string{"a", "b", "c", "d"} {
		turn(t, w, s, content)
		long.Reconcile(s)
	}
	w.Events()
	w.Writes()
	installWith(w, 1).Reconcile(s)
	if diff := cmp.Diff([]string{"c"}, past(t, s)); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	if events := w.Events(); len(events) > 0 {
		t.Errorf("events %q of content that is the same", events)
	}
	if diff := cmp.Diff([]string{"status Snapshot default/app"}, w.Writes()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}

func TestContentThatIsMissingSupersedesNothing(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	controller, s := installWith(w, 2), written(t, w)
	turn(t, w, s, "a")
	controller.Reconcile(s)
	found := s.Status.ManifestDigest
	w.Change(s, func() { s.Spec.ManifestDigest = digest.FromString("never written").String() })
	controller.Reconcile(s)
	if s.Status.ManifestDigest != found || len(s.Status.History) > 0 {
		t.Errorf("the status is of %s with history %v, want what was found last", s.Status.ManifestDigest, s.Status.History)
	}
}

func TestSupersededContentIsAnEvent(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	controller, s := installWith(w, 2), written(t, w)
	turn(t, w, s, "a")
	controller.Reconcile(s)
	before := s.Status.ManifestDigest
	w.Events()
	turn(t, w, s, "b")
	controller.Reconcile(s)
	want := []string{
		fmt.Sprintf("Normal Progressing Content b with digest %s takes the place of a with digest %s", s.Status.ManifestDigest, before),
		"Normal Succeeded Reconciliation finished",
	}
	if diff := cmp.Diff(want, w.Events()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// TestGoingBackFindsTheContent is what the history is for: what it lists is in the store, and stays there in a collection.
func TestGoingBackFindsTheContent(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	controller, s := installWith(w, 2), written(t, w)
	for _, content := range []string{"a", "b", "c"} {
		turn(t, w, s, content)
		controller.Reconcile(s)
	}
	for _, revision := range s.Status.History {
		if got := string(w.Stored("default", "app", revision.ManifestDigest).Content); got != revision.Tag {
			t.Errorf("content of %s is %q", revision.Tag, got)
		}
	}
	back := s.Status.History[1]
	w.Change(s, func() {
		s.Spec.Tag, s.Spec.Digest, s.Spec.ManifestDigest = back.Tag, back.Digest, back.ManifestDigest
	})
	controller.Reconcile(s)
	if got := reconcilertest.Conditions(s)["Ready"]; got != "True Succeeded" || s.Status.ManifestDigest != back.ManifestDigest {
		t.Errorf("Ready is %s of %s", got, s.Status.ManifestDigest)
	}
}
