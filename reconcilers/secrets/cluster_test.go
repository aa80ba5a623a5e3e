package secrets

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
)

func TestMain(m *testing.M) { clustertest.Main(m, cluster.Options{}) }

// counted counts requests.
type counted struct {
	http.RoundTripper
	n *atomic.Int64
}

func (c counted) RoundTrip(request *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.RoundTripper.RoundTrip(request)
}

// restricted returns how a user reaches the API server who may get Secrets of a namespace, and nothing else, with the number of their requests.
func restricted(t *testing.T, admin client.Client, namespace string) (*rest.Config, *atomic.Int64) {
	t.Helper()
	named := metav1.ObjectMeta{Namespace: namespace, Name: "reader"}
	for _, obj := range []client.Object{
		&rbacv1.Role{ObjectMeta: named, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}}}},
		&rbacv1.RoleBinding{
			ObjectMeta: named, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reader"},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "reader-of-" + namespace}},
		},
	} {
		if err := admin.Create(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
	requests := &atomic.Int64{}
	access := rest.CopyConfig(clustertest.APIServer(t))
	access.Impersonate = rest.ImpersonationConfig{UserName: "reader-of-" + namespace}
	access.QPS = -1
	access.Wrap(func(next http.RoundTripper) http.RoundTripper { return counted{next, requests} })
	return access, requests
}

func newClient(t *testing.T, access *rest.Config) client.Client {
	t.Helper()
	c, err := client.New(access, client.Options{Scheme: clientgoscheme.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestCostOfLooks counts what 200 objects cost a real API server with one Secret for all of them, and with one for each. The user may get
// Secrets, and neither list nor watch them.
func TestCostOfLooks(t *testing.T) {
	const objects = 200
	access := clustertest.APIServer(t)
	admin := newClient(t, access)
	for _, secrets := range []int{1, objects} {
		namespace := clustertest.Namespace(t, access)
		user, requests := restricted(t, admin, namespace)
		live := newClient(t, user)
		if err := live.List(t.Context(), &corev1.SecretList{}, client.InNamespace(namespace)); !apierrors.IsForbidden(err) {
			t.Fatalf("the user may list Secrets: %v", err)
		}
		b := newBench(t)
		lookout, err := New(Options{Live: live, PerSecond: 1e6, Log: logr.Discard()})
		if err != nil {
			t.Fatal(err)
		}
		b.Lookout = lookout
		b.kinds["Reader"] = b.Dependents("Reader", refsOf)
		for i := range objects {
			obj := referring(fmt.Sprint("object", i), fmt.Sprint("secret", i%secrets))
			obj.Namespace = namespace
			b.create("Reader", obj)
		}
		round := func() (int64, time.Duration) {
			for _, s := range b.book.secrets {
				s.looked = time.Time{} // a while ago
			}
			before, began := requests.Load(), time.Now()
			b.round(t.Context(), time.Now().Add(time.Minute))
			return requests.Load() - before, time.Since(began)
		}
		round()
		for i := range secrets {
			created := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprint("secret", i)}, Data: map[string][]byte{"key": make([]byte, 4<<10)}}
			if err := admin.Create(t.Context(), created); err != nil {
				t.Fatal(err)
			}
		}
		deadline, woken := time.Now().Add(time.Minute), 0
		for woken < objects && time.Now().Before(deadline) { // what the server remembers may be a moment old
			round()
			woken += len(b.woken())
		}
		if woken != objects {
			t.Errorf("%d objects were woken by Secrets that were created, want %d", woken, objects)
		}
		asked, took := round()
		if asked != int64(secrets) {
			t.Errorf("%d requests for %d Secrets of which none has changed", asked, secrets)
		}
		t.Logf("%d objects with %d Secrets: %d requests a round, %d a minute; a round takes %s without a bound, %s each", objects, secrets,
			asked, asked*int64(time.Minute/usualInterval), took.Round(time.Millisecond), (took / time.Duration(asked)).Round(time.Microsecond))
		if again := b.woken(); len(again) > 0 {
			t.Errorf("%d objects were woken by nothing", len(again))
		}
	}
}

// TestSecretsThatCantBeWatched has somebody watch Secrets who may only get them. They are looked at like any others.
func TestSecretsThatCantBeWatched(t *testing.T) {
	access := clustertest.APIServer(t)
	admin, namespace := newClient(t, access), clustertest.Namespace(t, access)
	user, _ := restricted(t, admin, namespace)
	mgr, err := ctrl.NewManager(user, ctrl.Options{
		Scheme: clientgoscheme.Scheme, Logger: logr.Discard(), Metrics: metricsserver.Options{BindAddress: "0"},
		Cache: cache.Options{ByObject: Watched(labels.Everything())},
	})
	if err != nil {
		t.Fatal(err)
	}
	lookout, err := New(Options{Live: newClient(t, user), Interval: 50 * time.Millisecond, Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	if err := lookout.Setup(mgr, labels.Everything(), ""); err != nil {
		t.Fatal(err)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "secret"}}
	changed := make(chan struct{}, 8) // whoever calls must not wait
	lookout.Follow(client.ObjectKeyFromObject(secret), func() { changed <- struct{}{} })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("manager: %v", err)
		}
	})
	if err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		_, missing := lookout.book.size()
		return missing == 1, nil
	}); err != nil {
		t.Fatal("within a minute nobody has looked at a Secret that can't be watched")
	}
	if err := admin.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	case <-time.After(time.Minute):
		t.Error("a Secret that can't be watched was created, and nobody has noticed within a minute")
	}
	if lookout.labelled.synced.Load() {
		t.Error("the user may watch Secrets: this test looks at the wrong thing")
	}
}
