package access_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

type brokenReader struct {
	client.Reader
	err error
}

func (b brokenReader) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return b.err
}

// publish publishes the component into an open registry and returns where it is pinned.
func publish(t *testing.T, w *reconcilertest.World, server *ocmtest.Server) source.Node {
	t.Helper()
	manifest := w.Publish(server.URL+"/ocm", ocmtest.Component{
		Name: component, Version: "1.0.0", Resources: []ocmtest.Resource{{Name: "data", Content: []byte("data")}},
	})
	server.ResetRequests()
	return source.Node{Component: component, Version: "1.0.0", ManifestDigest: manifest.String()}
}

func open(t *testing.T, p *access.Provider, cv *v1alpha1.ComponentVersion) *access.Repository {
	t.Helper()
	repository, err := p.Source(t.Context(), cv)
	if err != nil {
		t.Fatal(err)
	}
	return repository
}

func total(server *ocmtest.Server) int {
	n := 0
	for _, count := range server.Requests() {
		n += count
	}
	return n
}

func TestPinnedIsRemembered(t *testing.T) {
	t.Parallel()
	w, server := reconcilertest.New(t), ocmtest.Start(t)
	node := publish(t, w, server)
	repository := open(t, w.Repositories, follow(server.URL+"/ocm", "", ""))
	if _, err := repository.Pinned(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	first := total(server)
	for range 3 {
		// The repository is opened again, as every reconciliation does.
		if _, err := open(t, w.Repositories, follow(server.URL+"/ocm", "", "")).Pinned(t.Context(), node); err != nil {
			t.Fatal(err)
		}
	}
	if again := total(server); first == 0 || again != first {
		t.Errorf("%d requests after the first %d, want none: what was read by digest can't change", again-first, first)
	}
}

func TestEqualReadsAreOne(t *testing.T) {
	t.Parallel()
	w, server := reconcilertest.New(t), ocmtest.Start(t)
	node := publish(t, w, server)
	repository := open(t, w.Repositories, follow(server.URL+"/ocm", "", ""))
	if _, err := repository.Pinned(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	alone := total(server)
	server.ResetRequests()

	const readers = 16
	arrived, release := make(chan struct{}, readers), make(chan struct{})
	server.Inject(func(http.ResponseWriter, *http.Request) bool {
		arrived <- struct{}{}
		<-release
		return false
	})
	fresh, err := access.New(access.Options{Live: w.Client})
	if err != nil {
		t.Fatal(err)
	}
	repository = open(t, fresh, follow(server.URL+"/ocm", "", ""))
	impatient, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan error, 1)
	go func() {
		_, err := repository.Pinned(impatient, node)
		gaveUp <- err
	}()
	<-arrived // the first read is on its way
	var group sync.WaitGroup
	errs := make(chan error, readers)
	for range readers {
		group.Go(func() {
			_, err := repository.Pinned(t.Context(), node)
			errs <- err
		})
	}
	cancel() // the one who began gives up; the others must not suffer
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Errorf("who gave up got %v", err)
	}
	close(release)
	group.Wait()
	for range readers {
		if err := <-errs; err != nil {
			t.Errorf("a reader got %v", err)
		}
	}
	if got := total(server); got != alone {
		t.Errorf("%d readers at once made %d requests, want the %d of one", readers, got, alone)
	}
}

// TestMemoryIsNotShared is about tenants: one who knows a digest, but not the password, gets nothing.
func TestMemoryIsNotShared(t *testing.T) {
	t.Parallel()
	server := login(t)
	w := reconcilertest.New(t, basic("right", "user", "word"), basic("wrong", "user", "guess"))
	theirs := basic("right", "user", "guess") // the same name in another namespace
	theirs.Namespace = "team"
	w.Create(theirs)
	owner := open(t, w.Repositories, follow(server.URL+"/ocm", "right", ""))
	manifest, err := owner.Resolve(t.Context(), component, "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	node := source.Node{Component: component, Version: "1.0.0", ManifestDigest: manifest.String()}
	if _, err := owner.Pinned(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	stranger := follow(server.URL+"/ocm", "right", "")
	stranger.Namespace = "team"
	for name, cv := range map[string]*v1alpha1.ComponentVersion{
		"no credentials":    follow(server.URL+"/ocm", "", ""),
		"wrong credentials": follow(server.URL+"/ocm", "wrong", ""),
		"other namespace":   stranger,
	} {
		if _, err := open(t, w.Repositories, cv).Pinned(t.Context(), node); !errors.Is(err, ocm.ErrUnauthorized) {
			t.Errorf("%s: error is %v, want that access is refused although the content is remembered", name, err)
		}
	}
}

func TestRotatedSecretTakesEffect(t *testing.T) {
	t.Parallel()
	server := login(t)
	secret := basic("login", "user", "old")
	w := reconcilertest.New(t, secret)
	cv := follow(server.URL+"/ocm", "login", "")
	if _, err := open(t, w.Repositories, cv).Resolve(t.Context(), component, "1.0.0"); !errors.Is(err, ocm.ErrUnauthorized) {
		t.Fatalf("error is %v, want that access is refused", err)
	}
	w.Change(secret, func() { secret.Data["password"] = []byte("word") })
	if _, err := open(t, w.Repositories, cv).Resolve(t.Context(), component, "1.0.0"); err != nil {
		t.Errorf("after the Secret was corrected: %v", err)
	}
}

func TestFailedReadIsTriedAgain(t *testing.T) {
	t.Parallel()
	w, server := reconcilertest.New(t), ocmtest.Start(t)
	node := publish(t, w, server)
	repository := open(t, w.Repositories, follow(server.URL+"/ocm", "", ""))
	server.Inject(ocmtest.FailWith(http.StatusNotFound, 1, "GET manifests"))
	if _, err := repository.Pinned(t.Context(), node); !errors.Is(err, ocm.ErrNotFound) {
		t.Fatalf("error is %v, want that there is nothing", err)
	}
	if _, err := repository.Pinned(t.Context(), node); err != nil {
		t.Errorf("the failure was remembered: %v", err)
	}
	node.ManifestDigest = "nonsense"
	if _, err := repository.Pinned(t.Context(), node); err == nil {
		t.Error("a pinned digest that is none was accepted")
	}
}

func TestEffectiveReadsWhereTheStatusSays(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	cv := follow("registry.example.com/new", "", "")
	cv.Status.ReplicatedRepositoryURL = "registry.example.com/old"
	repository, err := w.Repositories.Effective(t.Context(), cv)
	if err != nil || repository.URL() != "https://registry.example.com/old" && repository.URL() != "registry.example.com/old" {
		t.Errorf("repository is %v (%v), want that of the status", repository.URL(), err)
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err    error
		want   string
		reason string
	}{
		"unusable":      {&access.UnusableError{Kind: "Secret"}, reconcilertest.Stalls, "the user has to make it"},
		"not found":     {fmt.Errorf("read: %w", ocm.ErrNotFound), reconcilertest.Fails, "the registry answered"},
		"unauthorized":  {fmt.Errorf("read: %w", ocm.ErrUnauthorized), reconcilertest.Fails, "the registry answered"},
		"malformed":     {ocm.ErrMalformed, reconcilertest.Fails, "its digest promises these bytes"},
		"no component":  {ocm.ErrNotComponent, reconcilertest.Fails, "it stays so until somebody publishes again"},
		"unsupported":   {ocm.ErrUnsupported, reconcilertest.Fails, "it stays so until somebody publishes again"},
		"descriptor":    {fmt.Errorf("read: %w", descriptor.ErrTooLarge), reconcilertest.Fails, "it stays so until somebody publishes again"},
		"schema":        {fmt.Errorf("read: %w", descriptor.ErrUnknownSchema), reconcilertest.Fails, "it stays so until somebody publishes again"},
		"too large":     {ocm.ErrTooLarge, reconcilertest.Fails, "it stays so until somebody publishes again"},
		"mismatch":      {&ocm.DigestMismatchError{}, reconcilertest.Fails, "content that is not what was promised is refused"},
		"no resource":   {&descriptor.NotFoundError{}, reconcilertest.Fails, "the descriptor says so"},
		"ambiguous":     {&descriptor.AmbiguousError{}, reconcilertest.Fails, "the descriptor says so"},
		"unsure":        {oci.Doubt(ocm.ErrNotFound), reconcilertest.Retries, "a proxy may have answered"},
		"unreachable":   {fmt.Errorf("read: %w", ocm.ErrUnreachable), reconcilertest.Retries, "it passes"},
		"anything else": {errors.New("connection reset"), reconcilertest.Retries, "it passes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := access.Verdict("Reason", tc.err)
			if !errors.Is(err, tc.err) {
				t.Errorf("the cause %v was lost: %v", tc.err, err)
			}
			if got, reason := reconcilertest.Judge(t, err); got != tc.want || reason != "Reason" {
				t.Errorf("it %s with reason %q, want that it %s: %s", got, reason, tc.want, tc.reason)
			}
		})
	}
	if err := access.Verdict("Reason", nil); err != nil {
		t.Errorf("no error became %v", err)
	}
	own := lifecycle.Fail("Own", errors.New("own"))
	if err := access.Verdict("Reason", own); !errors.Is(err, own) {
		t.Errorf("a verdict became %v", err)
	}
}

func TestSelector(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{"": "", "latest": "", "1.0.0": "1.0.0"} {
		ref := v1alpha1.ResourceReference{Name: "data", Version: version, ExtraIdentity: map[string]string{"a": "b"}}
		got := access.Selector(ref)
		if got.Version != want || got.Name != "data" || got.ExtraIdentity["a"] != "b" {
			t.Errorf("selector of version %q is %+v, want version %q", version, got, want)
		}
	}
}
