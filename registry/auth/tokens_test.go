package auth_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/ocm-operator/ocm-operator/registry/auth"
)

const audience = "ocm-registry"

// people is a reviewer that knows tokens, and what those may read whom they stand for.
type people struct {
	mu     sync.Mutex
	tokens map[string]string
	reads  map[string]bool
	fault  error
	// identified and decided count the questions.
	identified, decided int
	// held holds questions back until it is closed.
	held chan struct{}
}

func (p *people) Identify(ctx context.Context, token, for_ string) (auth.Identity, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.identified++
	if p.held != nil {
		select {
		case <-p.held:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if p.fault != nil {
		return nil, p.fault
	}
	if who, known := p.tokens[token]; known && for_ == audience {
		return who, nil
	}
	return nil, auth.ErrUnauthenticated
}

func (p *people) Allowed(_ context.Context, who auth.Identity, repository string) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.decided++
	return p.reads[fmt.Sprint(who, " ", repository)], p.fault
}

func (p *people) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// jwt returns what looks like a token.
func jwt(claims string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

// alice is a token that ends an hour after the tests begin.
var alice = jwt(`{"aud":["ocm-registry"],"exp":1700003600,"sub":"alice"}`)

// tokens returns an authorizer that knows alice, who reads team/app, and the time it lives in.
func tokens(t testing.TB) (*auth.Tokens, *people, *time.Time) {
	t.Helper()
	now := time.Unix(1_700_000_000, 0)
	p := &people{tokens: map[string]string{alice: "alice"}, reads: map[string]bool{"alice team/app": true}}
	clock := func() time.Time { return now }
	return auth.NewTokens(p, audience, auth.NewLimiter(clock), auth.NewMetrics(), clock), p, &now
}

func TestTokens(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		r      auth.Request
		want   error
		reason string
	}{
		"bearer":           {auth.Request{Bearer: alice, Repository: "team/app"}, nil, "she may read it"},
		"password":         {auth.Request{Username: "any", Password: alice, Repository: "team/app"}, nil, "clients that know basic authentication only"},
		"no user name":     {auth.Request{Password: alice, Repository: "team/app"}, nil, "the name says nothing"},
		"ping":             {auth.Request{Bearer: alice}, nil, "log-in asks whether the token is good"},
		"other repository": {auth.Request{Bearer: alice, Repository: "team/app-2"}, auth.ErrDenied, "she may not read it"},
		"catalog":          {auth.Request{Bearer: alice, Action: auth.Catalog}, auth.ErrDenied, "she may not list all"},
		"catalog of one":   {auth.Request{Bearer: alice, Action: auth.Catalog, Repository: "team/app"}, auth.ErrDenied, "there is no such thing"},
		"push":             {auth.Request{Bearer: alice, Action: auth.Push, Repository: "team/app"}, auth.ErrDenied, "tokens are for reading"},
		"delete":           {auth.Request{Bearer: alice, Action: auth.Delete, Repository: "team/app"}, auth.ErrDenied, "tokens are for reading"},
		"unknown":          {auth.Request{Bearer: jwt(`{}`), Repository: "team/app"}, auth.ErrUnauthenticated, "nobody knows it"},
		"unknown push":     {auth.Request{Bearer: jwt(`{}`), Action: auth.Push, Repository: "team/app"}, auth.ErrUnauthenticated, "nobody knows it"},
		"no token":         {auth.Request{Username: "alice", Password: "secret", Repository: "team/app"}, auth.ErrUnauthenticated, "it is no token"},
		"as the name":      {auth.Request{Username: alice, Repository: "team/app"}, auth.ErrUnauthenticated, "a name is no secret"},
	} {
		a, _, _ := tokens(t)
		for range 2 { // the second time it is remembered
			if err := a.Authorize(t.Context(), c.r); !errors.Is(err, c.want) || errors.Is(err, auth.ErrUnavailable) {
				t.Errorf("%s: got %v, want %v (%s)", name, err, c.want, c.reason)
			}
		}
	}
}

// TestUnbelievableTokens: what says itself that it is not for the registry is not shown to the API server.
func TestUnbelievableTokens(t *testing.T) {
	t.Parallel()
	for name, token := range map[string]string{
		"other audience":   jwt(`{"aud":["https://kubernetes.default.svc"]}`),
		"audience as text": jwt(`{"aud":"sts.amazonaws.com"}`),
		"bad audience":     jwt(`{"aud":{"ocm-registry":1}}`),
		"two parts":        "e30.e30",
		"four parts":       "e30.e30.e30.e30",
		"empty part":       "e30.e30.",
		"no JSON":          "e30.YWJj.c2ln",
		"no base64":        "e30.?.c2ln",
		"long":             jwt(`{"x":"` + strings.Repeat("a", 20_000) + `"}`),
	} {
		a, p, _ := tokens(t)
		p.tokens[token] = "mallory"
		p.reads["mallory team/app"] = true
		err := a.Authorize(t.Context(), auth.Request{Bearer: token, Repository: "team/app"})
		if !errors.Is(err, auth.ErrUnauthenticated) || p.identified > 0 {
			t.Errorf("%s: got %v after %d questions", name, err, p.identified)
		}
		if strings.Contains(fmt.Sprint(err), token) {
			t.Errorf("%s: the error has the token: %v", name, err)
		}
	}
}

// TestVerdictsEnd: what is remembered ends after a minute, and with the token; what is refused is asked again sooner.
func TestVerdictsEnd(t *testing.T) {
	t.Parallel()
	a, p, now := tokens(t)
	read := func() error { return a.Authorize(t.Context(), auth.Request{Bearer: alice, Repository: "team/app"}) }
	want := func(what string, want error, identified, decided int) {
		t.Helper()
		if err := read(); !errors.Is(err, want) || p.identified != identified || p.decided != decided {
			t.Errorf("%s: got %v after %d and %d questions, want %v after %d and %d", what, err, p.identified, p.decided, want, identified, decided)
		}
	}
	want("first", nil, 1, 1)
	want("second", nil, 1, 1)
	*now = now.Add(40 * time.Second)
	if err := a.Authorize(t.Context(), auth.Request{Bearer: alice, Repository: "team/other"}); !errors.Is(err, auth.ErrDenied) {
		t.Error(err)
	}
	p.change(func() { p.reads["alice team/other"] = true })
	*now = now.Add(10 * time.Second)
	if err := a.Authorize(t.Context(), auth.Request{Bearer: alice, Repository: "team/other"}); err != nil {
		t.Errorf("ten seconds after she was let in: %v", err)
	}
	p.change(func() { delete(p.tokens, alice) })
	want("the account is gone for less than a minute", nil, 1, 3)
	*now = now.Add(10 * time.Second)
	if err := a.Authorize(t.Context(), auth.Request{Bearer: alice, Repository: "team/other"}); !errors.Is(err, auth.ErrUnauthenticated) {
		t.Errorf("a minute after the token was good, by what is remembered of another repository: %v", err)
	}
	want("the account is gone", auth.ErrUnauthenticated, 2, 3)
	p.change(func() { p.tokens[alice] = "alice" })
	*now = now.Add(10 * time.Second)
	want("the account is back", nil, 3, 4)
	p.change(func() { delete(p.reads, "alice team/app") })
	*now = now.Add(time.Minute)
	want("she may no longer", auth.ErrDenied, 4, 5)

	*now = time.Unix(1_700_003_590, 0)
	p.change(func() { p.reads["alice team/app"] = true })
	want("ten seconds before the end", nil, 5, 6)
	*now = now.Add(10 * time.Second)
	p.change(func() { delete(p.tokens, alice) })
	want("the end of the token", auth.ErrUnauthenticated, 6, 6)
}

// TestNoAnswer: a server that does not answer has not refused, and its answer is not remembered.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	a, p, _ := tokens(t)
	p.fault = errors.New("the server does not answer")
	for range 100 {
		err := a.Authorize(t.Context(), auth.Request{Bearer: alice, Repository: "team/app", Client: "10.0.0.1:1"})
		if !errors.Is(err, auth.ErrUnavailable) || errors.Is(err, auth.ErrUnauthenticated) {
			t.Fatalf("got %v", err)
		}
	}
	p.fault = nil
	if err := a.Authorize(t.Context(), auth.Request{Bearer: alice, Repository: "team/app", Client: "10.0.0.1:1"}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestGuessesAreNotReviewed: who guesses is not passed on to the API server, and doesn't disturb those behind the same address
// who were let in before.
func TestGuessesAreNotReviewed(t *testing.T) {
	t.Parallel()
	a, p, now := tokens(t)
	bob := jwt(`{"sub":"bob"}`)
	p.tokens[bob], p.reads["bob team/app"] = "bob", true
	read := func(token, repository string) error {
		return a.Authorize(t.Context(), auth.Request{Bearer: token, Repository: repository, Client: "10.0.0.1:1"})
	}
	if err := read(alice, "team/app"); err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		if err := read(jwt(fmt.Sprintf(`{"n":%d}`, i)), "team/app"); err == nil {
			t.Fatal("a guess was right")
		}
	}
	if p.identified > 100 {
		t.Errorf("%d guesses of 1000 were reviewed", p.identified)
	}
	if err := read(jwt(`{"sub":"bob","n":1}`), "team/app"); !errors.Is(err, auth.ErrUnauthenticated) {
		t.Errorf("who guesses in the name of somebody else: %v", err)
	}
	if err := read(bob, "team/app"); err != nil {
		t.Errorf("who was not seen before is locked out by others behind the address: %v", err)
	}
	if err := a.Authorize(t.Context(), auth.Request{Bearer: bob, Repository: "team/app", Client: "10.0.0.2:1"}); err != nil {
		t.Errorf("from another address: %v", err)
	}
	*now = now.Add(time.Hour / 2)
	for i := range 100 {
		_ = read(jwt(fmt.Sprintf(`{"m":%d}`, i)), "team/app")
	}
	if err := read(alice, "team/app"); err != nil {
		t.Errorf("who was good before is not reviewed again: %v", err)
	}
	before := p.decided
	for i := range 1000 {
		_ = read(alice, fmt.Sprintf("team/app-%d", i))
	}
	if asked := p.decided - before; asked > 100 {
		t.Errorf("a thousand repositories were tried, and %d asked for", asked)
	}
}

// crowd is a reviewer that knows one token, and is asked by many at once.
type crowd struct {
	good          string
	asked, inside atomic.Int64
	// most is how many asked for bad tokens at the same time.
	most atomic.Int64
}

func (c *crowd) Identify(ctx context.Context, token, _ string) (auth.Identity, error) {
	if token == c.good {
		return "bob", nil
	}
	c.asked.Add(1)
	if inside := c.inside.Add(1); inside > c.most.Load() {
		c.most.Store(inside)
	}
	defer c.inside.Add(-1)
	timer := time.NewTimer(time.Millisecond) // so that questions meet
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil, auth.ErrUnauthenticated
}

func (c *crowd) Allowed(context.Context, auth.Identity, string) (bool, error) { return true, nil }

// TestGuessesAtOnce: many that guess at the same time get no more answers than one after the other, and leave room for others.
func TestGuessesAtOnce(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	clock := func() time.Time { return now }
	c := &crowd{good: jwt(`{"sub":"bob"}`)}
	a := auth.NewTokens(c, audience, auth.NewLimiter(clock), nil, clock)
	var group sync.WaitGroup
	var refused atomic.Int64
	for i := range 1500 {
		group.Go(func() {
			token := jwt(fmt.Sprintf(`{"sub":"mallory","n":%d}`, i))
			if err := a.Authorize(t.Context(), auth.Request{Bearer: token, Repository: "team/app", Client: "10.0.0.1:1"}); limited(err) {
				refused.Add(1)
			}
		})
	}
	for i := range 10 {
		r := auth.Request{Bearer: c.good, Repository: fmt.Sprintf("team/app-%d", i), Client: "10.0.0.2:1"}
		if err := a.Authorize(t.Context(), r); err != nil {
			t.Errorf("a client at another address: %v", err)
		}
	}
	group.Wait()
	if c.asked.Load() > 20 || c.most.Load() > 4 || refused.Load() < 1400 {
		t.Errorf("%d of 1500 guesses were reviewed, %d at once, and %d refused", c.asked.Load(), c.most.Load(), refused.Load())
	}
}

// TestManyAtOnce: those who are right are not limited, however many they are.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	c := &crowd{good: jwt(`{"sub":"bob"}`)}
	a := auth.NewTokens(c, audience, auth.NewLimiter(nil), nil, nil)
	var group sync.WaitGroup
	for i := range 90 {
		group.Go(func() {
			if err := a.Authorize(t.Context(), auth.Request{Bearer: c.good, Repository: fmt.Sprintf("team/app-%d", i), Client: "10.0.0.1:1"}); err != nil {
				t.Errorf("repository %d: %v", i, err)
			}
		})
	}
	group.Wait()
}

// TestOneQuestionAtATime: those who ask the same at once wait for one answer, also when the first of them goes away.
func TestOneQuestionAtATime(t *testing.T) {
	t.Parallel()
	a, p, _ := tokens(t)
	p.held = make(chan struct{})
	gone, leave := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { first <- a.Authorize(gone, auth.Request{Bearer: alice, Repository: "team/app"}) }()
	var group sync.WaitGroup
	var wrong atomic.Int64
	for range 50 {
		group.Go(func() {
			if a.Authorize(t.Context(), auth.Request{Bearer: alice, Repository: "team/app"}) != nil {
				wrong.Add(1)
			}
		})
	}
	leave()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("who went away: %v", err)
	}
	close(p.held)
	group.Wait()
	if wrong.Load() > 0 || p.identified != 1 || p.decided != 1 {
		t.Errorf("%d were refused, after %d and %d questions, want one of each", wrong.Load(), p.identified, p.decided)
	}
}

func TestReviewsAreCounted(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	p := &people{tokens: map[string]string{alice: "alice"}, reads: map[string]bool{"alice team/app": true}}
	metrics := auth.NewMetrics()
	a := auth.NewTokens(p, audience, nil, metrics, func() time.Time { return now })
	for range 3 {
		_ = a.Authorize(t.Context(), auth.Request{Bearer: alice, Repository: "team/app"})
	}
	p.fault = errors.New("no answer")
	_ = a.Authorize(t.Context(), auth.Request{Bearer: alice, Repository: "team/other"})
	want := `
# HELP ocm_registry_token_reviews_total Answers to questions about tokens: remembered, asked of the API server, or failed because it gave none.
# TYPE ocm_registry_token_reviews_total counter
ocm_registry_token_reviews_total{result="asked"} 2
ocm_registry_token_reviews_total{result="failed"} 1
ocm_registry_token_reviews_total{result="remembered"} 5
`
	if err := testutil.CollectAndCompare(metrics, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

// FuzzTokens looks for a token that nobody knows and that is let in, and for one that is told to whoever reads errors.
func FuzzTokens(f *testing.F) {
	for _, seed := range []string{alice, alice + ".", jwt(`{"aud":"ocm-registry"}`), jwt(`{"aud":[1]}`), jwt(`{"exp":1e300}`), jwt(`{"exp":-1}`), jwt(`[]`), "..", "a.b.c", ""} {
		f.Add(seed, "team/app", "10.0.0.1:1")
	}
	f.Fuzz(func(t *testing.T, token, repository, client string) {
		a, p, _ := tokens(t)
		for _, action := range []auth.Action{auth.Pull, auth.Push, auth.Delete, auth.Catalog} {
			err := a.Authorize(t.Context(), auth.Request{Bearer: token, Repository: repository, Client: client, Action: action})
			if allowed := token == alice && action == auth.Pull && (repository == "" || repository == "team/app"); (err == nil) != allowed {
				t.Fatalf("%q may %s %q: %v", token, action, repository, err)
			}
			if err != nil && len(token) > 20 && strings.Contains(err.Error(), token) {
				t.Fatalf("the token is in %q", err)
			}
		}
		if p.identified > 1 {
			t.Fatalf("%d reviews of one token", p.identified)
		}
	})
}

func BenchmarkTokens(b *testing.B) {
	a, _, _ := tokens(b)
	r := auth.Request{Bearer: alice, Repository: "team/app"}
	for b.Loop() {
		if err := a.Authorize(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}
