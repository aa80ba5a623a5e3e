package rbac_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/e2e/operator"
	"github.com/ocm-operator/ocm-operator/e2e/operator/rights"
)

// watched is the namespace whose objects the operators of this test watch: where it is another one than their own, no right that
// holds there makes up for one that is missing here.
const watched = "team"

// needed is a right, and a request that was made with it.
type needed struct {
	right, request rights.Right
}

// TestNoRightIsTooMuch runs the operator in all ways that give it rights of their own, with just enough to do that each of them is
// needed. A right that was not used fails by its name, and so does one without which the request would have been allowed all
// the same.
func TestNoRightIsTooMuch(t *testing.T) {
	w := newWorld(t)
	for _, run := range []scenario{everything, elsewhere, foreigners} {
		each := w
		t.Run(run.name, func(t *testing.T) { each.play(t, run) })
	}
	var idle []string
	all := allRights(t, everything, elsewhere, foreigners)
	for _, right := range all {
		if _, ok := w.proved[right]; !ok {
			idle = append(idle, right.String())
		}
	}
	if len(idle) > 0 {
		t.Errorf("%d of %d rights were never used: drop their markers +kubebuilder:rbac, or let this test do what needs them:\n%s",
			len(idle), len(all), strings.Join(idle, "\n"))
	}
	denied(t, w.cluster, w.proved)
	t.Logf("%d rights, each of them used, and each missed when it is taken away", len(w.proved))
}

// allRights returns what the scenarios grant together.
func allRights(t *testing.T, all ...scenario) []rights.Right {
	t.Helper()
	var granted []rights.Right
	for _, s := range all {
		granted = append(granted, rightsOf(t, s.args).All()...)
	}
	slices.SortFunc(granted, func(a, b rights.Right) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(granted)
}

func rightsOf(t *testing.T, args []string) rights.Rights {
	t.Helper()
	root, err := operator.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	granted, err := rights.Of(root, operator.Namespace, args)
	if err != nil {
		t.Fatal(err)
	}
	return granted
}

// denied takes one right after the other away from somebody who has all of them, and asks the API server about the request that
// was made with it.
func denied(t *testing.T, c *cluster.Cluster, proved map[rights.Right]needed) {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{rbacv1.AddToScheme, authorizationv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	kubernetes, err := client.New(c.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	var all rights.Rights
	for right := range proved {
		all = all.With(right)
	}
	for i, right := range all.All() {
		name := fmt.Sprintf("without-%d", i)
		for _, obj := range all.Without(right).Objects(name, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}) {
			if err := kubernetes.Create(t.Context(), obj); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, right := range all.All() {
		name := fmt.Sprintf("without-%d", i)
		// The server has to know the roles before what it says means anything.
		eventually(t, "the rights of "+name+" count", func() bool {
			return !slices.ContainsFunc(others(all, right), func(other rights.Right) bool { return !allowed(t, kubernetes, name, proved[other].request) })
		})
		if allowed(t, kubernetes, name, proved[right].request) {
			t.Errorf("%s: allowed without the right to %s", proved[right].request, right)
		}
	}
}

// others returns another right for each namespace.
func others(all rights.Rights, but rights.Right) []rights.Right {
	var found []rights.Right
	for _, right := range all.All() {
		if right != but && !slices.ContainsFunc(found, func(other rights.Right) bool { return other.Namespace == right.Namespace }) {
			found = append(found, right)
		}
	}
	return found
}

// allowed asks the API server whether somebody may do something.
func allowed(t *testing.T, kubernetes client.Client, user string, r rights.Right) bool {
	t.Helper()
	resource, sub, _ := strings.Cut(r.Resource, "/")
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &authorizationv1.ResourceAttributes{
		Namespace: r.Namespace, Verb: r.Verb, Group: r.Group, Resource: resource, Subresource: sub, Name: r.Name,
	}}}
	if err := kubernetes.Create(t.Context(), review); err != nil {
		t.Fatal(err)
	}
	return review.Status.Allowed
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !so() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
		e2etest.Pause(t.Context(), 200*time.Millisecond)
	}
}

// patience is how long anything may take on a machine that does much else.
const patience = 3 * time.Minute
