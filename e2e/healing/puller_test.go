package healing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// pullEvery is the pause between two pulls, so that others get at the cores too.
const pullEvery = 20 * time.Millisecond

// puller pulls one thing again and again, and remembers how that went.
type puller struct {
	t    *testing.T
	pull func(context.Context) error
	stop func()
	// turn is held by who pulls.
	turn sync.Mutex

	mu           sync.Mutex
	whole, gone  int
	wrong        map[string]bool
	gap, longest time.Duration
	since        time.Time // when it could not be pulled any more; zero while it can
}

// wrongError says that something was served that is not what was asked for.
type wrongError struct{ error }

// always begins to pull, and returns when the first pull has ended well.
func (w *world) always(pull func(context.Context) error) *puller {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	p := &puller{t: w.t, pull: pull, wrong: map[string]bool{}}
	var group sync.WaitGroup
	group.Go(func() {
		for ctx.Err() == nil {
			p.note(ctx, p.once(ctx))
			e2etest.Pause(ctx, pullEvery)
		}
	})
	p.stop = sync.OnceFunc(func() {
		cancel()
		group.Wait()
	})
	w.t.Cleanup(p.stop)
	w.Eventually("the first pull", p.begun)
	return p
}

func (p *puller) once(ctx context.Context) error {
	p.turn.Lock()
	defer p.turn.Unlock()
	return p.pull(ctx)
}

// between does something while nothing is being pulled.
func (p *puller) between(do func() error) error {
	p.turn.Lock()
	defer p.turn.Unlock()
	return do()
}

func (p *puller) begun() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.whole == 0 {
		return errors.New("nothing was pulled yet")
	}
	return nil
}

func (p *puller) note(ctx context.Context, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var wrong wrongError
	switch {
	case err == nil:
		p.whole++
		if !p.since.IsZero() {
			p.gap = time.Since(p.since)
			p.longest = max(p.longest, p.gap)
			p.since = time.Time{}
		}
	case ctx.Err() != nil:
	case errors.As(err, &wrong):
		p.wrong[err.Error()] = true
	default:
		p.gone++
		if p.since.IsZero() {
			p.since = time.Now()
		}
	}
}

// finish ends the pulling. Nothing wrong may have been served, and in the end everything has to be there.
func (p *puller) finish(what string) {
	p.t.Helper()
	p.stop()
	if err := p.pull(p.t.Context()); err != nil {
		p.t.Errorf("%s: in the end: %v", what, err)
	}
	for wrong := range p.wrong {
		p.t.Errorf("%s: something wrong was served: %s", what, wrong)
	}
	if p.whole == 0 {
		p.t.Errorf("%s: nothing was ever pulled", what)
	}
	p.t.Logf("%s: pulled %d times whole and %d times not, the longest gap was %s", what, p.whole, p.gone, p.longest.Round(time.Millisecond))
}

// registry returns what pulls the manifest and the layer of a snapshot, with a credential by the operator's own key.
func (w *world) registry(name string, c content) func(context.Context) error {
	w.t.Helper()
	httpClient, credential := w.RegistryClient()
	repository := snapshot.RepositoryName(w.Namespace, snapshotName(name))
	url := "https://" + w.Operator.RegistryAddress() + "/v2/" + repository
	return func(ctx context.Context) error {
		for path, want := range map[string]string{"/manifests/": c.manifest, "/blobs/": c.layer} {
			if err := get(ctx, httpClient, url+path+want, want, credential); err != nil {
				return err
			}
		}
		return nil
	}
}

// get reads something and compares it with its digest.
func get(ctx context.Context, c *http.Client, url, want string, credential auth.Credential) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", ocispec.MediaTypeImageManifest)
	if credential.Username != "" {
		request.SetBasicAuth(credential.Username, credential.Password)
	}
	response, err := c.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err // cut off, which every client notices
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("get %s: %s: %s", url, response.Status, body)
	}
	if got := digest.FromBytes(body).String(); got != want {
		return wrongError{fmt.Errorf("get %s: the %d bytes have digest %s", url, len(body), got)}
	}
	return nil
}
